"""A training that begins with the weights of a model, not with random ones: fine-tuning."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ddpm_lite.checkpoint import CheckpointError
from ddpm_lite.model import DiffusionModel, checked_weights
from ddpm_lite.shipped import model_path
from ddpm_lite.train import Trainer

LABELS = "embed.label.weight"
"""(classes + 1, width): a row for each class, and a last one for "none"."""

BEFORE = "embed.mlp.2.bias"
"""(width): what such a row is added to."""

HEAD = ("head.weight", "head.bias")
"""(C patch^2, ...): what says the target, and behind it, if it is learned, the variance."""


def begin_with(trainer: Trainer, model: Path | str) -> None:
    """Gives the network and its running average the weights of a model, by its name or its file.

    If the classes have other names, each of them begins as what the model draws without a label; a
    variance that the model has not learned begins as in a new network. The training remembers the
    file's SHA-256. Raises CheckpointError if the file is unreadable or holds a network of another
    shape, and ValueError if the training has begun.
    """
    if trainer.step:
        raise ValueError(f"the training has begun: it is at step {trainer.step}")
    path, unet = model_path(model), trainer.model_config.unet
    given = DiffusionModel.load(path)
    if not unet.learned_variance:
        given = given.without_variance()
    weights, own = dict(given.net.state_dict()), trainer.net.state_dict()
    if given.class_names != trainer.batches.images.class_names[: unet.classes]:
        _forget_labels(weights, own)
    _add_variance(weights, own)
    weights = checked_weights(trainer.net, weights, path)
    trainer.net.load_state_dict(weights)
    trainer.average.load_state_dict(weights)
    trainer.start = {"file": path.name, "sha256": _digest(path)}


def _forget_labels(weights: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Every label of the new network says what "none" said."""
    none = weights.pop(LABELS)[-1] if LABELS in weights else torch.zeros_like(weights[BEFORE])
    if LABELS in own:
        weights[LABELS] = none.expand(len(own[LABELS]), -1)  # (width) to (classes + 1, width)
    else:
        weights[BEFORE] = weights[BEFORE] + none


def _add_variance(weights: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Zeros for the half that says the variance, if it is new."""
    for name in HEAD:
        if len(own[name]) == 2 * len(weights[name]):
            weights[name] = torch.cat([weights[name], torch.zeros_like(weights[name])])


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
