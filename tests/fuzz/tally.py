"""What both commands tell of the readers: a line for each, and one of JSON at the end."""

import json
import time
from collections.abc import Iterable
from typing import Any


def tell(seed: int, fed: Iterable[tuple[str, dict[str, Any]]]) -> int:
    """Tells what became of each reader, as it comes; 0 if nothing was wrong with any."""
    print(f"seed {seed}", flush=True)
    begin, inputs, failures = time.perf_counter(), dict[str, int](), list[str]()
    for name, told in fed:
        inputs[name] = told["inputs"]
        branches = f", {told['branches']:,} branches" if "branches" in told else ""
        print(f"{name:>12}: {told['inputs']:,} inputs{branches} {told['wrong']}", flush=True)
        failures += [name] * bool(told["wrong"])
    seconds = round(time.perf_counter() - begin)
    print(json.dumps({"inputs": inputs, "failures": failures, "seed": seed, "seconds": seconds}))
    return int(bool(failures))
