"""Samplers: from noise to an image, step by step.

Each sampler is a generator of states (t, x_t, predicted x_0), so that a caller can watch, draw or
stop; `last(...)` runs one to its end. A sampler knows no network: it is given a *denoiser*, a
function of (x_t, t) that returns the predicted x_0. `denoiser` makes one of a network, with its
label, guidance and clipping.

Times fall from T to 0; x_0 is the image in [-1, 1]. Everything is computed in x_T's dtype.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lite.diffusion import (
    Gaussian,
    Model,
    Target,
    Variance,
    check_name,
    eps_from_x_0,
    predict,
    q_posterior,
    q_sample,
)
from ddpm_lite.progress import with_bar
from ddpm_lite.schedule import NoiseSchedule

__all__ = [
    "State",
    "ancestral",
    "consistency",
    "ddim",
    "denoiser",
    "dpm_solver",
    "initial_noise",
    "last",
]

Denoiser = Callable[[Tensor, int], Tensor]
"""(x_t of shape (B, C, H, W), t) to the predicted x_0 of the same shape."""


class State(NamedTuple):
    """Where a sampler is: x_t at time t, and the prediction of x_0 that led there."""

    t: int
    """The time that the sampler has come to; 0 at the end."""
    x_t: Tensor
    """The image at that time, (B, C, H, W); the drawn image where t is 0."""
    x_0: Tensor
    """What the network took the clean image for, one step before; of the same shape."""


def denoiser(
    schedule: NoiseSchedule,
    model: Model,
    target: Target,
    unconditional: Model | None = None,
    guidance_scale: float = 1.0,
    clip: bool = True,
) -> Denoiser:
    """The function (x_t, t) -> predicted x_0 of a network trained on `target`.

    With `unconditional`, the same network without its label, the prediction is moved along
    classifier-free guidance (Ho and Salimans, arXiv:2207.12598): 0 is unconditional, 1 is the label
    alone, more is a stronger label. `clip` keeps the predicted x_0 within [-1, 1]. Raises
    ValueError for guidance without `unconditional`, or by a scale that is not finite.
    """
    if not math.isfinite(guidance_scale):
        raise ValueError(f"guidance_scale must be a finite number, not {guidance_scale}")
    if guidance_scale != 1.0 and unconditional is None:
        raise ValueError("guidance needs the network's unconditional prediction as well")

    def denoise(x_t: Tensor, t: int) -> Tensor:
        times = torch.full((len(x_t),), t, device=x_t.device)  # (B,): the network wants one each
        output = model(x_t, times)  # (B, C, H, W): eps, x_0, v or flow
        if unconditional is not None and guidance_scale != 1.0:
            without = unconditional(x_t, times)
            # from "any image" towards "this label", and beyond it where the scale is above 1
            output = without + guidance_scale * (output - without)
        x_0 = predict(schedule, output, x_t, t, target).x_0
        # images have no values outside [-1, 1]; a guess that has would be followed there
        return x_0.clamp(-1, 1) if clip else x_0

    return denoise


def initial_noise(
    shape: tuple[int, ...], seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """x_T ~ N(0, I), float32; drawn on the CPU, so that a seed means the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    return noise.to(device)


def timesteps(T: int, steps: int) -> list[int]:
    """`steps` + 1 times from T down to 0, as evenly spaced as integers can be."""
    if not 1 <= steps <= T:
        raise ValueError(f"the number of steps must lie in 1..{T}, not {steps}")
    return [round(T * (steps - i) / steps) for i in range(steps + 1)]


def _pairs(T: int, steps: int, progress: bool) -> Iterable[tuple[int, int]]:
    """Each step as (the time it starts from, the time it leads to), with a bar of progress."""
    times = timesteps(T, steps)  # T > ... > 0, one more than there are steps
    pairs = [(times[i], times[i + 1]) for i in range(steps)]
    return with_bar(pairs, progress, "sampling", "step")


class _Noise:
    """Fresh noise like x, from a seed, but not the numbers that `initial_noise` draws from it."""

    def __init__(self, seed: int) -> None:
        # another seed than `initial_noise` has: else the first step would add x_T once more
        self.generator = torch.Generator().manual_seed(seed + 0x9E3779B9)

    def like(self, x: Tensor) -> Tensor:
        # on the CPU first, as in `initial_noise`, so that every device draws the same image
        noise = torch.randn(x.shape, generator=self.generator, dtype=x.dtype, device="cpu")
        return noise.to(x.device)


def ancestral(
    denoise: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    variance: Variance = "posterior",
    seed: int = 0,
    progress: bool = False,
) -> Iterator[State]:
    """All T steps x_{t-1} ~ p(x_{t-1} | x_t), DDPM algorithm 2; no noise in the last one.

    `variance` is beta_tilde_t ("posterior") or beta_t ("beta").
    """
    noise, x = _Noise(seed), x_T  # x (B, C, H, W) is x_t all the way down
    for t, before in _pairs(schedule.T, schedule.T, progress):  # before = t - 1
        x_0 = denoise(x, t)  # (B, C, H, W): the network's guess of the clean image
        p = ancestral_step(schedule, x_0, x, t, variance)
        # the guess is not sure: so only one step towards it, and as much noise as belongs there
        x = p.mean + p.variance.sqrt() * noise.like(x) if before > 0 else p.mean
        yield State(before, x, x_0)


def ancestral_step(
    schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: int, variance: Variance
) -> Gaussian:
    """p(x_{t-1} | x_t) for the predicted x_0; DDPM equation 7 with either fixed variance."""
    check_name(Variance, variance)
    # mean (B, C, H, W); variance (1, 1, 1, 1), for t is the same for the whole batch
    mean, posterior = q_posterior(schedule, x_0, x_t, t)
    return Gaussian(
        mean, posterior if variance == "posterior" else schedule.at(schedule.beta, t, x_t)
    )


