"""What a training on colour pictures gave: book/data/colour_run.json, which chapter 11 shows.

CIFAR-10 as picture files in class folders was trained on with the recipe `colour`, and is judged
with its test folder here:

    ddpm-lite train colour --data cifar10/train
    python benchmarks/colour_run.py runs/colour cifar10/test
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from packing import pack

from ddpm_lite.checkpoint import read
from ddpm_lite.data import Images, load
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.evaluate import likelihood
from ddpm_lite.model import DiffusionModel
from ddpm_lite.run import METRICS, WEIGHTS

OUT = Path(__file__).parents[1] / "book" / "data" / "colour_run.json"
DRAWN, JUDGED = 40, 100


def lines_of(metrics: Path) -> list[dict[str, Any]]:
    """The metrics file of a run."""
    return [json.loads(line) for line in metrics.read_text().splitlines()]


def seconds_of(lines: list[dict[str, Any]], batch_size: int) -> float:
    """How long the updates took, from the speed that each line tells.

    A line without one was written before the clock had moved on: its updates took no time.
    """
    steps = [0, *(line["step"] for line in lines)]
    timed = [(n, last) for n, last in zip(lines, steps, strict=False) if n["images_per_second"]]
    return float(sum((n["step"] - last) * batch_size / n["images_per_second"] for n, last in timed))


def bits(model: DiffusionModel, test: Images) -> dict[str, float]:
    """The bound on some test pictures, spread over the classes."""
    some = test.pixels[:: len(test) // JUDGED][:JUDGED]
    found = likelihood(model.schedule, model.labelled(None, "float32"), some, model.config.target)
    return {"n": found.n, "mean": round(found.bits_per_dim, 3), "se": round(found.stderr, 3)}


def main() -> None:
    """Judges the run and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the training")
    parser.add_argument("test", type=Path, help="a folder of test pictures")
    options = parser.parse_args()
    model = DiffusionModel.load(options.run / WEIGHTS)
    settings = read(options.run / WEIGHTS)[1]["train"]
    test, lines = load(options.test, side=model.config.side), lines_of(options.run / METRICS)
    label = balanced_labels(DRAWN, model.config.unet.classes)
    pictures = draw(model, DRAWN, DrawConfig(steps=50, seed=1), label)
    result: dict[str, Any] = {
        "commands": [
            "ddpm-lite train colour --data cifar10/train",
            shlex.join(["python", *sys.argv]),
        ],
        "settings": settings,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds_of(lines, settings["batch_size"])),
        "class_names": test.class_names,
        "bits_per_dim": bits(model, test),
        "metrics": [{key: round(line[key], 4) for key in ("step", "loss")} for line in lines],
        "pictures": pack(pictures),
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print({key: result[key] for key in ("seconds", "bits_per_dim")}, OUT)


if __name__ == "__main__":
    main()
