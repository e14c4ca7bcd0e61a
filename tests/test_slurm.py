"""The job for Slurm starts what it says, and goes on where there is something to go on from."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ddpm_lite.options import parse_train
from ddpm_lite.run import BEFORE, CHECKPOINT

JOB = Path(__file__).parents[1] / "docs" / "train.slurm"
SLURM = {
    "SLURM_JOB_NODELIST": "gpu[7-8]",
    "SLURM_NNODES": "2",
    "SLURM_GPUS_ON_NODE": "4",
    "SLURM_JOB_ID": "17",
}


def started(folder: Path, commands: Path) -> list[str]:
    """The words that Slurm's `srun` is called with, one a line."""
    for name, body in (("srun", 'printf "%s\\n" "$@"'), ("scontrol", "printf 'gpu7\\ngpu8\\n'")):
        command = commands / name
        command.write_text(f"#!/bin/sh\n{body}\n")
        command.chmod(0o755)
    environment = os.environ | SLURM | {"PATH": f"{commands}:{os.environ['PATH']}"}
    words = ["bash", str(JOB), "cifar10", str(folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_job_begins_and_goes_on(tmp_path: Path) -> None:
    run, commands = tmp_path / "my run", tmp_path / "bin"
    run.mkdir()
    commands.mkdir()
    launch, training = " ".join(words := started(run, commands)).split(" -m ddpm_lite.cli train ")
    assert launch == (
        "torchrun --nnodes 2 --nproc-per-node 4 --max-restarts 3 --rdzv-id 17 "
        "--rdzv-backend c10d --rdzv-endpoint gpu7:29500"
    )
    assert training == f"cifar10 --folder {run}"
    for name in (BEFORE, CHECKPOINT):
        (run / name).touch()
        assert started(run, commands) == [*words, "--resume"]
        (run / name).unlink()
    (run / CHECKPOINT).symlink_to(tmp_path / "elsewhere" / CHECKPOINT)  # the one before lies there
    assert started(run, commands) == [*words, "--resume"]
    config = parse_train(words[words.index("train") + 1 :])
    assert (config.run.folder, config.run.resume) == (run, False)