def ddim(
    denoise: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    steps: int = 50,
    eta: float = 0.0,
    seed: int = 0,
    progress: bool = False,
) -> Iterator[State]:
    """DDIM (Song, Meng, Ermon, arXiv:2010.02502, equation 12) in `steps` steps.

    eta = 0 adds no noise and is a step of an ODE; eta = 1 with all T steps is `ancestral` with the
    posterior variance.
    """
    noise, x = _Noise(seed), x_T  # (B, C, H, W)
    for t, before in _pairs(schedule.T, steps, progress):  # t - before may be more than 1
        x_0 = denoise(x, t)  # (B, C, H, W)
        mean, variance = ddim_step(schedule, x_0, x, t, before, eta)  # and one number for all
        x = mean + variance.sqrt() * noise.like(x) if eta > 0 and before > 0 else mean
        yield State(before, x, x_0)


def ddim_step(
    schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: int, before: int, eta: float
) -> Gaussian:
    """The law of x_before given x_t and the predicted x_0, 0 <= before < t; DDIM equation 12.

    Raises IndexError for other times, and ValueError for an eta that is negative or asks for more
    noise than x_before holds; every eta from 0 to 1 is possible.
    """
    if not 0 <= before < t <= schedule.T:
        raise IndexError(
            f"no step leads from t = {t} to {before}; times fall from {schedule.T} to 0"
        )
    if not eta >= 0:  # which NaN is not either
        raise ValueError(f"eta must lie between 0 and 1, not {eta}")
    if before == 0:  # all noise is gone: what is left is the predicted image itself
        return Gaussian(x_0, torch.zeros_like(x_0[..., :1]))
    # the noise that goes with this x_0; not the network's own, for x_0 may have been clipped
    eps = eps_from_x_0(schedule, x_t, t, x_0)  # (B, C, H, W)
    # numbers of the tables, in float64 and without a shape; index t - 1 belongs to time t
    alpha_bar, kept = schedule.alpha_bar, schedule.one_minus_alpha_bar[before - 1]
    ratio = alpha_bar[t - 1] / alpha_bar[before - 1]
    variance = eta**2 * kept / schedule.one_minus_alpha_bar[t - 1] * (1 - ratio)
    if variance > kept * (1 + 1e-9):
        raise ValueError(f"eta must lie between 0 and 1, not {eta}")
    # of the noise variance `kept` at `before`, a part is drawn anew, and the rest is the old noise
    signal, direction = alpha_bar[before - 1].sqrt(), (kept - variance).clamp(min=0).sqrt()
    mean = signal.to(x_t) * x_0 + direction.to(x_t) * eps
    return Gaussian(mean, variance.to(x_t))


def dpm_solver(
    denoise: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    steps: int = 20,
    progress: bool = False,
) -> Iterator[State]:
    """DPM-Solver++(2M) (Lu et al., arXiv:2211.01095, algorithm 2): second order, no added noise.

    Between two times the exact solution of the ODE is a weighted integral of the predicted x_0 over
    lambda = log(SNR) / 2; the last two predictions give its straight line. The first step and the
    last, where lambda becomes infinite, are of first order and equal DDIM's.
    """
    x, older = x_T, None  # the step before: its time and its prediction
    for t, before in _pairs(schedule.T, steps, progress):
        x_0 = denoise(x, t)  # (B, C, H, W)
        # the mean of the prediction along the step, as far as two points of it can tell
        straight = x_0 if older is None else _extrapolate(schedule, x_0, t, before, *older)
        x = ddim_step(schedule, straight, x, t, before, eta=0.0).mean
        older = (t, x_0)
        yield State(before, x, x_0)


def consistency(
    denoise: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    steps: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> Iterator[State]:
    """For a network that guesses where the ODE ends (Song et al., arXiv:2303.01469, algorithm 1).

    One guess is a drawn image. With more steps it is noised again, with new noise and to an earlier
    time, and guessed again, so that the later guess can mend what the first one could not tell.
    """
    noise, x = _Noise(seed), x_T  # (B, C, H, W)
    for t, before in _pairs(schedule.T, steps, progress):
        x_0 = denoise(x, t)  # (B, C, H, W): the end of the way, not the mean of all images
        x = q_sample(schedule, x_0, before, noise.like(x)) if before > 0 else x_0
        yield State(before, x, x_0)


def _half_log_snr(schedule: NoiseSchedule, t: int) -> float:
    return float(schedule.snr[t - 1].log() / 2)


def _extrapolate(
    schedule: NoiseSchedule, x_0: Tensor, t: int, before: int, older_t: int, older_x_0: Tensor
) -> Tensor:
    """The prediction at the middle of the step from t to `before`, on the line through two."""
    if before == 0:  # lambda_0 is infinite: such a step has no middle
        return x_0
    # the step now, measured by the step before; the middle is half of it ahead
    now = _half_log_snr(schedule, t)
    ratio = (_half_log_snr(schedule, before) - now) / (now - _half_log_snr(schedule, older_t))
    return x_0 + (x_0 - older_x_0) * (ratio / 2)


def last(states: Iterable[State]) -> Tensor:
    """The image at the end of a sampler, (B, C, H, W), roughly in [-1, 1].

    Raises ValueError if the sampler has been run to its end already: its states come only once.
    """
    end: State | None = None
    for state in states:  # each one takes the place of the one before
        end = state
    if end is None:
        raise ValueError("the sampler has no states left; make a new one")
    return end.x_t
