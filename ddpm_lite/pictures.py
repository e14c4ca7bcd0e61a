"""Pictures of many images: a grid as a PNG file."""

import io
import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ddpm_lite.checkpoint import write_whole

GAP = 2
"""Pixels between the images of a grid."""


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """One picture of uint8 images (N, C, H, W), C 1 or 3, row by row; about square by default."""
    count, channels, height, width = images.shape
    if count == 0:
        raise ValueError("there is no image to show")
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    page = torch.full((channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), 128)
    page = page.to(torch.uint8)
    for i, image in enumerate(images.cpu()):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        page[:, top : top + height, left : left + width] = image
    array = page.permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., 0] if channels == 1 else array)


def save_grid(path: Path, images: Tensor, columns: int | None = None) -> None:
    """Writes the grid as PNG, whole or not at all. Raises CheckpointError if it cannot."""
    buffer = io.BytesIO()
    grid(images, columns).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
