"""The kit for a GPU, at toy size on the CPU; and that each of its parts notices what is wrong."""

import copy
import json
import math
import os
import re
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpu
import gpu_checks
import gpu_speed
import pytest
import torch
from gpu_checks import Check, small_trainer
from gpu_recipe import read_recipe
from gpu_speed import EAGER, TOY, Setting, Speed

from ddpm_lite import run
from ddpm_lite.checkpoint import read
from ddpm_lite.model import DiffusionModel
from ddpm_lite.options import parse_train, recipe_names
from ddpm_lite.train import Trainer
from ddpm_lite.unet import UNet

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
RECIPE = 'preset = "tiny"\nsteps = {}\nbatch_size = 4\n'


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the table, at a place where a test may write it."""
    monkeypatch.setattr(gpu, "ROWS", tmp_path / "gpu.md")
    return tmp_path / "gpu.md"


def recipe(folder: Path, steps: int) -> str:
    (folder / "short.toml").write_text(RECIPE.format(steps))
    return str(folder / "short.toml")


# --- the whole -----------------------------------------------------------------------------------


BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Bare:
    @staticmethod
    def find_spec(name, path=None, target=None):
        gone = name.partition(".")[0] in {}
        return None if gone else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Bare]  # so no editable install either
"""
"""Python reads this, under the name of sitecustomize, when it starts."""


