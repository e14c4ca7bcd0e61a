"""A network in training against the clock: its seconds, its running average, its pictures."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from contenders import Contender, schedule
from settings import Setting
from torch import Tensor
from works import Training

from ddpm_lite.checkpoint import load_optimizer, optimizer_tensors, read, write
from ddpm_lite.data import to_uint8
from ddpm_lite.sample import ddim, denoiser, initial_noise, last

DECAY = 0.998
"""Of the running average in the long run; at first it remembers less, or it would be the start."""
WARMUP = 100
"""Steps in which the learning rate rises."""


class Race(Training):
    """A training whose seconds are counted from nothing: building and compiling are among them."""

    def __init__(
        self, contender: Contender, setting: Setting, images: Tensor, batch: int, rate: float
    ) -> None:
        start = time.perf_counter()
        torch.set_num_threads(setting.threads)
        super().__init__(contender, setting, images, batch, rate)
        self.average = copy.deepcopy(self.net).eval()
        self.rate, self.steps, self.resumed = rate, 0, False
        self.seconds = time.perf_counter() - start

    def step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.steps + 1) / WARMUP)
        loss = super().step()
        self.steps += 1
        self._move_average()
        return loss

    @torch.no_grad()
    def _move_average(self) -> None:
        decay = min(DECAY, self.steps / (self.steps + 10))
        average, weights = [*self.average.parameters()], [*self.net.parameters()]
        torch._foreach_lerp_(average, weights, 1 - decay)

    def train(self, until: float, is_over: Callable[[], bool]) -> None:
        """Steps until so many seconds have gone, or until something is over."""
        torch.set_num_threads(self.setting.threads)
        while self.seconds < until and not is_over():
            start = time.perf_counter()
            self.step()
            elapsed = time.perf_counter() - start
            if self.resumed:  # compiled once more, which an undisturbed training is not
                elapsed = min(elapsed, self.seconds / (self.steps - 1))
            self.seconds, self.resumed = self.seconds + elapsed, False

    @torch.inference_mode()
    def draw(self, n: int, steps: int, batch: int = 250) -> Tensor:
        """Pictures by the average, uint8 (n, C, H, W), from the same noises for every network."""
        torch.set_num_threads(self.setting.threads)
        shape = self.images.shape[1:]
        drawn = []
        for start in range(0, n, batch):
            x_T = initial_noise((min(batch, n - start), *shape), seed=start)
            states = ddim(denoiser(schedule(), self._average_says, "v"), schedule(), x_T, steps)
            drawn.append(to_uint8(last(states)))
        return torch.cat(drawn)

    def _average_says(self, x: Tensor, t: Tensor) -> Tensor:
        x = x.contiguous(memory_format=self.setting.memory_format)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.setting.bf16):
            return self.predict(self.average, x, t).float()

    def save(self, path: Path) -> None:
        """Writes all that `resume` needs but the random numbers: those are drawn anew."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
        state = {"race": {"seconds": self.seconds, "steps": self.steps}}
        write(path, tensors, state)

    def resume(self, path: Path) -> None:
        """Goes on from there."""
        tensors, metadata = read(path)

        def part(name: str) -> dict[str, Tensor]:
            head = f"{name}."
            return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}

        self.net.load_state_dict(part("net"))
        self.average.load_state_dict(part("average"))
        load_optimizer(self.optimizer, part("optimizer"))
        self.seconds, self.steps = metadata["race"]["seconds"], metadata["race"]["steps"]
        self.resumed = True


def reached(marks: Sequence[Mapping[str, Any]], level: float) -> float | None:
    """The seconds at which the distance came below the level; None if it never did.

    Between the two marks around it the logarithms of both follow a straight line.
    """
    for before, mark in zip([None, *marks], marks, strict=False):
        if mark["frechet"] >= level:
            continue
        if before is None:
            return float(mark["seconds"])
        fall = math.log(before["frechet"] / level) / math.log(before["frechet"] / mark["frechet"])
        share = math.log(mark["seconds"] / before["seconds"]) * fall
        return float(before["seconds"] * math.exp(share))
    return None
