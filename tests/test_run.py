"""A training's folder: what is written, what survives a kill, what two processes share."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small import assert_same, trainer, weights

from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.model import DiffusionModel
from ddpm_lite.run import CHECKPOINT, METRICS, WEIGHTS, RunConfig, run
from ddpm_lite.train import TrainingError


def test_run_writes_its_files(tmp_path: Path) -> None:
    path = run(trainer(), RunConfig(folder=tmp_path / "a", picture_steps=6))
    assert path == tmp_path / "a" / WEIGHTS
    names = {str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file()}
    pictures = {"samples/step_000006.png", "samples/step_000012.png"}
    assert names == {CHECKPOINT, METRICS, WEIGHTS} | pictures
    model = DiffusionModel.load(path)
    whole = DiffusionModel.load(tmp_path / "a" / CHECKPOINT)
    for name, tensor in model.net.state_dict().items():
        torch.testing.assert_close(tensor, whole.net.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_run_does_not_overwrite_a_run(tmp_path: Path) -> None:
    run(trainer(), RunConfig(folder=tmp_path))
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match="already holds a run"):
        run(trainer(), RunConfig(folder=tmp_path))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("change", [{"picture_steps": 0}, {"save_minutes": -1.0}])
def test_impossible_intervals_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        RunConfig(**change)  # type: ignore[arg-type]


def test_metrics_of_a_killed_run_are_cut_back_to_its_checkpoint(tmp_path: Path) -> None:
    run(trainer(steps=50), RunConfig(folder=tmp_path))
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 100, "loss": 1.0}\n{"step": 15')
    run(trainer(steps=60), RunConfig(folder=tmp_path, resume=True))
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [50, 60]


def test_output_that_is_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run(trainer(), RunConfig(folder=tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "not a folder"


def test_nan_stops_before_the_weights_are_touched_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    folder = RunConfig(folder=tmp_path)
    run(trainer(steps=4), folder)
    good = (tmp_path / CHECKPOINT).read_bytes()
    broken = trainer(steps=20)
    broken.resume(tmp_path / CHECKPOINT)
    before = weights(broken)
    broken._loss = lambda x, y: torch.full((len(x),), math.nan, requires_grad=True)  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="lower --learning-rate"):
        run(broken, RunConfig(folder=tmp_path, resume=True))
    assert_same(weights(broken), before)
    assert (tmp_path / CHECKPOINT).read_bytes() == good


# --- Killed, and many ----------------------------------------------------------------------------


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small import MODEL, images
from ddpm_lite.run import RunConfig, run
from ddpm_lite.train import TrainConfig, Trainer
config = TrainConfig(steps=400, batch_size=8, precision="float32", ema_decay=0.9)
trainer = Trainer(MODEL, config, images(), "cpu")
run(trainer, RunConfig(Path(sys.argv[1]), resume=True, save_minutes=0, picture_steps=10**9))
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(Path(__file__).parent)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / METRICS).read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def wait_for_checkpoint(process: subprocess.Popen[bytes], path: Path, old: float) -> bool:
    """Waits until the process has written a newer checkpoint; False if it ended before."""
    while not path.exists() or path.stat().st_mtime <= old:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.slow
def test_run_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    assert start(tmp_path / "through").wait() == 0
    path, moments, kills = tmp_path / "killed" / CHECKPOINT, random.Random(0), 0
    for _ in range(4):
        process = start(tmp_path / "killed")
        written = path.stat().st_mtime if path.exists() else 0.0
        if wait_for_checkpoint(process, path, written):
            time.sleep(moments.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    assert start(tmp_path / "killed").wait() == 0
    assert losses(tmp_path / "killed") == losses(tmp_path / "through")
    assert_same(read(path)[0], read(tmp_path / "through" / CHECKPOINT)[0])
    assert not list((tmp_path / "killed").glob(".*.tmp"))


DISTRIBUTED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import numpy as np
import torch
from small import MODEL, images
from ddpm_lite.processes import join_world
from ddpm_lite.run import RunConfig, run
from ddpm_lite.train import TrainConfig, Trainer
torch.set_num_threads(1)
config = TrainConfig(steps=int(sys.argv[3]), batch_size=8, precision="float32", ema_decay=0.9)
trainer = Trainer(MODEL, config, images(), join_world())
run(trainer, RunConfig(Path(sys.argv[1]), resume=True, picture_steps=10**9))
other = torch.cat([p.detach().flatten() for p in trainer.net.parameters()])
np.save(Path(sys.argv[1]) / f"rank{trainer.rank}.npy", other.numpy())
"""


def torchrun(folder: Path, steps: int) -> None:
    script = folder.parent / "distributed.py"
    script.write_text(DISTRIBUTED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, str(script), str(folder), str(Path(__file__).parent), str(steps)],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        timeout=300,
    )


@pytest.mark.slow
def test_two_processes_keep_equal_weights_and_resume_exactly(tmp_path: Path) -> None:
    torchrun(tmp_path / "through", 100)
    first, second = (np.load(tmp_path / "through" / f"rank{rank}.npy") for rank in (0, 1))
    assert (first == second).all()
    tensors = read(tmp_path / "through" / CHECKPOINT)[0]
    assert not torch.equal(*tensors["rng.times"])  # one row a process
    torchrun(tmp_path / "parts", 50)
    torchrun(tmp_path / "parts", 100)
    weights = read(tmp_path / "parts" / CHECKPOINT)[0]
    assert weights.keys() == tensors.keys()
