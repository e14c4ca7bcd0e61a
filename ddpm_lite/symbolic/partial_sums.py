"""Sums in a canonical form, as differences of partial sums of the same summand.

So shifted indices, terms split off and telescoping sums are all the same.
"""

from dataclasses import dataclass, field
from functools import cmp_to_key
from itertools import pairwise
from typing import NamedTuple

import sympy as sp
from sympy import Add, Expr, Indexed, Sum, Symbol

from ddpm_lite.symbolic.algebra import named_by
from ddpm_lite.symbolic.chains import Sums, least, piece_of

INDEX = sp.Dummy("s", integer=True, positive=True)
"""Over which sums run in the canonical form; no s that stands in a formula is it."""


class Term(NamedTuple):
    """A summand and the sums it stands under."""

    body: Expr
    limits: Sums = ()


def collected(terms: list[Term], variables: list[Expr]) -> Expr:
    """All terms added up; sums of one kind of summand share their ranges."""
    points: list[Expr] = []
    families = _Families(variables)
    for term in terms:
        if not term.limits:
            points += Add.make_args(sp.expand_mul(term.body))
        elif len(term.limits) == 1:
            families.add_sum(term.body, *term.limits[0])
        else:
            points.append(Sum(term.body, *reversed(term.limits)))
    total = Add(*families.points, *points)
    left = [families.add_point(point) for point in Add.make_args(total)]
    return Add(*left, families.total())


@dataclass
class _Families:
    """For each summand f(s), the coefficients of its partial sums up to various ends.

    The sum from a to b is the partial sum up to b less that up to a - 1.
    """

    variables: list[Expr]
    ends: dict[Expr, dict[Expr, Expr]] = field(default_factory=dict)
    points: list[Expr] = field(default_factory=list)

    def add_sum(self, body: Expr, index: Symbol, low: Expr, high: Expr) -> None:
        """Notes the sum of `body` over the index."""
        for part in Add.make_args(sp.expand_mul(body)):
            factor, summand = part.as_independent(index, as_Add=False)
            if summand == 1:
                self.points.append(sp.expand(factor * (high - low + 1)))
                continue
            shift = self._shift(summand, index)
            family = _at(summand.xreplace({index: INDEX}), INDEX - shift)
            self._note(family, factor, low + shift, high + shift)

    def _note(self, family: Expr, factor: Expr, low: Expr, high: Expr) -> None:
        if self._starts_next_to_a_fixed_variable(family, low):
            self.points.append(factor * named_by(family, {INDEX: low}))
            low = low + 1
        ends = self.ends.setdefault(family, {})
        for end, sign in ((sp.expand(high), 1), (sp.expand(low - 1), -1)):
            ends[end] = ends.get(end, sp.Integer(0)) + sign * factor

    def _indices(self, summand: Expr) -> list[Expr]:
        chain = {piece_of(v).base for v in self.variables}
        found = [i for i in summand.atoms(Indexed) if str(i.base.label) in chain]
        return [i.indices[0] for i in found or summand.atoms(Indexed)]

    def _shift(self, summand: Expr, index: Symbol) -> Expr:
        """By how much the latest variable of a summand is ahead of the index."""
        offsets = [sp.expand(i - index) for i in self._indices(summand) if i.has(index)]
        whole = [offset for offset in offsets if offset.is_Integer]
        return max(whole) if whole else sp.Integer(0)

    def _starts_next_to_a_fixed_variable(self, family: Expr, low: Expr) -> bool:
        """q(x_s | x_0) is at s = 1 a step of the chain, and belongs to the family of steps."""
        fixed = [i for i in self._indices(family) if not i.has(INDEX)]
        return any(sp.expand(low - i) == 1 for i in fixed)

    def add_point(self, point: Expr) -> Expr:
        """Joins a single summand to its family; returns what belongs to none."""
        factor, summand = point.as_independent(sp.log, as_Add=False)
        indices = self._indices(summand) if isinstance(summand, sp.log) else []
        for family in self.ends:
            for index in indices:
                beside = self._starts_next_to_a_fixed_variable(family, index)
                if _at(family, index) == summand and not beside:
                    self._note(family, factor, index, index)
                    return sp.Integer(0)
        return point

    def total(self) -> Expr:
        """The sums, between each end and the next."""
        return Add(*(_segments(family, ends) for family, ends in sorted(
            self.ends.items(), key=lambda item: sp.default_sort_key(item[0])
        )))  # fmt: skip


def _tidy(indexed: Expr) -> Expr:
    return indexed.base[tuple(sp.expand(i) for i in indexed.indices)]


def _segments(family: Expr, ends: dict[Expr, Expr]) -> Expr:
    """From coefficients of partial sums back to sums from one end to the next."""
    kept = {end: sp.expand(c) for end, c in ends.items()}
    ordered = sorted((e for e, c in kept.items() if c != 0), key=cmp_to_key(_by_time))
    parts, tail = [], sp.Integer(0)
    for early, late in reversed(list(pairwise(ordered))):
        tail = sp.expand(tail + kept[late])
        parts.append(tail * _stretch(family, early + 1, late))
    return Add(*parts)


def _by_time(a: Expr, b: Expr) -> int:
    if a == b:
        return 0
    if least(b - a, ()) >= 0:
        return -1
    keys = sp.default_sort_key(a), sp.default_sort_key(b)
    return 1 if least(a - b, ()) >= 0 else (-1 if keys[0] < keys[1] else 1)


def _stretch(family: Expr, low: Expr, high: Expr) -> Expr:
    """The sum of the family from low to high; a few summands are written out."""
    length = sp.expand(high - low + 1)
    if length.is_Integer and 0 <= length <= 4:
        return Add(*(_at(family, low + i) for i in range(int(length))))
    return Sum(family, (INDEX, low, high))


def _at(family: Expr, value: Expr) -> Expr:
    there = named_by(family, {INDEX: value})
    return there.replace(lambda e: isinstance(e, Indexed), _tidy)
