"""Digits in colour, and back: each has an ink and a ground of its own, the ink always the lighter.

What is new about colour for a network is that three channels must agree; these digits need it, and
a classifier of grey digits can still tell how good they are.
"""

import math

import torch
from torch import Tensor

DARKEST, LIGHTEST = 0.45, 0.55
"""No channel of a ground is above the first (of 1), none of an ink below the second."""

LUMA = (0.299, 0.587, 0.114)
"""How light red, green and blue are to the eye (ITU-R BT.601)."""


def wheel(hue: Tensor) -> Tensor:
    """Colours of hues in [0, 1), (N,), as red, green and blue in [0, 1]: (N, 3)."""
    phase = hue[:, None] - torch.tensor([0.0, 1 / 3, 2 / 3], dtype=hue.dtype, device=hue.device)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * phase)


def paint(grey: Tensor, seed: int = 0) -> Tensor:
    """Digits uint8 (N, 1, H, W), light on dark, in colours drawn with the seed: (N, 3, H, W).

    A pixel of grey level g is the ground for 0, the ink for 255, and between them in between.
    """
    generator = torch.Generator().manual_seed(seed)
    hues = torch.rand(2, len(grey), generator=generator, dtype=torch.float32, device="cpu")
    ground = DARKEST * wheel(hues[0])  # (N, 3)
    ink = LIGHTEST + (1 - LIGHTEST) * wheel(hues[1])
    painted = torch.empty(len(grey), 3, *grey.shape[2:], dtype=torch.uint8, device="cpu")
    for part in torch.arange(len(grey), device="cpu").split(5000):  # floats need four times as much
        share = grey[part].float() / 255  # (n, 1, H, W)
        low, high = ground[part, :, None, None], ink[part, :, None, None]
        painted[part] = (255 * (low + share * (high - low))).round().to(torch.uint8)
    return painted


def in_grey(colour: Tensor) -> Tensor:
    """Pictures uint8 (N, 3, H, W) by how light they are, from 0 to 255 in each: (N, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=torch.float32, device=colour.device)[:, None, None]
    light = (colour.float() * weights).sum(1, keepdim=True)
    low, high = light.amin((2, 3), keepdim=True), light.amax((2, 3), keepdim=True)
    return (255 * (light - low) / (high - low).clamp(min=1)).round().to(torch.uint8)
