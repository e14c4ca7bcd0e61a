"""One `ddpm-lite` in a process of its own, and how it may end."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import child
from tiny_training import STEPS

PATIENCE = 300
"""Seconds that a process may take for anything, on a machine that is busy with other things."""


class Broken(Exception):  # noqa: N818
    """What should not have happened."""


class Process:
    """A `ddpm-lite` with what it has printed; a fresh Python, or the copy of one (quicker)."""

    def __init__(self, log: Path, arguments: list[str], fresh: bool) -> None:
        self.log, self.fresh = log, fresh
        log.write_bytes(b"")
        if fresh:
            command = [sys.executable, str(Path(child.__file__)), str(log), *arguments]
            self._started: Any = subprocess.Popen(command)
        else:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["ddpm_lite.cli"])
            self._started = context.Process(target=child.become, args=(str(log), arguments))
            self._started.start()
        self.pid: int = self._started.pid

    def status(self) -> int | None:
        """The exit status, the negative number of the signal that ended it, or None so far."""
        return self._started.poll() if self.fresh else self._started.exitcode  # type: ignore[no-any-return]

    def wait(self) -> int:
        """The exit status, once there is one."""
        end = time.monotonic() + PATIENCE
        while (status := self.status()) is None:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise Broken(f"still at work after {PATIENCE} s")
            time.sleep(0.005)
        return status

    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def step(self) -> int:
        """The last step that its progress bar has shown."""
        shown = re.findall(rf"(\d+)/{STEPS} ", self.said())
        return int(shown[-1]) if shown else 0

    def send(self, number: int) -> bool:
        """Sends a signal, if it still runs."""
        if self.status() is None:
            os.kill(self.pid, number)
            return True
        return False


def expect(process: Process, statuses: dict[int, str]) -> None:
    """How it ended: the line that each status must come with."""
    status, said = process.wait(), process.said()
    if status not in statuses or statuses[status] not in said:
        raise Broken(f"ended with {status} and: {said[-600:]}")
    lines = re.findall(r"^ddpm-lite: (?!asked to stop)", said, re.MULTILINE)
    if status > 0 and len(lines) != 1:
        raise Broken(f"not one line: {said[-600:]}")
