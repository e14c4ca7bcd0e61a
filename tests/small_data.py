"""Small sets of images, files of images, and what an error of data is held to."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_lite.data import DataError, Images


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes, as LeCun's page describes it."""
    sides = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.astype(np.uint8).tobytes()


def numbered(n: int, classes: int = 3, side: int = 4) -> Images:
    """Images whose first pixel is their number."""
    pixels = torch.zeros(n, 1, side, side, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(n)
    return Images(pixels, torch.arange(n) % classes, tuple("abc"))


def noise(n: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n), tuple(map(str, range(n))))


def save(path: Path, colour: tuple[int, ...] | str = "red", size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "RGBA" if isinstance(colour, tuple) and len(colour) == 4 else "RGB"
    Image.new(mode, size, colour).save(path)
    return path
