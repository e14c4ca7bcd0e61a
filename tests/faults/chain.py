"""A training that goes on after each fault, until it is done."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from process import PATIENCE, Broken, Process
from tiny_training import STEPS, words

from ddpm_lite.run import BEFORE, CHECKPOINT, LOG_EVERY, METRICS


@dataclass
class Chain:
    """One training, in as many processes as the faults make of it."""

    data: Path
    folder: Path
    logs: Path
    moments: random.Random
    fresh: bool
    tmpfs: bool
    parts: list[Process] = field(default_factory=list)
    damaged: bool = False
    """Whether its newest checkpoint is damaged, so that the next process must not go on from it."""
    spared: bool = False
    """Whether a round found nothing to damage, and was no more than a kill."""

    def saved(self) -> list[Path]:
        """The checkpoints that there are, the newest first."""
        return [p for p in (self.folder / CHECKPOINT, self.folder / BEFORE) if p.exists()]

    def start(self, *more: str) -> Process:
        """Begins, or goes on if there is something to go on from."""
        if not self.saved():  # ended before the first checkpoint: one begins anew
            (self.folder / METRICS).unlink(missing_ok=True)
        go_on = ["--resume"] if self.saved() else []
        log = self.logs / f"{self.folder.name}_{len(self.parts)}"
        arguments = [*words(self.data, self.folder), *go_on, *more]
        self.parts.append(Process(log, arguments, self.fresh))
        return self.parts[-1]

    def end(self) -> None:
        """Ends what still runs after something has gone wrong."""
        for process in self.parts:
            if process.send(signal.SIGKILL):
                process.wait()

    def wait_for_a_moment(self, process: Process) -> None:
        """Waits until some step, or now and then for no step at all."""
        if self.moments.random() < 0.15:
            time.sleep(self.moments.uniform(0, 4 if self.fresh else 0.5))
            return
        end, begin = time.monotonic() + PATIENCE, None
        ahead = self.moments.randrange(1, 2 * LOG_EVERY)
        while process.status() is None and (begin is None or process.step() < begin + ahead):
            if begin is None and f"/{STEPS} " in process.said():
                begin = process.step()
            if time.monotonic() > end:
                raise Broken("no step was made")
            time.sleep(0.002)
        time.sleep(self.moments.uniform(0, 0.05))


Fault = Callable[[Chain], Process]
"""Starts the chain's next process, and does something to it; returns it when it has ended."""
