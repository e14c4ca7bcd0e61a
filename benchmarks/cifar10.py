"""What the shipped colour model is worth: book/data/cifar10.json, for chapter 11 and the README.

    python benchmarks/cifar10.py cifar10/train cifar10/test

The guidance is chosen on training pictures: the scale at which 1,000 drawn ones are nearest to
10,000 of them, by Frechet distance. Then, with the test pictures: all that `ddpm-lite evaluate`
tells, without guidance and with the chosen one. Last, whether drawn pictures are copies: how far
1,000 of them are from the nearest training picture, beside 1,000 test pictures, which cannot be
copies. What is in the file already is not measured again, so a stopped run goes on.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from packing import pack
from torch import Tensor

from ddpm_lite.data import Images, load
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.judges import find_judge
from ddpm_lite.model import DiffusionModel
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.shipped import MODELS

OUT = Path(__file__).parents[1] / "book" / "data" / "cifar10.json"
SCALES = (1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0)
DRAW = DrawConfig(sampler="dpm_solver", steps=20)
SHOWN = 100
COPY = 0.5
"""A picture is called a copy whose nearest training picture is nearer than this share of the
second nearest."""


def guided(scale: float) -> DrawConfig:
    """How pictures are drawn at a guidance scale."""
    return replace(DRAW, guidance_scale=scale)


def some(images: Images, n: int) -> Images:
    """N of the images at random: a folder's come class by class."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:n]
    return Images(images.pixels[order], images.labels[order], images.class_names)


def sweep(model: DiffusionModel, train: Images, n: int) -> list[dict[str, Any]]:
    """What n pictures from the same noises are worth at each scale, beside training pictures."""
    judge = find_judge(some(train, 10_000))
    assert judge is not None
    labels = balanced_labels(n, len(train.class_names))
    rows = []
    for scale in SCALES:
        found = sample_quality(draw(model, n, guided(scale), labels), labels, 0, judge)
        names = ("frechet", "frechet_floor", "precision", "recall", "label_accuracy")
        rows.append({"scale": scale, **{name: round(getattr(found, name), 4) for name in names}})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def chosen(rows: list[dict[str, Any]]) -> float:
    """The scale with the least Frechet distance to training pictures."""
    return float(min(rows, key=lambda row: row["frechet"])["scale"])


def nearest_two(pixels: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (n, 2) to the two nearest training pictures or mirror images, and which (n, 2).

    A distance is the root of the sum of squares, in grey levels.
    """
    flat = pixels.flatten(1).double()  # (n, C H W); in float32 a copy would be 7 grey levels away
    gaps, places = torch.zeros(len(flat), 0).double(), torch.zeros(len(flat), 0).long()
    for start in range(0, len(train), 5000):
        part = train[start : start + 5000]
        plain, mirrored = (torch.cdist(flat, p.flatten(1).double()) for p in (part, part.flip(-1)))
        own = torch.minimum(plain, mirrored)  # a picture and its mirror image are one
        index = torch.arange(start, start + len(part)).expand(len(pixels), -1)
        gaps, places = torch.cat([gaps, own], 1), torch.cat([places, index], 1)
        gaps, order = gaps.topk(2, largest=False)
        places = places.gather(1, order)
    return gaps, places


def copies(sets: dict[str, Tensor], train: Tensor) -> dict[str, Any]:
    """For each set how near its pictures are to training pictures, and how many are copies."""
    found: dict[str, Any] = {"ratio": COPY}
    for name, pixels in sets.items():
        gaps = nearest_two(pixels, train)[0]
        ratio = gaps[:, 0] / gaps[:, 1]
        found[name] = {
            "n": len(pixels),
            "median": round(float(gaps[:, 0].median()), 1),
            "lowest_2_percent": round(float(gaps[:, 0].quantile(0.02)), 1),
            "least_ratio": round(float(ratio.min()), 3),
            "copies": int((ratio < COPY).sum()),
        }
    return found


def evaluation(model: DiffusionModel, test: Images, scale: float, n: int, bits: int) -> Any:
    """The line of `ddpm-lite evaluate`, without the terms of the bound."""
    figures = report(model, test, n, guided(scale), LikelihoodConfig(likelihood_images=bits))
    return {name: value for name, value in figures.items() if name != "terms"}


def measured(model: DiffusionModel, train: Images, test: Images, n: int) -> None:
    """Measures what the file lacks, and writes it after each part."""
    told: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}

    def part(name: str, measure: Callable[[], Any]) -> Any:
        if name not in told:
            told[name] = measure()
            OUT.write_text(json.dumps(told, indent=1) + "\n")
        return told[name]

    part("command", lambda: shlex.join(["python", *sys.argv]))
    part("class_names", lambda: list(train.class_names))
    scale = part("guidance", lambda: chosen(part("sweep", lambda: sweep(model, train, n // 10))))
    shown = draw(model, max(SHOWN, n // 10), guided(scale))
    part("pictures", lambda: pack(shown[:SHOWN]))
    nearest = train.pixels[nearest_two(shown[:10], train.pixels)[1][:, 0]]
    part("nearest", lambda: pack(nearest))
    sets = {"drawn": shown, "test": some(test, len(shown)).pixels}
    part("copies", lambda: copies(sets, train.pixels))
    part("chosen", lambda: evaluation(model, test, scale, n, 0))
    part("plain", lambda: evaluation(model, test, 1.0, n, max(2, n // 10)))


def main() -> None:
    """Reads the pictures and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", help="training pictures: a named set or a folder")
    parser.add_argument("test", help="test pictures: a named set or a folder")
    parser.add_argument("--model", type=Path, default=MODELS.get("cifar10"))
    parser.add_argument("--n", type=int, default=10_000, help="pictures of an evaluation")
    options = parser.parse_args()
    model = DiffusionModel.load(options.model)
    side, channels = model.config.side, model.config.unet.image_channels
    train = load(options.train, True, side, channels)
    measured(model, train, load(options.test, False, side, channels), options.n)


if __name__ == "__main__":
    main()
