"""One `ddpm-lite` process of the harness: `python child.py LOG train ...`."""

import ctypes
import os
import signal
import sys

import torch

from ddpm_lite import cli

FREE = (1, 2)
"""The capabilities that let root write and read where nobody may: DAC_OVERRIDE, DAC_READ_SEARCH."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32 * 3) for name in ("low", "high"))


def obey_permissions() -> bool:
    """Takes from root the power to do what is forbidden; False where that fails."""
    if os.geteuid() != 0:
        return True
    try:
        system, header, sets = ctypes.CDLL(None), _Header(0x20080522, 0), _Sets()
        if system.capget(ctypes.byref(header), ctypes.byref(sets)):
            return False
        for part in (0, 1):  # effective and permitted
            sets.low[part] &= ~sum(1 << power for power in FREE)
        return bool(system.capset(ctypes.byref(header), ctypes.byref(sets)) == 0)
    except (AttributeError, OSError):  # not Linux
        return False


def become(log: str, words: list[str]) -> None:
    """Makes this process one of `ddpm-lite` that prints into a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and so may nohup
    torch.set_num_threads(1)
    obey_permissions()
    sys.argv = ["ddpm-lite", *words]
    cli.console()


if __name__ == "__main__":
    become(sys.argv[1], sys.argv[2:])
