r"""A sheet of a reader's own: definitions and claims in the book's notation, compared.

Each line is a statement. `let s = \sqrt{1 - \beta}` gives a name of the table a value, for the
lines below it; every other line is a claim, whose members are compared as `equality` does. A name
with an index, as in `let g_t = 1 / t`, is meant for every index, unless its own value has the name
in it too (`let x_t = x_{t-1} + \epsilon_t`): then it is put in once, at that index. A name is
defined once, and above the values that use it.

A definition may not break what the table says of its name: a positive one needs a value that is
seen to be positive, and a name that the book has a rule for (\alpha, \beta, \bar\alpha) keeps it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy import Expr

from ddpm_lite.symbolic.algebra import (
    POSTERIOR,
    apply_definitions,
    is_between_0_and_1,
    is_defined,
    is_nonnegative,
    is_positive,
    named_by,
)
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.equality import ComparisonError, check_meaning, counterexample, difference
from ddpm_lite.symbolic.notation import TABLE, is_vector
from ddpm_lite.symbolic.objects import KL, Covariance, Density, Expectation, Variance
from ddpm_lite.symbolic.reader import read_claims

LET = "let "
_LAWS = (Density, Expectation, KL, Variance, Covariance)
_OPPOSITE = {r"\le": r"\ge", "<": ">"}
_DOMAINS = {
    "positive": "positive",
    "nonnegative": "not negative",
    "unit": "between 0 and 1",
    "integer": "a positive whole number",
}
_RULED = (r"\alpha", r"\beta", r"\bar{\alpha}")


class SheetError(ValueError):
    """Why a definition cannot stand, in one line."""


@dataclass(frozen=True)
class Verdict:
    """What is said of one claim."""

    kind: str
    """"equal", "different" or "undecided"."""
    message: str = ""
    pair: tuple[Expr, Expr] | None = None
    """The two members that are not seen to be as the claim says."""
    left: Any = None
    """What is left of their difference, where they are said to be equal."""


@dataclass
class Sheet:
    """The definitions so far."""

    rules: list[tuple[Expr, Expr]] = field(default_factory=list)

    def define(self, latex: str) -> None:
        """Take a definition in. Raises ReadError, SheetError."""
        claims = read_claims(latex)
        if len(claims) != 1 or claims[0].relations != ("=",):
            raise SheetError("a definition is a name, =, and its value")
        name, value = claims[0].members
        if not isinstance(name, (sp.Symbol, sp.Indexed)):
            raise SheetError("a definition begins with a name, as in let s = 2")
        value = self.put_in(value)
        for other, known in self.rules:
            _check_together(name, value, other, known)
        _check_value(name, value)
        self.rules.append((name, value))

    def put_in(self, expression: Expr) -> Expr:
        """The expression with the values of all names, the last one first. Raises SheetError."""
        for name, value in reversed(self.rules):
            if _has(expression, name):
                _check_free(expression, name, value)
                expression = _replaced(expression, name, value)
        return expression

    def judge(self, latex: str) -> list[Verdict]:
        """One verdict for each claim of a line. Raises ReadError, SheetError."""
        return [self._judge(claim) for claim in read_claims(latex)]

    def _judge(self, claim: Claim) -> Verdict:
        if not claim.relations:
            return Verdict("undecided", "this claims nothing: write two formulas with = between")
        for a, relation, b in claim.links():
            verdict = _related(self.put_in(a), relation, self.put_in(b))
            if verdict.kind != "equal":
                return _advised(verdict, claim)
        return Verdict("equal")


def _advised(verdict: Verdict, claim: Claim) -> Verdict:
    """A name that is nowhere else may be any number: perhaps a definition was meant."""
    name, *others = claim.members
    if not isinstance(name, (sp.Symbol, sp.Indexed)) or sp.Tuple(*others).has(name):
        return verdict
    advice = f"; ${sp.latex(name)}$ may be any number here: is this line a definition (let ...)?"
    return replace(verdict, message=verdict.message + advice)


def _check_together(name: Expr, value: Expr, other: Expr, known: Expr) -> None:
    """Raises SheetError where a definition does not go with one that stands above it."""
    both = name, other
    every = _is_general(name, value) or _is_general(other, known)
    if name == other or (every and len({getattr(one, "base", one) for one in both}) == 1):
        raise SheetError(f"${sp.latex(name)}$ has a value already")
    if _uses(known, name):
        wanted = f"define ${sp.latex(name)}$ above it"
        raise SheetError(f"${sp.latex(name)}$ is in the value of ${sp.latex(other)}$: {wanted}")


def _is_general(name: Expr, value: Expr) -> bool:
    """Whether it is meant for every index: g_t = 1/t, and not x_t = x_{t-1} + a, nor x_0 = 1."""
    if not isinstance(name, sp.Indexed) or not all(index.is_Symbol for index in name.indices):
        return False
    return not any(one.base == name.base for one in value.atoms(sp.Indexed))


def _uses(value: Expr, name: Expr) -> bool:
    """Whether a name, or one of its family, is in a value; the x of x_t is none."""
    elements = value.atoms(sp.Indexed)
    if isinstance(name, sp.Indexed):
        return any(one.base == name.base for one in elements)
    return name in value.xreplace(dict.fromkeys(elements, sp.S.One)).free_symbols


def _check_value(name: Expr, value: Expr) -> None:
    family = str(name.base.label) if isinstance(name, sp.Indexed) else str(name)
    if family in _RULED:
        raise SheetError(f"the book has a rule for ${sp.latex(name)}$: take another letter")
    if name in value.free_symbols:
        raise SheetError(f"the value of ${sp.latex(name)}$ has ${sp.latex(name)}$ in it")
    if not is_defined(value) or value.is_extended_real is False:
        raise SheetError(f"${sp.latex(value)}$ is no real number")
    if is_vector(name) and not any(map(is_vector, value.atoms(sp.Symbol, sp.Indexed))):
        raise SheetError(f"${sp.latex(name)}$ is a vector in this book, and the value is a number")
    domain = "nonnegative" if family == POSTERIOR else TABLE[family].domain
    if not _fits(value, domain):
        seen = f"${sp.latex(value)}$ is not seen to be so"
        raise SheetError(f"${sp.latex(name)}$ is {_DOMAINS[domain]} in this book, and {seen}")


def _fits(value: Expr, domain: str) -> bool:
    if domain == "real":
        return True
    if domain == "integer" and not value.is_integer:
        return False
    value = apply_definitions(value)
    if domain == "nonnegative":
        return is_nonnegative(value)
    below = domain != "unit" or is_between_0_and_1(value) or is_positive(1 - value)
    return is_positive(value) and below


def _has(expression: Expr, name: Expr) -> bool:
    if isinstance(name, sp.Indexed):
        return any(one.base == name.base for one in expression.atoms(sp.Indexed))
    return bool(expression.has(name))


def _check_free(expression: Expr, name: Expr, value: Expr) -> None:
    """A name keeps its meaning where sums and integrals run, and where laws are averaged over."""
    running = {
        limit[0] for e in expression.atoms(sp.Sum, sp.Product, sp.Integral) for limit in e.limits
    }
    moved = {variable for e in expression.atoms(sp.Derivative) for variable in e.variables}
    if name in moved | {e.args[1] for e in expression.atoms(sp.Limit)}:
        raise SheetError(f"${sp.latex(name)}$ moves in a derivative or a limit: it has a value")
    indices = set(name.indices) if isinstance(name, sp.Indexed) else set()
    if running & ({name} | value.free_symbols - indices):
        raise SheetError(f"${sp.latex(name)}$ or its value has the letter that a sum runs over")
    if any(_has(one, name) for one in expression.atoms(*_LAWS)):
        raise SheetError(f"${sp.latex(name)}$ stands in a law or an average: write its value there")


def _replaced(expression: Expr, name: Expr, value: Expr) -> Expr:
    if not _is_general(name, value):
        return _named(expression, name, value)
    found = [one for one in expression.atoms(sp.Indexed) if one.base == name.base]
    values = {one: _at(value, name.indices, one.indices) for one in found}
    replaced: Expr = expression.xreplace(values)
    return replaced


def _named(expression: Expr, name: Expr, value: Expr) -> Expr:
    """The x of x_t is no x: only what is the name itself is replaced."""
    if expression == name:
        return value
    if isinstance(expression, sp.Indexed) or not expression.args:
        return expression
    parts: Expr = expression.func(*(_named(part, name, value) for part in expression.args))
    return parts


def _at(value: Expr, variables: Any, indices: Any) -> Expr:
    try:
        there: Expr = named_by(value, dict(zip(variables, indices, strict=True)))
    except ValueError as error:
        raise SheetError(f"${sp.latex(value)}$ has no value at another index: {error}") from None
    return there


# --- Comparing -----------------------------------------------------------------------------------


def _related(a: Expr, relation: str, b: Expr) -> Verdict:
    if relation == "=":
        return _equal(a, b)
    if relation in _OPPOSITE:
        a, relation, b = b, _OPPOSITE[relation], a
    if relation not in (r"\ge", ">"):
        return Verdict("undecided", f"{relation} is compared on the book's pages only")
    return _above(a, b, strict=relation == ">")


def _equal(a: Expr, b: Expr) -> Verdict:
    try:
        left = difference(a, b)
    except ComparisonError as error:
        return Verdict("undecided", f"these cannot be compared: {error}", (a, b))
    if left == 0:
        return Verdict("equal")
    if counterexample(a, b):
        return Verdict("different", "the two sides differ", (a, b), left)
    return Verdict("undecided", "the machine cannot prove this", (a, b), left)


def _above(a: Expr, b: Expr, strict: bool) -> Verdict:
    try:
        check_meaning(a - b)
    except ComparisonError as error:
        return Verdict("undecided", f"these cannot be compared: {error}", (a, b))
    seen = is_positive if strict else is_nonnegative
    gap = sp.factor(a - b)
    if seen(gap) or seen(sp.factor(apply_definitions(a - b))):
        return Verdict("equal")
    if difference(a, b) == 0:
        one_more = Verdict("different", "the two sides are equal", (a, b))
        return one_more if strict else Verdict("equal")
    found = counterexample(a, b)
    if found and (found[1] < found[2]) == sp.true:
        return Verdict("different", "the order is the other way round here", (a, b))
    return Verdict("undecided", "the machine cannot see the sign of the difference", (a, b))
