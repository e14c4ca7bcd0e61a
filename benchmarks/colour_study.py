"""Which small network learns CIFAR-10 fastest on one core: one short training a variant.

Every variant differs from the first in one thing. All get the same time of one core (the process's
own clock, so that other work on the machine costs nothing), the same batches and the same seeds,
and each is judged by what its averaged weights draw without guidance, and by how well they guess
x_0 for held-out pictures at sixteen log signal-to-noise ratios: a number that means the same for
every target, weight and law of times.

    OMP_NUM_THREADS=1 python benchmarks/colour_study.py cifar10/train cifar10/test --minutes 20

A variant that is already in the output file is not trained again, so a stopped study goes on.
"""

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.data import Images, load, to_float
from ddpm_lite.diffusion import predict, q_sample
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.judges import Judge, find_judge
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS, count_parameters

NET = PRESETS["cifar10_small"]
MODEL = ModelConfig(unet=NET, side=32, schedule="cosine", target="v")
PLAN = TrainConfig(
    batch_size=64, learning_rate=1e-3, ema_decay=0.998, flip=True, cooldown=0.3, warmup_steps=100
)

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "base": ({}, {}, {}),
    "narrow": ({"channels": (48, 64, 96)}, {}, {}),
    "wide": ({"channels": (96, 160, 192)}, {}, {}),
    "full resolution": (
        {"channels": (32, 64, 128, 128), "attention": (2,), "patch": 1}, {}, {},
    ),
    "no attention at 8x8": ({"attention": ()}, {}, {}),
    "eps": ({}, {"target": "eps"}, {}),
    "min_snr": ({}, {}, {"weighting": "min_snr"}),
    "half_log": ({}, {}, {"times": "half_log"}),
    "twice the rate": ({}, {}, {"learning_rate": 2e-3}),
    "batch 32": ({}, {}, {"batch_size": 32}),
    "longer average": ({}, {}, {"ema_decay": 0.9995}),
}  # fmt: skip
"""Changes of the network, of the model and of the training."""

LEVELS = 16
JUDGED = 512
"""Test pictures whose x_0 every variant guesses."""

DRAWN = 1000
"""Pictures that every variant draws."""

DRAW = DrawConfig(sampler="dpm_solver", steps=20, guidance_scale=1.0)


def configurations(name: str) -> tuple[ModelConfig, TrainConfig]:
    """The model and the training of a variant."""
    unet, model, train = VARIANTS[name]
    return replace(MODEL, unet=replace(NET, **unet), **model), replace(PLAN, **train)


def timed(trainer: Trainer, steps: int) -> float:
    """Seconds of the process's own clock for so many updates."""
    began = time.process_time()
    for _, _ in zip(range(steps), trainer.steps(), strict=False):
        pass
    return time.process_time() - began


def plan_of(model: ModelConfig, train: TrainConfig, images: Images, minutes: float) -> TrainConfig:
    """The training that takes so many minutes: as many updates as the measured speed allows."""
    trial = Trainer(model, replace(train, steps=10_000), images)
    timed(trial, 3)
    seconds = timed(trial, 10) / 10
    return replace(train, steps=round(60 * minutes / seconds))


@torch.no_grad()
def errors(model: DiffusionModel, pixels: Tensor) -> list[float]:
    """Mean squared error of the guess of x_0 a dimension, at LEVELS times evenly spaced in log SNR.

    pixels are uint8 (n, C, H, W); the noises are the same for every model.
    """
    log_snr = model.schedule.snr.log()  # (T,)
    wanted = torch.linspace(6.0, -6.0, LEVELS, dtype=log_snr.dtype)
    times = [1 + int((log_snr - level).abs().argmin()) for level in wanted]
    return [_error(model, pixels, t, seed) for seed, t in enumerate(times)]


def _error(model: DiffusionModel, pixels: Tensor, t: int, seed: int) -> float:
    generator, total = torch.Generator().manual_seed(seed), 0.0
    for part in pixels.split(128):
        x_0 = to_float(part)
        eps = torch.randn(x_0.shape, generator=generator)
        x_t = q_sample(model.schedule, x_0, t, eps)
        times = torch.full((len(x_0),), t)
        out = model(x_t, times)
        guess = predict(model.schedule, out, x_t, times, model.config.target).x_0
        total += (guess - x_0).square().mean(dim=(1, 2, 3)).sum().item()
    return total / len(pixels)


def drawn(model: DiffusionModel, judge: Judge) -> dict[str, Any]:
    """What pictures are worth that are drawn without guidance."""
    labels = balanced_labels(DRAWN, model.config.unet.classes)
    found = sample_quality(draw(model, DRAWN, DRAW, labels), labels, 0, judge)
    assert found.label_accuracy is not None
    return {
        "frechet": round(found.frechet, 2),
        "frechet_floor": round(found.frechet_floor, 2),
        "label_accuracy": round(found.label_accuracy, 3),
    }


def study(name: str, images: Images, test: Images, minutes: float, folder: Path) -> dict[str, Any]:
    """Trains and judges one variant; its averaged weights are kept in the folder."""
    model, train = configurations(name)
    train = plan_of(model, train, images, minutes)
    trainer = Trainer(model, train, images)
    seconds = timed(trainer, train.steps)
    trainer.save_weights(folder / f"{name.replace(' ', '_')}.safetensors")
    found = errors(trainer.model(), test.pixels[:: len(test) // JUDGED][:JUDGED])
    judge = find_judge(test)
    assert judge is not None
    return {
        **drawn(trainer.model(), judge),
        "parameters": count_parameters(trainer.net),
        "steps": train.steps,
        "pictures": train.steps * train.batch_size,
        "core_minutes": round(seconds / 60, 2),
        "x_0_errors": [round(e, 6) for e in found],
        "mean_log_error": round(sum(torch.tensor(found).log().tolist()) / LEVELS, 4),
        "train": asdict(train),
    }


def main() -> None:
    """Trains what is missing, one variant after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path, help="a folder of training pictures, a class a folder")
    parser.add_argument("test", type=Path, help="a folder of test pictures")
    parser.add_argument("--minutes", type=float, default=20.0, help="of one core, for a variant")
    parser.add_argument("--folder", type=Path, default=Path("runs/colour_study"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    out = Path(__file__).parents[1] / "book" / "data" / "colour_study.json"
    told: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"rows": {}}
    told |= {"command": shlex.join(["python", *sys.argv]), "minutes": options.minutes}
    images, test = load(options.train, side=32), load(options.test, side=32)
    for name in VARIANTS:
        if name not in told["rows"]:
            told["rows"][name] = study(name, images, test, options.minutes, options.folder)
            out.write_text(json.dumps(told, indent=1) + "\n")
            print(name, told["rows"][name], flush=True)


if __name__ == "__main__":
    main()
