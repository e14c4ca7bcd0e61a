"""`make faults`: at least sixty faults at random moments, and one JSON line at the end."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from faults import possible
from harness import Harness
from places import small_disk


def main() -> int:
    """0 if every round was survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=84)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    begin, moments = time.perf_counter(), random.Random(options.seed)
    kinds = possible()
    faults = [kinds[i % len(kinds)] for i in range(options.rounds)]
    moments.shuffle(faults)
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)) as (disk, tmpfs):
        print(f"the disk is {'a tmpfs of 8 MB' if tmpfs else 'a limit on the size of files'}")
        outcome = Harness(Path(name), disk, tmpfs, options.seed, fresh=True).run(faults)
    seconds = round(time.perf_counter() - begin)
    print(outcome.line(options.seed, {"disk": "tmpfs" if tmpfs else "limit", "seconds": seconds}))
    return int(bool(outcome.broken))


if __name__ == "__main__":
    sys.exit(main())
