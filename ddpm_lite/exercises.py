"""Marks for a reader's own code: each check compares it with the package on small random inputs.

A check raises AssertionError with a sentence that helps, or returns a Passed that shows a tick. The
functions have the package's signatures; `x` stands for images (B, C, H, W), in float64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lite.diffusion import Gaussian, gaussian_kl, q_posterior, q_sample
from ddpm_lite.frechet import frechet_distance
from ddpm_lite.sample import ddim_step
from ddpm_lite.schedule import cosine, linear
from ddpm_lite.unet import UNetConfig, attend, sinusoidal_embedding

SCHEDULE = linear(100)
"""The schedule that the checks use: 100 steps."""


@dataclass(frozen=True)
class Passed:
    """What was right; a notebook shows it as a line with a tick."""

    text: str

    def _repr_html_(self) -> str:
        return f'<div class="proof-line answer-right">✓ {self.text}</div>'


# --- Chapters 1 to 3 ------------------------------------------------------------------------------


def check_normal_density(function: Callable[..., Tensor]) -> Passed:
    """`function(x, mean, variance)` is the density of the normal law at the numbers x (n,)."""
    x = torch.linspace(-3, 5, 9, dtype=torch.float64)
    for mean, variance in ((0.0, 1.0), (0.5, 4.0), (-1.0, 0.09)):
        mine = _called(function, x, mean, variance)
        bell = torch.exp(-((x - mean) ** 2) / (2 * variance))
        right = bell / math.sqrt(2 * math.pi * variance)
        place = f"the density for mean {mean} and variance {variance}"
        if _close(mine, bell):
            raise AssertionError("the area under your curve is not 1: divide by its area")
        if variance != 1 and _close(mine, _bell_of_deviation(x, mean, variance)):
            raise AssertionError("the third number is the variance; you take it for its root")
        _same(mine, right, place, tolerance=1e-6)  # torch's Normal rounds its numbers to float32
    return Passed("the normal density is right")


def _bell_of_deviation(x: Tensor, mean: float, deviation: float) -> Tensor:
    z = (x - mean) / deviation
    return torch.exp(-(z**2) / 2) / (math.sqrt(2 * math.pi) * deviation)


def check_dice_totals(function: Callable[..., Tensor]) -> Passed:
    """`function(dice, throws)` throws so many dice so many times, and standardises each total.

    What it returns (throws,) are the totals, shifted and stretched to mean 0 and variance 1.
    """
    throws, one, root = 6000, 35 / 12, (35 / 12) ** 0.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same code gets the same mark each time
        single = _tensor(_called(function, 1, throws)).double()
        ten = _tensor(_called(function, 10, throws)).double()
    _same_shape(single, torch.empty(throws), "what one die gives")
    _same_shape(ten, torch.empty(throws), "what ten dice give")
    if _whole(single * one + 3.5):
        raise AssertionError("divide by the root of the variance, which is the deviation")
    faces = single * root + 3.5
    if not _whole(faces):
        raise AssertionError("one die: mean 3.5 and variance 35/12 do not lead back to its faces")
    if set(faces.round().tolist()) == {1, 2, 3, 4, 5}:
        raise AssertionError("no die shows a six: torch.randint leaves its upper end out")
    if set(faces.round().tolist()) != {1, 2, 3, 4, 5, 6}:
        raise AssertionError("the faces of a die are 1 to 6")
    mean, variance = float(ten.mean()), float(ten.var())
    if abs(mean) > 0.1 or abs(variance - 1) > 0.1:
        raise AssertionError(f"ten dice: mean {mean:.2f}, variance {variance:.2f}; not 0 and 1")
    return Passed("the totals are thrown and standardised as they should be")


def _whole(numbers: Tensor) -> bool:
    """Whether these are whole numbers, but for rounding in float32."""
    return bool((numbers - numbers.round()).abs().max() < 1e-4)


def check_bayes(function: Callable[..., Tensor]) -> Passed:
    """`function(prior, chance)` turns p(x) (K,) and p(y | x) (K, M) into p(x | y), also (K, M)."""
    generator = torch.Generator().manual_seed(0)
    prior = torch.rand(3, generator=generator, dtype=torch.float64)
    prior /= prior.sum()
    chance = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    chance /= chance.sum(dim=1, keepdim=True)
    mine = _called(function, prior, chance)
    joint = prior[:, None] * chance
    _same_shape(mine, joint, "the table")
    if _close(mine, joint):
        raise AssertionError("this is the joint law: divide each column by its sum, which is p(y)")
    if _close(mine, chance / chance.sum(dim=0)):
        raise AssertionError("the prior is missing: p(x, y) is p(x) times p(y | x)")
    if _close(mine, joint / joint.sum(dim=1, keepdim=True)):
        raise AssertionError("your rows add up to 1; given y, it is the column that has to")
    _same(mine, joint / joint.sum(dim=0), "p(x | y)")
    return Passed("p(x | y) follows from p(x) and p(y | x)")


def check_days_later(function: Callable[..., Tensor]) -> Passed:
    """`function(today, matrix, days)` is the law (K,) after so many days, from today's (K,)."""
    generator = torch.Generator().manual_seed(0)
    today = torch.tensor([0.7, 0.3, 0.0], dtype=torch.float64)
    matrix = torch.rand(3, 3, generator=generator, dtype=torch.float64)
    matrix /= matrix.sum(dim=1, keepdim=True)
    for days in (0, 1, 2, 5):
        mine = _called(function, today, matrix, days)
        power = torch.linalg.matrix_power(matrix, days)
        if days and _close(mine, power @ today):
            raise AssertionError("rows are where the chain is: the law stands left of the matrix")
        if days and _close(mine, today @ power @ matrix):
            raise AssertionError("one step too many")
        _same(mine, today @ power, f"the law after {days} days")
    return Passed("the law of the weather is right for each day")


