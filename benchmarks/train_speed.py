"""Training and drawing side by side with three peers, each at its best setting.

A training step is a whole one: draw a batch, add noise, forward, mean squared error, backward, clip
the gradient, fused AdamW, zero the gradient. Drawing is DDIM in 50 steps. This measures one task on
one kind of instructions; `make bench` runs it for all of them (`bench.py`), and
`benchmarks/README.md` says how to read what comes out.
"""

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch
from contenders import (
    PACKAGES,
    TASKS,
    Contender,
    Task,
    check_sizes,
    load_contenders,
    measure_size,
    pictures,
)
from kept import UNDER_WAY, begin, keep
from processor import CpuMeter, abilities, computes_in_bf16, kinds_here, machine, peaks
from settings import Make, Setting, Trial, Work, fastest, setting_of, try_settings
from works import Drawing, Makers, Plan, Training, makers, plan_of

Told = dict[str, Any]
"""All that is measured, as it stands in the JSON file."""

WORKS = ("training", "drawing")
W = TypeVar("W", bound=Work)


def warm(make: Callable[[Setting, int], W], setting: Setting, batch: int, steps: int = 2) -> W:
    """A work after some steps, so that it has been compiled if it is to be."""
    torch.set_num_threads(setting.threads)
    work = make(setting, batch)
    for _ in range(steps):
        work.step()
    return work


# --- Phase one: the best setting of each --------------------------------------------------------


def run_trials(
    told: Told,
    contenders: Mapping[str, Contender],
    make: Makers,
    plan: Plan,
    save: Callable[[], None],
) -> None:
    """Adds to what is told the trials that are missing."""
    for work, batch in (("training", plan.batch), ("drawing", plan.drawn)):
        for name, contender in contenders.items():
            trials = told["trials"][work].setdefault(name, [])

            def tell(trial: Trial, head: str = f"  {work:9} {name:15}") -> None:
                speed = trial["images_per_second"]
                result = f"{speed:8.1f} images/s" if speed else trial["why"]
                print(head, f"{setting_of(trial)!s:30}", result, flush=True)
                save()

            try_settings(make[work](contender), batch, trials, told["cores_used"], tell)


def best(told: Told, work: str, name: str) -> Setting:
    return setting_of(fastest(told["trials"][work][name]))


# --- Phase two: memory --------------------------------------------------------------------------


def peak_memory(status: Path = Path("/proc/self/status")) -> float | None:
    """The most memory that this process has held, in MiB; None where Linux does not tell.

    Not what `resource` calls so: that begins with the memory of the process that started this one.
    """
    if not status.is_file():
        return None
    (line,) = [each for each in status.read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def memory_of(make: Make, setting: Setting, batch: int, steps: int = 3) -> dict[str, float | None]:
    """MiB before and after a few training steps, in this process."""
    before = peak_memory()
    warm(make, setting, batch, steps)
    return {"before": before, "peak": peak_memory()}


def memory_elsewhere(task: str, name: str, setting: Setting, batch: int) -> dict[str, float | None]:
    """The same in a process of its own."""
    wanted = json.dumps({"name": name, "setting": asdict(setting), "batch": batch})
    command = [sys.executable, __file__, task, "--memory", wanted]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float | None] = json.loads(told.splitlines()[-1])
    return found


def memory_here(task: Task, wanted: str) -> None:
    """What that process does."""
    told = json.loads(wanted)
    make = makers(task, pictures(task))["training"](load_contenders(task)[told["name"]])
    print(json.dumps(memory_of(make, Setting(**told["setting"]), told["batch"])))


# --- Phase three: rounds ------------------------------------------------------------------------


