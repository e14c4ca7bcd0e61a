"""Where tensors lie and what they are made of, whatever the session's defaults."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """The tensor on `device`, in `dtype`; a GPU is not waited for.

    The dtype changes before the way, because Apple's MPS has no float64. A copy to a GPU starts in
    pinned memory: from there it takes its place behind the GPU's other work.
    """
    tensor = tensor.to(dtype or tensor.dtype)
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@contextlib.contextmanager
def plain_defaults() -> Iterator[None]:
    """New tensors are float32 on the CPU in the body, whatever the session has made the default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


@cache
def keep_memory() -> None:
    """Lets this process keep the memory that it frees; does nothing without glibc.

    Every step of training or drawing asks for the same large tensors. glibc gives them back to the
    system each time they are freed, and the system clears a page before it gives it out again.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never give back the end of the heap
        mallopt(-2, 64 * 2**20)  # M_TOP_PAD: let the heap grow by so many bytes at least
        mallopt(-4, 0)  # M_MMAP_MAX: nothing has pages of its own, which go when it is freed
