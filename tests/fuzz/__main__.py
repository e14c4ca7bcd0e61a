"""`make fuzz`: 100,000 hostile inputs for each reader, and one JSON line at the end."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tally import tell
from targets import TARGETS

JOB = Path(__file__).with_name("job.py")
PATIENCE = 120
"""Seconds that a reader may take beyond its minutes: to begin, and for its last input."""


def fed(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Feeds one reader in a process of its own, which may die or hang; what became of it."""
    with tempfile.NamedTemporaryFile() as last:
        words = [name, str(options.inputs), str(options.seed), str(options.minutes), last.name]
        seconds = 60 * options.minutes + PATIENCE
        try:
            done = subprocess.run(
                [sys.executable, str(JOB), *words], stdout=subprocess.PIPE, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return {"inputs": 0, "wrong": f"hangs at {Path(last.name).read_text()}"}
        if done.returncode:
            reason = str(done.returncode)
            if done.returncode < 0:
                reason = signal.Signals(-done.returncode).name
            return {"inputs": 0, "wrong": f"died ({reason}) at {Path(last.name).read_text()}"}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not told["wrong"] and told["inputs"] < options.inputs:
        told["wrong"] = f"too slow: no more than {told['inputs']:,} in {options.minutes:g} minutes"
    return told


def main() -> int:
    """0 if all had their inputs, and raised nothing but what is documented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--minutes", type=float, default=60, help="the most for each reader")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=list(TARGETS))
    options = parser.parse_args()
    chosen = [name for name in TARGETS if options.only in (None, name)]
    with ThreadPoolExecutor(options.processes) as pool:
        all_fed = pool.map(lambda name: (name, fed(name, options)), chosen)
        return tell(options.seed, all_fed)


if __name__ == "__main__":
    sys.exit(main())
