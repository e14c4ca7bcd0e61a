"""Small networks trained with one fault each, and what they draw: book/data/what_goes_wrong.json.

Every run has the same network, batches, times and noise, 500 updates on real MNIST; one thing is
changed. T is 100, the schedule linear and the target the velocity. All draw from the same noise
with all 100 steps of DDIM. `book/08_training.md` shows the losses and the pictures.

    python benchmarks/what_goes_wrong.py              # about fifteen minutes of one CPU core
    python benchmarks/what_goes_wrong.py right fast --out some.json
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from packing import pack
from torch import Tensor

from ddpm_lite.classifier import load_classifier
from ddpm_lite.data import Batches, mnist, to_float, to_uint8
from ddpm_lite.diffusion import q_sample, target_of
from ddpm_lite.model import autocast, number_type
from ddpm_lite.sample import ddim, denoiser, initial_noise, last
from ddpm_lite.schedule import NoiseSchedule, linear
from ddpm_lite.train import TrainConfig, learning_rate_at
from ddpm_lite.unet import PRESETS, UNet

OUT = Path(__file__).parents[1] / "book" / "data" / "what_goes_wrong.json"
T, STEPS, BATCH, DRAWN = 100, 500, 64, 30
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Run:
    """A training and a drawing, with at most one fault."""

    name: str
    learning_rate: float = 3e-3
    unit: bool = False
    """Whether the pictures are in [0, 1] and not in [-1, 1]."""
    scaled: bool = True
    """Whether the betas are multiplied by 1000 / T."""
    seed: int = 0
    """Of the network, the batches and all noise."""


RUNS = [
    Run("right"),
    Run("slow", learning_rate=3e-5),
    Run("fast", learning_rate=0.1),
    Run("unit", unit=True),
    Run("unscaled", scaled=False),
]


def schedule_of(run: Run) -> NoiseSchedule:
    """Linear betas, scaled or as they are for T = 1000; the package refuses the latter."""
    if run.scaled:
        return linear(T)
    with mock.patch("ddpm_lite.schedule.MAX_FINAL_ALPHA_BAR", 1.0):
        return NoiseSchedule(torch.linspace(1e-4, 0.02, T, dtype=torch.float64))


def training(run: Run, net: UNet, steps: int = STEPS) -> Iterator[float]:
    """The loss of each update."""
    schedule, batches = schedule_of(run), Batches(mnist(), BATCH, seed=run.seed)
    rng = torch.Generator().manual_seed(run.seed)
    plan = TrainConfig(steps=STEPS, learning_rate=run.learning_rate, warmup_steps=30, cooldown=0.4)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.0)
    for step, (x_0, label) in enumerate(islice(batches, steps), 1):
        x_0 = (x_0 + 1) / 2 if run.unit else x_0
        t = torch.randint(1, T + 1, (BATCH,), generator=rng)
        eps = torch.randn(x_0.shape, generator=rng)
        x_t = q_sample(schedule, x_0, t, eps).contiguous(memory_format=torch.channels_last)
        with autocast(CPU, "auto"):
            out = net(x_t, t, label)
        loss = (out.float() - target_of(schedule, x_0, t, eps, "v")).square().mean()
        optimizer.param_groups[0]["lr"] = learning_rate_at(plan, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def new_network(seed: int = 0) -> UNet:
    """The same one for each run with this seed."""
    torch.manual_seed(seed)
    net: UNet = UNet(PRESETS["tiny"]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


@torch.inference_mode()
def drawn(run: Run, net: UNet) -> Tensor:
    """Thirty pictures, three of each class, on the scale that the network has learnt."""
    label = torch.arange(DRAWN) % 10

    def told(x_t: Tensor, t: Tensor) -> Tensor:
        with autocast(CPU, "auto"):
            predicted: Tensor = net(x_t, t, label)
        return predicted.float()

    schedule = schedule_of(run)
    noise = initial_noise((DRAWN, 1, 28, 28), run.seed)
    return last(ddim(denoiser(schedule, told, "v"), schedule, noise, T))


def measured(pictures: Tensor) -> dict[str, Any]:
    """Brightness in [0, 1], and the chance that a classifier gives the class that was asked for."""
    label = torch.arange(len(pictures)) % 10
    brightness = pictures.float().flatten(1).mean(1) / 255
    chances = load_classifier()(to_float(pictures)).softmax(1)
    confidence = chances.gather(1, label[:, None])[:, 0]
    found: dict[str, Any] = {"n": len(pictures)}
    for name, values in (("brightness", brightness), ("confidence", confidence)):
        error = values.std().item() / len(values) ** 0.5
        found[name] = {"mean": round(values.mean().item(), 4), "se": round(error, 4)}
    return found


def shown(x_0: Tensor) -> dict[str, Any]:
    """Pictures in [-1, 1] as bytes, and what is measured on them."""
    pictures = to_uint8(x_0)
    return {**measured(pictures), "pictures": pack(pictures)}


def carry_out(runs: list[Run]) -> Iterator[dict[str, Any]]:
    """One row for each run. Pictures in [0, 1] are shown as they are, and mapped to [-1, 1]."""
    for run in runs:
        start, net = time.process_time(), new_network(run.seed)
        losses = list(training(run, net))
        x_0, end = drawn(run, net.eval()), losses[-50:]
        row = {"run": asdict(run), "cpu_seconds": round(time.process_time() - start, 1)}
        row |= {"losses": [round(x, 4) for x in losses]}
        row |= {"last_loss": round(sum(end) / len(end), 4), **shown(x_0)}
        if run.unit:
            row["mapped_back"] = shown(2 * x_0 - 1)
        print(run.name, row["last_loss"], row["confidence"], flush=True)
        yield row


def main() -> None:
    """Runs what is asked for and writes all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", help=f"of {', '.join(r.name for r in RUNS)}; else all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    unknown = set(options.runs) - {run.name for run in RUNS}
    if unknown or (options.runs and options.out == OUT):
        parser.error(f"unknown runs {unknown}" if unknown else "some of the runs only need --out")
    chosen = [
        replace(run, seed=options.seed)
        for run in RUNS
        if not options.runs or run.name in options.runs
    ]
    settings = {"T": T, "steps": STEPS, "batch_size": BATCH, "seed": options.seed}
    settings |= {"network": "tiny", "precision": number_type(CPU)}
    settings |= {"target": "v", "schedule": "linear", "sampler": f"ddim, {T} steps, eta 0"}
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "settings": settings,
        "torch": torch.__version__,
        "rows": list(carry_out(chosen)),
    }
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
