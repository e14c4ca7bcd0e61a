"""Two real processes: where one fails, the other is told, and neither waits for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
import torch.distributed as dist
from small import MODEL, config, images
from ddpm_lite.processes import all_or_none, first_alone, join_world, leave_world, world
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
seen = []
draw = sys.modules["ddpm_lite.train"].draw_times
def spy(T, n, law, generator, first):
    seen.extend(range(first, first + n))
    return draw(T, n, law, generator, first)
sys.modules["ddpm_lite.train"].draw_times = spy
for state in trainer.steps():
    if state.step == 2:
        break
lines.append(" ".join(map(str, seen)))
trainer.save(folder / "two")
lines.append(str(trainer.batches._position))
leave_world()
lines.append(str(dist.is_initialized()))
(folder / f"rank{rank}.txt").write_text("\\n".join(lines))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have told what became of each thing they did."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "script.py").write_text(SCRIPT)
    (folder / "file").write_text("no folder")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(folder / "script.py"), str(folder), str(Path(__file__).parent)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
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
def test_every_image_of_all_processes_is_counted_once(folder: Path) -> None:
    counted = [int(number) for lines in told(folder) for number in lines[4].split()]
    assert sorted(counted) == list(range(16))


@pytest.mark.slow
def test_the_group_is_left(folder: Path) -> None:
    assert [lines[6] for lines in told(folder)] == ["False", "False"]


@pytest.mark.slow
def test_one_process_goes_on_from_two(folder: Path) -> None:
    from small import trainer

    alone = trainer(times="half_log", accumulate=4)
    [note] = alone.resume(folder / "two")
    assert "written by 2 processes" in note
    assert alone.batches._position == 2 * int(told(folder)[0][5]) == 16
    assert [state.step for state in alone.steps()] == list(range(3, 13))
