"""Where on the way guidance helps, and what guides: the numbers of chapter 13 (guidance.json).

Digits of the shipped model in ten steps of DPM-Solver++(2M), all from the same noises. Guidance
moves the network's guess away from that of a weaker one: either itself without the label, at all
times or only in a part of them, or a small network with the label, trained here for a few minutes.

    python benchmarks/guidance.py              # about half an hour of one busy CPU core
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import torch
from sampling_quality import features, jackknife, share_error
from torch import Tensor

from ddpm_lite.data import mnist, to_uint8
from ddpm_lite.diffusion import Model
from ddpm_lite.draw import balanced_labels
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.frechet import frechet_distance
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.sample import Denoiser, denoiser, dpm_solver, initial_noise, last
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS

OUT = Path(__file__).parents[1] / "book" / "data" / "guidance.json"
STEPS, BATCH = 10, 100
HIGH, LOW = 2.5, 0.4
"""The noise over the signal, sigma, that parts the way in three."""

Where = Literal["nowhere", "everywhere", "much noise", "middle", "little noise"]
Guide = Literal["no label", "small network"]
SETTINGS: list[tuple[Guide, Where, float]] = [
    ("no label", "nowhere", 1.0),
    ("no label", "everywhere", 1.3),
    ("no label", "everywhere", 2.0),
    ("no label", "much noise", 2.0),
    ("no label", "middle", 2.0),
    ("no label", "little noise", 2.0),
    ("small network", "everywhere", 1.3),
    ("small network", "everywhere", 2.0),
]


def inside(schedule: NoiseSchedule, t: int, where: Where) -> bool:
    """Whether guidance acts at time t."""
    sigma = float(schedule.snr[t - 1]) ** -0.5
    part = "much noise" if sigma > HIGH else "middle" if sigma > LOW else "little noise"
    return where == "everywhere" or where == part


def guided(
    schedule: NoiseSchedule, model: Model, weaker: Model, where: Where, scale: float
) -> Denoiser:
    """The denoiser of a network that says `v`, guided away from the weaker one at some times."""
    plain = denoiser(schedule, model, "v")
    moved = denoiser(schedule, model, "v", weaker, scale)
    return lambda x, t: (moved if inside(schedule, t, where) else plain)(x, t)


def small_network(shipped: ModelConfig, steps: int) -> DiffusionModel:
    """The `tiny` network with the same schedule and target, trained for a few steps."""
    config = ModelConfig(PRESETS["tiny"], schedule=shipped.schedule, target=shipped.target)
    plan = TrainConfig(steps=steps, learning_rate=2e-3, warmup_steps=20, ema_decay=0.98)
    trainer = Trainer(config, plan, mnist())
    for state in trainer.steps():
        if state.step % 50 == 0:
            print(state.step, state.loss, file=sys.stderr, flush=True)
    return trainer.model()


def drawn(shipped: DiffusionModel, small: DiffusionModel, setting: Any, n: int) -> Tensor:
    """n digits, uint8, every class equally often; the noises are the same for each setting."""
    guide, where, scale = setting
    batches = []
    for seed in range(n // BATCH):
        labels = balanced_labels(BATCH, 10)
        weaker = shipped.labelled(None) if guide == "no label" else small.labelled(labels)
        denoise = guided(shipped.schedule, shipped.labelled(labels), weaker, where, scale)
        start = initial_noise((BATCH, *shipped.config.image_shape), seed)
        batches.append(to_uint8(last(dpm_solver(denoise, shipped.schedule, start, STEPS))))
    return torch.cat(batches)


def judged(images: Tensor, reference: Tensor) -> dict[str, Any]:
    """One row: how real the digits are, and how varied."""
    labels = torch.arange(BATCH).remainder(10).repeat(len(images) // BATCH)
    found = sample_quality(images, labels)
    assert found.label_accuracy is not None
    assert found.precision is not None
    assert found.recall is not None
    error = jackknife(lambda rows: frechet_distance(rows, reference), features(images))
    return {
        "frechet": round(found.frechet, 2),
        "frechet_se": round(error, 2),
        "floor": round(found.frechet_floor, 2),
        "precision": round(found.precision, 3),
        "recall": round(found.recall, 3),
        "share_se": round(share_error(found.recall, found.n), 3),
        "label_accuracy": round(found.label_accuracy, 3),
    }


def main() -> None:
    """Measures all and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=500, help="digits a setting, a multiple of 100")
    parser.add_argument("--small-steps", type=int, default=200, help="of training the small one")
    parser.add_argument("--model", default="mnist", help="one that ships, or a checkpoint")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shipped = DiffusionModel.load(options.model).without_variance()
    small = small_network(shipped.config, options.small_steps)
    reference = features(mnist(train=False).pixels)
    rows = []
    for setting in SETTINGS:
        found = judged(drawn(shipped, small, setting, options.n), reference)
        guide, where, scale = setting
        rows.append({"guide": guide, "where": where, "scale": scale, **found})
        print(rows[-1], file=sys.stderr, flush=True)
    head = {"command": shlex.join(["python", *sys.argv]), "n": options.n, "steps": STEPS}
    head |= {"high": HIGH, "low": LOW, "small_steps": options.small_steps}
    head["small_alone"] = judged(drawn(small, small, SETTINGS[0], options.n), reference)
    options.out.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
