"""A network that draws in one step: the shipped digit model's student.

All states of one path of the ODE lead to the same digit, and a consistency model says that digit
from each of them (Song et al., arXiv:2303.01469). The shipped model walks many paths from noise and
keeps their states; then a copy of it learns to say each path's end from them, half of the times
from the noise itself (as Luhman and Luhman, arXiv:2101.02388, do from the noise alone).

    python benchmarks/distil.py ddpm_lite/assets/mnist_one_step.safetensors

Half an hour of one CPU core. Then `python benchmarks/one_step.py` measures what the student draws.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checkpoint import write
from ddpm_lite.diffusion import predict
from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.model import DiffusionModel, autocast
from ddpm_lite.sample import dpm_solver, initial_noise

WALK = DrawConfig(sampler="dpm_solver", steps=10, guidance_scale=1.3)
"""How the teacher walks: its guidance becomes a part of what the student learns."""
BATCH, RATE, AVERAGE = 64, 4e-4, 0.999
FROM_NOISE = BATCH // 2
"""So many of a batch begin at the noise, where one step begins; the others anywhere."""
TOLD_EVERY = 100


@dataclass(frozen=True)
class Paths:
    """What the teacher has walked."""

    states: Tensor
    """(N, steps, C, H, W), the noise first; float16, because there are many."""
    times: Tensor
    """(steps,), of the states."""
    ends: Tensor
    """(N, C, H, W), float16."""
    labels: Tensor
    """(N,)."""


def walks(teacher: DiffusionModel, paths: int) -> Paths:
    """So many paths, BATCH at a time; a batch's labels and noises depend on its first number."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    shape, times = (BATCH, *teacher.config.image_shape), [teacher.schedule.T]
    for first in range(0, paths, BATCH):
        random = torch.Generator().manual_seed(first)
        labels = torch.randint(teacher.config.unet.classes, (BATCH,), generator=random)
        x_T = initial_noise(shape, seed=first + 7)  # not the numbers that chose the labels
        denoise = make_denoiser(teacher, labels, WALK)
        *on_the_way, end = dpm_solver(denoise, teacher.schedule, x_T, WALK.steps)
        times = [teacher.schedule.T, *(state.t for state in on_the_way)]
        states = torch.stack([x_T, *(state.x_t for state in on_the_way)], dim=1)
        found.append((states.half(), end.x_t.half(), labels))
        if first % (BATCH * TOLD_EVERY) == 0:
            print(f"{first} of {paths} paths", file=sys.stderr, flush=True)
    states, ends, labels = map(torch.cat, zip(*found, strict=True))
    return Paths(states, torch.tensor(times), ends, labels)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Pseudo-Huber (Song and Dhariwal, arXiv:2310.14189), (B,): far pictures count less."""
    c = 0.00054 * math.sqrt(x[0].numel())
    return ((x - y).square().sum(dim=(1, 2, 3)) + c * c).sqrt() - c


class Student:
    """A copy of its teacher that learns from the paths, and the average of its weights."""

    def __init__(self, teacher: DiffusionModel, paths: Paths) -> None:
        self.teacher, self.paths = teacher, paths
        self.net = copy.deepcopy(teacher.net).train().requires_grad_(True)
        self.average = copy.deepcopy(teacher.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=RATE, betas=(0.9, 0.99))
        self.random = torch.Generator().manual_seed(0)

    def guess(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """What the student takes the digit for; x_t (B, C, H, W), t and labels (B,)."""
        with autocast(x_t.device, "auto"):
            output = self.net(x_t, t, labels)
        config = self.teacher.config
        return predict(self.teacher.schedule, output.float(), x_t, t, config.target).x_0

    def loss(self) -> Tensor:
        """Of one batch: what it says of a state against the end of that state's path."""
        paths = self.paths
        path = torch.randint(len(paths.labels), (BATCH,), generator=self.random)
        place = torch.randint(len(paths.times), (BATCH,), generator=self.random)
        place[:FROM_NOISE] = 0
        x_t, t = paths.states[path, place].float(), paths.times[place]
        said = self.guess(x_t, t, paths.labels[path])
        return distance(said, paths.ends[path].float()).mean()

    def learn(self, steps: int) -> Iterator[float]:
        """Adam, with a rate that rises for 50 steps and later falls to zero; gives each loss."""
        for step in range(steps):
            rate = RATE * min(1.0, (step + 1) / 50, 2 * (1 - step / steps))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            self._follow(min(AVERAGE, (1 + step) / (10 + step)))
            yield loss.item()

    @torch.no_grad()
    def _follow(self, keep: float) -> None:
        for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)

    def write_weights(self, path: Path, steps: int) -> None:
        """The average alone, in float16, with how it was made and how to draw with it."""
        weights = {f"ema.{k}": v.half() for k, v in self.average.state_dict().items()}
        made: dict[str, Any] = {"steps": steps, "batch_size": BATCH, "learning_rate": RATE}
        made |= {"ema_decay": AVERAGE, "paths": len(self.paths.labels), "teacher_steps": WALK.steps}
        # it has always had its label: guidance would ask for what it never learnt
        made |= {"teacher_guidance": WALK.guidance_scale, "label_dropout": 0.0}
        wishes = {"sampler": "consistency", "steps": 1, "guidance_scale": 1.0}
        told = {"model": self.teacher.config.to_dict(), "step": steps, "train": made}
        write(path, weights, {**told, "draw": wishes})
        print(json.dumps(made))


def main() -> None:
    """Walks, learns and writes the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--paths", type=int, default=24_576)
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    teacher = DiffusionModel.load().without_variance()
    student = Student(teacher, walks(teacher, options.paths))
    began, losses = time.perf_counter(), list[float]()
    for loss in student.learn(options.steps):
        losses.append(loss)
        if len(losses) % TOLD_EVERY == 0:
            mean = sum(losses[-TOLD_EVERY:]) / TOLD_EVERY
            seconds = time.perf_counter() - began
            print(f"{len(losses)} steps, loss {mean:.3f}, {seconds:.0f} s", file=sys.stderr)
    student.write_weights(options.out, options.steps)


if __name__ == "__main__":
    main()
