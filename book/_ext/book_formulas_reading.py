"""How a formula is read: from what an equation claims to what the code computes."""

from collections.abc import Callable
from typing import TypeAlias

import sympy as sp

from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.reader import read

Reading: TypeAlias = Callable[..., sp.Expr]
"""From the claims of each label to the expression that the code should agree with."""


def side(found: list[Claim], claim: int = 0, member: int = -1) -> sp.Expr:
    """The last member of a claim, or another one."""
    return found[claim].members[member]


def mean(found: list[Claim]) -> sp.Expr:
    """Of the law on the right."""
    return side(found).mean


def variance(found: list[Claim]) -> sp.Expr:
    """Of the law on the right."""
    return side(found).variance


def factor(of: str, found: list[Claim]) -> sp.Expr:
    """What a name is multiplied with."""
    return sp.expand(side(found)).coeff(read(of))


def solved(name: str, found: list[Claim], claim: int = 0) -> sp.Expr:
    """The equation, solved for a name."""
    left, right = found[claim].members[:2]
    (solution,) = sp.solve(left - right, read(name))
    return solution


def put_in(expression: sp.Expr, **parts: sp.Expr) -> sp.Expr:
    """Another formula in the place of a name; `PLACES` says how the names are written."""
    return expression.subs({read(PLACES[name]): part for name, part in parts.items()})


PLACES = {
    "x_0": "x_0", "v": r"\mathrm v", "eps": r"\epsilon", "w_t": "w_t", "sigma": r"\sigma",
    "x_t": "x_t", "c": "c", "mu": r"\mu_\theta(x_t, t)", "length": r"\mu",
}  # fmt: skip
