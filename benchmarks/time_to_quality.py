"""Seconds of training, from nothing, until the Frechet distance falls below fixed levels.

Every network, ours and the peers', is trained by the same loop: target v, cosine schedule, AdamW, a
running average, no labels, so that there is no guidance (guidance 1). Each has the setting that was
fastest in the trials of `train_speed.py`, and the learning rate that was best in a sweep. Then they
take turns. Each trains up to the same mark of seconds and draws pictures, which a classifier
judges; each mark is half as far again as the one before. Drawing and judging are not counted.

`make bench-quality TASK=2M-grey` runs this. Digits are judged by the classifier in the package;
coloured tasks need CIFAR-10. What is measured lies in runs/bench/ as it comes. A run that is
stopped goes on, and so does one whose --minutes were over, when it is given more.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from contenders import TASKS, Contender, Task, load_contenders
from kept import UNDER_WAY, begin, keep
from measuring import kind_of
from processor import abilities, kinds_here
from race import Race, reached
from settings import Setting
from torch import Tensor
from train_speed import about, best, find_settings, start_file
from works import makers, plan_of

from ddpm_lite.data import load
from ddpm_lite.frechet import frechet_distance, frechet_floor
from ddpm_lite.judges import Judge, find_judge

Told = dict[str, Any]


@dataclass(frozen=True)
class QualityPlan:
    """How it is measured."""

    levels: tuple[float, ...] = (200.0, 100.0, 50.0, 30.0)
    n: int = 1000
    """Pictures that are judged."""
    steps: int = 20
    """Of DDIM."""
    batch: int = 64
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    first: float = 30.0
    """Seconds of the first mark."""
    factor: float = 1.5
    """From a mark to the next."""
    sweep_share: float = 0.1
    """The share of all the time in which the sweep trains."""


@dataclass
class Budget:
    """Seconds that may be spent, over all runs; `spent` stands in the file."""

    told: Told
    seconds: float
    last: float = field(default_factory=time.perf_counter)

    def is_over(self) -> bool:
        """Counts what has passed since the last call."""
        now = time.perf_counter()
        self.told["spent"] = self.told.get("spent", 0.0) + now - self.last
        self.last = now
        return bool(self.told["spent"] >= self.seconds)


@dataclass(frozen=True)
class Course:
    """What all networks have in common."""

    plan: QualityPlan
    images: Tensor
    """Training pictures, uint8 (N, C, side, side)."""
    judge: Judge
    settings: Mapping[str, Setting]
    contenders: Mapping[str, Contender]
    folder: Path
    """Where trainings lie that are not over."""
    save: Callable[[], None]
    """Keeps what is told."""

    def enter(self, name: str, rate: float) -> Race:
        torch.manual_seed(0)
        plan = self.plan
        return Race(self.contenders[name], self.settings[name], self.images, plan.batch, rate)

    def distance(self, race: Race) -> float:
        """Of the pictures that the network draws now from the judge's real ones."""
        drawn = race.draw(self.plan.n, self.plan.steps)
        return frechet_distance(self.judge.look(drawn).features, self.judge.reference)


def sweep(told: Told, course: Course, budget: Budget) -> None:
    """Trains each network at each rate for a while; adds to what is told what is missing."""
    plan, rates = course.plan, course.plan.rates
    seconds = plan.sweep_share * budget.seconds / (len(course.contenders) * len(rates))
    told.setdefault("sweep_seconds", seconds)
    for name in course.contenders:
        done = told.setdefault("sweep", {}).setdefault(name, {})
        for rate in rates:
            if str(rate) in done or budget.is_over():
                continue
            race = course.enter(name, rate)
            race.train(told["sweep_seconds"], budget.is_over)
            if budget.is_over():  # cut short: not to be compared with the others
                return
            done[str(rate)] = round(course.distance(race), 2)
            torch.compiler.reset()  # a class that is compiled too often is no longer compiled
            print(f"  {name}, learning rate {rate}: {done[str(rate)]}", flush=True)
            budget.is_over()
            course.save()


def best_rate(told: Told, name: str) -> float:
    """The rate of the smallest distance."""
    found: dict[str, float] = told["sweep"][name]
    return float(min(found, key=lambda rate: found[rate]))


