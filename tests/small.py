"""Small things that several tests train on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_lite.archives import CIFAR10
from ddpm_lite.checkpoint import write
from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import UNet, UNetConfig

MODEL = ModelConfig(unet=UNetConfig(channels=(8, 16), groups=4, patch=2, classes=2), side=8)


def images(n: int = 64) -> Images:
    """8x8 pictures of two classes: the left half bright or the right half."""
    pixels = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    pixels[labels == 0, :, :, :4] = 200
    pixels[labels == 1, :, :, 4:] = 200
    return Images(pixels, labels, ("left", "right"))


def config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "steps": 12, "batch_size": 8, "warmup_steps": 2, "precision": "float32", "ema_decay": 0.9,
    }  # fmt: skip
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def trainer(**changes: object) -> Trainer:
    return Trainer(MODEL, config(**changes), images(), "cpu")


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in of.net.state_dict().items()}


class Shared(torch.nn.Module):
    """Stands in for DistributedDataParallel, which needs the other processes."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net, self.require_backward_grad_sync = net, True

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(*inputs)
        return out


def one_of_two(rank: int, **changes: object) -> Trainer:
    """The training of one of two processes, which hears nothing of the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddpm_lite.train.DistributedDataParallel", Shared)
        patch.setattr("ddpm_lite.train.world", lambda: (rank, 2))
        return trainer(**changes)


def everything(training: Trainer) -> dict[str, torch.Tensor]:
    """All that a resumed training takes from its checkpoint."""
    return {"step": torch.tensor(training.step)} | {
        name: tensor.clone() for name, tensor in training._tensors().items()
    }


def coloured_model(path: Path, side: int = 8) -> None:
    """Writes an untrained model of CIFAR-10's classes, in float16 as models are shipped.

    Each of its layers is heard in what it says; in a new network some put out 0.
    """
    unet = UNetConfig(
        image_channels=3, channels=(8, 12, 16), attention=(1,), heads=2, groups=4, patch=2,
        classes=len(CIFAR10),
    )  # fmt: skip
    torch.manual_seed(0)
    weights = {
        f"ema.{name}": (value + 0.1 * torch.randn_like(value)).half()
        for name, value in UNet(unet).state_dict().items()
    }
    model = ModelConfig(unet=unet, side=side, T=50).to_dict()
    write(path, weights, {"model": model, "class_names": list(CIFAR10), "step": 0})


class NoDouble(torch.Tensor):
    """A tensor of a device that has no float64, as Apple's MPS; its numbers lie on the CPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(out, cls) and func is torch.Tensor.cpu:
            return out.as_subclass(torch.Tensor)
        if isinstance(out, cls) and out.dtype == torch.float64:
            raise TypeError("Cannot convert a tensor to float64: this device has none")
        return out


@contextmanager
def default(of_session: torch.dtype | str) -> Iterator[None]:
    """Another default dtype or device in the body."""
    before = torch.get_default_dtype()
    try:
        if isinstance(of_session, str):
            torch.set_default_device(of_session)
        else:
            torch.set_default_dtype(of_session)
        yield
    finally:
        torch.set_default_dtype(before)
        torch.set_default_device(None)


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different
