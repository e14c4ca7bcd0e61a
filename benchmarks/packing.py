"""Pictures as text, for the JSON files that chapters read."""

import base64
import zlib

import torch
from torch import Tensor


def pack(pictures: Tensor) -> str:
    """The bytes of uint8 pictures, compressed, in base64."""
    return base64.b64encode(zlib.compress(pictures.numpy().tobytes(), 9)).decode()


def unpack(text: str, *shape: int) -> Tensor:
    """The inverse, for pictures of the shape (C, H, W)."""
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=torch.uint8).view(-1, *shape)
