"""`make adversary`: does the engine call anything false equal?

Pairs of formulas, true ones made by sound rules and false ones by slips, are put to the engine.
An independent judge (`judge`) says by numbers which are equal. Prints every false pair that the
engine calls equal, and a JSON line: how many pairs, how many such, and which share of the true
ones it could not prove. A pair is known by its seed and number, so each can be made again.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context

from trial import CHUNK, Outcome, chunk


def run(seed: int, pairs: int, processes: int) -> Iterator[Outcome]:
    """The outcomes of enough pairs that have a value, in no order."""
    done = 0
    fresh = get_context("spawn")  # as on macOS, on every system
    with fresh.Pool(processes, maxtasksperchild=40) as pool:
        jobs = ((seed, CHUNK * k) for k in range(4 * pairs // CHUNK + 1))
        for outcomes in pool.imap_unordered(chunk, jobs):
            for outcome in outcomes:
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
