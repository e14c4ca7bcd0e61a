"""The marks: right code passes, and each typical slip gets its own sentence."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import default
from torch import Tensor, nn
from torch.distributions import Normal

from ddpm_lite import exercises as ex
from ddpm_lite.diffusion import q_posterior, q_sample
from ddpm_lite.frechet import frechet_distance
from ddpm_lite.sample import ddim_step
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.unet import ResidualBlock, attend, sinusoidal_embedding


def block(inputs: int, outputs: int, time: int) -> nn.Module:
    return ResidualBlock(inputs, outputs, time, ex.small_config())


def guided(one: Tensor, other: Tensor, scale: float) -> Tensor:
    return other + scale * (one - other)


def density(x: Tensor, mean: float, variance: float) -> Tensor:
    return Normal(mean, variance**0.5).log_prob(x).exp()


def totals(dice: int, throws: int, above: int = 7) -> Tensor:
    faces = torch.randint(1, above, (throws, dice))
    return (faces.sum(dim=1) - 3.5 * dice) / (dice * 35 / 12) ** 0.5


def bayes(prior: Tensor, chance: Tensor) -> Tensor:
    """By enumeration, one entry after the other."""
    rows, columns = chance.shape
    evidence = [sum(float(prior[i] * chance[i, j]) for i in range(rows)) for j in range(columns)]
    return torch.tensor(
        [[float(prior[i] * chance[i, j]) / evidence[j] for j in range(columns)]
         for i in range(rows)], dtype=torch.float64
    )  # fmt: skip


def later(today: Tensor, matrix: Tensor, days: int) -> Tensor:
    for _ in range(days):
        today = today @ matrix
    return today


def drawn(mean: Tensor, log_variance: Tensor, eps: Tensor) -> Tensor:
    return mean + log_variance.exp().sqrt() * eps


def pathwise(f: Any, mu: float, sigma: float, eps: Tensor) -> tuple[Tensor, Tensor]:
    knobs = [torch.tensor(knob, dtype=eps.dtype, requires_grad=True) for knob in (mu, sigma)]
    to_mu, to_sigma = torch.autograd.grad(f(knobs[0] + knobs[1] * eps).mean(), knobs)
    return to_mu, to_sigma


def betas(snr: Tensor) -> Tensor:
    bar = snr / (1 + snr)
    return 1 - bar / torch.cat([torch.ones(1), bar[:-1]])


def posterior_mean(data: Tensor, x_t: Tensor, bar: float) -> Tensor:
    """By Bayes' rule, picture by picture, with all exponents raised by the largest."""
    exponents = [-float(((x_t - bar**0.5 * x) ** 2).sum()) / (2 - 2 * bar) for x in data]
    chances = [math.exp(one - max(exponents)) for one in exponents]
    weighed = [chance * x for chance, x in zip(chances, data, strict=True)]
    return torch.stack(weighed).sum(0) / sum(chances)


def kl(mean_1: Tensor, v_1: Tensor, mean_2: Tensor, v_2: Tensor) -> Tensor:
    return 0.5 * (v_1 / v_2 - 1 - torch.log(v_1 / v_2) + (mean_1 - mean_2) ** 2 / v_2)


def bound(joint: Tensor, guess: Tensor) -> float:
    return sum(float(q) * math.log(p / q) for p, q in zip(joint, guess, strict=True))


