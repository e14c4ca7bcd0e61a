"""Marks for a reader's own code: each check compares it with the package on small random inputs.

A check raises AssertionError with a sentence that helps, or returns a Passed that shows a tick. The
functions have the package's signatures; `x` stands for images (B, C, H, W), in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lite.diffusion import Gaussian, q_posterior, q_sample
from ddpm_lite.evaluate import frechet_distance
from ddpm_lite.sample import ddim_step
from ddpm_lite.schedule import linear
from ddpm_lite.unet import UNetConfig, attend, sinusoidal_embedding

SCHEDULE = linear(100)
"""The schedule that the checks use: 100 steps."""


@dataclass(frozen=True)
class Passed:
    """What was right; a notebook shows it as a line with a tick."""

    text: str

    def _repr_html_(self) -> str:
        return f'<div class="proof-line answer-right">✓ {self.text}</div>'


def check_q_sample(function: Callable[..., Tensor]) -> Passed:
    """`function(schedule, x_0, t, eps)` jumps from x_0 to x_t; t runs from 1 to T."""
    x_0, eps = _images(1), _images(2)
    for t in (1, 2, 50, 100):
        mine = _called(function, SCHEDULE, x_0, t, eps)
        right = q_sample(SCHEDULE, x_0, t, eps)
        if t > 1 and _close(mine, q_sample(SCHEDULE, x_0, t - 1, eps)):
            raise AssertionError("one step too early: the values of time t lie at index t - 1")
        if _close(mine, _variance_for_deviation(x_0, t, eps)):
            raise AssertionError("noise is scaled by its standard deviation: take the root")
        _same(mine, right, f"x_t at t = {t}")
    return Passed("q_sample draws x_t as the package does")


def _variance_for_deviation(x_0: Tensor, t: int, eps: Tensor) -> Tensor:
    bar = SCHEDULE.alpha_bar[t - 1]
    return bar.sqrt() * x_0 + (1 - bar) * eps


def check_posterior(function: Callable[..., Any]) -> Passed:
    """`function(schedule, x_0, x_t, t)` gives mean and variance of q(x_{t-1} | x_t, x_0)."""
    x_0, x_t = _images(1), _images(2)
    for t in (2, 50, 100):
        mean, variance = _called(function, SCHEDULE, x_0, x_t, t)
        right = q_posterior(SCHEDULE, x_0, x_t, t)
        _same(mean, right.mean, f"the mean at t = {t}")
        beta, beta_tilde = SCHEDULE.beta[t - 1], right.variance.flatten()[0]
        # half of the gap is the limit, because near T the two agree in six digits
        if (_tensor(variance).double() - beta).abs().max() < (beta - beta_tilde) / 2:
            raise AssertionError("this is beta_t; the posterior is narrower: beta_tilde_t")
        _same(variance, beta_tilde, f"the variance at t = {t}")
    return Passed("mean and variance of the posterior are right")


def check_time_embedding(function: Callable[..., Tensor]) -> Passed:
    """`function(t, width)` maps times (B,) to sines and cosines (B, width)."""
    t = torch.tensor([1, 2, 500, 1000])
    mine = _called(function, t, 16)
    right = sinusoidal_embedding(t, 16)
    _same_shape(mine, right, "the embedding")
    if _close(torch.cat(mine.chunk(2, dim=1)[::-1], dim=1), right):
        raise AssertionError("sines and cosines have changed places: the package puts sines first")
    # in float32 an angle of 1000 is rounded by 6e-5, in another order of the same operations too
    _same(mine, right, "the embedding", tolerance=1e-4)
    return Passed("the time embedding is right")


def check_residual_block(make: Callable[..., nn.Module]) -> Passed:
    """`make(inputs, outputs, time)` builds a block of the package's shapes.

    It maps x (B, inputs, H, W) and time (B, time) to (B, outputs, H, W). It must start as the
    identity (or a 1x1 convolution), depend on the time once trained, and let gradients reach both.
    """
    kind = torch.get_default_dtype()  # that of the block's weights
    x, time = _images(1, channels=8).to(kind), torch.randn(2, 12)
    block = make(8, 8, 12)
    out = _called(block, x, time)
    _same_shape(out, x, "the block's output")
    if not _close(out, x):
        raise AssertionError("a new block must pass its input on: set the last convolution to zero")
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    if _close(block(x, time), block(x, time + 1)):
        raise AssertionError("the output does not depend on the time")
    if make(8, 16, 12)(x, time).shape != (2, 16, *x.shape[2:]):
        raise AssertionError("with other outputs than inputs the skip needs a 1x1 convolution")
    return Passed("the residual block starts as the identity and uses the time")


def check_attention(function: Callable[..., Tensor]) -> Passed:
    """`function(q, k, v)` is softmax(q k^T / sqrt(width)) v, each (B, heads, pixels, width)."""
    q, k, v = (_images(seed, channels=2) for seed in (1, 2, 3))
    mine = _called(function, q, k, v)
    weights = q @ k.transpose(-1, -2)
    if _close(mine, weights.softmax(-1) @ v):
        raise AssertionError("divide by the root of the width before the softmax")
    if _close(mine, (weights * q.shape[-1] ** -0.5).softmax(-2) @ v):
        raise AssertionError("the softmax runs over the keys, the last dimension")
    _same(mine, attend(q, k, v), "attention")
    return Passed("attention is right")


def check_ddim_step(function: Callable[..., Any]) -> Passed:
    """`function(schedule, x_0, x_t, t, before, eta)` gives mean and variance of x_before."""
    x_0, x_t = _images(1), _images(2)
    for t, before, eta in ((100, 50, 0.0), (50, 49, 1.0), (50, 20, 0.5), (10, 0, 0.0)):
        mean, variance = _called(function, SCHEDULE, x_0, x_t, t, before, eta)
        right: Gaussian = ddim_step(SCHEDULE, x_0, x_t, t, before, eta)
        place = f"from t = {t} to {before} with eta = {eta}"
        _same(variance, right.variance.flatten()[0], f"the variance {place}")
        _same(mean, right.mean, f"the mean {place}")
    return Passed("the DDIM step is right, and with eta = 1 it is the DDPM step")


def check_heun(function: Callable[..., Any]) -> Passed:
    """`function(slope, y, now, then)` steps y along dy/dkappa = slope(y, kappa) by Heun's method.

    Marked by its order, on pixels of variance 1/4, whose path is known: half the step must leave a
    quarter of the error.
    """

    def slope(y: Tensor, kappa: float) -> Tensor:
        return y * kappa / (kappa**2 + 0.25)

    def error(steps: int) -> float:
        y = torch.tensor(3.0**2 + 0.25, dtype=torch.float64).sqrt()
        for k in range(steps):
            y = _called(function, slope, y, 3 - 3 * k / steps, 3 - 3 * (k + 1) / steps)
        return abs(float(_tensor(y)) / 0.5 - 1)

    gain = error(80) / max(error(160), 1e-12)
    if 1.8 < gain < 2.2:
        raise AssertionError("half the step halves the error: this is of first order, like DDIM")
    if not 3.7 < gain < 4.3:
        raise AssertionError(f"half the step should divide the error by 4, not by {gain:.2g}")
    return Passed("half the step leaves a quarter of the error: it is of second order")


def check_guidance(function: Callable[..., Tensor]) -> Passed:
    """`function(with_label, without, scale)` is guidance; scale 1 is the label alone."""
    one, other = _images(1), _images(2)
    if _close(_called(function, one, other, 1.0), 2 * one - other):
        raise AssertionError("here scale 1 means the label alone; yours calls that 0")
    for scale in (0.0, 1.0, 2.5):
        right = other + scale * (one - other)
        _same(_called(function, one, other, scale), right, f"guidance with scale {scale}")
    return Passed("guidance is right")


def check_frechet(function: Callable[..., float]) -> Passed:
    """`function(a, b)` is the squared Frechet distance of features (n, d) and (m, d)."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    b = 0.5 + 1.5 * torch.randn(300, 5, generator=generator, dtype=torch.float64)
    mine, right = float(_called(function, a, b)), frechet_distance(a, b)
    if abs(mine - float((a.mean(0) - b.mean(0)).square().sum())) < 1e-6:
        raise AssertionError("only the means are compared; the covariances belong to it too")
    if abs(mine**2 - right) < 1e-6 * right:
        raise AssertionError("this is the root: the distance is given squared")
    if abs(mine - right) > 0.02 * right:
        raise AssertionError(f"it should be {right:.4f}, and yours is {mine:.4f}")
    return Passed("the Frechet distance is right")


