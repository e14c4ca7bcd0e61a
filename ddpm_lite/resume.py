"""What a checkpoint of a training holds: read and checked as a whole before any of it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig, check_floats, checked_weights
from ddpm_lite.unet import UNet

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW remembers of each weight."""


@dataclass(frozen=True)
class Wanted:
    """What a checkpoint must fit to be gone on from."""

    net: UNet
    model: ModelConfig
    images: Images
    batch_size: int
    """Images an update, over all processes."""


@dataclass(frozen=True)
class SavedTraining:
    """A training as its checkpoint holds it."""

    step: int
    """Updates so far."""
    options: Mapping[str, Any]
    """Its `TrainConfig`."""
    earlier: Sequence[Mapping[str, Any]]
    """Other options that it had before: each `train`, and the step `until` which it had them."""
    start: Mapping[str, str]
    """The file and the SHA-256 of the model that it began with; nothing if that was random."""
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    """The optimizer's; none before the first step."""
    epoch: Tensor
    """The random state that the epoch's order was drawn from."""
    seen: int
    """Images of the epoch that all processes together have gone through."""


def read_training(path: Path, wanted: Wanted) -> SavedTraining:
    """A training's checkpoint. Raises CheckpointError if it is unreadable or fits not in all."""
    tensors, metadata = read(path)
    _check_metadata(path, metadata, wanted)
    weights, average, moments, batches = (
        _under(tensors, prefix) for prefix in ("model.", "ema.", "optimizer.", "batches.")
    )
    step: int = metadata["step"]
    if not (weights and average and batches) or (step > 0 and not moments):
        raise CheckpointError(f"{path}: holds weights only, not a training to resume")
    check_floats(moments, path)
    try:
        _check_moments(moments, wanted.net)
        epoch, seen = _place(batches, wanted)
        torch.Generator().set_state(epoch.clone())
    except (KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be resumed: {reason}") from None
    return SavedTraining(
        step=step,
        options=metadata["train"],
        earlier=metadata.get("earlier", []),
        start=metadata.get("start", {}),
        weights=checked_weights(wanted.net, weights, path),
        average=checked_weights(wanted.net, average, path),
        moments=moments,
        epoch=epoch,
        seen=seen,
    )


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_metadata(path: Path, metadata: Mapping[str, Any], wanted: Wanted) -> None:
    if metadata.get("class_names") != list(wanted.images.class_names):
        raise CheckpointError(f"{path}: was trained on other data; resume it with the same")
    if _model(metadata) != ModelConfig.from_dict(wanted.model.to_dict()):
        raise CheckpointError(
            f"{path}: holds a model of another configuration; resume it with its own"
        )
    _check_data(path, metadata, wanted.images)
    if "train" not in metadata or metadata.get("step", -1) < 0:
        raise CheckpointError(f"{path}: does not say how it was trained, or for how many steps")


def _model(metadata: Mapping[str, Any]) -> ModelConfig | None:
    """The configuration in a checkpoint, which may be older than some of its fields."""
    try:
        return ModelConfig.from_dict(metadata["model"])
    except (KeyError, ValueError):
        return None


def _check_data(path: Path, metadata: Mapping[str, Any], images: Images) -> None:
    """Refuses other pictures, as far as can be told: older checkpoints hold no digest."""
    stored = metadata.get("data")
    if not isinstance(stored, dict) or stored.get("images") != len(images):
        return  # another number of images is told with the place among them
    if stored.get("sha256") != images.digest:
        raise CheckpointError(
            f"{path}: was trained on as many other images: pixels or labels differ; resume it with "
            "its own (and the same Pillow, if they are photographs), or choose another --folder"
        )


def _check_moments(moments: Mapping[str, Tensor], net: UNet) -> None:
    """All of them, each of its weight's shape, or none."""
    shapes = {
        f"{i}.{name}": () if name == "step" else tuple(weight.shape)
        for i, weight in enumerate(net.parameters())
        for name in MOMENTS
    }
    if moments and {name: tuple(v.shape) for name, v in moments.items()} != shapes:
        raise ValueError("the optimizer's moments are not those of this network")
    if not all(bool(v.isfinite().all()) for v in moments.values()):
        raise ValueError("some of the optimizer's moments are not finite")


def _place(batches: Mapping[str, Tensor], wanted: Wanted) -> tuple[Tensor, int]:
    """The epoch's random state, and how many of its images have been seen by all together."""
    position, batch_size, n_images = (int(number) for number in batches["place"])
    if (batch_size, n_images) != (wanted.batch_size, len(wanted.images)):
        raise ValueError(
            f"it goes through {n_images} images in batches of {batch_size}; take that data "
            f"set and that batch size, not {len(wanted.images)} in batches of {wanted.batch_size}"
        )
    if not 0 <= position <= n_images:
        raise ValueError("its place in the data lies outside of the data")
    return batches["generator"], position
