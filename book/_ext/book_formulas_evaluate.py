"""The formulas that `ddpm_lite.evaluate` runs."""

import math
from functools import cache

import torch
from book_formulas_bound import FEW, PICTURES, few, summed, terms_by
from book_formulas_given import X_0, X_0_HAT, X_T, constant, first
from book_formulas_numbers import Values
from book_formulas_reading import side
from book_formulas_row import Row
from torch import Tensor

from ddpm_lite import evaluate
from ddpm_lite.schedule import NoiseSchedule


def _features(mean: float, deviation: float) -> Tensor:
    """Two numbers with this mean and this (unbiased) standard deviation, (2, 1)."""
    half = deviation / 2**0.5
    return torch.tensor([[mean - half], [mean + half]], dtype=torch.float64)


def _frechet(s: NoiseSchedule) -> Tensor:
    pairs = zip(s.beta.sqrt().tolist(), s.one_minus_alpha_bar.sqrt().tolist(), strict=True)
    found = [evaluate.frechet_distance(_features(X_0, b), _features(X_T, r)) for b, r in pairs]
    return torch.tensor(found, dtype=torch.float64)


def _frechet_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return {"a": X_0, "b": s.beta.sqrt(), "c": X_T, "r": s.one_minus_alpha_bar.sqrt()}


@cache
def _likelihood() -> evaluate.Likelihood:
    """Of two pictures, each step of a short schedule by itself."""
    pixels = torch.full(PICTURES.shape, 200, dtype=torch.uint8)
    return evaluate.likelihood(few(), constant(X_0_HAT), pixels, "x_0", exact=FEW)


def _parts(s: NoiseSchedule) -> Tensor:
    found = _likelihood()
    nats = (found.distortion + found.rate) * 2 * math.log(2)
    return torch.tensor([nats], dtype=torch.float64)


EVALUATE = [
    Row(
        "evaluate.frechet_distance",
        "(mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross",
        "eq-eval-frechet", side, _frechet, says="one feature", given=_frechet_numbers,
    ),
    Row(
        "evaluate.likelihood", "whole = (lengths[:, None] * steps).sum(0) + prior",
        "eq-eval-bits", lambda found: summed(side(found)),
        lambda s: torch.tensor([_likelihood().bits_per_dim], dtype=torch.float64),
        says=f"summed for $T={FEW}$, in float32", times=first,
        given=lambda s: {"d": 2} | terms_by(r"\mathcal{L}"), within=1e-5,
    ),
    Row(
        "evaluate.likelihood", "rate=total - distortion", "eq-eval-split",
        lambda found: summed(side(found)), _parts,
        says=f"summed for $T={FEW}$, in float32", times=first,
        given=lambda s: terms_by(r"\mathcal{L}"), within=1e-5,
    ),
]  # fmt: skip
