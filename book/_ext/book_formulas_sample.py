"""The formulas that `ddpm_lite.sample` runs."""

from collections.abc import Callable, Sequence
from functools import cache, partial

import mpmath
import sympy as sp
import torch
from book_formulas_given import (
    CONDITIONED,
    ETA,
    SCALE,
    UNCONDITIONED,
    X_0,
    X_0_HAT,
    X_T,
    but_last,
    constant,
    every,
    first,
    from_2,
    one_by_one,
    pixel,
)
from book_formulas_numbers import Values, tables
from book_formulas_reading import mean, put_in, side, solved, variance
from book_formulas_row import Row
from torch import Tensor

from ddpm_lite import diffusion, sample
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.reader import read


def _guided(target: diffusion.Target, s: NoiseSchedule) -> Tensor:
    denoise = sample.denoiser(
        s, constant(CONDITIONED), target, constant(UNCONDITIONED), SCALE, clip=False
    )
    return one_by_one(lambda t: denoise(pixel(X_T), t), every(s.T))


def _outputs(of: str) -> Callable[[NoiseSchedule], dict[str, Values]]:
    return lambda s: {
        rf"{of}(x_t, t, c)": CONDITIONED,
        rf"{of}(x_t, t, \varnothing)": UNCONDITIONED,
    }


def _ancestral_step(part: str, s: NoiseSchedule, times: range) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ancestral_step(s, pixel(X_0_HAT), pixel(X_T), t, "posterior")
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, times)


def _bar_before(s: NoiseSchedule) -> list[mpmath.mpf]:
    return tables(s)[r"\bar\alpha_{t-1}"]


def _chain(s: NoiseSchedule, states: Sequence[sample.State]) -> tuple[list[float], Tensor]:
    """x_t for t = 1..T, and what the sampler made of each."""
    made = [float(state.x_t) for state in states]
    return [X_T, *made[:-1]][::-1], torch.tensor(made[::-1], dtype=torch.float64)


def _drawn(s: NoiseSchedule) -> list[float]:
    """The noise of each step of a sampler whose seed is 0, t = 1..T."""
    noise = sample._Noise(0)
    return [float(noise.like(pixel(0.0))) for _ in every(s.T)][::-1]


