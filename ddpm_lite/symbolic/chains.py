"""Sets of variables of a Markov chain, for a symbolic number of steps.

x_0, x_1, ..., x_T is a Markov chain in both directions of time. A set of its variables is a list of
pieces x_{lo:hi}, whose ends may hold symbols: t-1, t, T. What comes before what is decided by the
least value of a difference: an index of a sum has its range, any other symbol lies between 2 and
T-1, and T is 2 or more. Of two chains, or of the two variables x and z of an autoencoder, nothing
is known: they are in no order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import sympy as sp
from sympy import Expr, Indexed, Symbol

from ddpm_lite.symbolic.objects import ComparisonError, Density, Span

Limit = tuple[Symbol, Expr, Expr]
"""An index of a sum, its first and its last value."""
Sums = tuple[Limit, ...]
"""The sums around an expression, the outermost first."""

TOP = "T"
LEAST_T = 2


class LawError(ComparisonError):
    """An expectation that is not one under the law of the chain, or that holds a free variable."""


@lru_cache(maxsize=10_000)
def least(expression: Expr, limits: Sums) -> Expr:
    """The least value of a linear expression; minus infinity where it has none."""
    value = sp.expand(expression)
    for symbol, low, high in reversed(limits):
        value = _at_its_least(value, symbol, low, high)
    for symbol in sorted(value.free_symbols, key=str):
        if symbol.name != TOP:
            top = Symbol(TOP, integer=True, positive=True)
            value = _at_its_least(value, symbol, sp.Integer(2), top - 1)
    for symbol in value.free_symbols:
        value = _at_its_least(value, symbol, sp.Integer(LEAST_T), sp.oo)
    return value


def _at_its_least(value: Expr, symbol: Symbol, low: Expr, high: Expr) -> Expr:
    slope = value.coeff(symbol)
    if not slope.is_Integer or (value - slope * symbol).has(symbol):
        raise LawError(f"the index {value} is not linear in {symbol}")
    end = low if slope > 0 else high
    return sp.expand(value.subs(symbol, end)) if slope else value


@dataclass(frozen=True)
class Piece:
    """x_{lo:hi} of the chain (or single variable) named `base`."""

    base: str
    lo: Expr
    hi: Expr
    limits: Sums = ()

    def before(self, other: "Piece", gap: int = 1) -> bool:
        """Whether it surely ends `gap` or more steps before the other begins."""
        if self.base != other.base:
            return False
        return bool(least(other.lo - self.hi, self.limits + other.limits) >= gap)

    def apart(self, other: "Piece", gap: int = 1) -> bool:
        """Whether the two surely have no variable in common (gap 0: at most their ends)."""
        ordered = self.before(other, gap) or other.before(self, gap)
        return self.base != other.base or (ordered and not self.same(other))

    def same(self, other: "Piece") -> bool:
        """Whether both are the same variables for all values of the symbols."""
        ends = (self.lo - other.lo, self.hi - other.hi)
        return self.base == other.base and all(sp.expand(end) == 0 for end in ends)

    def without(self, other: "Piece") -> list["Piece"]:
        """What is left, at most: a part that may be empty counts as left."""
        if self.inside(other):
            return []
        if self.lo == self.hi or self.apart(other):
            return [self]
        limits = self.limits + other.limits
        left = Piece(self.base, self.lo, other.lo - 1, limits)
        right = Piece(self.base, other.hi + 1, self.hi, limits)
        return [part for part in (left, right) if not part.surely_empty()]

    def inside(self, other: "Piece") -> bool:
        """Whether all of it surely belongs to the other."""
        ends = (self.lo - other.lo, other.hi - self.hi)
        limits = self.limits + other.limits
        return self.base == other.base and all(least(end, limits) >= 0 for end in ends)

    def surely_empty(self) -> bool:
        """Whether hi < lo for all values of the symbols."""
        return bool(least(self.lo - self.hi, self.limits) >= 1)


def minus(pieces: Iterable[Piece], taken: Iterable[Piece]) -> list[Piece]:
    """The pieces without those taken."""
    left, taken = list(pieces), list(taken)
    for other in (*taken, *joined(taken)):
        left = [part for piece in left for part in piece.without(other)]
    return left


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same variables; pieces that follow each other become one."""
    left = list(pieces)
    for one, other in permutations(left, 2):
        if one.base == other.base and sp.expand(other.lo - one.hi) == 1:
            both = Piece(one.base, one.lo, other.hi, one.limits + other.limits)
            return joined([both, *(p for p in left if p is not one and p is not other)])
    return left


