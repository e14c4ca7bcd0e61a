"""`make mutation`: small changes of one module's code, and whether its tests notice them."""

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import hypothesis.extra.numpy  # noqa: F401  each process that tries a mutant is a fork of this one
import mpmath  # noqa: F401
import numpy  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import sympy  # noqa: F401
import torch
import trials
from mutants import Mutant, mutants

EXPLAINED = trials.ROOT / "tests" / "mutation.md"
MODULES = [
    "schedule", "diffusion", "sample", "evaluate", "frechet", "checkpoint", "train", "resume",
    "data", "images", "image_folder", "archives", "downloads", "batches",
]  # fmt: skip
SYMBOLIC = sorted(
    f"symbolic.{path.stem}" for path in (trials.ROOT / "ddpm_lite/symbolic").glob("[a-z]*.py")
)


DOORS = {
    "algebra": "equality", "arithmetic": "equality reader", "chains": "derive expectations",
    "checks": "equality", "claims": "reader", "display": "outputs", "dots": "reader",
    "equality": "algebra", "expectations": "equality",
    "follows": "inline", "normals": "algebra gaussians",
    "objects": "expectations norms reader", "page": "checks",
    "partial_sums": "expectations equality", "printed": "inline", "prose": "inline",
    "reader": "equality", "rules": "equality expectations premises",
    "scopes": "expectations equality", "slips": "mutants",
    "tokens": "equality plain reader", "train": "resume",
}  # fmt: skip
"""The modules through whose functions another one is called and tested, too."""


def tests_of(module: str) -> list[str]:
    """The files whose tests are tried on a module's mutants: its own, and those of its doors."""
    folder, name = f"tests.{module}".replace(".", "/").rsplit("/", 1)
    files = [f"{folder}/test_{one}.py" for one in (name, *DOORS.get(name, "").split())]
    return [file for file in files if (trials.ROOT / file).exists()]


def outcomes(
    module: Path, chosen: list[Mutant], tests: list[str], until: float, twice: bool
) -> Iterator[tuple[Mutant, str]]:
    """Each mutant and what became of it: caught or survived.

    One process tries them in forks of itself, and this one meanwhile those that must be imported;
    `twice` also those that have survived there, for a test might have made something with the true
    code when it was loaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "record.json"
        reading, writing = os.pipe()
        quick = os.fork()
        if quick == 0:
            _quick(module, chosen, tests, until, place, writing)
        os.close(writing)
        record = None
        with os.fdopen(reading) as results:
            for mutant, outcome in zip(chosen, map(str.strip, results), strict=False):
                if record is None:
                    record = trials.read_record(place)
                    trials.preload(record)
                if outcome == "elsewhere" or (twice and outcome == "survived"):
                    if time.monotonic() > until:
                        break
                    outcome = _again(mutant, module, record)
                yield mutant, outcome
        _, status = os.waitpid(quick, 0)
        if status and record is None:
            raise SystemExit(f"pytest {' '.join(tests)} fails as it stands")


def _again(mutant: Mutant, module: Path, record: trials.Record) -> str:
    """What becomes of a mutant in a process that imports it."""
    seconds = _limit(record, mutant) + 30
    status = trials.fresh(mutant, module, record.of(mutant), seconds)
    return "survived" if status == trials.PASSED else "caught"


def _limit(record: trials.Record, mutant: Mutant) -> float:
    """Seconds of the processor for a mutant's tests."""
    return 5 + 4 * sum(record.tests[name] for name in record.of(mutant))


def _quick(
    module: Path, chosen: list[Mutant], tests: list[str], until: float, place: Path, results: int
) -> None:
    """In a process that has loaded the tests: what becomes of the mutants, a line for each."""

    def work(items: list[pytest.Item]) -> None:
        record = trials.record(items, module, place)
        by_name = {item.nodeid: item for item in items}
        functions = trials.functions_of(module)
        gc.freeze()  # a forked process then shares more memory with this one
        with os.fdopen(results, "w") as file:
            for mutant in chosen:
                if time.monotonic() > until:
                    break
                print(_outcome(mutant, module, record, by_name, functions), file=file, flush=True)

    trials.quiet()
    os._exit(pytest.main([*trials.FLAGS, *tests], plugins=[trials.Session(work)]))


