"""What the speed measurements share: the clock, and the count of operations."""

import time
from collections.abc import Callable

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
