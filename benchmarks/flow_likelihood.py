"""The exact likelihood of the shipped model by its flow, beside the bound of its chain.

On the angle's clock, alpha_bar = cos^2(theta), the velocity that the network says is the speed of
the probability flow (chapter 12). A noised digit x_1 is carried to x_T, and along the way its log
density changes by the flow's divergence, estimated with one random sign for each pixel (Hutchinson,
1989). The chain's first term L_0, from x_1 to grey levels, is used as it is, with the variance that
the network says; in all

    -log P(x_0) <= L_0 - log p(x_1) - H,    H the entropy of q(x_1 | x_0),

where p(x_1) is exact but for the solver's steps, whose size is halved to see how much they matter.
The chain's bound is taken with the variances that the network says, and with beta_tilde_t in all
steps but the last.

    python benchmarks/flow_likelihood.py       # about ten minutes of one CPU core
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.data import mnist, to_float
from ddpm_lite.diffusion import bits_per_dim, bound_term, q_sample
from ddpm_lite.evaluate import likelihood
from ddpm_lite.model import DiffusionModel
from ddpm_lite.schedule import NoiseSchedule

OUT = Path(__file__).parents[1] / "book" / "data" / "flow_likelihood.json"
STEP = 0.1
"""How far a step goes on the clock log tan(theta / 2)."""
GROUP, CHECKED = 4, 4
"""Digits at a time, and how many groups are measured again with half the step."""

Speed = Callable[[Tensor, int], Tensor]
"""(x_t, t) to the flow's dx / d theta, of the same shape; PyTorch can differentiate it."""


def angles(schedule: NoiseSchedule) -> Tensor:
    """theta_t, shape (T,), rising to nearly pi / 2: its cosine is sqrt(alpha_bar_t)."""
    return torch.atan2(schedule.one_minus_alpha_bar.sqrt(), schedule.alpha_bar.sqrt())


def clock(schedule: NoiseSchedule) -> Tensor:
    """log tan(theta / 2): even steps of it are even in log sigma at first, in theta at the end."""
    return (angles(schedule) / 2).tan().log()


def times(schedule: NoiseSchedule, step: float) -> list[int]:
    """Times from 1 to T, as far apart as `step` allows, and at least 1."""
    ticks, chosen = clock(schedule), [1]
    while chosen[-1] < schedule.T:
        here = chosen[-1]
        reached = int((ticks <= ticks[here - 1] + step).sum())
        chosen.append(max(reached, here + 1))
    return chosen


def with_divergence(speed: Speed, x: Tensor, t: int, signs: Tensor) -> tuple[Tensor, Tensor]:
    """The speed, and for each image (B,) one estimate of its divergence: z . J z."""
    x = x.detach().requires_grad_(True)
    out = speed(x, t)
    (turned,) = torch.autograd.grad((out * signs).sum(), x)  # J^T z
    return out.detach(), (turned * signs).flatten(1).sum(1).double()


def log_density(
    schedule: NoiseSchedule, speed: Speed, x_1: Tensor, step: float, generator: torch.Generator
) -> Tensor:
    """log p(x_1) of each image in nats, (B,), where the flow has made N(0, I) of it at T.

    x moves by Heun's steps in theta. The divergence is summed by trapezoids on the clock, whose
    rate is sin(theta): there it hardly changes where noise is small.
    """
    chosen, theta = times(schedule, step), angles(schedule)
    ticks, x = clock(schedule), x_1
    gained, before = torch.zeros(len(x), dtype=torch.float64), None
    for here, there in zip(chosen, [*chosen[1:], None], strict=True):
        signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
        first, divergence = with_divergence(speed, x, here, signs)
        rate = theta[here - 1].sin() * divergence
        if before is not None:
            gained += (ticks[here - 1] - before[0]) * (before[1] + rate) / 2
        before = (ticks[here - 1], rate)
        if there is not None:
            length = float(theta[there - 1] - theta[here - 1])
            with torch.no_grad():
                second = speed(x + length * first, there)
            x = x + length * (first + second) / 2
    ending = -(x.double().square() + math.log(2 * math.pi)).flatten(1).sum(1) / 2
    return ending + gained


