"""What the ten-minute training on digits in colour gave, for chapter 11.

    ddpm-lite train coloured_mnist
    python benchmarks/colour_run.py runs/coloured_mnist coloured_mnist

writes book/data/coloured_mnist_run.json. It is drawn from and judged as `ddpm-lite evaluate` does,
without guidance and with a little.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from packing import pack

from ddpm_lite.checkpoint import read
from ddpm_lite.data import Images, load
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.model import DiffusionModel
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.run import METRICS, WEIGHTS

OUT = Path(__file__).parents[1] / "book" / "data"
DRAWN = 40
GUIDANCE = (1.0, 1.3)


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


def evaluations(model: DiffusionModel, real: Images, n: int) -> list[dict[str, Any]]:
    """The figures of `ddpm-lite evaluate` at each guidance; the bound, which has none, once."""
    found: list[dict[str, Any]] = []
    for scale in GUIDANCE:
        bound = LikelihoodConfig(likelihood_images=0 if found else 200)
        config = DrawConfig(sampler="dpm_solver", steps=20, guidance_scale=scale)
        figures = report(model, real, n, config, bound)
        found.append({name: value for name, value in figures.items() if name != "terms"})
    return found


def told(run: Path, data: str, n: int) -> dict[str, Any]:
    """All that the chapter shows of a run."""
    model = DiffusionModel.load(run / WEIGHTS)
    settings = read(run / WEIGHTS)[1]["train"]
    channels = model.config.unet.image_channels
    real, lines = load(data, False, model.config.side, channels), lines_of(run / METRICS)
    label = balanced_labels(DRAWN, model.config.unet.classes)
    return {
        "commands": [f"ddpm-lite train {run.name}", shlex.join(["python", *sys.argv])],
        "settings": settings,
        "seconds": round(seconds_of(lines, settings["batch_size"])),
        "class_names": real.class_names,
        "evaluations": evaluations(model, real, n),
        "metrics": [{key: round(line[key], 4) for key in ("step", "loss")} for line in lines],
        "pictures": pack(draw(model, DRAWN, DrawConfig(steps=50, seed=1), label)),
    }


def main() -> None:
    """Judges the run and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the training, named as its recipe")
    parser.add_argument("data", help="test pictures: a named set or a folder")
    parser.add_argument("--n", type=int, default=1000, help="pictures to draw and judge")
    options = parser.parse_args()
    result = told(options.run, options.data, options.n)
    out = OUT / f"{options.run.name}_run.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print({key: result[key] for key in ("seconds", "evaluations")}, out)


if __name__ == "__main__":
    main()