def check_reparameterize(function: Callable[..., Tensor]) -> Passed:
    """`function(mean, log_variance, eps)` draws from N(mean, exp(log_variance)) with that eps.

    Derivatives have to reach the mean and the logarithm of the variance.
    """
    mean, log_variance = (_images(seed).requires_grad_() for seed in (1, 2))
    eps = _images(3)
    mine = _called(function, mean, log_variance, eps)
    deviation = torch.exp(log_variance / 2)
    if _close(_tensor(mine).detach(), (mean + log_variance.exp() * eps).detach()):
        raise AssertionError("noise is scaled by its standard deviation, exp(log_variance / 2)")
    _same(_tensor(mine).detach(), (mean + deviation * eps).detach(), "the draw")
    if not mine.requires_grad:
        raise AssertionError("no derivative passes: compute with the tensors as they come")
    slopes = torch.autograd.grad(mine.sum(), (mean, log_variance), allow_unused=True)
    rights = (torch.ones_like(eps), eps * deviation.detach() / 2)
    names = ("mean", "log_variance")
    for slope, right, name in zip(slopes, rights, names, strict=True):
        if slope is None:
            raise AssertionError(f"no derivative reaches `{name}`")
        _same(slope, right, f"the derivative in `{name}`")
    return Passed("the draw is right, and derivatives pass through it")


def check_pathwise(function: Callable[..., Any]) -> Passed:
    """`function(f, mu, sigma, eps)`: the slopes of E[f(x)] in mu and sigma, means over eps (n,)."""
    eps = _images(4).flatten()
    mu, sigma = 0.7, 1.5
    x = mu + sigma * eps
    tried: tuple[tuple[Callable[[Tensor], Tensor], Tensor], ...] = (
        (lambda x: x**2, 2 * x),
        (lambda x: x.sin(), x.cos()),
    )
    for f, slope in tried:
        to_mu, to_sigma = _called(function, f, mu, sigma, eps)
        if _close(to_mu, (f(x) * eps / sigma).mean()):
            raise AssertionError("this is the score-function way: it takes f, not its slope")
        _same(to_mu, slope.mean(), "the slope in mu")
        if _close(to_sigma, slope.mean()):
            raise AssertionError("if sigma is turned, x moves by its own eps, not by 1")
        _same(to_sigma, (slope * eps).mean(), "the slope in sigma")
    return Passed("both slopes are means of derivatives along the path")


