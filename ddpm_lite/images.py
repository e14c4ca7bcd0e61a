"""Images in memory: grey levels, labels and the names of their classes."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Images", "to_float", "to_uint8"]

MAX_SIDE = 4096
"""The largest side of an image."""

Bytes = npt.NDArray[np.uint8]
"""Pixels or labels as they are read."""


class DataError(Exception):
    """Data that cannot be had or used; the text is one line: what is wrong and what to do."""


@dataclass(frozen=True)
class Images:
    """A set of images in memory.

    `pixels` is uint8 (N, C, H, W), `labels` int64 (N,) with values 0..len(class_names)-1. Raises
    ValueError if types or shapes differ from that.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise ValueError(f"pixels must be uint8 (N, C, H, W), not {_describe(self.pixels)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"labels must be int64 ({len(self.pixels)},), not {_describe(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of all pixels and labels in their order; not of the names of files or classes.

        The pixels are those in memory: pictures that another release of Pillow decodes or resizes
        otherwise, by one grey level, have another digest. Taken once, so change no pixels after.
        """
        sha = hashlib.sha256(f"{tuple(self.pixels.shape)}".encode())
        for tensor in (self.pixels, self.labels):
            sha.update(tensor.cpu().contiguous().numpy().data)
        return sha.hexdigest()

    def subset(self, n: int) -> "Images":
        """The first n images. Raises ValueError if there are fewer, or n < 1."""
        if not 1 <= n <= len(self):
            raise ValueError(f"cannot take {n} of {len(self)} images")
        return Images(self.pixels[:n], self.labels[:n], self.class_names)

    def split(self, holdout: float) -> tuple["Images", "Images"]:
        """All but a share of the images, and that share, drawn at random, the same each time.

        Both keep the order. Raises ValueError for a share outside [0, 1).
        """
        if not 0 <= holdout < 1:
            raise ValueError(f"the share that is held out must lie in [0, 1), not {holdout}")
        if holdout == 0:
            return self, Images(self.pixels[:0], self.labels[:0], self.class_names)
        n = len(self)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(0), device="cpu")
        held = round(holdout * n)
        return self._some(order[held:].sort().values), self._some(order[:held].sort().values)

    def _some(self, index: Tensor) -> "Images":
        return Images(self.pixels[index], self.labels[index], self.class_names)


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def to_float(pixels: Tensor) -> Tensor:
    """Grey levels 0..255, uint8, as float32 in [-1, 1]: k / 127.5 - 1. Any shape."""
    return pixels.float() / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """The nearest grey level of each number, uint8; what lies outside [-1, 1] is clamped.

    Undoes `to_float` exactly. Any shape.
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def as_images(pixels: Bytes, labels: Bytes, class_names: tuple[str, ...]) -> Images:
    """Images of what was read: pixels (N, C, H, W) and labels (N,), both uint8."""
    own = np.array(pixels)  # what was read from bytes may not be written to
    return Images(torch.from_numpy(own), torch.from_numpy(labels.astype(np.int64)), class_names)


def reason(error: BaseException) -> str:
    """An error in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError) and "hash" in str(error):
        return "wrong SHA-256"
    return "Python lacks lzma" if "lzma module" in str(error) else type(error).__name__
