"""A small classifier of CIFAR-10's ten things, to judge drawn pictures by.

    python -m ddpm_lite.colour_classifier
    python -m ddpm_lite.colour_classifier --data cifar10/train --test cifar10/test

trains it anew, on CIFAR-10 or on pictures in two folders, prints its accuracy on the test pictures
and writes the file that comes with the package. That one has seen JPEG files.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn
from tqdm import tqdm

from ddpm_lite.checkpoint import read, write
from ddpm_lite.classifier import accuracy, shifted
from ddpm_lite.data import Batches, Images, load, to_float
from ddpm_lite.devices import plain_defaults
from ddpm_lite.model import autocast, load_weights

WEIGHTS = Path(__file__).parent / "assets" / "cifar10_classifier.safetensors"
"""Where the weights lie, in float16."""

WHITE = 24
"""Numbers in which the stem looks at each square of 2x2 pixels: 12, each with both signs."""

WIDTHS = (WHITE, 64, 256, 384)
"""Channels after the stem and after each block."""

FEATURES = WIDTHS[-1]
"""Numbers in the layer before the last."""


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that hands its inputs on until it has learnt."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:inputs])
    return layer


def _norm(width: int) -> nn.BatchNorm2d:
    """Each channel with mean 0 and size 1 over the batch; only the mean is learnt anew."""
    layer = nn.BatchNorm2d(width, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, and half the side after the first: (B, C, H, W) to (B, D, H/2, W/2)."""
    return nn.Sequential(
        _convolution(inputs, outputs), nn.MaxPool2d(2), _norm(outputs), nn.GELU(),
        _convolution(outputs, outputs), _norm(outputs), nn.GELU(),
    )  # fmt: skip


class ColourClassifier(nn.Module):
    """Seven convolutions, 384 features, ten logits.

    Images are floats in [-1, 1] of shape (B, 3, 32, 32). In train mode an image's features depend
    on the other images of the batch. In eval mode they are the mean over its `views`, because a
    thing stays what it is when it is moved a little or seen in a mirror.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WHITE, 2)
        self.blocks = nn.Sequential(
            *(block(inputs, outputs) for inputs, outputs in pairwise(WIDTHS))
        )
        self.head = nn.Linear(WIDTHS[-1], 10, bias=False)

    def features(self, x: Tensor) -> Tensor:
        """The layer before the last, the largest at the last 3x3 places: (B, FEATURES)."""
        if self.training:
            return self._features(x)
        seen = views(x)
        return sum(map(self._features, seen[1:]), self._features(seen[0])) / len(seen)

    def _features(self, x: Tensor) -> Tensor:
        h = self.blocks(F.gelu(self.stem(x)))  # (B, 3, 32, 32) to (B, 24, 31, 31) to (B, 384, 3, 3)
        # a ninth: the last layer has the learning rate of all, which would be too much for it
        return h.amax(dim=(2, 3)) / 9  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the ten classes, (B, 10)."""
        logits: Tensor = self.head(self.features(x))
        return logits


@torch.no_grad()
def whiten(stem: nn.Conv2d, x: Tensor) -> None:
    """Sets and freezes the stem: what it says of squares of 2x2 pixels is uncorrelated, of size 1.

    Neighbouring pixels are nearly equal, so that their few differences, which tell most, would
    otherwise be a small part of all numbers. x are images (B, 3, H, W).
    """
    squares = F.unfold(x, 2).transpose(1, 2).reshape(-1, 12)  # (B (H-1) (W-1), 3 * 2 * 2)
    values, vectors = torch.linalg.eigh(torch.cov(squares.T))  # (12,), and (12, 12) in columns
    rows = (vectors / (values + 1e-4).sqrt()).T.reshape(12, 3, 2, 2)
    stem.weight.copy_(torch.cat([rows, -rows]))  # GELU lets only one sign through
    stem.bias.zero_()  # type: ignore[union-attr]
    stem.requires_grad_(False)


def with_a_hole(x: Tensor, generator: torch.Generator, size: int) -> Tensor:
    """Each image (B, C, H, W) with a grey square of that size somewhere inside (cutout).

    The classifier then cannot rest on one part of a thing alone. Source: DeVries and Taylor 2017.
    """
    count, _, height, width = x.shape
    top = torch.randint(height - size + 1, (count, 1, 1, 1), generator=generator)
    left = torch.randint(width - size + 1, (count, 1, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[:, None] - top, torch.arange(width) - left
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)  # (B, 1, H, W)
    return x.masked_fill(inside, 0.0)


def views(x: Tensor) -> list[Tensor]:
    """Images (B, C, H, W) moved up and left by a pixel, as they are, and moved down and right; each
    also in a mirror. What comes in at a border is what lies inside it.
    """
    height, width = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1), "reflect")  # (B, C, H + 2, W + 2)
    moved = [wide[:, :, k : k + height, k : k + width] for k in (2, 1, 0)]
    return [*moved, *(each.flip(3) for each in moved)]


