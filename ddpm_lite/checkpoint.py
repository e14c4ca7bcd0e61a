"""Checkpoints: one .safetensors file for tensors and, in its header, one JSON text for the rest.

No pickle: reading a file that somebody else made cannot run their code.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = "ddpm_lite/1"
"""Written into every file; a file without it is refused."""


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written; the text is one line."""


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes tensors and metadata to `path`: whole, or not at all.

    The file is written beside its place and renamed, so that a full disk or a kill leaves the old
    file as it was. Raises CheckpointError if it cannot be written.
    """
    header = {"format": FORMAT, "json": json.dumps(metadata)}
    whole = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, header)
    write_whole(path, whole)


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file in one step. Raises CheckpointError if it cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another "
            "folder; what was there is still there"
        ) from None


def read(path: Path, only: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors whose names begin with `only`, and the metadata.

    Raises CheckpointError if the file is missing, truncated, or not one of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {
                name: file.get_tensor(name) for name in list(file.keys()) if name.startswith(only)
            }
    except (SafetensorError, OSError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "truncated or foreign"
        raise CheckpointError(f"{path}: not a readable checkpoint ({reason})") from None
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of ddpm_lite")
    metadata: dict[str, Any] = json.loads(header["json"])
    return tensors, metadata


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments, named `index.moment`; settings are not stored, they are given."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": v for i, moments in state.items() for name, v in moments.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; each moment gets its weight's layout in memory."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, moment = name.split(".")
        like = weights[int(index)]
        own = torch.empty_like(like if tensor.shape == like.shape else tensor)
        state.setdefault(int(index), {})[moment] = own.copy_(tensor)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
