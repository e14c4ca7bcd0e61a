"""Two real processes: where one fails, the other is told, and neither waits for ever."""

import os
import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import trainer

from ddpm_lite.checkpoint import read
from ddpm_lite.run import CHECKPOINT, METRICS, WEIGHTS

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

SCRIPT = """
import os
import signal
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import numpy as np
import torch
import torch.distributed as dist
from small import MODEL, config, images
from ddpm_lite.processes import all_or_none, first_alone, join_world, leave_world, world
from ddpm_lite.run import CHECKPOINT, RunConfig, run
from ddpm_lite.train import Trainer

def outcome(work):
    try:
        work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"

def loading(fails):
    order = []
    with first_alone():
        if fails and world()[0] == fails - 1:
            raise ValueError("no images")
        Path(sys.argv[1], f"went{world()[0]}").touch()
        order += [p.name for p in Path(sys.argv[1]).glob("went*")]
    assert f"went{world()[0]}" in order
    if world()[0] == 0:
        assert order == ["went0"]

folder = Path(sys.argv[1])
device = join_world()
rank = world()[0]
lines = [outcome(lambda: loading(0)), outcome(lambda: loading(1))]
trainer = Trainer(MODEL, config(times="half_log", accumulate=4), images(), device)
lines.append(outcome(lambda: trainer.save(folder / "file" / "checkpoint")))
lines.append(outcome(lambda: trainer.save_weights(folder / "file" / "weights")))
curve = Trainer(MODEL, config(times="half_log"), images(), device)
losses = []
for state in curve.steps():
    losses.append(state.loss)
    if state.step == 5:
        curve.save(folder / "two")
resumed = Trainer(MODEL, config(times="half_log"), images(), device)
lines.append(str(resumed.resume(folder / "one")))
lines.append(" ".join(map(str, losses)))
lines.append(" ".join(str(state.loss) for state in resumed.steps()))
for name, steps in (("through", 100), ("parts", 50), ("parts", 100)):
    training = Trainer(MODEL, config(steps=steps, cooldown=0.0), images(), device)
    resume = (folder / name / CHECKPOINT).exists()
    run(training, RunConfig(folder / name, resume, picture_steps=10**9))
    weights = torch.cat([p.detach().flatten() for p in training.net.parameters()])
    np.save(folder / name / f"rank{rank}.npy", weights.numpy())
asked = Trainer(MODEL, config(steps=100), images(), device)
update = asked._update
def with_signal():
    if rank == 1 and asked.step == 5:
        os.kill(os.getpid(), signal.SIGTERM)
    return update()
asked._update = with_signal
lines.append(outcome(lambda: run(asked, RunConfig(folder / "asked", picture_steps=10**9))))
leave_world()
lines.append(str(dist.is_initialized()))
(folder / f"rank{rank}.txt").write_text("\\n".join(lines))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have told what became of each thing they did."""
    folder = tmp_path_factory.mktemp("two")
    alone = trainer(times="half_log")
    for _ in islice(alone.steps(), 5):
        continue
    alone.save(folder / "one")
    (folder / "script.py").write_text(SCRIPT)
    (folder / "file").write_text("no folder")
    done = subprocess.run(
        [*TORCHRUN, str(folder / "script.py"), str(folder), str(Path(__file__).parent)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def told(folder: Path) -> list[list[str]]:
    return [(folder / f"rank{rank}.txt").read_text().splitlines() for rank in (0, 1)]


@pytest.mark.slow
def test_the_first_goes_alone_and_its_failure_is_everybodys(folder: Path) -> None:
    first, second = told(folder)
    assert first[:2] == ["done", "ValueError: no images"]
    assert second[:2] == ["done", "ProcessError: another process failed; its own message says why"]


@pytest.mark.slow
def test_a_file_that_cannot_be_written_fails_in_all(folder: Path) -> None:
    first, second = told(folder)
    assert all(line.startswith("CheckpointError") for line in first[2:4])
    assert all(line.startswith("ProcessError") for line in second[2:4])


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(folder: Path) -> None:
    """Of the same batches: a different place or a number drawn twice would show at once."""
    alone = [state.loss for state in trainer(times="half_log").steps()]
    for lines in told(folder):
        assert list(map(float, lines[5].split())) == pytest.approx(alone, abs=1e-5)


@pytest.mark.slow
def test_the_group_is_left(folder: Path) -> None:
    assert [lines[8] for lines in told(folder)] == ["False", "False"]


@pytest.mark.slow
def test_a_signal_to_any_process_stops_all(folder: Path) -> None:
    assert all(lines[7].startswith("Stopped: stopped at step 6 of 100") for lines in told(folder))
    assert read(folder / "asked" / CHECKPOINT)[1]["step"] == 6


@pytest.mark.slow
def test_one_process_goes_on_from_two_and_two_from_one(folder: Path) -> None:
    undisturbed = [state.loss for state in trainer(times="half_log").steps()][5:]
    alone = trainer(times="half_log")
    assert alone.resume(folder / "two") == []
    assert [state.loss for state in alone.steps()] == pytest.approx(undisturbed, abs=1e-5)
    for lines in told(folder):
        assert lines[4] == "[]"
        assert list(map(float, lines[6].split())) == pytest.approx(undisturbed, abs=1e-5)


@pytest.mark.slow
def test_two_processes_keep_equal_weights_when_they_go_on(folder: Path) -> None:
    for name in ("through", "parts"):
        first, second = (np.load(folder / name / f"rank{rank}.npy") for rank in (0, 1))
        assert (first == second).all()
    through, parts = (read(folder / name / WEIGHTS)[0] for name in ("through", "parts"))
    assert parts.keys() == through.keys()
    assert all(torch.equal(parts[name], through[name]) for name in through)


def pictures(folder: Path) -> Path:
    for kind in ("dark", "bright"):
        (folder / kind).mkdir(parents=True)
        for number in range(8):
            level = number + 200 * (kind == "bright")
            Image.new("L", (8, 8), level).save(folder / kind / f"{number}.png")
    return folder


def training(pictures: Path, folder: Path) -> list[str]:
    return [
        "-m", "ddpm_lite.cli", "train", "tiny", "--data", str(pictures), "--folder", str(folder),
        "--steps", "150", "--batch-size", "8", "--precision", "float32", "--channels", "8", "8",
        "--groups", "4", "--side", "8", "--save-minutes", "0", "--picture-steps", "1000",
    ]  # fmt: skip


def workers(of: int) -> list[int]:
    """The processes that a `torchrun` has started, as Linux lists them."""
    listed = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in listed}
    return [int(pid) for pid, command in commands.items() if b"ddpm_lite.cli" in command]


def killed_once(options: list[str], words: list[str], folder: Path, log: Path) -> int:
    """Kills one of two processes after their first checkpoint; the status of all."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            [*TORCHRUN, *options, *words], env=ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT
        )
    end = time.monotonic() + 300
    while not (folder / CHECKPOINT).exists():
        assert time.monotonic() < end
        assert started.poll() is None, log.read_text()[-3000:]
        time.sleep(0.01)
    os.kill(workers(started.pid)[-1], signal.SIGKILL)
    return started.wait(timeout=300)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes as Linux lists them")
def test_a_process_that_dies_ends_all_with_one_line_and_a_restart_goes_on(tmp_path: Path) -> None:
    data, log = pictures(tmp_path / "pictures"), tmp_path / "log"
    dead, whole = tmp_path / "dead", tmp_path / "whole"
    assert killed_once([], training(data, dead), dead, log) == 1
    lines = re.findall(r"^ddpm-lite: (?!asked to stop).*", log.read_text(), re.MULTILINE)
    assert len(lines) == 1
    assert "another process cannot be reached; --resume goes on" in lines[0]
    assert read(dead / CHECKPOINT)[1]["step"] < 150

    restarts = ["--max-restarts=1"]
    assert killed_once(restarts, training(data, whole), whole, log) == 0, log.read_text()[-3000:]
    assert (whole / WEIGHTS).exists()
    steps = re.findall(r'"step": (\d+)', (whole / METRICS).read_text())
    assert steps == ["50", "100", "150"]


@pytest.mark.slow
def test_a_restart_does_not_take_what_the_first_start_refused(tmp_path: Path) -> None:
    """The folder is of another run: torchrun starts the refused one again, in vain."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CHECKPOINT).write_bytes(b"another's")
    words = ["--max-restarts=1", *training(pictures(tmp_path / "pictures"), folder)]
    done = subprocess.run(
        [*TORCHRUN[:-1], "--nproc-per-node=1", *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    lines = re.findall(r"^ddpm-lite: .*", done.stderr, re.MULTILINE)
    assert len(lines) == 2
    assert all("already holds a run" in line for line in lines)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"another's"]
