"""What a GPU makes of this project: one command, under ten minutes, no network.

    python benchmarks/gpu.py

Compares the GPU's results with the CPU's, measures how fast it trains two networks and what share
of its own peak that is, trains with two cards where there are two, and spends the rest of its time
on a training that leaves a checkpoint to go on from. The last line is JSON. If all results agree,
the rows of this GPU go into benchmarks/gpu.md, which the README and chapter 8 show.

It needs the repository, Python 3.11, torch and NumPy: nothing has to be installed beside these
(`bare_machine.py`).

Without a GPU it runs the same at toy size on the CPU, to test itself, and writes no row.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bare_machine  # noqa: F401, as it makes the imports of ddpm_lite possible
import torch
from gpu_checks import Check, all_hold, check_device
from gpu_recipe import Recipe, read_recipe
from gpu_speed import (
    CIFAR10,
    COMPILED,
    EAGER,
    GRAPHS,
    MIDDLE,
    TOY,
    Setting,
    Speed,
    Subject,
    measure,
    measure_peak,
    parameters,
)

from ddpm_lite.data import load
from ddpm_lite.train import Trainer

CHECKPOINT = "checkpoint.safetensors"
"""As in `ddpm_lite.run`, so that `ddpm-lite train --resume` goes on from it."""
ROWS = Path(__file__).with_name("gpu.md")
HEAD = (
    "| device | network | setting | images/s | TFLOP/s | of its bf16 peak | memory | two cards |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    subjects: tuple[Subject, ...]
    settings: tuple[Setting, ...]
    two: str
    """What two processes train: a key of `gpu_two.WORK`."""
    side: int
    """Of the matrices whose product gives the peak."""
    digits: int
    """That are compared, and in a batch of the trainings that are."""
    steps: int
    """Of those trainings."""
    seconds: float
    """Of each measurement."""
    recipe: str
    """What is trained in the end, if nothing else is asked for."""
    kept: float
    """Seconds that are kept for that."""


GPU = Plan(
    (CIFAR10, MIDDLE), (EAGER, COMPILED, GRAPHS), "cifar10", 8192, 32, 50, 5.0, "mnist_long", 60.0
)
CPU = Plan((TOY,), (EAGER,), "toy", 128, 4, 10, 0.2, "tiny", 0.0)


class Clock:
    """The time that is left."""

    def __init__(self, minutes: float) -> None:
        self.end = time.perf_counter() + 60 * minutes

    def left(self) -> float:
        """Seconds, negative when the time is over."""
        return self.end - time.perf_counter()


# --- The parts -----------------------------------------------------------------------------------

COMPILING = 150
"""Seconds that compiling a network may take; as many must be left before it begins."""


def attempt(
    subject: Subject, setting: Setting, device: torch.device, plan: Plan, clock: Clock
) -> Speed | None:
    """A measurement; one that fails or has no time left is told and passed over."""
    name = f"  {subject.name:10} {setting.name:22}"
    if setting.compiler is not None and clock.left() < COMPILING + plan.kept:
        print(f"{name} left out: too little time")
        return None
    try:
        speed = measure(subject, setting, device, plan.seconds)
    except Exception as error:  # whatever the compiler raises, or too little memory: others go on
        reason = (str(error).strip() or "no message").splitlines()[0][:80]
        print(f"{name} failed: {type(error).__name__}: {reason}")
        return None
    print(f"{name} {speed.images_per_second:9.1f} images/s, first step {speed.first_step:.1f} s")
    return speed


def best_speeds(device: torch.device, plan: Plan, clock: Clock) -> list[Speed]:
    """Each network under the setting that was fastest for it."""
    tried = [
        attempt(subject, setting, device, plan, clock)
        for setting in plan.settings
        for subject in plan.subjects
    ]
    ran = [[s for s in tried if s and s.subject == subject] for subject in plan.subjects]
    return [max(speeds, key=lambda s: s.images_per_second) for speeds in ran if speeds]


LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def launch(arguments: Sequence[str], seconds: float) -> str | None:
    """Runs `gpu_two.py` in two processes; returns what went wrong, None if nothing did."""
    command = [*LAUNCH, str(Path(__file__).with_name("gpu_two.py")), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun then ends the processes that it has started
            return "too little time"
    return errors[-1000:] if process.returncode else None


def two_processes(device: torch.device, plan: Plan, clock: Clock) -> dict[str, Any] | None:
    """What two processes reach together; None with one card, without time, or if they fail."""
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        print("  not measured: there is one card")
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "two.json"
        wrong = launch([str(out), plan.two, str(plan.seconds)], max(1, clock.left() - plan.kept))
        if wrong is not None:
            print(f"  failed: {wrong}")
            return None
        found: dict[str, Any] = json.loads(out.read_text())
    print(f"  {found['network']:10} {found['images_per_second']:9.1f} images/s")
    return found


def new_trainer(recipe: Recipe, device: torch.device) -> Trainer:
    """The training of a recipe, at its beginning."""
    return Trainer(recipe.model, recipe.train, load(recipe.data), device)


def train_until(clock: Clock, folder: Path, recipe: Recipe, device: torch.device) -> Trainer:
    """Trains while there is time, from the folder's checkpoint if there is one, and saves."""
    trainer, file = new_trainer(recipe, device), folder / CHECKPOINT
    if file.exists():
        trainer.resume(file)
    for _ in trainer.steps():
        if clock.left() <= 0:
            break
    trainer.save(file)
    return trainer


