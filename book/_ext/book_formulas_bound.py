"""The whole bound of a short schedule, for the rows whose formula is a sum over all its steps."""

from functools import cache

import sympy as sp
import torch
from book_formulas_given import X_0_HAT, constant
from book_formulas_numbers import Values
from torch import Tensor

from ddpm_lite import diffusion, schedule
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.reader import read

FEW = 25
"""Steps of a schedule whose whole bound is summed: T evaluations for each number else."""
PICTURES = torch.full((2, 1, 1, 2), 200 / 127.5 - 1)
"""Two pictures of two pixels of one grey level."""


@cache
def few() -> NoiseSchedule:
    """The short schedule."""
    return schedule.cosine(FEW)


def _terms(s: NoiseSchedule, x_0: Tensor) -> list[Tensor]:
    """L_0, ..., L_{T-1}, L_T of pictures, for a network that always predicts the same."""
    model, eps, every_time = constant(X_0_HAT), torch.zeros_like(x_0), range(1, s.T + 1)
    whole = [torch.full((len(x_0),), t) for t in every_time]
    terms = [diffusion.bound_term(s, model, x_0, t, eps, "x_0") for t in whole]
    return [*terms, diffusion.prior_term(s, x_0)]


def terms_by(name: str) -> dict[str, Values]:
    """The terms by the names that they have in a formula, such as L_{3}."""
    terms = _terms(few(), PICTURES.double())
    return {f"{name}_{{{k}}}": float(term[0]) for k, term in enumerate(terms)}


def summed(formula: sp.Expr) -> sp.Expr:
    """A formula whose sum runs to T, with each of its terms."""
    return formula.subs(read("T"), FEW).doit()
