"""What a session has set comes back, and freed memory stays with a process that asks for it."""

import contextlib
import ctypes
import subprocess
import sys

import pytest
import torch
from small import default

from ddpm_lite.devices import plain_defaults


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_the_sessions_defaults_come_back(kind: torch.dtype) -> None:
    with default(kind):
        with contextlib.suppress(ValueError), plain_defaults():
            assert torch.ones(1).dtype == torch.float32
            raise ValueError
        assert torch.ones(1).dtype == kind


FREED = """
import ctypes, sys
from ddpm_lite.devices import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
c = ctypes.CDLL(None)
c.sbrk.restype = c.malloc.restype = ctypes.c_void_p
c.malloc.argtypes, c.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
held, shrunk = [0] * 48, []
for _ in range(5):  # more than the heap grows by at once; glibc maps the first apart
    for k in range(48):
        held[k] = c.malloc(2**22)
    before = c.sbrk(0)
    for k in range(48):
        c.free(held[k])
    shrunk.append(before - c.sbrk(0))
print(max(shrunk))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone has mallopt")
def test_what_is_freed_stays_with_the_process() -> None:
    given = {
        kind: int(subprocess.check_output([sys.executable, "-c", FREED, kind], text=True))
        for kind in ("given back", "kept")
    }
    assert given["given back"] > 2**20
    assert given["kept"] == 0
