r"""Why a relation other than = holds: what a machine can verify for <=, <, >=, > and \approx.

Each witness is asked about a <= b (or another relation) and raises WitnessError unless it has
verified it. The gap is always the larger side minus the smaller one.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr

from ddpm_lite.symbolic.algebra import (
    in_range,
    is_between_0_and_1,
    named_by,
    reduce_to_zero,
    rename_indices,
)
from ddpm_lite.symbolic.equality import ComparisonError, difference
from ddpm_lite.symbolic.objects import KL, Expectation
from ddpm_lite.symbolic.scopes import check_divergence

_UP = {r"\le": False, "<": True}
_DOWN = {r"\ge": False, ">": True}


class WitnessError(ValueError):
    """A witness does not bear out the relation; the text says what is missing."""


class Witness(ABC):
    """Something from which the machine itself can see that a relation holds."""

    values: dict[Any, Any] | None = None
    """What the page's names stand for, by the premises."""

    @property
    def alone(self) -> bool:
        """Whether the relation needs no premise: nothing is put in for the page's names."""
        return not self.values

    @abstractmethod
    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """Raises WitnessError unless `a relation b` has been verified."""


def gap_of(a: Expr, relation: str, b: Expr) -> tuple[Expr, bool]:
    """The larger side minus the smaller, and whether the relation is strict."""
    if relation in _UP:
        return b - a, _UP[relation]
    if relation in _DOWN:
        return a - b, _DOWN[relation]
    raise WitnessError(f"no witness bears out the relation {relation}")


def _same(found: Expr, wanted: Expr, what: str) -> None:
    try:
        left = difference(found, wanted)
    except ComparisonError as error:
        raise WitnessError(f"the gap cannot be compared with {what}: {error}") from None
    if left != 0:
        raise WitnessError(f"the gap {sp.latex(found)} is not {what} {sp.latex(wanted)}")


@dataclass(frozen=True)
class Positive(Witness):
    """The gap equals an expression whose sign is plain from its factors and summands.

    `values` are what the page's names stand for: they are put into the gap before.
    """

    expression: Any
    values: dict[Any, Any] | None = None

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The gap is the expression, and the expression is above 0 (or not below it)."""
        gap, strict = gap_of(a, relation, b)
        _same(
            named_by(gap, self.values or {}), sp.sympify(self.expression), "the positive expression"
        )
        check_sign(sp.sympify(self.expression), strict)


def check_sign(expression: Expr, strict: bool) -> None:
    """Raises WitnessError unless the expression is known to be > 0, or >= 0 if not strict."""
    renamed = rename_indices(expression)
    known = renamed.is_positive if strict else renamed.is_nonnegative
    if not known and not strict and isinstance(renamed, sp.Sum):  # it may have no term
        known = renamed.function.is_nonnegative
    if not known:
        sign = "positive" if strict else "nonnegative"
        raise WitnessError(f"{sp.latex(expression)} is not known to be {sign}")


@dataclass(frozen=True)
class Divergence(Witness):
    """The gap is a Kullback-Leibler divergence, which is never negative, or its mean over a law.

    `values` are what the page's names stand for: they are put into the gap before.
    """

    divergence: Any
    values: dict[Any, Any] | None = None
    over: Any = None

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The gap equals the divergence."""
        gap, strict = gap_of(a, relation, b)
        if strict or not isinstance(self.divergence, KL):
            raise WitnessError("a divergence shows that something is >= 0, no more")
        try:
            check_divergence(self.divergence)
        except ComparisonError as error:
            raise WitnessError(str(error)) from None
        wanted = Expectation((self.over,), self.divergence) if self.over else self.divergence
        _same(named_by(gap, self.values or {}), wanted, "the divergence")


@dataclass(frozen=True)
class Convex(Witness):
    """The gap is a convex function of one positive variable that touches 0 at a point.

    A variable is positive that the table calls so, or of which the gap has the logarithm.
    """

    variable: Any
    point: Any
    gap: Any = None
    """The function, where the relation's own gap is a sum or a mean of such functions."""

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The gap's value and slope at the point are 0, its second derivative is positive."""
        gap, strict = gap_of(a, relation, b)
        if strict:
            raise WitnessError("a convex function that touches 0 is >= 0, no more")
        variable = sp.sympify(self.variable)
        if not (variable.is_positive or gap.has(sp.log(variable))):
            raise WitnessError(f"{sp.latex(variable)} is not known to be positive")
        self.verify_function(gap)

    def verify_function(self, gap: Expr) -> None:
        """The same for a given function."""
        check_sign(sp.sympify(self.point), strict=True)  # where the function is seen to be convex
        u = sp.Dummy("u", positive=True)
        f = named_by(gap, {self.variable: u})
        at = [reduce_to_zero(part.subs(u, self.point)) for part in (f, f.diff(u))]
        if at != [0, 0]:
            raise WitnessError(f"value and slope at {self.point} are {at}, not 0")
        if not sp.simplify(f.diff(u, 2)).is_positive:
            raise WitnessError(f"the second derivative {sp.latex(f.diff(u, 2))} is not positive")