def speed_of(model: DiffusionModel) -> Speed:
    """The velocity of the network without a label; it must have been trained on `v`."""
    if model.config.target != "v":
        raise ValueError(
            "the speed on the angle's clock is the velocity; this network says another"
        )

    net = model.without_variance().net

    def speed(x: Tensor, t: int) -> Tensor:
        out: Tensor = net(x.float(), torch.full((len(x),), t), None)
        return out.to(x)

    return speed


def entropy(schedule: NoiseSchedule, numbers: int) -> float:
    """Of q(x_1 | x_0) in nats: the noise of the first step in each of the numbers."""
    return numbers / 2 * math.log(2 * math.pi * math.e * float(schedule.beta[0]))


def by_flow(model: DiffusionModel, pixels: Tensor, step: float, seed: int) -> tuple[Tensor, Tensor]:
    """Bits per dimension of each image (B,), and the part of them that is L_0."""
    schedule, generator = model.schedule, torch.Generator().manual_seed(seed)
    x_0 = to_float(pixels)
    eps = torch.randn(x_0.shape, generator=generator)
    first = torch.ones(len(x_0), dtype=torch.long)
    x_1 = q_sample(schedule, x_0, first, eps)
    network = model.labelled(None, "float32")
    decoder = bound_term(
        schedule, network, x_0, first, eps, model.config.target, model.bound_variance
    )
    density = log_density(schedule, speed_of(model), x_1, step, generator)
    nats = decoder.double() - density - entropy(schedule, x_0[0].numel())
    return bits_per_dim(nats, x_0), bits_per_dim(decoder.double(), x_0)


def mean_and_error(values: list[float]) -> dict[str, float]:
    """The mean and its standard error."""
    table = torch.tensor(values, dtype=torch.float64)
    error = float(table.std()) / len(values) ** 0.5
    return {"bits": round(float(table.mean()), 4), "se": round(error, 4)}


def differences(less: list[float], more: list[float]) -> dict[str, float]:
    """How much more the second is, group by group."""
    return mean_and_error([b - a for a, b in zip(less, more, strict=True)])


def measure(model: DiffusionModel, options: argparse.Namespace) -> dict[str, Any]:
    """All of it, as the JSON holds it. Errors come from the groups of digits."""
    groups = mnist(train=False).pixels[: options.n].split(GROUP)
    network = model.labelled(None, "float32")
    flow, decoder, fixed, own = [], [], [], []
    for seed, pixels in enumerate(groups):
        bits, first = by_flow(model, pixels, STEP, seed)
        settings = (model.schedule, network, pixels, model.config.target)
        best = likelihood(*settings, model.bound_variance, seed=seed)
        plain = likelihood(*settings, "posterior", seed=seed)
        flow.append(float(bits.mean()))
        decoder.append(float(first.mean()))
        own.append(best.bits_per_dim)
        fixed.append(best.distortion + plain.rate)  # all three with the same last step
        print(seed, flow[-1], fixed[-1], own[-1], file=sys.stderr, flush=True)
    # the same noised digits once more: in half as large steps, and with other signs
    few = range(min(CHECKED, len(groups)))
    finer = [float(by_flow(model, groups[k], STEP / 2, k)[0].mean()) - flow[k] for k in few]
    return {
        "flow": mean_and_error(flow),
        "fixed": mean_and_error(fixed),
        "gain": differences(flow, fixed),
        "own": mean_and_error(own),
        "own_gain": differences(flow, own),
        "decoder": mean_and_error(decoder),
        "steps": len(times(model.schedule, STEP)) - 1,
        "half_step_n": GROUP * len(few),
        "half_step": mean_and_error(finer),
    }


def main() -> None:
    """Measures all and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=48, help="test digits, a multiple of 4")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(DiffusionModel.load(), options)
    head = {"command": shlex.join(["python", *sys.argv]), "n": options.n, "step": STEP}
    result = {**head, **found, "torch": torch.__version__}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(result, options.out)


if __name__ == "__main__":
    main()
