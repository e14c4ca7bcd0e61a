"""What `ddpm_lite` uses of safetensors, for a machine that has torch and not that package.

A .safetensors file is eight bytes that hold the length of a header, the header in JSON, and the
bytes of the tensors (https://huggingface.co/docs/safetensors, "Format"). What is written here can
be read with the package, and the other way round.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""The format's names for types of numbers."""
TYPES = {name: dtype for dtype, name in NAMES.items()}


class SafetensorError(Exception):
    """Never raised here; whoever reads our files asks for it."""


def save_file(tensors: Mapping[str, Tensor], path: Path | str, metadata: Mapping[str, str]) -> None:
    """Writes contiguous tensors on the CPU; those of wide numbers first, so that none is askew."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    end = 0
    for name in names:
        tensor = tensors[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        place = {"shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name] = {"dtype": NAMES[tensor.dtype], **place}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with Path(path).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(tensors[name].reshape(-1).view(torch.uint8).numpy().data)


class Reader:
    """An open file, as `safetensors.safe_open` gives it."""

    def __init__(self, path: str, framework: str) -> None:
        assert framework == "pt"
        self.file = Path(path).open("rb")  # noqa: SIM115, as __exit__ closes it
        (length,) = struct.unpack("<Q", self.file.read(8))
        self.header: dict[str, Any] = json.loads(self.file.read(length))
        self.texts: dict[str, str] = self.header.pop("__metadata__", {})
        self.begin = 8 + length

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def metadata(self) -> dict[str, str]:
        return self.texts

    def keys(self) -> list[str]:
        return list(self.header)

    def get_tensor(self, name: str) -> Tensor:
        entry = self.header[name]
        begin, end = entry["data_offsets"]
        self.file.seek(self.begin + begin)
        content = bytearray(self.file.read(end - begin))
        return torch.frombuffer(content, dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
