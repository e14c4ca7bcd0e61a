"""What a formula and the code that runs it are given: the times, and the same numbers.

Where a formula has pictures, the code gets pictures of one pixel, and `NUMBERS` says which.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ddpm_lite.diffusion import Model
from ddpm_lite.schedule import NoiseSchedule

X_T, X_PREV, X_0, EPS, V = 0.7, -0.4, 0.3, 1.1, 0.9
X_0_HAT, EPS_HAT, FLOW = -0.2, -0.6, 0.8
"""What a network is made to predict."""
ETA, SCALE = 0.6, 2.5
CONDITIONED, UNCONDITIONED = 0.5, -0.3
"""What it puts out with its label and without."""

NUMBERS: Mapping[str, float] = {
    "x_t": X_T, "x_{t-1}": X_PREV, "x_0": X_0, r"\epsilon": EPS, r"\mathrm v": V,
    r"\mathrm f": FLOW,
    r"\hat x_0": X_0_HAT, r"\epsilon_\theta": EPS_HAT, r"\epsilon_\theta(x_t, t)": EPS_HAT,
    r"\eta": ETA, "w": SCALE, "I": 1, "d": 1,
}  # fmt: skip
"""The same number at every t, for the formula and for the code."""


# --- Which times ---------------------------------------------------------------------------------


def every(T: int) -> range:
    """All times."""
    return range(1, T + 1)


def from_2(T: int) -> range:
    """All but the first, where alpha_bar_{t-1} is 1 and a formula divides by 0."""
    return range(2, T + 1)


def first(T: int) -> range:
    """The first time."""
    return range(1, 2)


def last(T: int) -> range:
    """The last time, T."""
    return range(T, T + 1)


def but_last(T: int) -> range:
    """All but the last."""
    return range(1, T)


# --- The code's pictures -------------------------------------------------------------------------


def filled(schedule: NoiseSchedule, value: float) -> Tensor:
    """A picture of one pixel for each time, (T, 1)."""
    return torch.full((schedule.T, 1), value, dtype=torch.float64)


def pixel(value: float) -> Tensor:
    """One picture of one pixel, (1, 1)."""
    return torch.full((1, 1), value, dtype=torch.float64)


def steps(schedule: NoiseSchedule) -> Tensor:
    """1..T."""
    return torch.arange(1, schedule.T + 1)


def one_by_one(function: Callable[[int], Tensor], times: range) -> Tensor:
    """For code that takes one t."""
    return torch.stack([function(t).reshape(()) for t in times])


def flat(numbers: Tensor) -> Tensor:
    """Pictures of one pixel as numbers."""
    return numbers.reshape(-1)


def constant(value: float) -> Model:
    """A network that always says the same."""
    return lambda x_t, t: torch.full_like(x_t, value)
