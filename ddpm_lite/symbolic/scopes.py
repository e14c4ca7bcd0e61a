"""The law that an expression stands under, and which other laws may be multiplied to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy as sp
from sympy import Expr, Indexed, Mul, Symbol

from ddpm_lite.symbolic.chains import (
    LawError,
    Piece,
    Sums,
    minus,
    named,
    pieces_of,
    separated,
    text_of,
    variables_in,
)
from ddpm_lite.symbolic.objects import Density, Gaussian
from ddpm_lite.symbolic.rules import use


@dataclass(frozen=True)
class Scope:
    """The law that an expression stands under: of what is bound, given what is free."""

    name: Expr | None = None
    bound: tuple[Piece, ...] = ()
    free: tuple[Piece, ...] = ()

    @property
    def known(self) -> tuple[Piece, ...]:
        """What is bound and what is free."""
        return self.bound + self.free

    def under(self, laws: Iterable[Density], limits: Sums) -> "Scope":
        """The scope with the laws multiplied to it, in whichever order they can be."""
        waiting = list(laws)
        new = [piece for law in waiting for piece in pieces_of(law.variables, limits)]
        scope = self if self.known else self._opened(waiting, new, limits)
        while waiting:
            ready = [law for law in waiting if not scope.lacks(law, limits)]
            law = ready[0] if ready else waiting[0]
            scope = scope.times(law, limits)
            waiting.remove(law)
        return scope

    def _opened(self, laws: list[Density], new: list[Piece], limits: Sums) -> "Scope":
        given = [piece for law in laws for piece in pieces_of(law.given, limits)]
        return Scope(free=tuple(_distinct(minus_same(given, new))))

    def lacks(self, law: Density, limits: Sums) -> list[Piece]:
        """What the law is given, but the scope does not know."""
        return minus(pieces_of(law.given, limits), self.known)

    def times(self, law: Density, limits: Sums) -> "Scope":
        """The scope with one more law. Raises LawError if the product is not the joint law."""
        new, given = pieces_of(law.variables, limits), pieces_of(law.given, limits)
        if self.name not in (None, law.name):
            raise LawError(f"the laws {self.name} and {law.name} are not one")
        if missing := self.lacks(law, limits):
            raise LawError(
                f"{text_of(law)} is given {named(missing)}, which is not integrated over"
            )
        for i, piece in enumerate(new):
            if not all(piece.apart(old) for old in (*self.bound, *new[:i])):
                raise LawError(f"{named([piece])} is integrated over twice")
            if not all(piece.apart(old, 0) for old in self.free):
                raise LawError(f"{named([piece])} is integrated over and given")
        self._check_independent(law, new, given)
        return Scope(law.name, self.bound + tuple(new), self.free)

    def _check_independent(self, law: Density, new: list[Piece], given: list[Piece]) -> None:
        for piece in new:
            for other in minus(self.known, given):
                use("eq-markov-property")
                if not separated(piece, other, given):
                    raise LawError(
                        f"{text_of(law)} is not the law of {named([piece])} here: "
                        f"{named([other])} is known as well, and it tells something about it"
                    )


def minus_same(pieces: Iterable[Piece], others: list[Piece]) -> list[Piece]:
    """The pieces that are not surely among the others."""
    return [p for p in pieces if minus([p], others)]


def _distinct(pieces: Iterable[Piece]) -> list[Piece]:
    once: list[Piece] = []
    for piece in pieces:
        if not any(piece.same(other) for other in once):
            once.append(piece)
    return once


def check_divergence(kl: Expr, limits: Sums = ()) -> None:
    """Raises LawError unless both sides are densities, and of the same variables."""
    q, p = (_drawn(side, limits) for side in kl.args)
    if minus(q, p) or minus(p, q):
        raise LawError(f"a divergence of {named(q)} from {named(p)}: write the same variables")


def _drawn(side: Expr, limits: Sums) -> list[Piece]:
    """The variables of a product of densities. Raises LawError where it is no density of them.

    It is one if each variable is drawn once, and given only to those that are drawn after it.
    """
    factors = Mul.make_args(side)
    variables = [variable for factor in factors for variable in _variables_of(factor)]
    waiting = [_law_of(factor, variables, limits) for factor in factors]
    drawn: list[Piece] = []
    for _ in range(len(waiting)):
        ready = [law for law in waiting if not _is_given_one_of(law, waiting)]
        if not ready or any(_meets(piece, drawn) for piece in ready[0][0]):
            raise LawError(f"${sp.latex(side)}$ is no density of its variables")
        drawn += ready[0][0]
        waiting.remove(ready[0])
    return drawn


def _is_given_one_of(law: Any, laws: list[Any]) -> bool:
    others = [piece for other in laws if other is not law for piece in other[0]]
    return any(_meets(given, others) for given in law[1])


def _variables_of(factor: Expr) -> tuple[Expr, ...]:
    """What a density is of. Raises LawError if it is none."""
    if isinstance(factor, Density):
        return tuple(factor.variables)
    if isinstance(factor, Gaussian) and isinstance(factor.x, (Symbol, Indexed)):
        return (factor.x,)
    raise LawError(f"a divergence is of two densities, and ${sp.latex(factor)}$ is none")


def _law_of(factor: Expr, variables: list[Expr], limits: Sums) -> tuple[list[Piece], list[Piece]]:
    """What a density is of, and which of all the variables it is given."""
    if isinstance(factor, Density):
        given = list(factor.given)
    else:
        given = list(variables_in(sp.Tuple(factor.mean, factor.variance), variables))
    return pieces_of(_variables_of(factor), limits), pieces_of(given, limits)


def _meets(piece: Piece, others: Iterable[Piece]) -> bool:
    return not all(piece.apart(other) for other in others)


class Leaf(NamedTuple):
    """A scope, and the variables that are free outside all scopes."""

    scope: Scope
    free: list[Piece]


def check_one_law(leaves: list[Leaf]) -> None:
    """All scopes must be marginals of one law, given all that is free in any of them."""
    laws = {leaf.scope.name for leaf in leaves} - {None}
    if len(laws) > 1:
        raise LawError(f"expectations under several laws: {', '.join(sorted(map(str, laws)))}")
    free = _distinct(p for leaf in leaves for p in (*leaf.scope.free, *leaf.free))
    for scope in {leaf.scope for leaf in leaves}:
        for piece in scope.bound:
            for other in minus_same(free, list(scope.free)):
                if not separated(piece, other, scope.free):
                    raise LawError(f"{named([other])} is free, and {named([piece])} is not: "
                                   "the terms are not expectations under one law")  # fmt: skip