def load_colour_classifier(path: Path = WEIGHTS) -> ColourClassifier:
    """The trained classifier, in float32, in eval mode, without gradients.

    Raises CheckpointError if the file is missing, damaged or holds something else.
    """
    tensors, _ = read(path)
    with plain_defaults():
        classifier = ColourClassifier()
    load_weights(classifier, tensors, path)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return classifier.eval().requires_grad_(False)


@dataclass(frozen=True)
class Plan:
    """How it is trained: SGD with momentum, in cycles of a learning rate that rises and falls."""

    cycles: tuple[tuple[int, float], ...] = ((30, 0.73), (10, 0.3), (10, 0.3))
    """Epochs and highest learning rate of each. What they end with is averaged, which errs less
    than any of them. Source: Izmailov et al., arXiv:1803.05407."""
    batch_size: int = 500
    bias_rate: float = 64.0
    """The biases learn so many times as fast: they are few, and what they see is of size 1."""
    momentum: float = 0.85
    weight_decay: float = 1.3e-3
    smoothing: float = 0.2
    """Of the labels: this share of the wanted probability is spread over all classes."""
    moved: int = 2
    """Pictures are moved by up to so many pixels."""
    hole: int = 10
    """The side of the grey square in each picture."""
    seed: int = 0


def _groups(classifier: ColourClassifier, plan: Plan, rate: float) -> list[dict[str, Any]]:
    """What learns, with its rate; the decay per step is the same for all."""
    learning = [p for p in classifier.parameters() if p.requires_grad]
    factors = {True: plan.bias_rate, False: 1.0}
    return [
        {
            "params": [p for p in learning if (p.ndim == 1) == bias],
            "lr": factor * rate,
            "weight_decay": plan.weight_decay / factor,
        }
        for bias, factor in factors.items()
    ]


def _seen(images: Images, plan: Plan, seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """So many batches, as a network in training sees them: mirrored, moved, with a hole."""
    random = torch.Generator().manual_seed(seed)
    batches = Batches(images, plan.batch_size, seed=seed, flip=True)
    for x, labels in islice(batches, steps):
        moved = shifted(x, random, plan.moved, border=None)
        yield with_a_hole(moved, random, plan.hole), labels


def _cycle(
    classifier: ColourClassifier, images: Images, plan: Plan, epochs: int, rate: float, seed: int
) -> None:
    """The learning rate rises to `rate` and falls to 0."""
    steps = epochs * len(Batches(images, plan.batch_size))
    optimizer = torch.optim.SGD(
        _groups(classifier, plan, rate), momentum=plan.momentum, nesterov=True
    )
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps,
        pct_start=0.23, div_factor=5, anneal_strategy="linear", cycle_momentum=False,
    )  # fmt: skip
    for x, labels in tqdm(_seen(images, plan, seed, steps), total=steps, disable=None):
        with autocast(x.device, "auto"):
            logits = classifier(x)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=plan.smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()


def train(images: Images, plan: Plan) -> ColourClassifier:
    """A classifier trained on images (N, 3, 32, 32); in eval mode."""
    torch.manual_seed(plan.seed)
    classifier = ColourClassifier().train()
    whiten(classifier.stem, to_float(images.pixels[torch.randperm(len(images))[:5000]]))
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(classifier)
    seeds = range(plan.seed, plan.seed + 100 * len(plan.cycles) + 1, 100)
    for (epochs, rate), seed in zip(plan.cycles, seeds, strict=False):
        _cycle(classifier, images, plan, epochs, rate, seed)
        average.update_parameters(classifier)
    return settled(average, images, plan, seeds[-1])


def settled(average: AveragedModel, images: Images, plan: Plan, seed: int) -> ColourClassifier:
    """The mean of some classifiers, whose norms learn anew what its convolutions give."""
    with autocast(torch.device("cpu"), "auto"):
        update_bn(_seen(images, plan, seed, steps=len(Batches(images, plan.batch_size))), average)
    mean = average.module.eval()
    assert isinstance(mean, ColourClassifier)
    return mean


def save_colour_classifier(classifier: ColourClassifier, path: Path, told: dict[str, Any]) -> None:
    """Writes the weights in float16, and what is told of them.

    Raises CheckpointError if the file cannot be written.
    """
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in classifier.state_dict().items()
    }
    write(path, tensors, {"kind": "cifar10_classifier", **told})


def main() -> None:
    """Trains the classifier, and writes it with the accuracy of what is written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="training pictures: cifar10 or a folder")
    parser.add_argument("--test", default="cifar10", help="test pictures: cifar10 or a folder")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    images, held = load(options.data, train=True), load(options.test, train=False)
    write_judged(train(images, Plan()), held, options.out, options.data)


def write_judged(classifier: ColourClassifier, held: Images, path: Path, data: str) -> None:
    """Writes it with its accuracy on held-out images, which is that of the written weights."""
    save_colour_classifier(classifier, path, {})
    share = accuracy(load_colour_classifier(path), held)
    print(f"{path.name}: {100 * share:.2f} % of the {len(held):,} test pictures right")
    kind = "CIFAR-10" if data == "cifar10" else "JPEG"
    told = {"data": kind, "accuracy": share, "test_pictures": len(held)}
    save_colour_classifier(classifier, path, told)


if __name__ == "__main__":
    main()
