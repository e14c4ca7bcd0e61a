"""The benchmark beside other projects at toy size: what is tried, kept, and gone on with."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bench
import contenders
import kept
import processor
import pytest
import settings
import torch
import train_speed
import works
from contenders import Contender, Size, Task
from settings import Setting
from torch import Tensor, nn

TASK = Task("toy", 1, 3, 8)
PLAN = works.Plan(batch=4, drawn=2, steps=3, rounds=2, seconds=0.0, peak_batch=1)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def toy(name: str = "toy") -> Contender:
    return Contender(name, "one layer", lambda: nn.Conv2d(3, 3, 3, padding=1), lambda n, x, t: n(x))


# --- Contenders ---------------------------------------------------------------------------------


def test_a_peer_of_another_size_is_refused() -> None:
    sizes = {name: Size(100, 1000.0) for name in ("patches", "full", "peer")}
    contenders.check_sizes(sizes | {"patches": Size(100, 300.0)})
    for wrong in (Size(111, 1000.0), Size(100, 880.0)):
        with pytest.raises(ValueError, match="peer differ"):
            contenders.check_sizes(sizes | {"peer": wrong})


def test_ours_are_the_preset_and_twice_as_wide() -> None:
    small = contenders.our_configs(contenders.TASKS["2M-grey"])
    large = contenders.our_configs(contenders.TASKS["8M-colour"])
    assert small["patches"].channels == (48, 64, 96)
    assert large["full"].channels == (64, 128, 160)
    assert large["patches"].image_channels == 3


def test_pictures_have_the_tasks_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    class Few:
        pixels = torch.full((2, 1, 28, 28), 255, dtype=torch.uint8)

    monkeypatch.setattr(contenders, "mnist", Few)
    for task in contenders.TASKS.values():
        assert contenders.pictures(task).shape == task.shape(2)


# --- Settings -----------------------------------------------------------------------------------


def trial(speed: float | None, **how: Any) -> dict[str, Any]:
    return {
        "setting": asdict(Setting(**{"bf16": False, "channels_last": False, "threads": 2, **how})),
        "pilot": speed,
        "images_per_second": speed,
    }


def test_what_is_tried_follows_from_what_was_fastest() -> None:
    trials: list[dict[str, Any]] = []
    speeds = {(False, False): 5.0, (False, True): 9.0, (True, False): None, (True, True): 1.0}
    tried = []
    for setting in settings.settings(trials, 2):
        tried.append(setting)
        speed = speeds[setting.bf16, setting.channels_last] or 0.0
        speed = 2 * speed if setting.threads == 1 else speed
        trials.append({**trial(speed or None), "setting": asdict(setting)})
    assert tried[:4] == [Setting(bf, last, 2) for bf in (False, True) for last in (False, True)]
    # the fastest on one thread as well, and the compiler with the threads that were faster
    assert tried[4] == Setting(False, True, 1)
    assert tried[5:] == [Setting(False, last, 1, compiled=True) for last in (False, True)]


class Clocked:
    """A work whose steps take as long as is said, on a clock of its own."""

    now = 0.0

    def __init__(self, setting: Setting, batch: int) -> None:
        self.batch, self.slow = batch, 3.0 if setting.bf16 else 1.0
        self.setting = setting

    def step(self) -> None:
        if self.setting.compiled:
            raise RuntimeError("no compiler\nat all")
        Clocked.now += self.batch * self.slow / (2 if self.setting.channels_last else 1)


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(action: Any) -> float:
        start = Clocked.now
        action()
        return Clocked.now - start

    monkeypatch.setattr(settings, "timed", timed)


@pytest.mark.slow
@pytest.mark.usefixtures("_clock")
def test_slow_and_failing_settings_are_told_and_cost_little() -> None:
    trials: list[dict[str, Any]] = []
    start = Clocked.now
    settings.try_settings(Clocked, 16, trials, 1, lambda _: None)
    found = {str(settings.setting_of(t)): t for t in trials}
    assert found["fp32 NHWC, 1 thread"]["images_per_second"] == 2.0
    assert found["bf16 NCHW, 1 thread"]["why"] == "too slow on 2 images"
    assert found["fp32 NHWC compiled, 1 thread"]["why"] == "RuntimeError: no compiler"
    assert settings.setting_of(settings.fastest(trials)) == Setting(False, True, 1)
    assert found["bf16 NHWC, 1 thread"]["why"] == "too slow on 2 images"
    # Of bf16 no more than 2 images at a time: a sixth of the best speed is seen in one step, and a
    # third of it in three.
    bf16 = 2 * 3.0 + 3 * 2 * 1.5
    fp32 = (3 * 2 + 5 * 16) * 1.5
    assert Clocked.now - start == bf16 + fp32


@pytest.mark.slow
@pytest.mark.usefixtures("_clock")
def test_trials_that_are_there_are_not_made_again() -> None:
    trials: list[dict[str, Any]] = []
    settings.try_settings(Clocked, 16, trials, 1, lambda _: None)
    del trials[3:]
    new: list[dict[str, Any]] = []
    settings.try_settings(Clocked, 16, trials, 1, new.append)
    assert [str(settings.setting_of(t)) for t in new] == [
        "bf16 NHWC, 1 thread", "fp32 NCHW compiled, 1 thread", "fp32 NHWC compiled, 1 thread"
    ]  # fmt: skip


# --- The measurement ----------------------------------------------------------------------------


def fake_settings(trials: list[Any], cores: int) -> Iterator[Setting]:
    yield Setting(False, True, cores)


class StoppedError(Exception):
    pass


def test_a_run_that_is_stopped_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "settings", fake_settings)
    monkeypatch.setattr(train_speed, "check_sizes", lambda sizes: None)
    monkeypatch.setattr(processor, "PEAK_SHAPES", ((8, 4),))
    monkeypatch.setattr(train_speed, "memory_elsewhere", lambda *_: {"before": 1.0, "peak": 2.0})
    images = torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8)
    nets, path = {"full": toy(), "peer": toy()}, tmp_path / "bench" / "toy.json"
    about = {"task": "toy", "cores_used": 1, "bf16": False}
    saves = 0

    def measure(stop_at: int) -> dict[str, Any]:
        nonlocal saves
        saves = 0
        told = kept.begin(path, about)

        def save() -> None:
            nonlocal saves
            saves += 1
            kept.keep(path, told)
            if saves == stop_at:
                raise StoppedError

        train_speed.measure(told, nets, TASK, works.makers(TASK, images), PLAN, save)
        return told

    for stop_at in (3, 2, 2):  # in the trials, in the memory, after the first round
        with pytest.raises(StoppedError):
            measure(stop_at)
    first = json.loads(path.read_text())["rounds"]
    told = measure(0)
    # four trials, two measurements of memory, two rounds: each made once
    assert saves == 1
    assert told["rounds"][:1] == first
    assert len(told["rounds"]) == PLAN.rounds
    assert [len(told["trials"][work][name]) for work in train_speed.WORKS for name in nets] == [
        1
    ] * 4
    for each in told["rounds"]:
        assert each["training"].keys() == each["drawing"].keys() == nets.keys()
        assert min(*each["training"].values(), *each["peaks"].values()) > 0


def test_a_file_of_another_machine_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    kept.keep(path, {"machine": "a", "plan": {"batch": 4}, "rounds": [1]})
    assert kept.begin(path, {"machine": "a"})["rounds"] == [1]
    with pytest.raises(SystemExit, match="another machine: remove it"):
        kept.begin(path, {"machine": "b", "plan": {"batch": 4}})


def test_ddim_is_run_in_as_many_steps_as_are_counted() -> None:
    calls: list[float] = []

    def predict(net: Any, x: Tensor, t: Tensor) -> Tensor:
        calls.append(float(t[0]))
        return x

    contender = Contender("counting", "", lambda: nn.Conv2d(1, 1, 1), predict)
    drawing = works.Drawing(contender, Setting(False, False, 1), TASK, 2)
    assert drawing.draw(PLAN.steps).shape == (2, 3, 8, 8)
    assert calls == [1000.0, 667.0, 333.0]


def test_a_training_learns() -> None:
    torch.manual_seed(0)
    images = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    training = works.Training(toy(), Setting(False, True, 1), images, 32, rate=1e-2)
    losses = [training.step() for _ in range(60)]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])


def test_memory_counts_what_is_held_for_a_step() -> None:
    """64 MiB more for 64 MiB that a step needs."""

    class Hungry:
        batch = 1

        def step(self) -> None:
            torch.ones(16 << 20).sum()

    found = train_speed.memory_of(lambda setting, batch: Hungry(), Setting(False, False, 1), 1)
    status = Path("/proc/self/status")
    if status.is_file():
        assert found["peak"] is not None
        assert found["before"] is not None
        assert found["peak"] >= found["before"]
        assert found["peak"] > 64
    assert train_speed.peak_memory(Path("/nowhere")) is None


# --- The processor ------------------------------------------------------------------------------

AVX2 = {"avx2": True, "fma3": True}
AVX512 = AVX2 | {f"avx512_{part}": True for part in ("f", "bw", "vl", "dq")}
AMX = AVX512 | {"amx_tile": True, "amx_bf16": True}


@pytest.mark.parametrize(
    ("able", "kinds"),
    [
        (AMX, ["amx", "avx2"]),
        (AVX512, ["avx512", "avx2"]),
        (AVX2, ["avx2"]),
        ({"neon": True}, ["other"]),
    ],
)
def test_kinds_are_the_processors_own_and_avx2(able: dict[str, bool], kinds: list[str]) -> None:
    assert processor.kinds_here(able) == kinds


def test_a_newer_processor_is_held_to_avx2_and_to_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")  # left over from somebody's shell
    held = processor.environment("avx2", AMX)
    assert (held["ONEDNN_MAX_CPU_ISA"], held["ATEN_CPU_CAPABILITY"]) == ("AVX2", "avx2")
    for kind, able in (("amx", AMX), ("avx2", AVX2)):
        assert "ONEDNN_MAX_CPU_ISA" not in processor.environment(kind, able)
    assert [processor.computes_in_bf16(kind, AMX) for kind in ("amx", "avx2")] == [True, False]


def test_the_processor_says_its_name(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: A Processor 1.0\nflags\t: avx2\n")
    assert processor.processor_name(info) == "A Processor 1.0"
    assert processor.processor_name(tmp_path / "none")


@pytest.mark.slow
def test_onednn_says_what_it_was_held_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert "SSE4.1" in processor.onednn_instructions()


def test_a_task_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.parse_arguments(["3M-grey"])
    assert "no such task: 3M-grey" in capsys.readouterr().err
    assert bench.parse_arguments(["2M-grey", "--kinds", "avx2"]).kinds == ["avx2"]


def test_what_is_complete_is_copied_and_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    under_way, results = tmp_path / "runs", tmp_path / "results"
    monkeypatch.setattr(bench, "UNDER_WAY", under_way)
    monkeypatch.setattr(bench, "RESULTS", results)
    commands: list[list[str]] = []

    def run(command: list[str], env: dict[str, str]) -> SimpleNamespace:
        commands.append(command)
        kept.keep(under_way / "speed-2M-grey-avx2.json", {"finished": len(commands) == 2})
        return SimpleNamespace(returncode=2 - len(commands))

    monkeypatch.setattr(bench.subprocess, "run", run)
    options = bench.parse_arguments(["2M-grey"])
    with pytest.raises(SystemExit):
        bench.run("2M-grey", "avx2", options)
    assert not results.exists()  # it was stopped
    for _ in range(2):
        bench.run("2M-grey", "avx2", options)
    assert [command[2:] for command in commands] == 2 * [["2M-grey", "--kind", "avx2"]]
    assert json.loads((results / "speed-2M-grey-avx2.json").read_text())["finished"]
