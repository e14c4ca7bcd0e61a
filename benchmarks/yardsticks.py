"""What simple coders need for MNIST's test digits, in bits per dimension (yardsticks.json).

Chapter 10 shows them beside the bound of the shipped model, which is also measured here on a few
digits without and with their label, at the same times and with the same noise.

    python benchmarks/yardsticks.py              # about four minutes of one CPU core
"""

import argparse
import gzip
import json
import lzma
import shlex
import sys
import zlib
from pathlib import Path
from typing import Any

import torch
from packing import pack
from torch import Tensor

from ddpm_lite.data import Images, mnist
from ddpm_lite.diffusion import BoundVariance
from ddpm_lite.evaluate import likelihood
from ddpm_lite.model import DiffusionModel

OUT = Path(__file__).parents[1] / "book" / "data" / "yardsticks.json"
LEVELS, PSEUDO_COUNT = 6, 0.5
"""Grey levels of a neighbour, and what is added to each count (Krichevsky and Trofimov's half)."""
DIGITS, GROUP, DRAWN = 64, 4, 10


def packed(test: Tensor) -> dict[str, float]:
    """Bits per dimension of general programs that pack files, which learn from nothing else."""
    data, pictures = test.numpy().tobytes(), [one.numpy().tobytes() for one in test]
    sizes = {
        "gzip": len(gzip.compress(data, 9)),
        "zlib, each picture alone": sum(len(zlib.compress(one, 9)) for one in pictures),
        "lzma": len(lzma.compress(data, preset=9)),
    }
    return {name: 8 * size / len(data) for name, size in sizes.items()}


def by_place(pixels: Tensor) -> Tensor:
    """The number of each pixel's place, 0 to 783."""
    return torch.arange(pixels[0].numel()).view(pixels[0].shape).expand(pixels.shape)


def by_neighbours(pixels: Tensor) -> Tensor:
    """A number for the levels of the four neighbours that a reader of lines has already seen.

    A neighbour is black (0) or one of five shades; outside of the picture all is black.
    """
    levels = torch.where(pixels == 0, 0, 1 + (pixels.long() - 1) * (LEVELS - 1) // 255)
    framed = torch.nn.functional.pad(levels, (1, 1, 1, 0))
    height, width = pixels.shape[-2:]
    left, above = framed[..., 1:, :width], framed[..., :height, :]
    parts = [left, above[..., :width], above[..., 1 : width + 1], above[..., 2:]]
    context = torch.zeros_like(levels)
    for part in parts:
        context = LEVELS * context + part
    return context


def counted(keys: Tensor, pixels: Tensor, rows: int) -> Tensor:
    """How often each grey level occurs in each context, as shares, (rows, 256), float64."""
    spots = 256 * keys.flatten() + pixels.flatten().long()
    counts = torch.bincount(spots, minlength=256 * rows).double().view(rows, 256) + PSEUDO_COUNT
    return counts / counts.sum(1, keepdim=True)


def bits(shares: Tensor, keys: Tensor, pixels: Tensor) -> float:
    """Bits per dimension of pixels, each looked up in the row of its context."""
    return float(-shares[keys.flatten(), pixels.flatten().long()].log2().mean())


def drawn(shares: Tensor, n: int, seed: int = 0) -> Tensor:
    """Pictures drawn pixel by pixel from the shares over four neighbours, uint8 (n, 1, 28, 28)."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.zeros(n, 1, 28, 28, dtype=torch.uint8)
    for row in range(28):
        for column in range(28):
            context = by_neighbours(pictures)[:, 0, row, column]
            level = torch.multinomial(shares[context], 1, generator=generator)
            pictures[:, 0, row, column] = level[:, 0].to(torch.uint8)
    return pictures


def bound(model: DiffusionModel, digits: Images) -> dict[str, Any]:
    """The model's bound on the same digits without and with their label, and what that gains.

    `fixed` is that without it, with beta_tilde_t in the place of the variances that the network
    says. Times and noise are the same for all; the error of the gain comes from groups of digits.
    """
    found: dict[str, list[float]] = {"without": [], "with": [], "fixed": []}
    for start in range(0, len(digits), GROUP):
        pixels, labels = (x[start : start + GROUP] for x in (digits.pixels, digits.labels))
        own = model.bound_variance
        ways: list[tuple[str, Tensor | None, BoundVariance]] = [
            ("without", None, own),
            ("with", labels, own),
            ("fixed", None, "posterior"),
        ]
        for name, label, variance in ways:
            network, target = model.labelled(label, "float32"), model.config.target
            measured = likelihood(model.schedule, network, pixels, target, variance, seed=start)
            found[name].append(measured.bits_per_dim)
    gains = torch.tensor(found["without"]) - torch.tensor(found["with"])
    means = {name: round(sum(values) / len(values), 4) for name, values in found.items()}
    error = round(float(gains.std() / len(gains) ** 0.5), 4)
    return {"n": len(digits), **means, "gain": round(float(gains.mean()), 4), "gain_se": error}


def main() -> None:
    """Measures all and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="mnist", help="one that ships, or a checkpoint")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    train, test = mnist(), mnist(train=False)
    coders = packed(test.pixels)
    by_pixel = counted(by_place(train.pixels), train.pixels, 784)
    coders["a histogram for each place"] = bits(by_pixel, by_place(test.pixels), test.pixels)
    shares = counted(by_neighbours(train.pixels), train.pixels, LEVELS**4)
    keys = by_neighbours(test.pixels)
    coders["a table over four neighbours"] = bits(shares, keys, test.pixels)
    coders = {name: round(value, 4) for name, value in coders.items()}
    print(coders, flush=True)
    model = DiffusionModel.load(options.model)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "pictures": len(test),
        "neighbour_levels": LEVELS,
        "pseudo_count": PSEUDO_COUNT,
        "coders": coders,
        "drawn_by_neighbours": pack(drawn(shares, DRAWN)),
        "model": bound(model, test.subset(DIGITS)),
        "torch": torch.__version__,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(result["model"], options.out)


if __name__ == "__main__":
    main()