def run_round(
    works: Mapping[str, Mapping[str, Training | Drawing]], plan: Plan, bf16: bool, cores: int
) -> Told:
    """One turn each: what slows the machine for a while slows all of them."""
    meter = CpuMeter()
    meter.start()
    torch.set_num_threads(cores)
    result: Told = {"peaks": peaks(bf16, plan.peak_batch)}
    for work, networks in works.items():
        result[work] = {}
        for name, network in networks.items():
            torch.set_num_threads(network.setting.threads)
            result[work][name] = round(network.speed(plan), 2)
    return result | {"others": round(meter.others(), 4)}


def run_rounds(
    told: Told,
    contenders: Mapping[str, Contender],
    make: Makers,
    plan: Plan,
    save: Callable[[], None],
) -> None:
    """Adds the rounds that are missing."""
    if len(told["rounds"]) >= plan.rounds:
        return
    batches = {"training": plan.batch, "drawing": plan.drawn}
    works = {
        work: {
            name: warm(make[work](contender), best(told, work, name), batches[work])
            for name, contender in contenders.items()
        }
        for work in WORKS
    }
    while len(told["rounds"]) < plan.rounds:
        told["rounds"].append(run_round(works, plan, told["bf16"], told["cores_used"]))
        latest = json.dumps(told["rounds"][-1]["training"])
        print(f"  round {len(told['rounds'])}: {latest}", flush=True)
        save()


# --- All of it ----------------------------------------------------------------------------------


def about(task: Task, kind: str, plan: Plan) -> Told:
    """What must be the same for a run to go on."""
    return {
        "task": task.name,
        "kind": kind,
        "machine": machine(),
        "peers": {name: metadata.version(name) for name in PACKAGES},
        "cores_used": torch.get_num_threads(),
        "plan": asdict(plan),
    }


def start_file(task: Task, kind: str, same: Told) -> tuple[Told, Callable[[], None]]:
    """What has been measured of a task on a kind so far, and what keeps it.

    Raises SystemExit if something else was measured there.
    """
    path = UNDER_WAY / f"speed-{task.name}-{kind}.json"
    told = begin(path, same)
    told.setdefault("bf16", computes_in_bf16(kind, abilities()))
    return told, lambda: keep(path, told)


def find_settings(
    told: Told,
    contenders: Mapping[str, Contender],
    task: Task,
    make: Makers,
    plan: Plan,
    save: Callable[[], None],
) -> None:
    """Adds sizes and trials to what is told, as far as they are missing."""
    if "sizes" not in told:
        sizes = {name: measure_size(each, task) for name, each in contenders.items()}
        check_sizes(sizes)
        told["sizes"] = {
            name: {"name": contenders[name].name, "about": contenders[name].about, **asdict(size)}
            for name, size in sizes.items()
        }
    told.setdefault("trials", {work: {} for work in WORKS})
    run_trials(told, contenders, make, plan, save)


def measure(
    told: Told,
    contenders: Mapping[str, Contender],
    task: Task,
    make: Makers,
    plan: Plan,
    save: Callable[[], None],
) -> None:
    """Adds whatever is missing to what is told, and saves after each piece."""
    find_settings(told, contenders, task, make, plan, save)
    memory: Told = told.setdefault("memory", {})
    for name in contenders:
        if name not in memory:
            setting = best(told, "training", name)
            memory[name] = memory_elsewhere(task.name, name, setting, plan.batch)
            save()
    told.setdefault("rounds", [])
    run_rounds(told, contenders, make, plan, save)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--kind", help="of instructions, for the file's name: see bench.py")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures one task and keeps it in runs/bench/."""
    options = parse_arguments()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    task, plan = TASKS[options.task], plan_of(TASKS[options.task])
    if options.memory:
        memory_here(task, options.memory)
        return
    kind = options.kind or kinds_here(abilities())[0]
    told, save = start_file(task, kind, about(task, kind, plan))
    where = told["machine"]
    print(f"{task.name} on {where['processor']}, {kind}, oneDNN with {where['onednn']}")
    measure(told, load_contenders(task), task, makers(task, pictures(task)), plan, save)
    told["finished"] = True
    save()


if __name__ == "__main__":
    main()
