"""What attention, skip connections and the time are worth: the same small U-Net without each.

Every variant is the package's network with one part switched off, trained on MNIST to say the
noise with the same batches, times and noises, and judged by its loss on test digits. Run it from
the root of the repository; it takes a few minutes on one core and writes a JSON file.
"""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lite.data import Batches, Images, mnist, to_float
from ddpm_lite.diffusion import training_loss
from ddpm_lite.schedule import linear
from ddpm_lite.train import TrainConfig, learning_rate_at
from ddpm_lite.unet import Stage, UNet, UNetConfig, count_parameters

NET = UNetConfig(channels=(16, 24, 32), groups=8, heads=4, patch=2)
FIRST = 5
"""Losses of this many first steps are kept: a test computes them again."""


def whole(net: UNet) -> None:
    """The network as it is."""


def without_attention(net: UNet) -> None:
    """Attention passes on what it gets."""
    for stage in net.modules():
        if isinstance(stage, Stage):
            stage.attention = nn.Identity()


def without_skips(net: UNet) -> None:
    """What the way down hands over is replaced by zeros."""
    current = net.config.channels[-1]
    for layer in net.up:
        if isinstance(layer, Stage):
            layer.register_forward_pre_hook(_keep_first(current))
            current = layer.block.conv1.out_channels


def _keep_first(channels: int) -> Callable[..., Any]:
    def hook(module: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, time = inputs
        return torch.cat([x[:, :channels], torch.zeros_like(x[:, channels:])], dim=1), time

    return hook


def without_time(net: UNet) -> None:
    """Every block is told the same, whatever the time."""
    net.embed.register_forward_hook(lambda module, inputs, out: torch.zeros_like(out))


VARIANTS: dict[str, Callable[[UNet], None]] = {
    "whole": whole,
    "no attention": without_attention,
    "no skip connections": without_skips,
    "no time": without_time,
}


def build(variant: str, seed: int) -> UNet:
    """A fresh network with one part switched off."""
    torch.manual_seed(seed)
    net = UNet(NET)
    VARIANTS[variant](net)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train(net: UNet, images: Images, plan: TrainConfig, updates: int) -> list[float]:
    """The losses of the first `updates` updates of a plan; the network is changed."""
    schedule, batches = linear(1000), Batches(images, plan.batch_size, seed=plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, weight_decay=0.0)
    losses = []
    for step in range(1, updates + 1):
        x_0, _ = next(batches)
        t = torch.randint(1, schedule.T + 1, (plan.batch_size,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        loss = training_loss(schedule, net, x_0, t, eps, target="eps").mean()
        optimizer.param_groups[0]["lr"] = learning_rate_at(plan, step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), plan.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def held_out(net: UNet, images: Images, n: int) -> Tensor:
    """The loss of each of n test digits, at times from 1 to T, always with the same noises."""
    schedule, generator = linear(1000), torch.Generator().manual_seed(10)
    losses = []
    for first in range(0, n, 250):
        x_0 = to_float(images.pixels[first : first + 250])
        t = 1 + torch.arange(first, first + len(x_0)) * 999 // (n - 1)
        eps = torch.randn(x_0.shape, generator=generator)
        losses.append(training_loss(schedule, net.eval(), x_0, t, eps, target="eps"))
    return torch.cat(losses)


def mean_and_error(values: Tensor) -> list[float]:
    """Mean and standard error."""
    return [values.mean().item(), values.std().item() / math.sqrt(len(values))]


def measure(seeds: int, plan: TrainConfig, n: int) -> list[dict[str, Any]]:
    """One row a variant; the digits are those of the test set in a fixed random order."""
    training, test, rows = mnist(), mnist(train=False), []
    order = torch.randperm(len(test.pixels), generator=torch.Generator().manual_seed(11))
    test = Images(test.pixels[order], test.labels[order], test.class_names)
    references: list[Tensor] = []
    for name in VARIANTS:
        runs, firsts, began = [], [], time.process_time()
        for seed in range(seeds):
            net = build(name, seed)
            losses = train(net, training, replace(plan, seed=seed), plan.steps)
            firsts.append(losses[:FIRST])
            runs.append(held_out(net, test, n))
            print(f"{name:20} seed {seed}: {runs[-1].mean():.4f}", flush=True)
        references = references or runs
        whole = torch.stack(references).mean(0)
        rows.append(row(name, count_parameters(net), torch.stack(runs), whole))
        rows[-1] |= {"first_losses": firsts, "cpu_seconds": round(time.process_time() - began, 1)}
    return rows


def row(name: str, parameters: int, runs: Tensor, whole: Tensor) -> dict[str, Any]:
    """What is written of one variant: losses (seeds, digits) beside those of the whole network."""
    mean = runs.mean(0)
    return {
        "variant": name,
        "parameters": parameters,
        "loss_of_each_seed": runs.mean(1).tolist(),
        "loss": mean_and_error(mean),
        "loss_by_third_of_t": [mean_and_error(part) for part in mean.chunk(3)],
        "more_than_whole": mean_and_error(mean - whole),
    }


def main(arguments: list[str]) -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="updates of each network")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seeds", type=int, default=2, help="networks of each variant")
    parser.add_argument("--n", type=int, default=1000, help="test digits")
    parser.add_argument("--out", type=Path, default=Path("book/data/unet_ablations.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    plan = TrainConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=20,
    )
    command = shlex.join(["python", "benchmarks/unet_ablations.py", *arguments])
    print(command)
    result = {
        "command": command,
        "network": asdict(NET),
        "target": "eps",
        "schedule": "linear",
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "warmup_steps": plan.warmup_steps,
        "rows": measure(options.seeds, plan, options.n),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
