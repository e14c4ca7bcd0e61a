"""`make adversary`: does the engine call anything false equal?

Pairs of formulas, true ones made by sound rules and false ones by slips, are put to the engine.
An independent judge (`judge`) says by numbers which are equal. Prints every false pair that the
engine calls equal, and a JSON line: how many pairs, how many such, and which share of the true
ones it could not prove. A pair is known by its seed and number, so each can be made again.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from random import Random
from typing import Any, NamedTuple

import judge
import laws
import scalars
from formulas import Node, latex

from ddpm_lite.symbolic.equality import ComparisonError, difference
from ddpm_lite.symbolic.reader import read
from ddpm_lite.symbolic.tokens import ReadError

SECONDS = 5
"""A pair that the engine has not decided by then counts as not proved."""
CHUNK = 50


class Outcome(NamedTuple):
    """What the judge and the engine said of one pair."""

    number: int
    true: bool | None
    verdict: str
    one: str
    other: str


def made(seed: int, number: int) -> tuple[Node, Node, bool]:
    """The pair of that seed and number, and whether it is of laws."""
    r = Random(f"{seed} {number}")
    of_laws = r.random() < 0.25
    return *(laws.pair(r) if of_laws else scalars.pair(r)), of_laws


def tried(seed: int, number: int) -> Outcome:
    """What becomes of one pair."""
    one, other, of_laws = made(seed, number)
    a, b = latex(one), latex(other)
    true = judge.agree(one, other, f"{seed} {number}", 9 if of_laws or _is_calculus(one) else 22)
    if true is None:
        return Outcome(number, None, "no value", a, b)
    return Outcome(number, true, verdict(a, b), a, b)


def _is_calculus(node: Node) -> bool:
    return node[0] in ("der", "int", "lim")


def verdict(a: str, b: str) -> str:
    """Equal, different, refused or late, as the engine says."""
    try:
        with _limit(SECONDS):
            return "equal" if difference(read(a), read(b)) == 0 else "different"
    except ReadError:
        return "unreadable"
    except ComparisonError:
        return "refused"
    except TimeoutError:
        return "late"


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _chunk(job: tuple[int, int]) -> list[Outcome]:
    warnings.simplefilter("ignore")
    seed, first = job
    return [tried(seed, number) for number in range(first, first + CHUNK)]


def run(seed: int, pairs: int, processes: int) -> Iterator[Outcome]:
    """The outcomes of enough pairs that have a value, in no order."""
    done, first = 0, 0
    with Pool(processes, maxtasksperchild=40) as pool:
        jobs = ((seed, CHUNK * k) for k in range(4 * pairs // CHUNK + 1))
        for chunk in pool.imap_unordered(_chunk, jobs):
            first += CHUNK
            for outcome in chunk:
                done += outcome.true is not None
                yield outcome
            if done >= pairs:
                pool.terminate()
                return


def main(arguments: list[str] | None = None) -> int:
    """0 if no false pair was called equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", action="store_true", help="print the true pairs not proved")
    options = parser.parse_args(arguments)
    start, counts, false = time.perf_counter(), Counter[tuple[bool | None, str]](), 0
    for outcome in run(options.seed, options.pairs, options.processes):
        counts[outcome.true, outcome.verdict] += 1
        if sum(counts.values()) % 1_000 == 0:
            print(_line(counts, false), flush=True)
        if outcome.true is False and outcome.verdict == "equal":
            false += 1
            print(f"FALSE, and called equal ({options.seed} {outcome.number}):", flush=True)
            print(f"  {outcome.one}\n  {outcome.other}", flush=True)
        if options.show and outcome.true and outcome.verdict != "equal":
            print(f"{outcome.verdict}: {outcome.one}\n  {outcome.other}")
    _report(counts, false, time.perf_counter() - start)
    return int(false > 0)


def _report(counts: Counter[tuple[bool | None, str]], false: int, seconds: float) -> None:
    """How often truth and verdict met, and the JSON line."""
    for (true, said), number in sorted(counts.items(), key=str):
        truth = {True: "true", False: "false", None: "no value"}[true]
        print(f"{truth:9} {said:11} {number:7}")
    print(f"{seconds:.0f} s")
    print(_line(counts, false))


def _line(counts: Counter[tuple[bool | None, str]], false: int) -> str:
    """The JSON line, of what has been tried so far."""
    true = sum(n for (t, _), n in counts.items() if t)
    pairs = sum(n for (t, _), n in counts.items() if t is not None)
    share = round(1 - counts[True, "equal"] / true, 4) if true else 0.0
    return json.dumps({"pairs": pairs, "false_accepted": false, "true_refused_share": share})


if __name__ == "__main__":
    sys.exit(main())
