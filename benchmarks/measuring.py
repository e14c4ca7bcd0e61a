"""What measurements share: the clock, the count of operations, and what a file says of itself."""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def timed(action: Callable[[], object]) -> float:
    """Seconds that the action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def count_operations(output: Callable[[], Tensor]) -> int:
    """Floating-point operations of an output and of the gradient of its mean square.

    Convolutions and matrix products are counted, nothing else. Attention runs as plain products:
    fused kernels hide from the counter.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        output().square().mean().backward()
    return int(counter.get_total_flops())


def command() -> str:
    """The command line that is running, with its number of threads."""
    return f"OMP_NUM_THREADS={torch.get_num_threads()} {shlex.join(['python', *sys.argv])}"


def kind_of(data: str) -> str:
    """What pictures these are: a named set, or the files of a folder, as "50,000 .jpg files"."""
    if not Path(data).is_dir():
        return data
    endings = Counter(path.suffix.lower() for path in Path(data).rglob("*") if path.is_file())
    return " and ".join(f"{n:,} {ending} files" for ending, n in endings.most_common())
