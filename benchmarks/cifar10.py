"""Ships the colour model and says what it is worth.

    ddpm-lite train cifar10_small --data cifar10/train --keep-doublings
    python benchmarks/cifar10.py runs/cifar10_small cifar10/train cifar10/test

The guidance is chosen on training pictures: the scale at which drawn ones are nearest to 10,000 of
them, by Frechet distance. With this wish the averaged weights go into the package, the metrics of
the run beside them, and beside both the evaluation. That is all that `ddpm-lite evaluate` tells
with the test pictures, without guidance and with the chosen one, and whether drawn pictures are
copies: how far they are from the nearest training picture, beside test pictures, which nobody has
drawn. The first pictures go into book/data, for chapter 11. What has been measured is not measured
again, so a stopped run goes on; delete the two JSON files for a new model.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from colour_run import lines_of, seconds_of
from measuring import command, kind_of
from packing import pack
from torch import Tensor

from ddpm_lite.checkpoint import read, write
from ddpm_lite.colour_classifier import WEIGHTS as CLASSIFIER
from ddpm_lite.data import Images, load
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.judges import find_judge
from ddpm_lite.measured import ASSETS
from ddpm_lite.model import DiffusionModel
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.run import METRICS, WEIGHTS

SHIPPED = ASSETS / "cifar10.safetensors"
EVALUATION = ASSETS / "cifar10_evaluation.json"
PICTURES = Path(__file__).parents[1] / "book" / "data" / "cifar10_pictures.json"
SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
DRAW = DrawConfig(sampler="dpm_solver", steps=20)
SWEPT = 500
"""Pictures that are drawn at each scale, and looked at for copies."""
BITS = 1000
"""Test pictures whose bits/dim are bounded."""
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


def nearest_two(pixels: Tensor, train: Tensor) -> Tensor:
    """Distances (n, 2) to the two nearest training pictures, each the nearer of it and its mirror.

    A distance is the root of the sum of squares, in grey levels.
    """
    flat = pixels.flatten(1).double()  # (n, C H W); in float32 a copy would be 7 grey levels away
    gaps = torch.zeros(len(flat), 0).double()
    for part in train.split(5000):
        plain, mirrored = (torch.cdist(flat, p.flatten(1).double()) for p in (part, part.flip(-1)))
        own = torch.minimum(plain, mirrored)  # a picture and its mirror image are one
        gaps = torch.cat([gaps, own], 1).topk(2, largest=False).values
    return gaps


def copies(sets: dict[str, Tensor], train: Tensor) -> dict[str, Any]:
    """For each set how near its pictures are to training pictures, and how many are copies."""
    found: dict[str, Any] = {"ratio": COPY}
    for name, pixels in sets.items():
        gaps = nearest_two(pixels, train)
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


def ship(run: Path, scale: float) -> DiffusionModel:
    """The averaged weights in float16, with how they want to be drawn with, and the metrics."""
    tensors, told = read(run / WEIGHTS)
    wishes = {"sampler": DRAW.sampler, "steps": DRAW.steps, "guidance_scale": scale}
    write(SHIPPED, {k: v.half() for k, v in tensors.items()}, told | {"draw": wishes})
    shutil.copyfile(run / METRICS, ASSETS / "cifar10_metrics.jsonl")
    return DiffusionModel.load(SHIPPED)


def fingerprint(model: DiffusionModel) -> str:
    """SHA-256 of the weights, whatever else their file says."""
    found = hashlib.sha256()
    for name, value in sorted(model.net.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def training(run: Path) -> dict[str, Any]:
    """What the training has cost: hours of its updates, by the speed that each line tells."""
    told, lines = read(run / WEIGHTS, only="nothing")[1], lines_of(run / METRICS)
    batch = told["train"]["batch_size"]
    hours = round(seconds_of(lines, batch) / 3600, 2)
    return {"steps": told["step"], "pictures": told["step"] * batch, "hours": hours}


class Told:
    """A JSON file that grows part by part; what stands there is not measured again."""

    def __init__(self, path: Path, weights: str) -> None:
        self.path = path
        self.parts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        if self.part("weights", lambda: weights) != weights:
            raise SystemExit(f"{path} is of other weights: remove it first")

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """What the file says, or else what is measured now."""
        if name not in self.parts:
            self.parts[name] = measure()
            self.path.write_text(json.dumps(self.parts, indent=1) + "\n")
        return self.parts[name]


def measured(run: Path, train: Images, test: Images, n: int, about: dict[str, Any]) -> None:
    """Ships the model and measures what the files lack; `about` says of what pictures, and how."""
    model = DiffusionModel.load(run / WEIGHTS)  # in float16, as it is shipped
    told, pictures = (Told(path, fingerprint(model)) for path in (EVALUATION, PICTURES))
    for name in about:
        told.part(name, partial(about.get, name))
    told.part("swept", lambda: SWEPT)
    rows = told.part("sweep", lambda: sweep(model, train, SWEPT))
    scale = told.part("guidance", lambda: chosen(rows))
    ship(run, scale)
    shown = draw(model, SWEPT, guided(scale))
    pictures.part("class_names", lambda: list(train.class_names))
    pictures.part("drawn", lambda: pack(shown[:SHOWN]))
    sets = {"drawn": shown, "test": some(test, len(shown)).pixels}
    told.part("copies", lambda: copies(sets, train.pixels))
    told.part("chosen", lambda: evaluation(model, test, scale, n, 0))
    told.part("plain", lambda: evaluation(model, test, 1.0, n, BITS))


def main() -> None:
    """Reads the pictures and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the ended training")
    parser.add_argument("train", help="training pictures: a named set or a folder")
    parser.add_argument("test", help="test pictures: a named set or a folder")
    parser.add_argument("--n", type=int, default=10_000, help="pictures of an evaluation")
    options = parser.parse_args()
    train, test = load(options.train, True), load(options.test, False)
    about = {
        "command": command(),
        "data": kind_of(options.train),
        "test": kind_of(options.test),
        "training": training(options.run),
        "classifier_accuracy": read(CLASSIFIER, only="nothing")[1]["accuracy"],
    }
    measured(options.run, train, test, options.n, about)


if __name__ == "__main__":
    main()