def euler(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    return y + (then - now) * slope(y, now)


def heun(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    end = euler(slope, y, now, then)
    return y + (then - now) * (slope(y, now) + slope(end, then)) / 2


def half_of_heun(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    return y + (then - now) * (slope(y, now) + slope(y, now)) / 4


RIGHT = [
    (ex.check_normal_density, density),
    (ex.check_dice_totals, totals),
    (ex.check_bayes, bayes),
    (ex.check_days_later, later),
    (ex.check_reparameterize, drawn),
    (ex.check_pathwise, pathwise),
    (ex.check_q_sample, q_sample),
    (ex.check_betas, betas),
    (ex.check_posterior, q_posterior),
    (ex.check_posterior_mean, posterior_mean),
    (ex.check_gaussian_kl, kl),
    (ex.check_bound, bound),
    (ex.check_time_embedding, sinusoidal_embedding),
    (ex.check_residual_block, block),
    (ex.check_attention, attend),
    (ex.check_ddim_step, ddim_step),
    (ex.check_heun, heun),
    (ex.check_guidance, guided),
    (ex.check_frechet, frechet_distance),
]


@pytest.mark.parametrize(("check", "function"), RIGHT)
def test_right_code_gets_a_tick(check: Callable[..., ex.Passed], function: Any) -> None:
    assert "✓" in check(function)._repr_html_()


def as_floats(check: Callable[..., ex.Passed]) -> Callable[..., Any]:
    """The package's function of two results, with the variance as a number of Python's."""
    function: Any = dict(RIGHT)[check]

    def mine(*arguments: Any) -> tuple[Tensor, float]:
        mean, variance = function(*arguments)
        return mean, float(variance.flatten()[0])

    return mine


@pytest.mark.parametrize("check", [ex.check_posterior, ex.check_ddim_step])
def test_a_number_of_pythons_is_as_good_as_a_tensor(check: Callable[..., ex.Passed]) -> None:
    assert "✓" in check(as_floats(check))._repr_html_()


@pytest.mark.parametrize(
    "check", [ex.check_q_sample, ex.check_posterior, ex.check_ddim_step, ex.check_guidance]
)
def test_right_answers_in_float32_are_right(check: Callable[..., ex.Passed]) -> None:
    function: Any = dict(RIGHT)[check]

    def rounded(*arguments: Any) -> Any:
        out = function(*arguments)
        return out.float() if isinstance(out, Tensor) else tuple(v.float() for v in out)

    assert "✓" in check(rounded)._repr_html_()


@pytest.mark.parametrize(("check", "function"), RIGHT)
def test_right_code_gets_a_tick_in_a_session_of_float64(
    check: Callable[..., ex.Passed], function: Any
) -> None:
    with default(torch.float64):
        assert "✓" in check(function)._repr_html_()


def early(schedule: NoiseSchedule, x_0: Tensor, t: int, eps: Tensor) -> Tensor:
    return q_sample(schedule, x_0, max(t - 1, 1), eps)


def no_root(schedule: NoiseSchedule, x_0: Tensor, t: int, eps: Tensor) -> Tensor:
    bar = schedule.alpha_bar[t - 1]
    return bar.sqrt() * x_0 + (1 - bar) * eps


def minus(schedule: NoiseSchedule, x_0: Tensor, t: int, eps: Tensor) -> Tensor:
    return q_sample(schedule, x_0, t, -eps)


def wide(schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
    return q_posterior(schedule, x_0, x_t, t).mean, schedule.beta[t - 1]


def swapped(schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: int) -> Any:
    return q_posterior(schedule, x_t, x_0, t)


def rounded_to_nothing(data: Tensor, x_t: Tensor, bar: float) -> Tensor:
    away = (x_t - bar**0.5 * data).square().sum(1) / (2 - 2 * bar)
    chances = (-100 * away).exp()  # as for a picture of many more pixels
    return chances / chances.sum() @ data


def nearest(data: Tensor, x_t: Tensor, bar: float) -> Tensor:
    return data[(x_t - bar**0.5 * data).square().sum(1).argmin()]


def too_sure(data: Tensor, x_t: Tensor, bar: float) -> Tensor:
    away = (x_t - bar**0.5 * data).square().sum(1) / 2
    return (-away / (1 - bar) ** 0.5).softmax(0) @ data


def by_powers(last: int, kind: torch.dtype) -> Callable[[Tensor, int], Tensor]:
    """The embedding as its formula has it; `last` is the number of the slowest clock."""

    def embed(t: Tensor, width: int) -> Tensor:
        omega = 10_000.0 ** (-torch.arange(width // 2, dtype=kind) / last)
        angle = t[:, None] * omega
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    return embed


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_an_embedding_may_be_rounded_but_not_be_another(kind: torch.dtype) -> None:
    assert ex.check_time_embedding(by_powers(7, kind))
    with pytest.raises(AssertionError, match="off by"):
        ex.check_time_embedding(by_powers(8, kind))


def cosines_first(t: Tensor, width: int) -> Tensor:
    return torch.cat(sinusoidal_embedding(t, width).chunk(2, dim=1)[::-1], dim=1)


class NoZero(ResidualBlock):
    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__(inputs, outputs, time, ex.small_config())
        nn.init.ones_(self.conv2.weight)


class NoTime(ResidualBlock):
    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__(inputs, outputs, time, ex.small_config())

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return super().forward(x, torch.zeros_like(time))


def unscaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-2) @ v


def no_noise(schedule: NoiseSchedule, *rest: Any) -> Any:
    return ddim_step(schedule, *rest[:-1], 0.0)


def means_only(a: Tensor, b: Tensor) -> float:
    return float((a.mean(0) - b.mean(0)).square().sum())


def unreached(mean: Tensor, log_variance: Tensor, eps: Tensor) -> Tensor:
    return mean + drawn(torch.zeros_like(mean), log_variance.detach(), eps)


def by_score(f: Any, mu: float, sigma: float, eps: Tensor) -> tuple[Tensor, Tensor]:
    paid = f(mu + sigma * eps)
    return (paid * eps / sigma).mean(), (paid * (eps**2 - 1) / sigma).mean()


def one_slope(f: Any, mu: float, sigma: float, eps: Tensor) -> tuple[Tensor, Tensor]:
    to_mu, _ = pathwise(f, mu, sigma, eps)
    return to_mu, to_mu


def summed(f: Any, mu: float, sigma: float, eps: Tensor) -> tuple[Tensor, ...]:
    return tuple(slope * len(eps) for slope in pathwise(f, mu, sigma, eps))


WRONG = [
    (ex.check_normal_density, lambda x, m, v: density(x, m, v**2), "for its root"),
    (ex.check_normal_density, lambda x, m, v: torch.exp(-((x - m) ** 2) / (2 * v)), "area"),
    (ex.check_normal_density, lambda x, m, v: density(x, -m, v), "mean 0.5 and variance 4.0"),
    (ex.check_dice_totals, lambda m, n: totals(m, n, above=6), "six"),
    (ex.check_dice_totals, lambda m, n: totals(m, n, above=8), "1 to 6"),
    (ex.check_dice_totals, lambda m, n: totals(m, n) / (m * 35 / 12) ** 0.5, "root"),
    (ex.check_dice_totals, lambda m, n: totals(m, n) + 0.3, "lead back to its faces"),
    (ex.check_dice_totals, lambda m, n: totals(1, n) * m**0.5, "ten dice: mean"),
    (ex.check_dice_totals, lambda m, n: totals(m, n).unsqueeze(1), "shape"),
    (ex.check_bayes, lambda p, c: p[:, None] * c, "joint"),
    (ex.check_bayes, lambda p, c: c / c.sum(dim=0), "prior"),
    (ex.check_bayes, lambda p, c: c, "your rows add up"),
    (ex.check_bayes, lambda p, c: bayes(p, c).T, "shape"),
    (ex.check_bayes, lambda p, c: bayes(p.flip(0), c), "is off by"),
    (ex.check_days_later, lambda x, m, n: later(x, m.T, n), "left of the matrix"),
    (ex.check_days_later, lambda x, m, n: later(x, m, n + (n > 0)), "too many"),
    (ex.check_days_later, lambda x, m, n: later(x, m, max(n, 1)), "after 0 days"),
    (ex.check_reparameterize, lambda m, s, e: m + s.exp() * e, "standard deviation"),
    (ex.check_reparameterize, lambda m, s, e: drawn(m, s, torch.ones_like(e)), "the draw is off"),
    (ex.check_reparameterize, lambda m, s, e: drawn(m, s, e).detach(), "no derivative passes"),
    (ex.check_reparameterize, unreached, "reaches `log_variance`"),
    (ex.check_pathwise, by_score, "score-function"),
    (ex.check_pathwise, one_slope, "its own eps"),
    (ex.check_pathwise, summed, "the slope in mu is off"),
    (ex.check_q_sample, early, "index t - 1"),
    (ex.check_q_sample, no_root, "take the root"),
    (ex.check_q_sample, minus, "x_t at t = 1 is off by"),
    (ex.check_q_sample, lambda *a: None, "return"),
    (ex.check_q_sample, lambda s, x: x, "raises TypeError"),
    (ex.check_betas, lambda snr: 1 - betas(snr), "alphas"),
    (ex.check_betas, lambda snr: betas(snr)[1:], "first is missing"),
    (ex.check_betas, lambda snr: 1 / (1 + snr), "all steps"),
    (ex.check_betas, lambda snr: betas(snr.roll(1)), "beta is off by"),
    (ex.check_posterior, wide, "beta_tilde"),
    (ex.check_posterior, swapped, "the mean"),
    (ex.check_posterior_mean, rounded_to_nothing, "softmax"),
    (ex.check_posterior_mean, nearest, "likeliest"),
    (ex.check_posterior_mean, too_sure, "not by its root"),
    (ex.check_posterior_mean, lambda data, x_t, bar: posterior_mean(data, -x_t, bar), "off by"),
    (ex.check_posterior_mean, lambda data, x_t, bar: x_t[:3], "shape"),
    (ex.check_gaussian_kl, lambda a, v, b, w: kl(b, w, a, v), "changed places"),
    (ex.check_gaussian_kl, lambda *a: -kl(*a), "sign"),
    (ex.check_gaussian_kl, lambda a, v, b, w: kl(a, v**2, b, w**2), "off by"),
    (ex.check_bound, lambda p, q: -bound(p, q), "upside down"),
    (ex.check_bound, lambda p, q: (p / q).log().sum(), "weighed"),
    (ex.check_bound, lambda p, q: p.sum().log(), "log p"),
    (ex.check_bound, lambda p, q: (q * p.log()).sum(), "off by"),
    (ex.check_time_embedding, cosines_first, "changed places"),
    (ex.check_time_embedding, lambda t, width: t[:, None] * 1.0, "shape"),
    (ex.check_residual_block, NoZero, "zero"),
    (ex.check_residual_block, NoTime, "does not depend on the time"),
    (ex.check_attention, unscaled, "root of the width"),
    (ex.check_attention, over_queries, "over the keys"),
    (ex.check_attention, lambda q, k, v: v, "attention is off by"),
    (ex.check_ddim_step, no_noise, "the variance from t = 50 to 49"),
    (ex.check_heun, euler, "first order"),
    (ex.check_heun, half_of_heun, "by 4, not by"),
    (ex.check_guidance, lambda a, b, s: (1 + s) * a - s * b, "label alone"),
    (ex.check_guidance, lambda a, b, s: guided(b, a, s), "scale 0"),
    (ex.check_frechet, means_only, "covariances"),
    (ex.check_frechet, lambda a, b: frechet_distance(a, b) ** 0.5, "squared"),
    (ex.check_frechet, lambda a, b: 1.0, "should be"),
]


@pytest.mark.parametrize(("check", "function", "sentence"), WRONG)
def test_each_slip_gets_its_sentence(
    check: Callable[..., ex.Passed], function: Any, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check(function)
