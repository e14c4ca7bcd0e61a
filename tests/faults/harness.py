"""Real trainings in processes of their own, that things happen to: nothing may be lost.

A chain is one training that goes on with `--resume` after each fault until it is done. The state
that each fault leaves is compared, bit for bit, with that of an undisturbed training at the same
step, and so are the final weights.
"""

import contextlib
import json
import random
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from chain import Chain, Fault
from process import Broken, Process
from stops import left_alone
from tiny_training import STEPS, digest, pictures, undisturbed

from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.run import WEIGHTS


@dataclass
class Outcome:
    """What came of all rounds."""

    rounds: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    most_lost: int = 0
    fell_back: int = 0
    spared: int = 0

    def line(self, seed: int, more: dict[str, Any]) -> str:
        """The JSON line."""
        rounds = sum(self.rounds.values())
        counts = {"rounds": rounds, "survived": rounds - len(self.broken)}
        lost = {"most_steps_lost": self.most_lost, "fell_back": self.fell_back}
        counts |= {"spared": self.spared, "seed": seed}
        return json.dumps(counts | lost | more | {"faults": dict(self.rounds)})


class Harness:
    """Runs chains, one fault a round, and notes what is not as it should be."""

    def __init__(self, around: Path, disk: Path, tmpfs: bool, seed: int, fresh: bool) -> None:
        self.around, self.disk, self.tmpfs, self.fresh = around, disk, tmpfs, fresh
        self.moments, self.outcome, self.chains = random.Random(seed), Outcome(), 0
        torch.set_num_threads(1)
        self.data = pictures(around / "pictures")
        self.digests = undisturbed(self.data, around / WEIGHTS)
        self._begin()

    def _begin(self) -> None:
        self.chains += 1
        folder = self.disk / f"chain{self.chains}"
        self.chain = Chain(self.data, folder, self.around, self.moments, self.fresh, self.tmpfs)

    def run(self, faults: list[Fault]) -> Outcome:
        """One round a fault; at the end the last chain is trained to its end."""
        for fault in faults:
            if self._done():
                self._compare()
                self._begin()
            self._round(fault)
        if not self._done():
            self._round(left_alone)
        self._compare()
        return self.outcome

    def _done(self) -> bool:
        return (self.chain.folder / WEIGHTS).exists()

    def _seen(self, fault: Fault) -> Process:
        """What happens to a process, which may not go on from a checkpoint that is damaged."""
        damaged, self.chain.damaged, self.chain.spared = self.chain.damaged, False, False
        process = fault(self.chain)
        self.outcome.spared += self.chain.spared
        said = process.said()
        fell_back = "goes on from the one before it" in said
        self.outcome.fell_back += fell_back
        if damaged and not fell_back:
            if f"/{STEPS} " in said:
                raise Broken(f"went on from a damaged checkpoint: {said[-600:]}")
            self.chain.damaged = True  # ended before it had read any
        return process

    def _round(self, fault: Fault) -> None:
        name = fault.__name__
        if fault is not left_alone:
            self.outcome.rounds[name] += 1
        try:
            process = self._seen(fault)
            self.outcome.most_lost = max(self.outcome.most_lost, process.step() - self._check())
        except (Broken, CheckpointError) as error:
            self._note(name, str(error))
            self.chain.end()

    def _check(self) -> int:
        """The step of the last good state, which must be that of the undisturbed training."""
        for path in self.chain.saved():
            with contextlib.suppress(CheckpointError):
                tensors, metadata = read(path)
                step: int = metadata["step"]
                if digest(tensors) != self.digests[step]:
                    raise Broken(f"{path.name} is not what step {step} should be")
                return step
        if self.chain.saved():
            raise Broken("no checkpoint is good")
        return 0

    def _compare(self) -> None:
        """The weights at the end are those of the undisturbed training, bit for bit.

        The files may differ: safetensors writes the parts of its header in any order.
        """
        end = self.chain.folder / WEIGHTS
        if not end.exists() or digest(read(end)[0]) != digest(read(self.around / WEIGHTS)[0]):
            self._note("the end", f"{end} differs from the undisturbed one")
        shutil.rmtree(self.chain.folder, ignore_errors=True)

    def _note(self, fault: str, what: str) -> None:
        self.outcome.broken.append(f"round {sum(self.outcome.rounds.values())}, {fault}: {what}")
        print(self.outcome.broken[-1], file=sys.stderr, flush=True)
