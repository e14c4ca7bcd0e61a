"""The marks: right code passes, and each typical slip gets its own sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import default
from torch import Tensor, nn

from ddpm_lite import exercises as ex
from ddpm_lite.diffusion import q_posterior, q_sample
from ddpm_lite.evaluate import frechet_distance
from ddpm_lite.sample import ddim_step
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.unet import ResidualBlock, attend, sinusoidal_embedding


def block(inputs: int, outputs: int, time: int) -> nn.Module:
    return ResidualBlock(inputs, outputs, time, ex.small_config())


def guided(one: Tensor, other: Tensor, scale: float) -> Tensor:
    return other + scale * (one - other)


def euler(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    return y + (then - now) * slope(y, now)


def heun(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    end = euler(slope, y, now, then)
    return y + (then - now) * (slope(y, now) + slope(end, then)) / 2


def half_of_heun(slope: Callable[..., Tensor], y: Tensor, now: float, then: float) -> Tensor:
    return y + (then - now) * (slope(y, now) + slope(y, now)) / 4


RIGHT = [
    (ex.check_q_sample, q_sample),
    (ex.check_posterior, q_posterior),
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


WRONG = [
    (ex.check_q_sample, early, "index t - 1"),
    (ex.check_q_sample, no_root, "take the root"),
    (ex.check_q_sample, minus, "x_t at t = 1 is off by"),
    (ex.check_q_sample, lambda *a: None, "return"),
    (ex.check_q_sample, lambda s, x: x, "raises TypeError"),
    (ex.check_posterior, wide, "beta_tilde"),
    (ex.check_posterior, swapped, "the mean"),
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
