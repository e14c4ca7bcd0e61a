"""Faults that are in the way of writing: a full disk, and a folder that may not be written."""

import contextlib
import resource
import signal
import time
from collections.abc import Callable

from chain import Chain
from process import Process, expect

_NOT_WRITTEN = {
    -signal.SIGKILL: "",
    -signal.SIGTERM: "",  # before the first step
    0: "done: ",
    1: "cannot be written",
    128 + signal.SIGTERM: "stopped at step",
}


def _hindered(chain: Chain, hinder: Callable[[Process], None]) -> Process:
    """Something is in the way of writing, and after a while the process is asked to stop."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    hinder(process)
    time.sleep(chain.moments.uniform(0, 0.5))
    process.send(signal.SIGTERM if chain.moments.random() < 0.7 else signal.SIGKILL)
    expect(process, _NOT_WRITTEN)
    return process


def disk_full(chain: Chain) -> Process:
    """No room for another byte; where no small disk can be mounted, a limit on files instead."""
    filler = chain.folder.parent / "filler"

    def hinder(process: Process) -> None:
        if not chain.tmpfs:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
            return
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    try:
        return _hindered(chain, hinder)
    finally:
        filler.unlink(missing_ok=True)


def read_only(chain: Chain) -> Process:
    """The folder may no longer be written."""

    def hinder(_: Process) -> None:
        if chain.folder.exists():
            chain.folder.chmod(0o555)

    try:
        return _hindered(chain, hinder)
    finally:
        if chain.folder.exists():
            chain.folder.chmod(0o755)