def bare_machine(folder: Path) -> dict[str, str]:
    """An environment in which the project is not installed, and of what it needs torch and NumPy.

    What comes with torch is there.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split("[<>=!~ ]", name)[0] for name in project["dependencies"]}
    assert {"torch", "numpy", "tyro", "pillow"} < names
    gone = names - {"torch", "numpy", "sympy"} | {"PIL"}
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BARE.format(sorted(gone)))
    return {**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
def test_the_whole_kit_runs_on_a_bare_machine_s_cpu_and_says_so(tmp_path: Path) -> None:
    before = gpu.ROWS.read_text() if gpu.ROWS.exists() else None
    short = recipe(tmp_path, 3)
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--minutes", "5", "--recipe", short]
    ran = subprocess.run(
        command, cwd=tmp_path, env=bare_machine(tmp_path / "bare"), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "No GPU here" in lines[0]
    found = json.loads(lines[-1])
    assert found["agrees"]
    assert found["device"] == "CPU, at toy size"
    assert set(found["checks"].values()) == {0.0}
    assert len(found["checks"]) == 6
    assert found["two"]["images_per_second"] > 0
    assert [speed["network"] for speed in found["speeds"]] == ["toy"]
    assert any(line.startswith("| CPU, at toy size | toy, ") for line in lines)
    assert before == (gpu.ROWS.read_text() if gpu.ROWS.exists() else None)
    # what was written without safetensors is read with it, and can be gone on from
    file = tmp_path / "runs" / "gpu" / "short" / run.CHECKPOINT
    assert file == tmp_path / found["checkpoint"]
    assert read(file)[1]["step"] == found["step"] == 3
    options = parse_train([short])
    assert gpu.new_trainer(read_recipe(short), CPU).resume(file) == []
    assert Trainer(options.model, options.train, gpu.load("mnist"), CPU).resume(file) == []


def test_a_recipe_is_what_the_command_line_reads(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'preset = "tiny"\nchannels = [8, 8]\ngroups = 4\nlabel-dropout = 1\nT = 50\nside = 8\n'
        'keep_doublings = true\ntarget = "eps"\n'
    )
    for name in (*recipe_names(), str(tmp_path / "own.toml")):
        ours, options = read_recipe(name), parse_train([name])
        assert (ours.name, ours.data) == (name, options.data)
        assert (ours.model, ours.train) == (options.model, options.train)


@pytest.mark.parametrize("text", [None, "steps = ", 'preset = "none"', "steps = 0"])
def test_what_is_no_recipe_is_told_in_one_line_and_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(gpu, "run_all", lambda *_: pytest.fail("too late"))
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SystemExit, match=r"recipe .*own\.toml: ") as told:
        gpu.main(["--recipe", str(tmp_path / "own.toml")])
    assert "\n" not in str(told.value)


def as_found(agrees: bool) -> Callable[..., dict[str, Any]]:
    row = "| a card | the rest |"
    return lambda *_: {"agrees": agrees, "device": "a card", "rows": [row]}


@pytest.mark.parametrize("agrees", [True, False])
def test_rows_are_written_for_a_gpu_that_agrees_and_for_no_other(
    rows: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(gpu, "run_all", as_found(agrees))
    assert gpu.main([]) == (0 if agrees else 1)
    assert rows.exists() == agrees


# --- the comparisons -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def near() -> DiffusionModel:
    return DiffusionModel.load()


def broken(model: DiffusionModel) -> DiffusionModel:
    """The same, but for one percent of its last layer."""
    net: UNet = copy.deepcopy(model.net)
    net.head.weight.mul_(1.01)
    return replace(model, net=net)


def test_outputs_and_losses_agree_with_themselves_and_not_with_others(near: DiffusionModel) -> None:
    about = gpu_checks.questions(4, near.schedule.T)
    for compare in (gpu_checks.compare_outputs, gpu_checks.compare_losses):
        assert compare(near, near, about).holds
        assert not compare(near, broken(near), about).holds


def test_drawings_agree_with_themselves_and_not_with_others(near: DiffusionModel) -> None:
    assert gpu_checks.compare_drawings(near, near, 2).holds
    assert not gpu_checks.compare_drawings(near, broken(near), 2).holds


class DrawsNothing:
    """In the place of a GPU's generator, which draws other numbers than the CPU's."""

    def manual_seed(self, seed: int) -> None:
        return


def test_trainings_agree_with_themselves_and_not_with_others() -> None:
    def make() -> Trainer:
        return small_trainer(CPU, 5, batch=4)

    far, other = make(), make()
    far.noise = DrawsNothing()  # type: ignore[assignment]
    assert gpu_checks.compare_trainings(make(), far).holds
    other.config = replace(other.config, learning_rate=2e-3)
    assert not gpu_checks.compare_trainings(make(), other).holds


@pytest.mark.parametrize("difference", [math.nan, math.inf, 1.1])
def test_what_is_too_far_or_no_number_does_not_hold(difference: float) -> None:
    good, bad = Check("a", 1.0, 1.0), Check("b", difference, 1.0)
    assert good.holds
    assert "DIFFERS" in str(bad)
    assert not gpu_checks.all_hold([good, bad])


def test_tensors_with_one_other_number_differ() -> None:
    a, b = torch.tensor([1.0, -4.0, 0.0]), torch.tensor([1.0, -4.0, 1.0])
    assert gpu_checks.relative(a, b) == 0.25
    assert math.isnan(gpu_checks.relative(a, a * math.nan))


@pytest.mark.parametrize(("stops", "holds"), [(1, True), (2, False)])
def test_stops_are_those_that_cuda_tells_in_one_step(
    monkeypatch: pytest.MonkeyPatch, stops: int, holds: bool
) -> None:
    mode = ["default"]
    monkeypatch.setattr("torch.cuda.set_sync_debug_mode", lambda now: mode.append(now))

    def steps() -> Iterator[None]:
        while True:
            if mode[-1] == "warn":
                for _ in range(stops):
                    warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
                warnings.warn("something else", stacklevel=1)
            yield

    monkeypatch.setattr(gpu_checks, "small_trainer", lambda *_: SimpleNamespace(steps=steps))
    check = gpu_checks.count_stops(CPU)
    assert (check.difference, check.holds, mode[-1]) == (stops, holds, "default")


# --- the speeds ----------------------------------------------------------------------------------


def ticking(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that moves only when a test moves it."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_images_a_second_are_counted_after_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = ticking(monkeypatch)

    def steps() -> Iterator[None]:
        for number in range(100):
            now[0] += 0.5 if number >= 3 else 50.0
            yield

    trainer: Any = SimpleNamespace(steps=steps, device=CPU, config=SimpleNamespace(batch_size=8))
    assert gpu_speed.images_per_second(trainer, seconds=2.0) == 16.0
    assert now[0] == 3 * 50 + 4 * 0.5


def test_the_peak_is_the_best_of_all_products(monkeypatch: pytest.MonkeyPatch) -> None:
    products, seconds = [], iter([4.0, 2.0, 3.0])
    monkeypatch.setattr("torch.mm", lambda a, b: products.append((a.shape, b.dtype)))
    monkeypatch.setattr(gpu_speed, "timed", lambda action: (action(), next(seconds))[1])
    assert gpu_speed.measure_peak(CPU, side=8, repeats=3) == 10 * 2 * 8**3 / 2.0
    assert products == [((8, 8), torch.bfloat16)] * 40


def test_operations_are_those_of_one_picture() -> None:
    net, x = UNet(TOY.unet), torch.zeros(3, 3, TOY.side, TOY.side)
    t = torch.ones(3, dtype=torch.long)
    assert gpu_speed.count_operations(lambda: net(x, t)) == 3 * gpu_speed.operations(TOY)


@pytest.mark.slow
def test_a_setting_is_compiled_with_its_options() -> None:
    graphs = []

    def note(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    for setting in (EAGER, Setting("noted", {"backend": note, "dynamic": False})):
        trainer = gpu_speed.trainer_for(TOY, setting, CPU)
        assert trainer.config.precision == "bfloat16"
        assert trainer.net.stem.weight.is_contiguous(memory_format=torch.channels_last)
        assert math.isfinite(next(trainer.steps()).loss)
        assert bool(graphs) == (setting is not EAGER)


def speed(setting: Setting, images: float) -> Speed:
    return Speed(TOY, setting, images, first_step=1.0, memory=None)


def test_the_fastest_setting_counts_and_one_that_fails_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow, fast, bad = (Setting(name, {}) for name in ("slow", "fast", "bad"))
    speeds = {"slow": 10.0, "fast": 20.0}

    def measure(subject: Any, setting: Setting, *_: object) -> Speed:
        return speed(setting, speeds[setting.name])  # a KeyError for the bad one

    monkeypatch.setattr(gpu, "measure", measure)
    plan = replace(gpu.CPU, settings=(slow, fast, bad))
    assert gpu.best_speeds(CPU, plan, gpu.Clock(60)) == [speed(fast, 20.0)]
    assert "failed: KeyError: 'bad'" in capsys.readouterr().out
    assert gpu.best_speeds(CPU, replace(plan, settings=(bad,)), gpu.Clock(60)) == []


def test_nothing_is_compiled_when_the_time_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "measure", lambda subject, setting, *_: speed(setting, 1.0))
    plan = replace(gpu.CPU, settings=(EAGER, Setting("compiled", {})), kept=60)
    clock = gpu.Clock(200 / 60)  # less than 150 for the compiler and 60 that are kept
    assert [s.setting for s in gpu.best_speeds(CPU, plan, clock)] == [EAGER]
    assert "left out: too little time" in capsys.readouterr().out


# --- two processes -------------------------------------------------------------------------------


def test_one_card_is_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr(gpu, "launch", lambda *_: pytest.fail("nothing to launch"))
    assert gpu.two_processes(torch.device("cuda"), gpu.GPU, gpu.Clock(9)) is None


@pytest.mark.parametrize(
    ("script", "message"),
    [("raise SystemExit('broken')", "broken"), ("import time; time.sleep(60)", "too little time")],
)
def test_two_processes_that_fail_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    message: str,
) -> None:
    monkeypatch.setattr(gpu, "LAUNCH", (sys.executable, "-c", script))
    assert gpu.two_processes(CPU, gpu.CPU, gpu.Clock(0)) is None
    assert f"failed: {message}" in capsys.readouterr().out


# --- the training --------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_stops_in_time_and_goes_on_the_next_time(tmp_path: Path) -> None:
    short = read_recipe(recipe(tmp_path, 4))
    over = gpu.Clock(0)
    assert gpu.train_until(over, tmp_path, short, CPU).step == 1
    assert gpu.train_until(over, tmp_path, short, CPU).step == 2
    trainer = gpu.train_until(gpu.Clock(9), tmp_path, short, CPU)
    assert trainer.step == 4
    file = tmp_path / gpu.CHECKPOINT
    assert gpu.check_checkpoint(trainer, gpu.new_trainer(short, CPU), file).holds


@pytest.mark.slow
def test_a_checkpoint_of_another_moment_is_noticed(tmp_path: Path) -> None:
    short = read_recipe(recipe(tmp_path, 4))
    trainer = gpu.train_until(gpu.Clock(0), tmp_path, short, CPU)
    next(trainer.steps())
    check = gpu.check_checkpoint(trainer, gpu.new_trainer(short, CPU), tmp_path / gpu.CHECKPOINT)
    assert not check.holds


# --- the table -----------------------------------------------------------------------------------


def test_a_row_is_reckoned_from_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_speed, "operations", lambda _: 2e9)
    measured = replace(speed(EAGER, 1500.0), memory=2_500_000_000)
    row = gpu.row("a card", measured, peak=10e12, together=2700.0)
    weights = gpu.parameters(TOY) / 1e6
    assert row == (
        f"| a card | toy, {weights:.1f} M weights, batch 8 | not compiled | 1,500 | 3 "
        "| 30.0% of 10 | 2.5 GB | 1.80 times |"
    )


def test_two_cards_stand_in_the_row_of_the_network_that_they_trained() -> None:
    other = replace(speed(EAGER, 1.0), subject=replace(TOY, name="other"))
    two = {"network": "other", "images_per_second": 2.0}
    rows = gpu.make_rows("a card", [speed(EAGER, 1.0), other], 1e12, two)
    assert [row.endswith("| 2.00 times |") for row in rows] == [False, True]
    assert "times" not in "".join(gpu.make_rows("a card", [other], 1e12, None))


def test_rows_take_the_place_of_those_of_the_same_device(tmp_path: Path) -> None:
    file = tmp_path / "gpu.md"
    gpu.write_rows(file, "A 1", ["| A 1 | old |", "| A 1 | old too |"])
    gpu.write_rows(file, "A 10", ["| A 10 | other |"])
    gpu.write_rows(file, "A 1", ["| A 1 | new |"])
    assert file.read_text() == f"{gpu.HEAD}\n| A 10 | other |\n| A 1 | new |\n"


@pytest.mark.parametrize(
    ("page", "none"),
    [
        ("README.md", "No GPU has been measured yet"),
        ("book/08_training.md", "No GPU was at hand when this page was made"),
    ],
)
def test_pages_show_the_rows_that_were_measured_and_no_others(page: str, none: str) -> None:
    text, head = (ROOT / page).read_text(), gpu.HEAD.splitlines()[0]
    _, _, after = text.partition(head)
    shown = (head + after.split("\n\n")[0]).splitlines() if after else []
    assert shown == (gpu.ROWS.read_text().splitlines() if gpu.ROWS.exists() else [])
    assert (none in text) != gpu.ROWS.exists()
    assert "benchmarks/gpu.py" in text
