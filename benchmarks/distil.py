"""A network that draws in one step: consistency distillation of the shipped digit model.

All states of one way of the ODE lead to the same digit. The student is taught to say that digit
from each of them: from x_t what it says itself one step nearer to the digit, where the shipped
model's guided DDIM step has led (Song et al., arXiv:2303.01469, algorithm 2). At t = 0 a network
that guesses v says x_0 = x_t whatever its weights are, so that the chain of its guesses has an end.

    python benchmarks/distil.py ddpm_lite/assets/mnist_one_step.safetensors --keep kept.safetensors

It saves its state in the file `--keep` and goes on from there if that file exists; half an hour of
one CPU core. Then `python benchmarks/one_step.py` measures what the student draws.
"""

import argparse
import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checkpoint import load_optimizer, optimizer_tensors, read, write
from ddpm_lite.data import Batches, Images, mnist
from ddpm_lite.diffusion import eps_from_x_0, predict, q_sample
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import timesteps
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.unet import UNet

GUIDANCE = 1.3
"""The shipped model's own, built into what the student learns."""
BATCH, RATE, AVERAGE = 32, 4e-4, 0.999
GRIDS = (8, 16, 32)
"""Steps of the teacher's way, in three equal parts of the training: first few, so that what is
known at its end is soon known at its start, then more, so that each of them errs less."""
SAVE_EVERY = 200


def guess(net: UNet, schedule: NoiseSchedule, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """What the network takes the digit for, (B, 1, 28, 28)."""
    return predict(schedule, net(x_t, t, labels), x_t, t, "v").x_0


def teacher_step(
    teacher: UNet, schedule: NoiseSchedule, x_t: Tensor, t: Tensor, before: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The guided guess of x_0, and x_before, where DDIM comes to with it; times (B,)."""
    both = torch.cat([x_t, x_t]), torch.cat([t, t])
    none = torch.full_like(labels, teacher.config.classes or 0)
    with_label, without = guess(teacher, schedule, *both, torch.cat([labels, none])).chunk(2)
    x_0 = (without + GUIDANCE * (with_label - without)).clamp(-1, 1)
    moved = q_sample(schedule, x_0, before.clamp(min=1), eps_from_x_0(schedule, x_t, t, x_0))
    return x_0, moved


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Pseudo-Huber (Song and Dhariwal, arXiv:2310.14189), (B,): far pictures count less."""
    c = 0.00054 * math.sqrt(x[0].numel())
    return ((x - y).square().sum(dim=(1, 2, 3)) + c * c).sqrt() - c


@dataclass
class Distillation:
    """Teacher, student, and the running average of the student."""

    shipped: DiffusionModel
    images: Images
    steps: int

    def __post_init__(self) -> None:
        self.teacher = self.shipped.net
        self.student = copy.deepcopy(self.teacher).train().requires_grad_(True)
        self.average = copy.deepcopy(self.teacher)
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=RATE, betas=(0.9, 0.99))
        self.batches = Batches(self.images, BATCH)
        self.step = 0

    def loss(self) -> Tensor:
        """Of one batch: the digit said at t against the digit said one step nearer to it."""
        schedule, made = self.shipped.schedule, torch.Generator().manual_seed(self.step)
        grid = GRIDS[min(self.step * len(GRIDS) // self.steps, len(GRIDS) - 1)]
        times = torch.tensor(timesteps(schedule.T, grid))
        place = torch.randint(grid, (BATCH,), generator=made)
        t, before = times[place], times[place + 1]
        x_0, labels = next(self.batches)
        x_t = q_sample(schedule, x_0, t, torch.randn(x_0.shape, generator=made))
        with torch.no_grad():
            end, moved = teacher_step(self.teacher, schedule, x_t, t, before, labels)
            nearer = guess(self.student, schedule, moved, before.clamp(min=1), labels)
            wanted = torch.where(before.view(-1, 1, 1, 1) == 0, end, nearer.clamp(-1, 1))
        return distance(guess(self.student, schedule, x_t, t, labels), wanted).mean()

    def advance(self) -> float:
        """One step of Adam, with a rate that falls to zero, and its loss."""
        rate = RATE * min(1.0, (self.step + 1) / 50, 2 * (1 - self.step / self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(
                self.average.parameters(), self.student.parameters(), strict=True
            ):
                mean.lerp_(value, 1 - keep)
        return loss.item()

    def save(self, path: Path) -> None:
        """All that is needed to go on."""
        tensors = {f"net.{k}": v for k, v in self.student.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= optimizer_tensors(self.optimizer)
        write(path, tensors, {"step": self.step})

    def go_on(self, path: Path) -> None:
        """The state that was saved; the order of the digits begins anew, from another seed."""
        tensors, metadata = read(path)
        for net, name in ((self.student, "net."), (self.average, "ema.")):
            of = {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}
            net.load_state_dict(of)
        load_optimizer(self.optimizer, {k: v for k, v in tensors.items() if k[0].isdigit()})
        self.step = metadata["step"]
        self.batches = Batches(self.images, BATCH, seed=self.step)

    def write_weights(self, path: Path) -> None:
        """The average alone, in float16, as a checkpoint that `DiffusionModel.load` reads."""
        weights = {f"ema.{k}": v.half() for k, v in self.average.state_dict().items()}
        write(path, weights, {"model": self.shipped.config.to_dict(), **self.told()})

    def told(self) -> dict[str, Any]:
        """How the weights were made, and how to draw with them."""
        made: dict[str, Any] = {"steps": self.steps, "batch_size": BATCH, "learning_rate": RATE}
        made |= {"ema_decay": AVERAGE, "teacher_steps": GRIDS, "teacher_guidance": GUIDANCE}
        wishes = {"sampler": "consistency", "steps": 1, "guidance_scale": 1.0}
        # the student has always had its label: guidance would ask for what it never learnt
        return {"step": self.step, "train": {**made, "label_dropout": 0.0}, "draw": wishes}


def main() -> None:
    """Trains, and writes the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3200)
    parser.add_argument("--keep", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = Distillation(DiffusionModel.load(), mnist(), options.steps)
    if options.keep.exists():
        work.go_on(options.keep)
    began, losses = time.perf_counter(), []
    while work.step < options.steps:
        losses.append(work.advance())
        if work.step % SAVE_EVERY == 0 or work.step == options.steps:
            work.save(options.keep)
            print(work.step, sum(losses) / len(losses), time.perf_counter() - began, flush=True)
            losses = []
    work.write_weights(options.out)
    print(json.dumps(work.told()))


if __name__ == "__main__":
    main()
