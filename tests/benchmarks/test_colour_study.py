"""The study of small colour networks: fair variants, and errors as reckoned by hand."""

from dataclasses import asdict
from typing import Any

import colour_study as script
import pytest
import torch

from ddpm_lite.data import CIFAR10, Images
from ddpm_lite.model import DiffusionModel
from ddpm_lite.train import Trainer
from ddpm_lite.unet import UNet, UNetConfig

PIXELS = torch.randint(
    0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def changes(name: str) -> set[str]:
    """What a variant changes in the model and the training of the first one."""
    found = set()
    for mine, first in zip(script.configurations(name), script.configurations("base"), strict=True):
        old: dict[str, Any] = asdict(first)
        new: dict[str, Any] = asdict(mine)
        old, new = old | old.pop("unet", {}), new | new.pop("unet", {})
        found |= {key for key in old if old[key] != new[key]}
    return found


@pytest.mark.parametrize("name", [name for name in script.VARIANTS if name != "base"])
def test_a_variant_differs_in_one_thing(name: str) -> None:
    if name == "full resolution":  # the squares are not folded, which takes a level more
        assert changes(name) == {"patch", "channels", "attention"}
    else:
        assert len(changes(name)) == 1


def test_errors_of_a_network_that_says_nothing() -> None:
    """With v = 0 the guess is sqrt(alpha_bar) x_t, whose expected error is known."""
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    config = script.replace(script.MODEL, unet=unet)
    net = UNet(unet)  # its head starts as 0
    model = DiffusionModel(net.eval(), config, config.build_schedule())
    found = script.errors(model, PIXELS)
    square = (PIXELS.double() / 127.5 - 1).square().mean()
    for level, error in zip(torch.linspace(6, -6, script.LEVELS).double(), found, strict=True):
        alpha_bar = torch.sigmoid(level)  # log SNR = log(alpha_bar / (1 - alpha_bar))
        wanted = (1 - alpha_bar) ** 2 * square + alpha_bar * (1 - alpha_bar)
        assert error == pytest.approx(float(wanted), rel=0.03)


def test_as_many_steps_as_the_minutes_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten updates that take a second each: 60 fit into a minute."""
    monkeypatch.setattr(script, "timed", lambda trainer, steps: float(steps))
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    model = script.replace(script.MODEL, unet=unet)
    images = Images(PIXELS, torch.arange(64) % 10, CIFAR10)
    plan = script.plan_of(model, script.PLAN, images, 1.0)
    assert plan.steps == 60
    assert Trainer(model, plan, images).step == 0
