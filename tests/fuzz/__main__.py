"""`make fuzz`: 100,000 hostile inputs for each reader, and one JSON line at the end."""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time

from jobs import job
from targets import TARGETS


def main() -> int:
    """0 if nothing but what is documented was raised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--minutes", type=float, default=20, help="the most for each reader")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=[make.__name__ for make in TARGETS])
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    begin, inputs, failures = time.perf_counter(), dict[str, int](), list[str]()
    chosen = [i for i, make in enumerate(TARGETS) if options.only in (None, make.__name__)]
    work = [(i, options.inputs, options.seed, options.minutes) for i in chosen]
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(options.processes, maxtasksperchild=1) as pool:
        for name, fed, seconds, wrong in pool.imap_unordered(job, work, chunksize=1):
            inputs[name] = fed
            print(f"{name:>12}: {fed:,} inputs in {seconds:.0f} s {wrong}", flush=True)
            failures += [name] * bool(wrong)
    seconds = round(time.perf_counter() - begin)
    print(json.dumps({"inputs": inputs, "failures": failures, "seed": options.seed,
                      "seconds": seconds}))  # fmt: skip
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
