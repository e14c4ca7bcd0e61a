"""A judge whose every number is known."""

import torch
from torch import Tensor

from ddpm_lite.data import Images
from ddpm_lite.judges import Judge


class TwoPixels:
    """Its features are two pixels, and its classes: the left one, the right one, neither."""

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        return torch.cat([4 * features, torch.zeros(len(features), 1)], dim=1)


def spots(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 1, 2), generator=generator, dtype=torch.uint8)


def small_judge(n: int = 8) -> Judge:
    real = Images(spots(n, 1), torch.arange(n) % 3, ("left", "right", "neither"))
    return Judge("two pixels", TwoPixels(), real)
