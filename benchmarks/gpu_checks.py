"""Whether a device computes what the CPU computes: the same numbers go through both.

Everything is in float32. The allowed differences are far above what another order of the same
additions makes: on the CPU, with and without the fused kernel, 5e-7 in an output, 1e-7 in the
losses of 50 steps, no grey level in a drawing. They are below what small faults make: 3e-3 in those
losses if the learning rate is one percent too high.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ddpm_lite.data import Images, mnist, to_float
from ddpm_lite.diffusion import training_loss
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.sample import initial_noise
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS

RELATIVE = 1e-3
"""Largest difference that is allowed, as a share of the largest number."""
GREY_LEVELS = 0.05
"""Mean difference of a pixel, 0..255, that is allowed after a whole sampling."""


@dataclass(frozen=True)
class Check:
    """What was compared, how far it is off, and how far it may be."""

    name: str
    difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the difference is allowed; NaN is not."""
        return self.difference <= self.allowed

    def __str__(self) -> str:
        verdict = "agrees" if self.holds else "DIFFERS"
        return f"  {self.name:26} {verdict:8} {self.difference:.1e} (allowed {self.allowed:.0e})"


def relative(near: Tensor, far: Tensor) -> float:
    """The largest difference, as a share of the largest number of `near`."""
    return float((near - far.to(near.device)).abs().max() / near.abs().max())


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """No TF32 in the body: a GPU's convolutions would keep ten bits of each number."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


class SameNoise(Trainer):
    """A trainer that draws its noise on the CPU, so that it is the same for every device."""

    def _draw_noise(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.times, dtype=torch.float32).to(self.device)


@dataclass(frozen=True)
class Questions:
    """Noisy digits to ask a network about: x_0 (B, C, H, W), t, labels (B,), and the noise."""

    x_0: Tensor
    t: Tensor
    labels: Tensor
    eps: Tensor


def questions(n: int, T: int) -> Questions:
    """Test digits with times from 1 to T."""
    images = mnist(train=False).subset(n)
    x_0, t = to_float(images.pixels), torch.linspace(1, T, n).long()
    return Questions(x_0, t, images.labels, initial_noise(tuple(x_0.shape)))


def compare_outputs(near: DiffusionModel, far: DiffusionModel, about: Questions) -> Check:
    """The network's outputs."""
    outputs = [model(about.eps, about.t, about.labels) for model in (near, far)]
    return Check("forward", relative(*outputs), RELATIVE)


def losses_of(model: DiffusionModel, about: Questions) -> Tensor:
    """The loss of each digit, on the model's device."""
    x_0, eps = about.x_0.to(model.device), about.eps.to(model.device)
    net = model.labelled(about.labels, "float32")
    return training_loss(model.schedule, net, x_0, about.t, eps, model.config.target)


def compare_losses(near: DiffusionModel, far: DiffusionModel, about: Questions) -> Check:
    """The training loss of each digit."""
    return Check("loss", relative(losses_of(near, about), losses_of(far, about)), RELATIVE)


def compare_drawings(near: DiffusionModel, far: DiffusionModel, n: int) -> Check:
    """Digits drawn from the same noise."""
    config = DrawConfig(steps=10, precision="float32")
    drawn = [draw(model, n, config).float() for model in (near, far)]
    return Check("sampling", float((drawn[0] - drawn[1]).abs().mean()), GREY_LEVELS)


@cache
def training_digits() -> Images:
    """A few digits to train on."""
    return mnist().subset(2048)


def small_trainer(device: torch.device, steps: int, batch: int = 32) -> Trainer:
    """The same small training on any device."""
    config = TrainConfig(steps=steps, batch_size=batch, precision="float32")
    return SameNoise(ModelConfig(unet=PRESETS["tiny"]), config, training_digits(), device)


def compare_trainings(near: Trainer, far: Trainer) -> Check:
    """The losses of all steps, so of all gradients and updates too."""
    losses = [torch.tensor([state.loss for state in of.steps()]) for of in (near, far)]
    return Check(f"{near.config.steps} steps of training", relative(*losses), RELATIVE)


def count_stops(device: torch.device) -> Check:
    """How often a step of training waits for the GPU, told by CUDA itself."""
    steps = small_trainer(device, 3).steps()
    next(steps)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        next(steps)
        torch.cuda.set_sync_debug_mode("default")
    stops = sum("synchronizing" in str(warning.message) for warning in told)
    return Check("stops of the GPU in a step", stops, 1)


def check_device(device: torch.device, steps: int, digits: int) -> Sequence[Check]:
    """All comparisons of a device with the CPU, about so many digits at a time."""
    places = (torch.device("cpu"), device)
    near, far = (DiffusionModel.load(device=place) for place in places)
    about = questions(digits, near.schedule.T)
    with exact_products():
        checks = [
            compare_outputs(near, far, about),
            compare_losses(near, far, about),
            compare_trainings(*(small_trainer(place, steps, digits) for place in places)),
            compare_drawings(near, far, digits),
        ]
    return [*checks, count_stops(device)] if device.type == "cuda" else checks


def all_hold(checks: Sequence[Check]) -> bool:
    """Whether every difference is allowed."""
    return all(check.holds for check in checks)