def small_config() -> UNetConfig:
    """A U-Net configuration small enough to try blocks with."""
    return UNetConfig(channels=(8, 16), groups=4, heads=2)


# --- Comparing -----------------------------------------------------------------------------------


def _images(seed: int, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, 6, 6, generator=generator, dtype=torch.float64)


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's value; what it raises is told in one sentence."""
    try:
        value = function(*arguments)
    except Exception as error:
        raise AssertionError(f"your code raises {type(error).__name__}: {error}") from error
    if value is None:
        raise AssertionError("your code returns nothing; is a `return` missing?")
    return value


def _tensor(value: Any) -> Tensor:
    """The value as a tensor; Python's own numbers, which have no dtype, keep all their digits."""
    dtype = None if hasattr(value, "dtype") else torch.float64
    return torch.as_tensor(value, dtype=dtype, device="cpu")


def _tolerance(value: Tensor, least: float) -> float:
    """A right answer in float32 is right, though it has fewer digits."""
    return max(least, 8 * torch.finfo(value.dtype).eps) if value.is_floating_point() else least


def _close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    a, b = _tensor(a), _tensor(b)
    limit = max(_tolerance(a, tolerance), _tolerance(b, tolerance))
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=limit, atol=limit)


def _same_shape(mine: Any, right: Tensor, what: str) -> None:
    if _tensor(mine).shape != right.shape:
        shapes = f"{tuple(_tensor(mine).shape)}, not {tuple(right.shape)}"
        raise AssertionError(f"{what} has shape {shapes}")


def _same(mine: Any, right: Tensor, what: str, tolerance: float = 1e-9) -> None:
    """Equal where both are broadcast to one shape."""
    value = _tensor(mine)
    tolerance = _tolerance(value, tolerance)
    try:
        a, b = torch.broadcast_tensors(value.double(), right.double())
    except RuntimeError:
        _same_shape(mine, right, what)
        raise
    worst = float((a - b).abs().max())
    if not worst <= tolerance * max(1.0, float(b.abs().max())):
        raise AssertionError(f"{what} is off by {worst:.3g} where it should be equal")
