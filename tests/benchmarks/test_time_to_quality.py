"""The time to quality at toy size: when a level is reached, what is swept, how a run goes on."""

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import race
import time_to_quality
import torch
from contenders import Contender
from race import Race
from settings import Setting
from time_to_quality import Budget, Course, QualityPlan
from torch import Tensor, nn

PLAN = QualityPlan(levels=(100.0, 40.0), n=5, steps=2, batch=4, rates=(1e-3, 1e-2), first=2.0)
SETTING = Setting(False, True, 1)
IMAGES = torch.zeros(8, 1, 8, 8, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for each look at the clock: one for building a network, one for each step."""
    seconds = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(race, "time", clock)


def toy() -> Contender:
    return Contender("toy", "", lambda: nn.Conv2d(1, 1, 3, padding=1), lambda net, x, t: net(x))


def entered(rate: float = 1e-2) -> Race:
    torch.manual_seed(0)
    return Race(toy(), SETTING, IMAGES, PLAN.batch, rate)


def test_a_level_is_reached_between_two_marks() -> None:
    marks = [{"seconds": s, "frechet": f} for s, f in ((10, 100), (40, 25), (80, 30), (160, 5))]
    assert race.reached(marks, 50) == pytest.approx(20)  # half the way, in logarithms
    assert race.reached(marks, 100) == pytest.approx(10)
    assert race.reached(marks, 101) == 10
    assert race.reached(marks, 5) is None
    assert race.reached([], 5) is None


def test_the_average_is_of_the_weights_so_far() -> None:
    training, wanted = entered(), None
    for step in range(1, 4):
        training.step()
        decay = step / (step + 10)
        before = training.net.weight.detach().clone()
        start = entered().net.weight.detach() if wanted is None else wanted
        wanted = decay * start + (1 - decay) * before
    torch.testing.assert_close(training.average.weight.detach(), wanted)


def test_a_race_goes_on_where_it_was(tmp_path: Path) -> None:
    training = entered()
    training.train(4.0, lambda: False)
    training.save(tmp_path / "race.safetensors")
    again = entered()
    again.resume(tmp_path / "race.safetensors")
    assert (again.seconds, again.steps) == (training.seconds, training.steps)
    assert (training.seconds, training.steps) == (4.0, 3)  # one second was building
    for one in (training, again):
        torch.manual_seed(1)
        one.step()  # the optimizer's moments are the same too
    for one, other in ((training.net, again.net), (training.average, again.average)):
        torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=0)


def test_compiling_once_more_after_a_stop_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training = entered()
    training.train(4.0, lambda: False)
    training.save(tmp_path / "race.safetensors")
    again = entered()
    again.resume(tmp_path / "race.safetensors")
    slow = itertools.count(step=100)
    monkeypatch.setattr(race, "time", SimpleNamespace(perf_counter=lambda: float(next(slow))))
    again.train(4.1, lambda: False)
    assert again.seconds == 4 + 4 / 3  # as long as a step had taken on average
    again.train(6.0, lambda: False)
    assert again.seconds == 104 + 4 / 3


def test_training_ends_when_the_time_is_over() -> None:
    training, calls = entered(), iter([False, False, True])
    training.train(1e9, lambda: next(calls))
    assert training.steps == 2


def test_pictures_are_of_the_average_and_from_the_same_noise() -> None:
    training = entered()
    before = training.draw(5, 2, batch=3)
    assert (before.shape, before.dtype) == ((5, 1, 8, 8), torch.uint8)
    with torch.no_grad():
        training.net.weight.zero_()
    assert torch.equal(training.draw(5, 2, batch=3), before)
    with torch.no_grad():
        training.average.weight.add_(1)
    assert not torch.equal(training.draw(5, 2, batch=3), before)


# --- The whole ----------------------------------------------------------------------------------


class StoppedError(Exception):
    pass


def course(folder: Path, told: dict[str, Any], stop_at: int, monkeypatch: Any) -> Course:
    """Two networks whose distance is 200 over their steps, twice that at the smaller rate."""
    saves = iter(range(1, 1000))

    def save() -> None:
        if next(saves) == stop_at:
            raise StoppedError

    def distance(self: Course, runner: Race) -> float:
        return (2 if runner.rate == 1e-3 else 1) * 2000 / runner.steps

    monkeypatch.setattr(Course, "distance", distance)
    monkeypatch.setattr(time_to_quality, "frechet_floor", lambda n, judge: 1.0)
    judge: Any = None
    nets = {"ours": toy(), "peer": toy()}
    return Course(PLAN, IMAGES, judge, dict.fromkeys(nets, SETTING), nets, folder, save)


def last_steps(told: dict[str, Any]) -> int:
    return sum(run["marks"][-1]["steps"] for run in told["runs"].values())


def test_a_measurement_that_is_stopped_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: dict[str, Any] = {"sweep_seconds": 3.0}
    for stop_at in (3, 3):  # in the sweep, and after the first mark of both
        with pytest.raises(StoppedError):
            time_to_quality.measure(
                told, course(tmp_path, told, stop_at, monkeypatch), Budget(told, 1e9)
            )
    swept = copy.deepcopy(told["sweep"])
    first = [run["marks"][0] for run in told["runs"].values()]
    done, taken = last_steps(told), 0
    step = Race.step

    def counted(self: Race) -> float:
        nonlocal taken
        taken += 1
        return step(self)

    monkeypatch.setattr(Race, "step", counted)
    time_to_quality.measure(told, course(tmp_path, told, 0, monkeypatch), Budget(told, 1e9))
    assert taken == last_steps(told) - done  # and none twice
    assert told["sweep"] == swept
    assert [run["marks"][0] for run in told["runs"].values()] == first
    for run in told["runs"].values():
        assert run["rate"] == 1e-2
        seconds = [mark["seconds"] for mark in run["marks"]]
        assert seconds == sorted(seconds)
        # a mark is at the end of the step that passes 2, 3, 4.5, 6.75, ... seconds
        assert seconds[:4] == [2, 3, 5, 7]
        assert [mark["steps"] for mark in run["marks"]] == [s - 1 for s in seconds]
        assert run["marks"][-1]["frechet"] < 40 <= run["marks"][-2]["frechet"]
        assert run["reached"]["100.0"] <= run["reached"]["40.0"] <= seconds[-1]


def test_nothing_begins_after_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: dict[str, Any] = {}
    time_to_quality.measure(told, course(tmp_path, told, 0, monkeypatch), Budget(told, 0.0))
    assert told["sweep"] == {"ours": {}, "peer": {}}
    assert told["runs"] == {}
    assert told["spent"] > 0


def test_the_distance_is_that_of_the_features(tmp_path: Path) -> None:
    reference = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))

    class Judge:
        def __init__(self) -> None:
            self.reference = reference

        def look(self, pixels: Tensor) -> SimpleNamespace:
            assert pixels.shape == (5, 1, 8, 8)
            return SimpleNamespace(features=reference + torch.tensor([3.0, 4.0]))

    judge: Any = Judge()
    nets = {"ours": toy()}
    rallye = Course(PLAN, IMAGES, judge, {"ours": SETTING}, nets, tmp_path, lambda: None)
    assert rallye.distance(rallye.enter("ours", 1e-2)) == pytest.approx(25, abs=1e-4)


def test_pictures_that_nobody_can_judge_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = SimpleNamespace(pixels=IMAGES, class_names=("a", "b"))
    monkeypatch.setattr(time_to_quality, "load", lambda *_: strange)
    with pytest.raises(SystemExit, match="no classifier"):
        time_to_quality.pictures(time_to_quality.TASKS["2M-grey"], "one", "other")
