"""Every task on every kind of instructions that the processor has, each in a process of its own.

    python benchmarks/bench.py                       # all of it: some hours on two cores
    python benchmarks/bench.py 2M-grey --kinds avx2  # one task on one kind

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

SCRIPT = Path(__file__).with_name("train_speed.py")


def is_finished(path: Path) -> bool:
    return path.is_file() and json.loads(path.read_text()).get("finished", False)


def run(task: str, kind: str) -> None:
    """Measures what is not measured yet. Raises SystemExit if that fails."""
    path = UNDER_WAY / f"speed-{task}-{kind}.json"
    if not is_finished(path):
        command = [sys.executable, str(SCRIPT), task, "--kind", kind]
        if code := subprocess.run(command, env=environment(kind, abilities())).returncode:
            raise SystemExit(code)
    RESULTS.mkdir(exist_ok=True)
    shutil.copy(path, RESULTS / path.name)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], help="of instructions")
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.tasks) - TASKS.keys():
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
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
            run(task, kind)
    speed_table.write()
    print(speed_table.tables(speed_table.load()))
    print(json.dumps(speed_table.summary(speed_table.load())))


if __name__ == "__main__":
    main()
