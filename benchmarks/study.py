"""Which small network learns fastest on one core: one short training a variant, same time for all.

Every variant differs from the first in one thing. All get the same time of one core (the process's
own clock, so that other work on the machine costs nothing), the same batches and the same seed, but
for the one that differs in nothing else and shows what chance does. Each is judged as `ddpm-lite
evaluate` judges, without guidance; and by how well it guesses x_0 for test pictures at sixteen log
signal-to-noise ratios, a number that means the same for every target, weight and law of times.

    OMP_NUM_THREADS=1 python benchmarks/study.py digits
    OMP_NUM_THREADS=1 python benchmarks/study.py colour --data cifar10/train --test cifar10/test

writes book/data/digits_study.json and book/data/colour_study.json. A variant that is already in the
file is not trained again, so a stopped study goes on, with the same minutes and pictures. A variant
with the first one's network sees as many pictures, so that another machine may go on.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from measuring import command, kind_of
from torch import Tensor

from ddpm_lite.data import Images, load, to_float
from ddpm_lite.diffusion import predict, q_sample
from ddpm_lite.draw import DrawConfig
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS, count_parameters

Changes = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""Of the network, of the model and of the training."""


@dataclass(frozen=True)
class Study:
    """The first variant, and what the others change."""

    model: ModelConfig
    plan: TrainConfig
    data: str
    side: int
    draw: DrawConfig
    drawn: int
    """Pictures that every variant draws."""
    likelihood_images: int
    """Test pictures whose bits/dim are bounded; none if 0."""
    changes: dict[str, Changes]

    def configurations(self, name: str) -> tuple[ModelConfig, TrainConfig]:
        """The model and the training of a variant."""
        unet, model, plan = self.changes[name]
        unet_config = replace(self.model.unet, **unet)
        return replace(self.model, unet=unet_config, **model), replace(self.plan, **plan)


COLOUR = Study(
    ModelConfig(unet=PRESETS["cifar10_small"], side=32, schedule="cosine", target="v"),
    TrainConfig(
        batch_size=64, learning_rate=1.5e-3, ema_decay=0.998, flip=True, cooldown=0.3,
        warmup_steps=100,
    ),
    "cifar10", 32,
    DrawConfig(sampler="dpm_solver", steps=20, guidance_scale=1.0), 1000, 0,
    {
        "base": ({}, {}, {}),
        "another seed": ({}, {}, {"seed": 1}),
        "wide": ({"channels": (64, 128, 128)}, {}, {}),
        "full resolution": (
            {"channels": (24, 48, 64, 96), "attention": (2,), "patch": 1}, {}, {},
        ),
        "no attention at 8x8": ({"attention": ()}, {}, {}),
        "batch 32": ({}, {}, {"batch_size": 32}),
        "eps": ({}, {"target": "eps"}, {}),
        "flow": ({}, {"target": "flow"}, {}),
        "min_snr": ({}, {}, {"weighting": "min_snr"}),
        "twice the rate": ({}, {}, {"learning_rate": 3e-3}),
        "half_log": ({}, {}, {"times": "half_log"}),
        "longer average": ({}, {}, {"ema_decay": 0.9995}),
    },
)  # fmt: skip
"""Of the recipe `cifar10_small`."""

DIGITS = Study(
    ModelConfig(unet=PRESETS["mnist"], side=28, schedule="cosine_fine", target="v"),
    TrainConfig(
        batch_size=64, learning_rate=1e-3, ema_decay=0.998, times="half_log", cooldown=0.3,
        warmup_steps=100,
    ),
    "mnist", 28,
    DrawConfig(sampler="ddim", steps=50, eta=1.0, guidance_scale=1.0), 2000, 200,
    {
        "base": ({}, {}, {}),
        "times evenly": ({}, {}, {"times": "uniform"}),
        "min_snr": ({}, {}, {"weighting": "min_snr"}),
        "bound": ({}, {}, {"weighting": "bound"}),
        "learned variance": ({"learned_variance": True}, {}, {}),
        "full resolution": ({"channels": (32, 64, 96), "patch": 1}, {}, {}),
        "longer average": ({}, {}, {"ema_decay": 0.9995}),
    },
)  # fmt: skip
"""Of the recipe `mnist_long`."""

STUDIES = {"colour": COLOUR, "digits": DIGITS}

LEVELS = 16
JUDGED = 512
"""Test pictures whose x_0 every variant guesses."""

SHOWN = (
    "frechet", "frechet_floor", "label_accuracy", "bits_per_dim", "bits_per_dim_stderr",
)  # fmt: skip


def timed(trainer: Trainer, steps: int) -> float:
    """Seconds of the process's own clock for so many updates."""
    began = time.process_time()
    for _, _ in zip(range(steps), trainer.steps(), strict=False):
        pass
    return time.process_time() - began


def steps_in(minutes: float, model: ModelConfig, train: TrainConfig, images: Images) -> int:
    """How many updates the measured speed allows in so many minutes."""
    trial = Trainer(model, replace(train, steps=10_000), images)
    timed(trial, 3)
    seconds = timed(trial, 10) / 10
    return round(60 * minutes / seconds)


def steps_of(study: Study, name: str, rows: dict[str, Any], images: Images, minutes: float) -> int:
    """Updates of a variant: for the first one's network the same pictures, else as many as fit."""
    model, train = study.configurations(name)
    if "base" in rows and model.unet == study.model.unet:
        return int(rows["base"]["pictures"]) // train.batch_size
    return steps_in(minutes, model, train, images)


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


def studied(
    study: Study, name: str, steps: int, images: Images, test: Images, folder: Path
) -> dict[str, Any]:
    """Trains and judges one variant; its averaged weights are kept in the folder."""
    model, train = study.configurations(name)
    train = replace(train, steps=steps)
    trainer = Trainer(model, train, images)
    seconds = timed(trainer, train.steps)
    trainer.save_weights(folder / f"{name.replace(' ', '_')}.safetensors")
    found = errors(trainer.model(), test.pixels[:: len(test) // JUDGED][:JUDGED])
    bound = LikelihoodConfig(likelihood_images=study.likelihood_images)
    figures = report(trainer.model(), test, study.drawn, study.draw, bound)
    return {
        **{name: figures[name] for name in SHOWN if name in figures},
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
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", help="training pictures, else the recipe's: a name or a folder")
    parser.add_argument("--test", help="test pictures, else the recipe's: a name or a folder")
    parser.add_argument("--minutes", type=float, default=20.0, help="of one core, for a variant")
    parser.add_argument("--only", nargs="+", help="these variants alone")
    options = parser.parse_args()
    study, folder = STUDIES[options.study], Path("runs") / f"{options.study}_study"
    folder.mkdir(parents=True, exist_ok=True)
    out = Path(__file__).parents[1] / "book" / "data" / f"{options.study}_study.json"
    paths = options.data or study.data, options.test or study.data
    same = {"minutes": options.minutes, "data": kind_of(paths[0]), "test": kind_of(paths[1])}
    told: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"rows": {}}
    if told["rows"] and not same.items() <= told.items():
        parser.error(f"{out} holds variants of other minutes or pictures: remove it first")
    told |= {"command": command(), **same}
    images, test = (
        load(path, train, study.side) for path, train in zip(paths, (True, False), strict=True)
    )
    for name in options.only or study.changes:
        if name not in told["rows"]:
            steps = steps_of(study, name, told["rows"], images, options.minutes)
            row = studied(study, name, steps, images, test, folder)
            told["rows"][name] = row
            out.write_text(json.dumps(told, indent=1) + "\n")
            print(name, row, flush=True)


if __name__ == "__main__":
    main()