def check_checkpoint(trainer: Trainer, again: Trainer, file: Path) -> Check:
    """How many tensors another trainer that resumes from the file has otherwise."""
    again.resume(file)
    held, read = trainer._tensors(), again._tensors()
    different = [name for name in held if not torch.equal(held[name], read[name])]
    return Check("checkpoint read again", len(different) + (trainer.step != again.step), 0)


# --- The report ----------------------------------------------------------------------------------


def device_name(device: torch.device) -> str:
    """As the table names it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, at toy size"


def row(name: str, speed: Speed, peak: float, together: float | None) -> str:
    """A line of the table; `together` is what two cards reach, in images a second."""
    subject, flops = speed.subject, speed.flops()
    network = f"{subject.name}, {parameters(subject) / 1e6:.1f} M weights, batch {subject.batch}"
    memory = "" if speed.memory is None else f"{speed.memory / 1e9:.1f} GB"
    twice = "" if together is None else f"{together / speed.images_per_second:.2f} times"
    cells = [
        name, network, speed.setting.name, f"{speed.images_per_second:,.0f}",
        f"{flops / 1e12:.3g}", f"{flops / peak:.1%} of {peak / 1e12:.3g}", memory, twice,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def make_rows(
    name: str, speeds: Sequence[Speed], peak: float, two: dict[str, Any] | None
) -> list[str]:
    """A row for each network; two cards have trained one of them."""
    both = {two["network"]: two["images_per_second"]} if two else {}
    return [row(name, speed, peak, both.get(speed.subject.name)) for speed in speeds]


def write_rows(path: Path, name: str, rows: Sequence[str]) -> None:
    """Puts a device's rows into the table, in the place of those that it has there."""
    before = path.read_text().splitlines()[2:] if path.exists() else []
    others = [line for line in before if not line.startswith(f"| {name} |")]
    path.write_text("\n".join([HEAD, *others, *rows]) + "\n")


def as_json(speed: Speed, peak: float) -> dict[str, Any]:
    """A speed for the last line."""
    return {
        "network": speed.subject.name.strip("`"),
        "batch": speed.subject.batch,
        "setting": speed.setting.name,
        "images_per_second": speed.images_per_second,
        "flops": speed.flops(),
        "peak_share": speed.flops() / peak,
        "memory": speed.memory,
    }


# --- All of it -----------------------------------------------------------------------------------


def report(title: str, checks: Sequence[Check]) -> None:
    """Prints what was compared."""
    print(title)
    for check in checks:
        print(check, flush=True)


def run_all(
    device: torch.device, plan: Plan, recipe: Recipe, clock: Clock, folder: Path
) -> dict[str, Any]:
    """Every part, told as it goes; returns the last line, with the table's `rows`."""
    began, name = time.perf_counter(), device_name(device)
    checks = list(check_device(device, plan.steps, plan.digits))
    report(f"\nThe CPU's results and those of {name}", checks)
    peak = measure_peak(device, plan.side)
    print(f"\nProducts of bf16 matrices: {peak / 1e12:.3g} TFLOP/s\nTraining, bf16, channels last")
    speeds = best_speeds(device, plan, clock)
    print("\nTwo processes (DistributedDataParallel)")
    two = two_processes(device, plan, clock)
    if two:
        checks.append(Check("weights of two processes", two["weights_differ_by"], 0))
    trainer = train_until(clock, folder, recipe, device)
    file = folder / CHECKPOINT
    checks.append(check_checkpoint(trainer, new_trainer(recipe, device), file))
    report(f"\nTrained to step {trainer.step} of {recipe.name}: {file}", checks[-1:])
    return {
        "device": name,
        "torch": torch.__version__,
        "agrees": all_hold(checks),
        "checks": {check.name: check.difference for check in checks},
        "peak_flops": peak,
        "speeds": [as_json(speed, peak) for speed in speeds],
        "two": two,
        "step": trainer.step,
        "checkpoint": str(file),
        "seconds": round(time.perf_counter() - began, 1),
        "rows": make_rows(name, speeds, peak, two),
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="of all together")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/gpu"), help="where the trainings lie"
    )
    parser.add_argument("--recipe", help="what is trained in the end: a name or a TOML file")
    return parser.parse_args(arguments)


def chosen_recipe(name: str) -> Recipe:
    """The recipe, read before minutes are spent. Exits with one line if it is none."""
    try:
        return read_recipe(name)
    except (OSError, KeyError, TypeError, ValueError) as error:
        sys.exit(f"recipe {name}: {error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints everything; 1 if the device's results are not the CPU's."""
    options = parse_arguments(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = GPU if device.type == "cuda" else CPU
    if plan is CPU:
        print("No GPU here: everything runs at toy size on the CPU, and no row is written.")
    recipe = chosen_recipe(options.recipe or plan.recipe)
    folder = options.folder / Path(recipe.name).stem
    found = run_all(device, plan, recipe, Clock(options.minutes), folder)
    rows = found.pop("rows")
    print("", HEAD, *rows, sep="\n")
    print(
        "\nThis command goes on from there the next time, and so does, with the package installed,"
    )
    print(f"ddpm-lite train {recipe.name} --folder {folder} --resume")
    if plan is GPU and found["agrees"]:
        write_rows(ROWS, found["device"], rows)
    print(json.dumps(found))
    return 0 if found["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
