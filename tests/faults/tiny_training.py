"""A training so small that it is done in seconds, and what it looks like undisturbed."""

import hashlib
from pathlib import Path

import torch
from PIL import Image

from ddpm_lite.cli import with_classes
from ddpm_lite.data import load
from ddpm_lite.options import parse_train
from ddpm_lite.train import Trainer

STEPS = 300


def pictures(folder: Path) -> Path:
    """Thirty-two small pictures of two kinds."""
    for kind, levels in (("dark", (0, 60)), ("bright", (180, 250))):
        (folder / kind).mkdir(parents=True)
        for number in range(16):
            picture = Image.linear_gradient("L").rotate(90 * (number % 4)).resize((8, 8))
            scaled = picture.point(lambda v, a=levels: a[0] + v * (a[1] - a[0]) // 255)
            scaled.save(folder / kind / f"{number}.png")
    return folder


def words(data: Path, folder: Path) -> list[str]:
    """A tiny training, without pictures on the way, that saves as often as it can."""
    return [
        "train", "tiny", "--data", str(data), "--folder", str(folder), "--steps", str(STEPS),
        "--batch-size", "8", "--precision", "float32", "--channels", "8", "8", "--groups", "4",
        "--side", "8", "--save-minutes", "0", "--picture-steps", str(10**9),
    ]  # fmt: skip


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """One number for all tensors of a checkpoint."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def undisturbed(data: Path, at: Path) -> list[str]:
    """The digest of every step's checkpoint, from step 0; the last one is left in a file."""
    config = parse_train(words(data, at.parent)[1:])
    images = load(config.data, True, 8, 1)
    trainer = Trainer(with_classes(config.model, images), config.train, images, "cpu")
    digests = [""]
    for _ in trainer.steps():
        digests.append(digest(trainer._tensors()))
    trainer.save_weights(at)
    return digests