def _outcome(
    mutant: Mutant,
    module: Path,
    record: trials.Record,
    items: dict[str, pytest.Item],
    functions: list[FunctionType],
) -> str:
    if mutant.runs_on_import or not record.runs(mutant):
        return "elsewhere"
    tests = [items[name] for name in record.of(mutant)]

    def work() -> None:
        if not trials.patch(mutant, module, functions):
            os._exit(2)
        trials.forget(module)
        trials.run(tests)

    status = trials.in_a_fork(work, _limit(record, mutant))
    return {trials.PASSED: "survived", 2: "elsewhere"}.get(status, "caught")


def choose(module: Path, options: argparse.Namespace) -> list[Mutant]:
    """The mutants that are asked for, in the order of the seed."""
    reported = options.again.read_text() if options.again else None
    chosen = [
        mutant
        for mutant in mutants(module.read_text())
        if options.only in mutant.description
        and (reported is None or mutant.description in reported)
    ]
    random.Random(options.seed).shuffle(chosen)
    return chosen[: options.most]


def main() -> int:
    """0 if at least nine of ten were caught and every other is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", nargs="?", choices=[*MODULES, *SYMBOLIC], help="else any one")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--most", type=int, default=10**6, help="mutants, chosen at random")
    parser.add_argument("--minutes", type=float, default=18, help="then no new mutant is begun")
    parser.add_argument("--only", default="", help="mutants in whose description this stands")
    parser.add_argument("--again", type=Path, help="mutants that this output of a run reports")
    parser.add_argument("--doubt", action="store_true", help="try what is explained as well")
    parser.add_argument("--twice", action="store_true", help="survivors in a fresh process too")
    parser.add_argument("-k", default="", help="only tests named so, as pytest takes it")
    options = parser.parse_args()
    begin = time.monotonic()
    name = options.module or random.Random(options.seed).choice([*MODULES, *SYMBOLIC])
    print(f"{name}, seed {options.seed}", flush=True)
    module = trials.ROOT / "ddpm_lite" / (name.replace(".", "/") + ".py")
    chosen = choose(module, options)
    explained = EXPLAINED.read_text()
    known = [] if options.doubt else [m for m in chosen if m.description in explained]
    untried = [mutant for mutant in chosen if mutant not in known]
    torch.set_num_threads(1)
    trials.calm_hypothesis()
    os.chdir(trials.ROOT)
    counts = {"caught": 0, "survived": 0, "explained": 0}
    reached = 0  # of those that were chosen
    tests = [*tests_of(name), *(["-k", options.k] if options.k else [])]
    until = begin + 60 * options.minutes
    for mutant, outcome in outcomes(module, untried, tests, until, options.twice):
        if outcome != "caught" and mutant.description in explained:
            outcome = "explained"
        elif outcome != "caught":
            print(f"{outcome}: line {mutant.first}, {mutant.description}", flush=True)
        counts[outcome] += 1
        reached = chosen.index(mutant) + 1
    if sum(counts.values()) == len(untried):
        reached = len(chosen)
    counts["explained"] += sum(mutant in known for mutant in chosen[:reached])
    tried = sum(counts.values())
    share = counts["caught"] / max(tried, 1)
    print(json.dumps({"module": name, "seed": options.seed, "mutants": len(chosen),
                      "tried": tried, **counts, "share": round(share, 4),
                      "seconds": round(time.monotonic() - begin)}))  # fmt: skip
    return int(share < 0.9 or counts["survived"] > 0)


if __name__ == "__main__":
    sys.exit(main())
