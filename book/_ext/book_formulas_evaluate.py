"""The formulas that `ddpm_lite.evaluate` runs."""

import math
from functools import cache

import torch
from book_formulas_bound import FEW, PICTURES, few, summed, terms_by
from book_formulas_given import X_0_HAT, constant, first
from book_formulas_reading import side
from book_formulas_row import Row
from torch import Tensor

from ddpm_lite import evaluate
from ddpm_lite.schedule import NoiseSchedule


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