@dataclass(frozen=True)
class Mean(Witness):
    """The gap is the mean, under a law, of a function that a convex witness shows to be >= 0."""

    law: Any
    convex: Convex
    value: Any
    """What stands for the variable inside the mean; positive, such as a ratio of densities."""

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The function is >= 0, and the gap is its mean."""
        gap, strict = gap_of(a, relation, b)
        if strict or self.convex.gap is None:
            raise WitnessError("the mean of what is >= 0 is >= 0, no more")
        self.convex.verify_function(self.convex.gap)
        if not sp.sympify(self.value).is_positive:
            raise WitnessError(f"{sp.latex(self.value)} is not known to be positive")
        inside = named_by(self.convex.gap, {self.convex.variable: self.value})
        laws = self.law if isinstance(self.law, tuple) else (self.law,)
        _same(gap, Expectation(laws, inside), "the mean")


@dataclass(frozen=True)
class Touching(Witness):
    """The gap is made of values of a convex function that touches 0, and of what is not negative.

    That is `times` * convex(value) + `rest`, summed over the limits `over` if there are any.
    `ranges` puts 1 / (1 + w) with w > 0 for a symbol between 0 and 1, so that the machine sees that
    the value is positive.
    """

    convex: Convex
    value: Any
    times: Any = 1
    rest: Any = 0
    over: tuple[Any, Any, Any] | None = None
    ranges: dict[Any, Any] | None = None
    values: dict[Any, Any] | None = None

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The function is >= 0 where it is taken, and the gap is put together as said."""
        gap, strict = gap_of(a, relation, b)
        if strict or self.convex.gap is None:
            raise WitnessError("a convex function that touches 0 is >= 0, no more")
        self.convex.verify_function(self.convex.gap)
        for name, inside in (self.ranges or {}).items():
            _check_range(name, inside)
        value = self._term(self.value).xreplace(self.ranges or {})
        check_sign(sp.factor(value), strict=True)
        for part in (self.times, self.rest):
            check_sign(self._term(part), strict=False)
        whole = (
            self.times * named_by(self.convex.gap, {self.convex.variable: self.value}) + self.rest
        )
        wanted = sp.Sum(whole, self.over) if self.over else whole
        _same(named_by(gap, self.values or {}), wanted, "that of the function")

    def _term(self, part: Any) -> Expr:
        """A part, with what its range says of the index that it is summed over, and no more."""
        if not self.over:
            return sp.sympify(part)
        index, *ends = self.over
        within = sp.Dummy(**in_range(index, *map(sp.sympify, ends)))
        families = [e for e in (self.ranges or {}) if isinstance(e, sp.Indexed)]
        kept = {e: sp.Dummy(**e.base.assumptions0) for e in families}
        part = named_by(sp.sympify(part).xreplace(kept), {index: within})
        return part.xreplace({d: e for e, d in kept.items()})


def _check_range(name: Expr, inside: Expr) -> None:
    """Raises WitnessError unless a name between 0 and 1 is 1 / (1 + w), and w any positive one."""
    w = sp.cancel(1 / sp.sympify(inside) - 1)
    if not (is_between_0_and_1(name) and w.is_Symbol and w.is_positive):
        raise WitnessError(f"{sp.latex(name)} is not known to be {sp.latex(inside)}")


@dataclass(frozen=True)
class Remainder(Witness):
    """Both sides of a "nearly equal" agree in their powers of a small number below the order.

    `exact` is what the left side is by the premises. Its derivatives at 0 are compared with those
    of the right side, and that of the order itself has to differ: the order is the true one.
    """

    small: Any
    order: int
    exact: Any

    @property
    def alone(self) -> bool:
        """Never: what the left side is comes from a premise."""
        return False

    def verify(self, a: Expr, relation: str, b: Expr) -> None:
        """The derivatives below the order are equal at 0, the next is not."""
        if relation != r"\approx":
            raise WitnessError(f"the order of a remainder says nothing about {relation}")
        gap = sp.sympify(self.exact) - b
        powers = [reduce_to_zero(self._at_zero(gap.diff(self.small, k))) for k in self._orders()]
        if any(power != 0 for power in powers[:-1]) or powers[-1] == 0:
            found = ", ".join(sp.latex(power) for power in powers)
            raise WitnessError(f"the remainder's derivatives at 0 are {found}")

    def _orders(self) -> range:
        return range(self.order + 1)

    def _at_zero(self, expression: Expr) -> Expr:
        return expression.subs(self.small, 0).doit()
