"""Who judges drawn pictures: a classifier of real ones, and real ones that it has never seen.

A judge is found by what the pictures are: digits, digits in colour (looked at in grey), or the ten
things of CIFAR-10. Distances in the features of one judge cannot be compared with those of another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ddpm_lite import classifier, colour_classifier
from ddpm_lite.colouring import in_grey
from ddpm_lite.data import CIFAR10, DIGITS, Images, mnist, to_float

__all__ = ["Judge", "Judged", "Network", "digits", "find_judge"]


class Network(Protocol):
    """A classifier in eval mode."""

    def features(self, x: Tensor) -> Tensor:
        """Of images (B, C, H, W) in [-1, 1] the layer before the last, (B, d)."""

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, d)."""


class Judged(NamedTuple):
    """Features (n, d) and class probabilities (n, classes) of images."""

    features: Tensor
    probabilities: Tensor


@dataclass(frozen=True, eq=False)
class Judge:
    """A network, its real images, and how images are made ready for it."""

    name: str
    """Which features these are."""
    network: Network
    real: Images
    """What drawn images are compared with; the network was not trained on them."""
    ready: Callable[[Tensor], Tensor] = lambda pixels: pixels
    """From uint8 (N, C, H, W) as drawn to what the network takes."""

    @torch.no_grad()
    def look(self, pixels: Tensor, batch_size: int = 100) -> Judged:
        """Features and probabilities of images, uint8 (N, C, H, W)."""
        parts = self.ready(pixels.cpu()).split(batch_size)
        features = torch.cat([self.network.features(to_float(part)) for part in parts])
        return Judged(features, self.network.head(features).softmax(1))

    @cached_property
    def reference(self) -> Tensor:
        """Features of the real images, (N, d)."""
        return self.look(self.real.pixels).features


@cache
def digits() -> Judge:
    """The judge of grey digits: the classifier in the package, and the MNIST test images."""
    return _judge_of_digits(mnist(train=False))


def _judge_of_digits(real: Images, ready: Callable[[Tensor], Tensor] | None = None) -> Judge:
    name = f"mnist_classifier penultimate, {classifier.FEATURES}-d"
    network = classifier.load_classifier()
    if ready is None:
        return Judge(name, network, real)
    return Judge(f"{name}, in grey", network, real, ready)


def find_judge(real: Images) -> Judge | None:
    """Who can judge images like these, by their classes and their shape; None if nobody can."""
    shape = tuple(real.pixels.shape[1:])
    if real.class_names == DIGITS and shape == (1, 28, 28):
        return _judge_of_digits(real)
    if real.class_names == DIGITS and shape == (3, 28, 28):
        return _judge_of_digits(real, in_grey)
    if real.class_names == CIFAR10 and shape == (3, 32, 32):
        name = f"cifar10_classifier penultimate, {colour_classifier.FEATURES}-d"
        return Judge(name, colour_classifier.load_colour_classifier(), real)
    return None
