"""Pictures of many images: a grid as a PNG, JPEG or WebP file."""

import io
import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ddpm_lite.checkpoint import CheckpointError, check_writable, write_whole

GAP = 2
"""Pixels between the images of a grid."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""How a picture's name ends, in any case, and its format."""

CHANNELS = (1, 3)
"""Of a picture: grey, or red, green and blue."""

MOST_PIXELS = 178_956_970
"""The most pixels of a grid: Pillow refuses to open a picture of more."""


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """One picture of uint8 images (N, C, H, W), C 1 or 3, row by row; about square by default."""
    count, channels, height, width = images.shape
    columns = columns or _columns(count)
    rows = math.ceil(count / columns)
    shape = (channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    page = torch.full(shape, 128, dtype=torch.uint8, device="cpu")
    for i, image in enumerate(images.cpu()):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        page[:, top : top + height, left : left + width] = image
    array = page.permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., 0] if channels == 1 else array)


def _columns(count: int) -> int:
    if count < 1:
        raise ValueError("there is no image to show")
    return math.isqrt(count - 1) + 1


def check_picture(path: Path, count: int = 1, side: int = 1, channels: int = 1) -> str:
    """The format for a grid of so many square images. Raises CheckpointError if it cannot be."""
    if channels not in CHANNELS:
        raise CheckpointError(f"{path}: a picture has 1 or 3 channels, and these have {channels}")
    if path.suffix.lower() not in FORMATS:
        raise CheckpointError(
            f"{path}: what kind of picture is it? Give it a name that ends in {', '.join(FORMATS)}"
        )
    columns = _columns(count)
    rows = math.ceil(count / columns)
    pixels = (columns * (side + GAP) - GAP) * (rows * (side + GAP) - GAP)
    if pixels > MOST_PIXELS:
        raise CheckpointError(
            f"{path}: {count:,} images make a picture of {pixels:,} pixels, which few programs "
            f"open; take fewer, so that it has at most {MOST_PIXELS:,}"
        )
    if check_writable(path).suffix.lower() not in FORMATS:  # a link
        raise CheckpointError(f"{path}: leads to a file that is no picture, and is not replaced")
    return FORMATS[path.suffix.lower()]


def save_grid(path: Path, images: Tensor, columns: int | None = None) -> None:
    """Writes the grid, whole or not at all, in the format that its name ends in (see FORMATS).

    PNG and WebP keep every grey level, JPEG does not. Raises CheckpointError if it cannot be
    written.
    """
    kind = check_picture(path, channels=images.shape[1])
    picture, buffer = grid(images, columns), io.BytesIO()
    try:
        picture.save(buffer, kind, quality=95, lossless=True)
    except (OSError, ValueError, KeyError) as error:  # too wide for its format, or one not built in
        raise CheckpointError(f"{path}: no {kind} can be made of it ({error}); try .png") from None
    write_whole(path, buffer.getvalue())
