"""The noise schedule: how much noise each of the T steps adds, and all that follows from it.

Everything is kept in float64: `alpha_bar` is a product of a thousand numbers near 1, and
`1 - alpha_bar` at t = 1 is near 1e-5, where float32 keeps only two digits.

Time runs t = 1..T as in the mathematics; the value for time t lies at index t - 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_lite.devices import to_device

__all__ = ["SCHEDULES", "NoiseSchedule", "cosine", "from_alpha_bar", "linear", "shifted"]

MAX_FINAL_ALPHA_BAR = 1e-2
"""Above this, x_T still shows the image, and sampling from pure noise starts from the wrong law."""

MAX_STEPS = 100_000
"""The most steps T of a schedule that is made by its name.

Images are computed in float32, and with twice as many steps the first factors sqrt(1 - beta_t) of
`cosine_fine` would be rounded to 1 there. It also keeps a slip of the keyboard from filling the
memory.
"""


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A variance schedule beta_1..beta_T of DDPM (arXiv:2006.11239, section 2).

    `beta` has shape (T,) and is kept as float64 on the CPU; so are all the other tables. Raises
    ValueError if a beta lies outside (0, 1), or if so much signal is left at T
    (alpha_bar_T > 1e-2) that x_T is not close to noise.
    """

    beta: Tensor

    def __post_init__(self) -> None:
        beta = torch.as_tensor(self.beta, dtype=torch.float64, device="cpu").clone()
        object.__setattr__(self, "beta", beta)
        if beta.ndim != 1 or len(beta) == 0:
            raise ValueError(f"beta must be a list of at least one number, not shape {beta.shape}")
        if not bool(((beta > 0) & (beta < 1)).all()):
            advice = "lower the largest, or take more steps T"
            if not bool((beta > 0).all()):
                advice = "a step that adds no noise is no step"
            raise ValueError(
                "every beta must lie strictly between 0 and 1; "
                f"these run from {beta.min():.3g} to {beta.max():.3g}: {advice}"
            )
        if self.alpha_bar[-1] > MAX_FINAL_ALPHA_BAR:
            raise ValueError(
                f"alpha_bar_T is {self.alpha_bar[-1]:.3g}, above {MAX_FINAL_ALPHA_BAR}: x_T would "
                "still show the image; take larger betas (linear ones scaled by 1000/T) or more "
                "steps T"
            )

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta)

    @cached_property
    def alpha(self) -> Tensor:
        """alpha_t = 1 - beta_t, shape (T,)."""
        return 1 - self.beta

    @cached_property
    def alpha_bar(self) -> Tensor:
        """alpha_bar_t = alpha_1 ... alpha_t, shape (T,), falling from near 1 to near 0."""
        return self.alpha.cumprod(0)

    @cached_property
    def alpha_bar_prev(self) -> Tensor:
        """alpha_bar_{t-1}, shape (T,); alpha_bar_0 = 1."""
        return torch.cat([torch.ones(1, dtype=torch.float64, device="cpu"), self.alpha_bar[:-1]])

    @cached_property
    def one_minus_alpha_bar(self) -> Tensor:
        """1 - alpha_bar_t, shape (T,), without the cancellation that 1 - alpha_bar has near t = 1.

        From 1 - alpha_bar_t = 1 - prod(1 - beta_s), as -expm1(sum(log1p(-beta_s))).
        """
        return -torch.expm1(torch.log1p(-self.beta).cumsum(0))

    @cached_property
    def _one_minus_alpha_bar_prev(self) -> Tensor:
        return torch.cat(
            [torch.zeros(1, dtype=torch.float64, device="cpu"), self.one_minus_alpha_bar[:-1]]
        )

    @cached_property
    def posterior_variance(self) -> Tensor:
        """beta_tilde_t, the variance of q(x_{t-1} | x_t, x_0), shape (T,); 0 at t = 1.

        DDPM equation 7: beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t).
        """
        return self.beta * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar

    @cached_property
    def posterior_mean_x_0(self) -> Tensor:
        """The factor of x_0 in the mean of q(x_{t-1} | x_t, x_0), shape (T,); DDPM equation 7."""
        return self.alpha_bar_prev.sqrt() * self.beta / self.one_minus_alpha_bar

    @cached_property
    def posterior_mean_x_t(self) -> Tensor:
        """The factor of x_t in the mean of q(x_{t-1} | x_t, x_0), shape (T,); DDPM equation 7."""
        return self.alpha.sqrt() * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar

    @cached_property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio alpha_bar_t / (1 - alpha_bar_t), shape (T,), falling."""
        return self.alpha_bar / self.one_minus_alpha_bar

    def at(self, table: Tensor, t: Tensor | int, like: Tensor) -> Tensor:
        """The values of a table (T,) at times t, ready to be multiplied with `like`.

        t is an integer or integers of shape (B,), 1..T; `like` has shape (B, ...). Returns shape
        (B, 1, ..., 1), or (1, ..., 1) for one t, in `like`'s dtype and on its device. Raises
        IndexError for a time outside 1..T and TypeError for one that is no integer.
        """
        index = torch.as_tensor(t, device="cpu").reshape(-1)
        if index.dtype.is_floating_point or index.dtype.is_complex or index.dtype == torch.bool:
            raise TypeError(f"t must be an integer, not {index.dtype}")
        if len(index) and not (int(index.min()) >= 1 and int(index.max()) <= self.T):
            raise IndexError(
                f"t must lie in 1..{self.T}; it runs from {index.min()} to {index.max()}"
            )
        values = to_device(table[index.long() - 1], like.device, like.dtype)
        return values.reshape(-1, *[1] * (like.ndim - 1))


def check_steps(T: int) -> None:
    """Raises ValueError for a number of steps outside 1..MAX_STEPS."""
    if not 1 <= T <= MAX_STEPS:
        raise ValueError(f"the number of steps T must lie in 1..{MAX_STEPS}, not {T}")


def _even(first: float, last: float, T: int) -> Tensor:
    """T numbers from `first` to `last`, evenly spaced."""
    return torch.linspace(first, last, T, dtype=torch.float64, device="cpu")


def linear(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> NoiseSchedule:
    """Evenly spaced betas, DDPM section 4, scaled by 1000/T so that fewer steps end in noise too.

    The scale is that of Nichol and Dhariwal's code; with it T must exceed 20. Raises ValueError
    below that and above MAX_STEPS.
    """
    check_steps(T)
    scale = 1000 / T
    return NoiseSchedule(_even(scale * first, scale * last, T))


def quadratic(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> NoiseSchedule:
    """Betas whose square roots are evenly spaced (DDIM's code), scaled by 1000/T."""
    check_steps(T)
    scale = 1000 / T
    return NoiseSchedule(_even((scale * first) ** 0.5, (scale * last) ** 0.5, T) ** 2)


def from_alpha_bar(
    alpha_bar: Callable[[float], float], T: int, max_beta: float = 0.999
) -> NoiseSchedule:
    """beta_t = 1 - alpha_bar(t/T) / alpha_bar((t-1)/T), at most `max_beta`.

    `alpha_bar` is a falling function on [0, 1]. Source: Nichol and Dhariwal, "Improved DDPM"
    (arXiv:2102.09672, section 3.2).
    """
    check_steps(T)
    values = [alpha_bar(t / T) for t in range(T + 1)]
    betas = [min(1 - after / before, max_beta) for before, after in pairwise(values)]
    return NoiseSchedule(torch.tensor(betas, dtype=torch.float64, device="cpu"))


def cosine(T: int = 1000, offset: float = 0.008) -> NoiseSchedule:
    """alpha_bar falls like a squared cosine; Improved DDPM (arXiv:2102.09672), equation 17."""

    def alpha_bar(u: float) -> float:
        return math.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2

    return from_alpha_bar(alpha_bar, T)


def cosine_fine(T: int = 1000) -> NoiseSchedule:
    """The cosine with a quarter of its offset.

    Its first noise is less than half a grey level of 256. A pixel that the network is sure of then
    costs next to nothing in the bound, whose decoder has one variance for all pixels.
    """
    return cosine(T, offset=0.002)


def sigmoid(T: int = 1000, start: float = -3.0, end: float = 3.0) -> NoiseSchedule:
    """alpha_bar falls like a logistic curve; Jabri et al. (arXiv:2212.11972), algorithm 7."""

    def logistic(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def alpha_bar(u: float) -> float:
        top, bottom = logistic(end), logistic(start)
        return (top - logistic(start + u * (end - start))) / (top - bottom)

    return from_alpha_bar(alpha_bar, T)


def shifted(schedule: NoiseSchedule, factor: float) -> NoiseSchedule:
    """The schedule for images whose side is `factor` times that which `schedule` was made for.

    Averaging squares of factor x factor pixels leaves the small image and divides the variance of
    the noise by factor^2. So the signal-to-noise ratio is divided by factor^2 at every t, which
    makes beta_t into factor^2 beta_t / (alpha_bar_t + factor^2 (1 - alpha_bar_t)). Hoogeboom et al.
    (arXiv:2301.11093, section 3.1). Raises ValueError for a factor that is not above 0 and below
    1e100, and if so much signal is left at T that x_T is not close to noise.
    """
    if not 0 < factor < 1e100:
        raise ValueError(f"a schedule is shifted by a factor above 0 and below 1e100, not {factor}")
    if factor == 1:
        return schedule  # not a bit of it changed
    square = factor**2
    whole = schedule.alpha_bar + square * schedule.one_minus_alpha_bar
    return NoiseSchedule(square * schedule.beta / whole)


SCHEDULES: dict[str, Callable[[int], NoiseSchedule]] = {
    "linear": linear,
    "cosine": cosine,
    "cosine_fine": cosine_fine,
    "quadratic": quadratic,
    "sigmoid": sigmoid,
}
"""Schedules by name; each takes T, up to MAX_STEPS."""