def run_races(told: Told, course: Course, budget: Budget) -> None:
    """Goes from mark to mark with all that have not reached every level, while there is time."""
    races: dict[str, Race] = {}
    for name in course.contenders:
        told["runs"].setdefault(name, {"rate": best_rate(told, name), "marks": [], "reached": {}})
    while running := [n for n in course.contenders if not is_done(told["runs"][n], course.plan)]:
        # the one that is behind: they go on in turns, also after a stop
        name = min(running, key=lambda n: len(told["runs"][n]["marks"]))
        if budget.is_over():
            return
        if name not in races:
            races[name] = rejoin(course, name, told["runs"][name])
        advance(name, told["runs"][name], races[name], course, budget)
        budget.is_over()
        course.save()


def is_done(run: Told, plan: QualityPlan) -> bool:
    return all(str(level) in run["reached"] for level in plan.levels)


def rejoin(course: Course, name: str, run: Told) -> Race:
    """The network as it was at its last mark, or a new one."""
    race, path = course.enter(name, run["rate"]), course.folder / f"{name}.safetensors"
    if run["marks"]:
        race.resume(path)
    return race


def advance(name: str, run: Told, race: Race, course: Course, budget: Budget) -> None:
    """Trains to the next mark and judges; nothing is added if there was no time for that."""
    plan = course.plan
    until = plan.first * plan.factor ** len(run["marks"])
    race.train(until, budget.is_over)
    if race.seconds < until:
        return
    mark = {"seconds": round(race.seconds, 2), "steps": race.steps}
    run["marks"].append(mark | {"frechet": round(course.distance(race), 2)})
    for level in plan.levels:
        if (found := reached(run["marks"], level)) is not None:
            run["reached"].setdefault(str(level), round(found, 2))
    course.folder.mkdir(parents=True, exist_ok=True)
    race.save(course.folder / f"{name}.safetensors")
    print(f"  {name}: {run['marks'][-1]}", flush=True)


def measure(told: Told, course: Course, budget: Budget) -> None:
    """Adds whatever is missing, while there is time."""
    told.setdefault("runs", {})
    if "floor" not in told:
        told["floor"] = round(frechet_floor(course.plan.n, judge=course.judge), 2)
    sweep(told, course, budget)
    if all(len(rates) == len(course.plan.rates) for rates in told["sweep"].values()):
        run_races(told, course, budget)


def pictures(task: Task, data: str, test: str) -> tuple[Tensor, Judge]:
    """Training pictures, and who judges. Raises SystemExit if nobody can."""
    train, real = load(data, True, task.side), load(test, False, task.side)
    judge = find_judge(real)
    if judge is None or train.pixels.shape[1:] != real.pixels.shape[1:]:
        raise SystemExit(f"{test}: no classifier for such pictures: take MNIST's or CIFAR-10's")
    return train.pixels, judge


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--kind", help="of instructions, for the file's name: see bench.py")
    parser.add_argument("--minutes", type=float, default=300.0, help="for all of it, over all runs")
    parser.add_argument("--data", nargs=2, metavar=("TRAIN", "TEST"), help="names or folders")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures one task and keeps it in runs/bench/."""
    options = parse_arguments()
    warnings.filterwarnings("ignore")
    task = TASKS[options.task]
    kind = options.kind or kinds_here(abilities())[0]
    data = options.data or 2 * ["mnist" if task.channels == 1 else "cifar10"]
    images, judge = pictures(task, *data)
    contenders, same = load_contenders(task), about(task, kind, plan_of(task))
    path = UNDER_WAY / f"quality-{task.name}-{kind}.json"
    told = begin(path, description(same, data))
    budget = Budget(told, 60 * options.minutes)
    settings = fastest_settings(task, kind, same, contenders, images)
    told["settings"] = {name: str(setting) for name, setting in settings.items()}
    course = Course(
        QualityPlan(), images, judge, settings, contenders, path.with_suffix(""),
        lambda: keep(path, told),
    )  # fmt: skip
    measure(told, course, budget)
    told["minutes"] = options.minutes
    keep(path, told)


def description(same: Told, data: Sequence[str]) -> Told:
    """What must be the same for a run to go on."""
    kept = {name: value for name, value in same.items() if name != "plan"}
    plan: Told = json.loads(json.dumps(asdict(QualityPlan())))
    return kept | plan | {"data": [kind_of(each) for each in data]}


def fastest_settings(
    task: Task, kind: str, same: Told, contenders: Mapping[str, Contender], images: Tensor
) -> dict[str, Setting]:
    """By the trials of `train_speed.py`; those that are missing are made and kept there."""
    told, save = start_file(task, kind, same)
    find_settings(told, contenders, task, makers(task, images), plan_of(task), save)
    return {name: best(told, "training", name) for name in contenders}


if __name__ == "__main__":
    main()
