"""Small things that several tests train on."""

import torch

from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig
from ddpm_lite.unet import UNetConfig

MODEL = ModelConfig(unet=UNetConfig(channels=(8, 16), groups=4, patch=2, classes=2), side=8)


def images(n: int = 64) -> Images:
    """8x8 pictures of two classes: the left half bright or the right half."""
    pixels = torch.zeros(n, 1, 8, 8, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    pixels[labels == 0, :, :, :4] = 200
    pixels[labels == 1, :, :, 4:] = 200
    return Images(pixels, labels, ("left", "right"))
