"""Every task on every kind of instructions that the processor has, each in a process of its own.

    python benchmarks/bench.py                       # all of it: some hours on two cores
    python benchmarks/bench.py 2M-grey --kinds avx2  # one task on one kind
    python benchmarks/bench.py 2M-grey --quality     # its time to quality

What is measured lies in runs/bench/ as it comes; a run that is stopped goes on from there. What is
complete is copied to benchmarks/results/, of which `speed_table.py` makes the README's tables. To
measure again, remove the file in runs/bench/. Run it on an idle machine.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import speed_table
from contenders import TASKS
from kept import RESULTS, UNDER_WAY
from processor import KINDS, abilities, environment, kinds_here, processor_name

FOLDER = Path(__file__).parent


def is_finished(path: Path) -> bool:
    return path.is_file() and json.loads(path.read_text()).get("finished", False)


def script(task: str, kind: str, options: argparse.Namespace) -> list[str]:
    """The command that measures, and goes on with what is there."""
    name = "time_to_quality.py" if options.quality else "train_speed.py"
    command = [sys.executable, str(FOLDER / name), task, "--kind", kind]
    if options.quality and options.minutes:
        command += ["--minutes", str(options.minutes)]
    if options.quality and options.data:
        command += ["--data", *options.data]
    return command


def run(task: str, kind: str, options: argparse.Namespace) -> None:
    """Measures what is not measured yet. Raises SystemExit if that fails."""
    path = UNDER_WAY / f"{'quality' if options.quality else 'speed'}-{task}-{kind}.json"
    if not is_finished(path):
        environ = environment(kind, abilities())
        if code := subprocess.run(script(task, kind, options), env=environ).returncode:
            raise SystemExit(code)
    RESULTS.mkdir(exist_ok=True)
    shutil.copy(path, RESULTS / path.name)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], help="of instructions")
    parser.add_argument("--quality", action="store_true", help="see time_to_quality.py")
    parser.add_argument("--minutes", type=float, help="for all of a task's time to quality")
    parser.add_argument("--data", nargs=2, metavar=("TRAIN", "TEST"), help="for the same")
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.tasks) - TASKS.keys():
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
    if parsed.quality and not parsed.tasks:
        parser.error("name the task whose time to quality is to be measured")
    return parsed


def main() -> None:
    """Measures, and prints the tables and one line of JSON."""
    options, have = parse_arguments(), kinds_here(abilities())
    kinds = [kind for kind in have if kind in options.kinds or kind == "other"]
    print(f"{processor_name()}: {', '.join(have)}")
    for kind in set(options.kinds) - set(kinds):
        print(f"{kind}: not measured, for this processor has not got it or has a wider one")
    for kind in kinds:
        for task in options.tasks or TASKS:
            run(task, kind, options)
    speed_table.write()
    print(speed_table.tables(speed_table.load()))
    print(json.dumps(speed_table.summary(speed_table.load())))


if __name__ == "__main__":
    main()
