"""The formula that `ddpm_lite.frechet` runs."""

import torch
from book_formulas_given import X_0, X_T
from book_formulas_numbers import Values
from book_formulas_reading import side
from book_formulas_row import Row
from torch import Tensor

from ddpm_lite.frechet import frechet_distance
from ddpm_lite.schedule import NoiseSchedule


def _features(mean: float, deviation: float) -> Tensor:
    """Two numbers with this mean and this (unbiased) standard deviation, (2, 1)."""
    half = deviation / 2**0.5
    return torch.tensor([[mean - half], [mean + half]], dtype=torch.float64)


def _frechet(s: NoiseSchedule) -> Tensor:
    pairs = zip(s.beta.sqrt().tolist(), s.one_minus_alpha_bar.sqrt().tolist(), strict=True)
    found = [frechet_distance(_features(X_0, b), _features(X_T, r)) for b, r in pairs]
    return torch.tensor(found, dtype=torch.float64)


def _frechet_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return {"a": X_0, "b": s.beta.sqrt(), "c": X_T, "r": s.one_minus_alpha_bar.sqrt()}


FRECHET = [
    Row(
        "frechet._apart",
        "(a.mean - b.mean).square().sum() + trace_a + trace_b - 2 * cross",
        "eq-eval-frechet", side, _frechet, says="one feature", given=_frechet_numbers,
    ),
]  # fmt: skip
