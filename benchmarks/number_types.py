"""Whether this processor is faster in bfloat16 or in float32: what `auto` should choose.

    OMP_NUM_THREADS=1 python benchmarks/number_types.py

trains the networks of both shipped models on random pictures and draws with the shipped weights, in
turns in one process. Seconds are the process's own clock. The last line is JSON.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from processor import abilities, processor_name

from ddpm_lite.data import Images
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.model import DiffusionModel, NumberType, number_type
from ddpm_lite.train import TrainConfig, Trainer

TYPES: tuple[NumberType, ...] = ("bfloat16", "float32")
ROUNDS = 5
STEPS = 10
DRAW = DrawConfig(sampler="dpm_solver", steps=5, guidance_scale=2.0)


def training(model: DiffusionModel, kind: NumberType) -> Callable[[], object]:
    """STEPS updates of a network of the model's shape, with its weights as they come."""
    pixels = torch.randint(0, 256, (256, *model.config.image_shape), dtype=torch.uint8)
    images = Images(pixels, torch.arange(256) % 10, tuple(map(str, range(10))))
    config = TrainConfig(steps=10_000, precision=kind)
    steps: Iterator[object] = Trainer(model.config, config, images, "cpu").steps()
    return lambda: [next(steps) for _ in range(STEPS)]


def drawing(model: DiffusionModel, kind: NumberType) -> Callable[[], object]:
    """64 pictures in five steps, with guidance."""
    return lambda: draw(model, 64, replace(DRAW, precision=kind))


def compare(works: dict[NumberType, Callable[[], object]]) -> dict[str, Any]:
    """The median seconds of each, and how many times as fast bfloat16 is, with the range."""
    for work in works.values():
        work()
    rounds = [{kind: _seconds(work) for kind, work in works.items()} for _ in range(ROUNDS)]
    ratios = [row["float32"] / row["bfloat16"] for row in rounds]
    row: dict[str, Any] = {k: round(statistics.median(r[k] for r in rounds), 2) for k in works}
    row["bfloat16_times_as_fast"] = round(statistics.median(ratios), 2)
    return row | {"range": [round(value, 2) for value in (min(ratios), max(ratios))]}


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Trains and draws with both models."""
    rows = {}
    for name in ("mnist", "cifar10"):
        model = DiffusionModel.load(name)
        for told, make in (("training", training), ("drawing", drawing)):
            rows[f"{name}, {told}"] = compare({kind: make(model, kind) for kind in TYPES})
            print(f"{name}, {told}", rows[f"{name}, {told}"], flush=True)
    names = [name for name in ("amx_bf16", "avx512_bf16") if abilities().get(name)]
    auto = number_type(torch.device("cpu"))
    print(json.dumps({"processor": processor_name(), "has": names, "auto": auto, "rows": rows}))


if __name__ == "__main__":
    main()
