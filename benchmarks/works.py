"""What is timed: a network that trains, and one that draws, under a setting."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from contenders import Contender, Task, schedule
from settings import Setting
from torch import Tensor, nn

from ddpm_lite.diffusion import q_sample, velocity
from ddpm_lite.sample import ddim, denoiser, initial_noise, last


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    batch: int = 128
    """Images in a training step."""
    drawn: int = 32
    """Images that are drawn at a time."""
    steps: int = 50
    """Of DDIM."""
    rounds: int = 7
    seconds: float = 1.5
    """The least time of a measurement of training."""
    peak_batch: int = 128


def plan_of(task: Task) -> Plan:
    """The larger networks take four times as long for an image."""
    return Plan() if task.width == 1 else Plan(batch=64, drawn=16, rounds=5, peak_batch=64)


class Network:
    """A contender's network under a setting: `call` takes x (B, C, H, W) and t (B,)."""

    def __init__(self, contender: Contender, setting: Setting) -> None:
        self.setting, self.predict = setting, contender.predict
        # channels_last is only a stride order: a no-op for all but the 4-d weights.
        self.net = contender.build().to(memory_format=setting.memory_format)  # type: ignore[call-overload]
        self.run = torch.compile(self.net, dynamic=False) if setting.compiled else self.net

    def call(self, x: Tensor, t: Tensor) -> Tensor:
        x = x.contiguous(memory_format=self.setting.memory_format)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.setting.bf16):
            return self.predict(self.run, x, t).float()


class Training(Network):
    """A network in training."""

    def __init__(
        self, contender: Contender, setting: Setting, images: Tensor, batch: int, rate: float = 1e-4
    ) -> None:
        super().__init__(contender, setting)
        self.images, self.batch = images, batch
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=rate, betas=(0.9, 0.999), weight_decay=0.0, fused=True
        )

    def step(self) -> float:
        """One training step on the target v. Returns the loss."""
        picked = self.images[torch.randint(len(self.images), (self.batch,))]
        x_0, eps = picked.float() / 127.5 - 1, torch.randn(picked.shape)
        t = torch.randint(1, schedule().T + 1, (self.batch,))
        predicted = self.call(q_sample(schedule(), x_0, t, eps), t)
        loss = F.mse_loss(predicted, velocity(schedule(), x_0, t, eps))
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def speed(self, plan: Plan) -> float:
        """Images a second over at least two steps and `plan.seconds`, after one untimed step."""
        self.step()
        start, steps = time.perf_counter(), 0
        while steps < 2 or time.perf_counter() - start < plan.seconds:
            self.step()
            steps += 1
        return steps * self.batch / (time.perf_counter() - start)


class Drawing(Network):
    """A network that draws."""

    def __init__(self, contender: Contender, setting: Setting, task: Task, batch: int) -> None:
        super().__init__(contender, setting)
        self.net.eval()
        self.batch = batch
        self.x_T = initial_noise(task.shape(batch))

    @torch.inference_mode()
    def step(self) -> Tensor:
        """One pass through the network: a draw is `steps` of them and little else."""
        return self.call(self.x_T, torch.full((self.batch,), schedule().T))

    @torch.inference_mode()
    def draw(self, steps: int) -> Tensor:
        """DDIM without noise, (B, C, H, W)."""
        return last(ddim(denoiser(schedule(), self.call, "v"), schedule(), self.x_T, steps))

    def speed(self, plan: Plan) -> float:
        """Images a second, after one untimed step."""
        self.step()
        start = time.perf_counter()
        self.draw(plan.steps)
        return self.batch / (time.perf_counter() - start)


Makers = Mapping[str, Callable[[Contender], Callable[[Setting, int], Training | Drawing]]]
"""For each kind of work what makes it of a contender, a setting and a number of images."""


def makers(task: Task, images: Tensor) -> Makers:
    """For both."""
    return {
        "training": lambda who: lambda setting, batch: Training(who, setting, images, batch),
        "drawing": lambda who: lambda setting, batch: Drawing(who, setting, task, batch),
    }