@cache
def _ancestral(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run, for a network that always predicts the same picture."""
    return _chain(s, list(sample.ancestral(lambda x, t: pixel(X_0_HAT), s, pixel(X_T))))


@cache
def _ddim(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run of T steps with noise."""
    run = sample.ddim(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T, ETA)
    return _chain(s, list(run))


@cache
def _consistency(s: NoiseSchedule) -> Tensor:
    """A whole run of T steps: what was noised anew to t = 1..T-1."""
    run = sample.consistency(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T)
    return _chain(s, list(run))[1][1:]


def _ancestral_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        deviation = [mpmath.sqrt(v) for v in tables(s)[r"\tilde\beta_t"]]
    return {
        "x_t": _ancestral(s)[0][1:], "z": _drawn(s)[1:], r"\sigma_t": deviation[1:],
        r"\bar\alpha_s": _bar_before(s)[1:],
    }  # fmt: skip


def _ddim_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return {
        "x_t": _ddim(s)[0][1:], r"\epsilon": _drawn(s)[1:], "x_0": X_0_HAT,
        r"\bar\alpha_s": _bar_before(s)[1:],
    }  # fmt: skip


def _noisy_formula(draw: list[Claim], law: list[Claim], spread: list[Claim]) -> sp.Expr:
    """A draw from DDIM's law, mu + sigma eps."""
    squared = side(spread)
    mu = mean(law).subs(read(r"\sigma") ** 2, squared)
    return put_in(side(draw), length=mu, sigma=sp.sqrt(squared))


def _halfway(s: NoiseSchedule) -> dict[str, Values]:
    """Steps from t to half of it."""
    bar = tables(s)[r"\bar\alpha_t"]
    return {r"\bar\alpha_s": [bar[t // 2 - 1] for t in from_2(s.T)]}


def _ddim_step(part: str, eta: float, s: NoiseSchedule) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ddim_step(s, pixel(X_0), pixel(X_T), t, t // 2, eta)
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, from_2(s.T))


def _with_eta(law: list[Claim], spread: list[Claim]) -> sp.Expr:
    return mean(law).subs(read(r"\sigma") ** 2, side(spread))


def _full_noise(part: str, s: NoiseSchedule) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ddim_step(s, pixel(X_0), pixel(X_T), t, t - 1, 1.0)
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, from_2(s.T))


def _quiet(guess: list[Claim], noise: list[Claim]) -> sp.Expr:
    """The step without noise, with the noise that the guess of the picture stands for."""
    return side(guess).subs(read(r"\epsilon_\theta"), solved(r"\epsilon_\theta", noise))


def _clocks(s: NoiseSchedule, times: Sequence[int]) -> list[mpmath.mpf]:
    """lambda_t of eq-samp-clock."""
    bar = tables(s)[r"\bar\alpha_t"]
    with mpmath.workdps(40):
        return [mpmath.log(bar[t - 1] / (1 - bar[t - 1])) / 2 for t in times]


OLDER = 3
"""How many steps before the present one the older prediction is."""


def _two_back(T: int) -> range:
    return range(2, T - OLDER + 1)


def _second_order(s: NoiseSchedule) -> Tensor:
    def straight(t: int) -> Tensor:
        return sample._extrapolate(s, pixel(X_0), t, t // 2, t + OLDER, pixel(X_0_HAT))

    return one_by_one(straight, _two_back(s.T))


def _second_order_numbers(s: NoiseSchedule) -> dict[str, Values]:
    times = _two_back(s.T)
    now, older = _clocks(s, times), _clocks(s, [t + OLDER for t in times])
    ahead = _clocks(s, [t // 2 for t in times])
    with mpmath.workdps(40):
        h = [b - a for a, b in zip(now, ahead, strict=True)]
        r = [(a - o) / step for a, o, step in zip(now, older, h, strict=True)]
    return {"r": r, r"f(\lambda_t)": X_0, r"f(\lambda_t - r h)": X_0_HAT}


@cache
def _solver(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run of T steps. Where all predictions are the same, each step is of first order."""
    return _chain(s, list(sample.dpm_solver(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T)))


def _first_order(s: NoiseSchedule) -> Tensor:
    """What each step leads to, over its signal."""
    return _solver(s)[1][1:] / s.alpha_bar[:-1].sqrt()


def _first_order_numbers(s: NoiseSchedule) -> dict[str, Values]:
    times, bar = from_2(s.T), tables(s)[r"\bar\alpha_t"]
    now, ahead = _clocks(s, times), _clocks(s, [t - 1 for t in times])
    with mpmath.workdps(40):
        h = [b - a for a, b in zip(now, ahead, strict=True)]
        pairs = zip(_solver(s)[0][1:], bar[1:], strict=True)
        before = [x_t / mpmath.sqrt(signal) for x_t, signal in pairs]
    return {"h": h, r"f(\lambda_t)": X_0_HAT, r"g(\lambda_t)": before}


SAMPLE = [
    Row(
        "sample.denoiser", "output = without + guidance_scale * (output - without)",
        "eq-guidance eq-from-v", lambda guided, back: put_in(side(back), v=side(guided)),
        partial(_guided, "v"), says="target `v`, then `x_0_from_v`",
        given=_outputs(r"\mathrm v_\theta"),
    ),
    Row(
        "sample.denoiser", "output = without + guidance_scale * (output - without)",
        "eq-samp-guidance eq-post-solved",
        lambda guided, back: put_in(side(back), eps=side(guided)), partial(_guided, "eps"),
        says="target `eps`, then `x_0_from_eps`", crosses_zero=True,
        given=_outputs(r"\epsilon_\theta"),
    ),
    Row(
        "sample.ancestral_step", "mean, posterior = q_posterior(schedule, x_0, x_t, t)",
        "eq-samp-ancestral", mean, lambda s: _ancestral_step("mean", s, every(s.T)),
        says="the mean, for $s=t-1$", given=lambda s: {r"\bar\alpha_s": _bar_before(s)},
    ),
    Row(
        "sample.ancestral_step", 'mean, posterior if variance == "posterior"',
        "eq-samp-posterior", variance, lambda s: _ancestral_step("variance", s, from_2(s.T)),
        says="the variance, for $s=t-1$", times=from_2,
        given=lambda s: {r"\bar\alpha_s": _bar_before(s)[1:]},
    ),
    Row(
        "sample.ancestral", "x = p.mean + p.variance.sqrt() * noise.like(x)",
        "eq-elbo-draw eq-samp-ancestral",
        lambda draw, law: put_in(side(draw), mu=mean(law)), lambda s: _ancestral(s)[1][1:],
        says="each step of a whole run but the last", times=from_2, given=_ancestral_numbers,
    ),
    Row(
        "sample.ancestral", "if before > 0 else p.mean", "eq-post-first-step",
        partial(side, claim=1), lambda s: _ancestral(s)[1][:1],
        says="the last step, with the prediction for $x_0$", times=first,
        given=lambda s: {"x_0": X_0_HAT},
    ),
    Row(
        "sample.ddim_step", "mean = signal.to(x_t) * x_0 + direction.to(x_t) * eps",
        "eq-samp-ddim eq-samp-eta", _with_eta, partial(_ddim_step, "mean", ETA),
        says="the mean, with the variance below", times=from_2, given=_halfway,
    ),
    Row(
        "sample.ddim_step",
        "variance = eta**2 * kept / schedule.one_minus_alpha_bar[t - 1] * (1 - ratio)",
        "eq-samp-eta", side, partial(_ddim_step, "variance", ETA), says="the variance",
        times=from_2, given=_halfway,
    ),
    Row(
        "sample.ddim_step", "eps = eps_from_x_0(schedule, x_t, t, x_0)",
        "eq-samp-quiet eq-samp-guess", _quiet, partial(_ddim_step, "mean", 0.0),
        says=r"the mean, for $\eta=0$", times=from_2,
        given=lambda s: _halfway(s) | {r"\hat x_0": X_0},
    ),
    Row(
        "sample.ddim_step", "signal, direction = alpha_bar[before - 1].sqrt()", "eq-samp-ddpm",
        side, partial(_full_noise, "mean"), says=r"the mean, for $\eta=1$ and $s=t-1$",
        times=from_2,
    ),
    Row(
        "sample.ddim_step", "ratio = alpha_bar[t - 1] / alpha_bar[before - 1]", "eq-samp-ddpm",
        partial(side, claim=1), partial(_full_noise, "variance"),
        says=r"the variance, for $\eta=1$ and $s=t-1$", times=from_2,
    ),
    Row(
        "sample.ddim", "x = mean + variance.sqrt() * noise.like(x)",
        "eq-reparam-one eq-samp-ddim eq-samp-eta", _noisy_formula, lambda s: _ddim(s)[1][1:],
        says="each step of a whole run but the last", times=from_2, given=_ddim_numbers,
    ),
    Row(
        "sample.consistency", "x = q_sample(schedule, x_0, before, noise.like(x))",
        "eq-after-start", side, _consistency,
        says="each step of a whole run but the last, with the prediction for $x_0$ and new noise",
        times=but_last, given=lambda s: {"x_0": X_0_HAT, r"\epsilon": _drawn(s)[1:]},
    ),
    Row(
        "sample.dpm_solver", "x = ddim_step(schedule, straight, x, t, before, eta=0.0).mean",
        "eq-samp-first", side, _first_order,
        says=r"the first order, with $g(\lambda_t)=x_t/\sqrt{\bar\alpha_t}$", times=from_2,
        given=_first_order_numbers,
    ),
    Row(
        "sample._half_log_snr", "return float(schedule.snr[t - 1].log() / 2)", "eq-samp-clock",
        side,
        lambda s: torch.tensor(
            [sample._half_log_snr(s, t) for t in every(s.T)], dtype=torch.float64
        ),
        crosses_zero=True,
    ),
    Row(
        "sample._extrapolate", "return x_0 + (x_0 - older_x_0) * (ratio / 2)",
        "eq-samp-trial eq-samp-factor", lambda trial, c: put_in(side(trial), c=side(c)),
        _second_order, says="with the factor below", times=_two_back,
        given=_second_order_numbers,
    ),
    Row(
        "sample._extrapolate", "ratio = (_half_log_snr(schedule, before) - now)",
        "eq-samp-factor", side,
        lambda s: (_second_order(s) - X_0) / (X_0 - X_0_HAT), says="the factor",
        times=_two_back, given=_second_order_numbers,
    ),
]  # fmt: skip