def separated(one: Piece, other: Piece, by: Iterable[Piece]) -> bool:
    """Whether something of `by` stands between the two; then it makes them independent."""
    return any(
        (one.before(b, 0) and b.before(other, 0)) or (other.before(b, 0) and b.before(one, 0))
        for b in by
    )


def in_order(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces of one chain by time. Raises LawError where they overlap or are in no order."""
    ordered: list[Piece] = []
    for piece in pieces:
        later = [i for i, other in enumerate(ordered) if piece.before(other)]
        place = later[0] if later else len(ordered)
        if not all(other.before(piece) for other in ordered[:place]):
            raise LawError(f"{named(ordered)} and {named([piece])} overlap, or may overlap")
        ordered.insert(place, piece)
    return ordered


def named(pieces: Iterable[Piece]) -> str:
    """The variables as they are written, for a message."""
    return ", ".join(map(_name, pieces)) or "nothing"


def text_of(density: Density) -> str:
    """A density as it is written, for a message."""
    given = f" | {named(pieces_of(density.given))}" if density.given else ""
    return f"{density.name}({named(pieces_of(density.variables))}{given})"


def _name(piece: Piece) -> str:
    if piece.base.startswith("("):
        return piece.base.strip("()")
    index = str(piece.lo) if piece.lo == piece.hi else f"{piece.lo}:{piece.hi}"
    index = index.replace(" ", "").replace("_", "")  # SymPy writes _t for an index of a sum
    return f"{piece.base}_{index}" if len(index) == 1 else f"{piece.base}_{{{index}}}"


@lru_cache(maxsize=10_000)
def piece_of(variable: Expr, limits: Sums = ()) -> Piece:
    """The piece of a variable of a density: x_t, x_{1:T}, or an x of its own, in no chain."""
    if isinstance(variable, Span):
        first, last = variable.args
        return Piece(str(first.base.label), first.indices[0], last.indices[0], limits)
    if isinstance(variable, Indexed):
        return Piece(str(variable.base.label), variable.indices[0], variable.indices[0], limits)
    return Piece(f"({variable})", sp.Integer(0), sp.Integer(0), limits)


def pieces_of(variables: Iterable[Expr], limits: Sums = ()) -> list[Piece]:
    """The pieces of several variables."""
    return [piece_of(variable, limits) for variable in variables]


def densities(expression: Expr) -> list[Density]:
    """All densities in an expression, in a fixed order."""
    return sorted(expression.atoms(Density), key=sp.default_sort_key)


def variables_in(expression: Expr, like: Iterable[Expr]) -> Iterator[Expr]:
    """The random variables in an expression: those of the same names as the variables `like`."""
    known = {piece_of(variable).base for variable in like}
    inside: set[Expr] = set()
    for span in expression.atoms(Span):
        inside |= set(span.args)
        if piece_of(span).base in known:
            yield span
    for variable in expression.atoms(Indexed, Symbol) - inside:
        label = not isinstance(variable, Indexed) and _is_label(variable, expression)
        if piece_of(variable).base in known and not label:
            yield variable


def symbols_in(expression: Expr) -> Iterator[Expr]:
    """All symbols and elements of families in an expression, without the names of laws."""
    if isinstance(expression, Indexed):
        yield expression
        for index in expression.indices:
            yield from symbols_in(index)
    elif isinstance(expression, Symbol):
        yield expression
    else:
        parts = expression.args[1:] if isinstance(expression, Density) else expression.args
        for part in parts:
            yield from symbols_in(part)


def _is_label(symbol: Symbol, expression: Expr) -> bool:
    """Whether a symbol occurs only as the label of an indexed base."""
    bases = {indexed.base: Symbol("_") for indexed in expression.atoms(Indexed)}
    return symbol not in expression.xreplace(bases).free_symbols
