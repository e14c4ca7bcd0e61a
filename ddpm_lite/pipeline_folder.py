"""A folder of diffusers' `DDPMPipeline`, read and written without diffusers.

It holds JSON files and one .safetensors file. Other weights are refused: a .bin file is a pickle,
and reading it can run the code of whoever made it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ddpm_lite.checkpoint import CheckpointError, new_folder, read_tensors, read_text, write
from ddpm_lite.export import ExportError
from ddpm_lite.model import DiffusionModel, ModelConfig, check_floats, checked_weights
from ddpm_lite.translation import (
    VERSION,
    Drawing,
    cosines_first,
    model_from,
    scheduler_to,
    short,
    unet_to,
    weights_from,
    weights_to,
)
from ddpm_lite.unet import UNet

CONFIG = "config.json"
SCHEDULER = "scheduler_config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
PIPELINE = "model_index.json"
INDEX: Mapping[str, Any] = {
    "_class_name": "DDPMPipeline",
    "_diffusers_version": VERSION,
    "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
}
"""The pipeline's parts, each in a sub-folder of its name: `PIPELINE`."""


def import_folder(folder: Path, path: Path) -> dict[str, Any]:
    """Writes the network of a folder as a checkpoint of ours; returns its metadata.

    The files lie in `folder` itself or in its sub-folders unet and scheduler. Under "imported" the
    metadata hold the SHA-256 of the weights' file and how the scheduler draws. Raises
    CheckpointError if something is missing, damaged, or would compute something else here, and if
    `path` cannot be written.
    """
    if (folder / PIPELINE).is_file():
        _check_pipeline(folder / PIPELINE)
    network = _place(folder, "unet", CONFIG)
    beside = _place(folder, "scheduler", SCHEDULER)
    unet, scheduler = _json(network / CONFIG), _json(beside / SCHEDULER)
    try:
        config, drawing = model_from(unet, scheduler)
    except ValueError as error:
        raise CheckpointError(f"{folder}: cannot be imported: {error}") from None
    source = _weights_file(network)
    weights = _weights(config, source, cosines_first(unet))
    digest = _digest(source)
    metadata = {
        "model": config.to_dict(),
        "step": 0,
        "imported": {
            "sha256": digest,
            "variance": drawing.variance,
            "clip": drawing.clip,
            "spacing": drawing.spacing,
        },
    }
    write(path, {f"ema.{name}": weight for name, weight in weights.items()}, metadata)
    return metadata


def _place(folder: Path, part: str, name: str) -> Path:
    """Where a part of the pipeline lies: in its sub-folder, or in the folder itself."""
    for place in (folder / part, folder):
        if (place / name).is_file():
            return place
    raise CheckpointError(f"{folder}: holds no {part}/{name} and no {name}")


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_text(path))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: is no JSON: damaged, or of another kind") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: is JSON, but no configuration")
    return values


def _check_pipeline(path: Path) -> None:
    """Raises CheckpointError for parts that draw something else, such as one that decodes."""
    for name, part in _json(path).items():
        wanted = INDEX.get(name)
        if not name.startswith("_") and part not in (wanted, None, [None, None]):
            only = f"only {wanted}" if wanted else "no such part"
            raise CheckpointError(f"{path}: {name[:60]} is {short(part)}; {only} can be read here")


def _weights_file(folder: Path) -> Path:
    path = folder / WEIGHTS
    if (folder / f"{WEIGHTS}.index.json").exists():  # which diffusers then takes, whatever else is
        raise CheckpointError(f"{folder}: weights in several files are not read, only {WEIGHTS}")
    if path.is_file():
        return path
    if list(folder.glob("*.bin")):
        raise CheckpointError(
            f"{folder}: holds no {WEIGHTS}; a .bin file is a pickle, which can run foreign code "
            "and is not read: let diffusers save it anew as safetensors"
        )
    raise CheckpointError(f"{folder}: holds no {WEIGHTS}")


def _weights(config: ModelConfig, path: Path, turned: bool) -> dict[str, Tensor]:
    """The weights of a file of diffusers under our names, float32."""
    theirs, _ = read_tensors(path)
    check_floats(theirs, path)
    try:
        ours = weights_from(config.unet, theirs, turned)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    with torch.device("meta"):  # names and shapes alone, however large they may be said to be
        net = UNet(config.unet)
    return checked_weights(net, ours, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def export_folder(model: DiffusionModel, drawing: Drawing, path: Path) -> int:
    """Writes a new folder that `DDPMPipeline.from_pretrained` opens; returns the bytes of it.

    Raises ExportError for a network that diffusers does not have, and CheckpointError if something
    is there already or it cannot be written.
    """
    try:
        unet, scheduler = unet_to(model.config), scheduler_to(model.config, drawing)
    except ValueError as error:
        raise ExportError(f"cannot be exported to diffusers: {error}") from None
    weights = weights_to(model.config.unet, model.net.state_dict())
    with new_folder(path) as folder:
        _write_json(folder / PIPELINE, INDEX)
        _write_json(folder / "scheduler" / SCHEDULER, scheduler)
        _write_json(folder / "unet" / CONFIG, unet)
        save_file(weights, folder / "unet" / WEIGHTS, {"format": "pt"})
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