# --- Chapters 4 to 10 -----------------------------------------------------------------------------


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


def check_betas(function: Callable[..., Tensor]) -> Passed:
    """`function(snr)` finds the betas (T,) of the schedule with these signal-to-noise ratios."""
    for schedule in (SCHEDULE, cosine(50)):
        mine = _called(function, schedule.snr)
        if _close(mine, schedule.alpha):
            raise AssertionError("these are the alphas, and beta_t is 1 - alpha_t")
        if _close(mine, schedule.beta[1:]):
            raise AssertionError("the first is missing: before it comes alpha_bar_0, which is 1")
        if _close(mine, 1 - schedule.alpha_bar):
            raise AssertionError("this is 1 - alpha_bar_t, the noise of all steps and not of one")
        _same_shape(mine, schedule.beta, "the table")
        _same(mine, schedule.beta, "beta")
    return Passed("the schedule has the signal-to-noise ratios that were ordered")


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


def check_posterior_mean(function: Callable[..., Tensor]) -> Passed:
    """`function(data, x_t, bar)` is the mean of x_0 given x_t.

    x_0 is one of the rows of data (N, d), each as likely; x_t (d,) was made with alpha_bar = bar.
    """
    data = _images(1).flatten(1).repeat(3, 1) * torch.linspace(0.2, 1.2, 6)[:, None]
    for bar in (0.02, 0.5, 0.999):
        x_t = bar**0.5 * data[3] + (1 - bar) ** 0.5 * _images(2)[0].flatten()
        away = -(x_t - bar**0.5 * data).square().sum(1) / 2
        right = (away / (1 - bar)).softmax(0) @ data
        mine = _called(function, data, x_t, bar)
        _same_shape(mine, right, "the mean")
        if _tensor(mine).isnan().any():
            raise AssertionError("the weights are all rounded to 0: use softmax on the exponents")
        if bar < 0.1 and _close(mine, data[away.argmax()]):
            raise AssertionError("this is the likeliest picture, and not the mean of all")
        if bar < 0.9 and _close(mine, (away / (1 - bar) ** 0.5).softmax(0) @ data):
            raise AssertionError("divide by the variance 1 - bar, and not by its root")
        _same(mine, right, f"the mean with alpha_bar = {bar}")
    return Passed("the mean of x_0 given x_t is right")


def check_gaussian_kl(function: Callable[..., Tensor]) -> Passed:
    """`function(mean_1, v_1, mean_2, v_2)` is the divergence of N(mean_1, v_1) from the other."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    sizes = torch.rand(2, 5, generator=generator, dtype=torch.float64) + 0.5
    one, other = Gaussian(means[0], sizes[0]), Gaussian(means[1], sizes[1])
    mine = _called(function, one.mean, one.variance, other.mean, other.variance)
    if _close(mine, gaussian_kl(other, one)):
        raise AssertionError("the two have changed places: it is the first that draws")
    if _close(mine, -gaussian_kl(one, other)):
        raise AssertionError("a divergence is never negative: the sign is turned")
    _same(mine, gaussian_kl(one, other), "the divergence")
    return Passed("the divergence of two Gaussians is right")


def check_bound(function: Callable[..., Any]) -> Passed:
    """`function(joint, guess)` is the bound on log p(x) where z has finitely many values.

    joint (n,) holds p(x, z) for the x that was seen, guess (n,) the chances of z.
    """
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        joint, guess = torch.rand(2, 4, generator=generator, dtype=torch.float64)
        joint, guess = 0.3 * joint, guess / guess.sum()
        mine, right = _called(function, joint, guess), (guess * (joint / guess).log()).sum()
        if _close(mine, -right):
            raise AssertionError("upside down: the joint probability is above, the guess below")
        if _close(mine, (joint / guess).log().sum()):
            raise AssertionError("each logarithm is to be weighed with the guess's chance")
        if _close(mine, joint.sum().log()):
            raise AssertionError("this is log p(x) itself; the bound needs the guess")
        _same(mine, right, "the bound")
    return Passed("the bound is right, and it lies below log p(x)")


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
