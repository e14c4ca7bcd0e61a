"""How fast a device trains: images a second, operations a second, the share of its peak, memory."""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from measuring import count_operations, timed

from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig
from ddpm_lite.processes import agreed
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS, UNet, UNetConfig, count_parameters


@dataclass(frozen=True)
class Subject:
    """A network to train on random pictures, and how many it is shown in a step."""

    name: str
    unet: UNetConfig
    side: int
    batch: int


@dataclass(frozen=True)
class Setting:
    """How the network is run; `compiler` holds the options of torch.compile, None is without it."""

    name: str
    compiler: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Speed:
    """What one network reached under one setting."""

    subject: Subject
    setting: Setting
    images_per_second: float
    first_step: float
    """Seconds, compiling included."""
    memory: int | None
    """Most bytes that the GPU held at a time; None on a CPU, which does not tell."""

    def flops(self) -> float:
        """Operations that the network itself needs, in a second."""
        return self.images_per_second * operations(self.subject)


CIFAR10 = Subject("`cifar10`", PRESETS["cifar10"], side=32, batch=128)
MIDDLE = Subject(
    "middle",
    UNetConfig(image_channels=3, channels=(64, 128, 256), blocks=2, attention=(1,)),
    side=32,
    batch=256,
)
"""Between the shipped model's size and the DDPM paper's."""
TOY = Subject(
    "toy",
    UNetConfig(image_channels=3, channels=(8, 16), groups=4, attention=(1,)),
    side=8,
    batch=8,
)

EAGER = Setting("not compiled")
COMPILED = Setting("compiled", {"dynamic": False})
GRAPHS = Setting("compiled, CUDA graphs", {"dynamic": False, "mode": "reduce-overhead"})


def operations(subject: Subject) -> int:
    """Floating-point operations for one picture, forward and backward."""
    with torch.device("meta"):  # shapes only, nothing is computed
        net = UNet(subject.unet)
        x = torch.empty(1, subject.unet.image_channels, subject.side, subject.side)
        t = torch.ones(1, dtype=torch.long)
        return count_operations(lambda: net(x, t))


def parameters(subject: Subject) -> int:
    """Weights of the network."""
    with torch.device("meta"):
        return count_parameters(UNet(subject.unet))


def random_pictures(n: int, subject: Subject) -> Images:
    """Noise of a picture set's shape: the speed is the same."""
    shape = (n, subject.unet.image_channels, subject.side, subject.side)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.zeros(n, dtype=torch.int64), ("noise",))


def trainer_for(subject: Subject, setting: Setting, device: torch.device) -> Trainer:
    """A training in bfloat16 that has no end; weights lie in memory channels last."""
    config = TrainConfig(steps=10**6, batch_size=subject.batch, precision="bfloat16")
    model = ModelConfig(unet=subject.unet, side=subject.side)
    trainer = Trainer(model, config, random_pictures(8 * subject.batch, subject), device)
    if setting.compiler is not None:
        trainer.net.compile(**setting.compiler)
    return trainer


def finish(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def images_per_second(trainer: Trainer, seconds: float) -> float:
    """Over at least two steps and `seconds`, after three that warm up."""
    steps, done = trainer.steps(), 0
    for _ in range(3):
        next(steps)
    finish(trainer.device)
    start = time.perf_counter()
    while agreed(done < 2 or time.perf_counter() - start < seconds):
        next(steps)
        done += 1
    finish(trainer.device)
    return done * trainer.config.batch_size / (time.perf_counter() - start)


def measure(subject: Subject, setting: Setting, device: torch.device, seconds: float) -> Speed:
    """Trains for a while; raises whatever the compiler or the device raises."""
    if setting.compiler is not None:
        torch.compiler.reset()  # what was compiled for other networks says nothing about this one
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    trainer = trainer_for(subject, setting, device)
    first = timed(lambda: next(trainer.steps()))
    speed = images_per_second(trainer, seconds)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Speed(subject, setting, speed, first, memory)


def measure_peak(device: torch.device, side: int, repeats: int = 10) -> float:
    """Operations a second of a product of two bf16 matrices: the best, as a peak is possible."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def multiply() -> None:
        for _ in range(10):
            torch.mm(a, b)
        finish(device)

    multiply()
    return 10 * 2 * side**3 / min(timed(multiply) for _ in range(repeats))
