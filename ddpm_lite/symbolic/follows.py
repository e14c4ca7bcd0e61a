"""Does a relation in running text follow from the equations that the page displays?

Three ways, tried in this order: it stands in a display, perhaps at another index; both sides are
equal by the definitions that `difference` knows; they are, once names are replaced by what the
displays say of them. No way leads from anything else, so no premise enters unseen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic.algebra import (
    NOT_COMPARABLE,
    apply_definitions,
    is_between_0_and_1,
    is_unit,
    named_by,
    rename_indices,
)
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.equality import counterexample, difference
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import Formal

_STEPS = 2
"""How many names are replaced one after the other."""
_MOST = 60
"""How many formulas are compared before it is given up."""
_MIRRORED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
_ORDER = frozenset(_MIRRORED)
_SYMMETRIC = frozenset({"=", r"\approx", r"\ne"}) | _ORDER
_LONG = (sp.Integral, sp.Sum, sp.Product, sp.Limit)
_NAMES = (sp.Indexed, sp.Symbol, AppliedUndef, Formal)
_INDICES = frozenset(n for n, entry in TABLE.items() if entry.domain == "integer")


@dataclass(frozen=True)
class Premise:
    """A relation between two members of a display, and the label of that display."""

    label: str
    left: Any
    relation: str
    right: Any

    @cached_property
    def pair(self) -> sp.Tuple:
        """Both members."""
        return sp.Tuple(sp.sympify(self.left), sp.sympify(self.right))

    @cached_property
    def heads(self) -> frozenset[str]:
        """The names in it, without their indices."""
        return _heads(self.pair)

    @cached_property
    def indices(self) -> frozenset[Any]:
        """The indices in it."""
        return _indices(self.pair)


def premises_of(label: str, claims: Sequence[Claim]) -> list[Premise]:
    """All relations that the claims of a display state; in a = b = c also a = c."""
    found = []
    for claim in claims:
        for i in range(len(claim.relations)):
            for j in range(i, len(claim.relations)):
                relation = _joined(claim.relations[i : j + 1])
                if relation:
                    found.append(Premise(label, claim.members[i], relation, claim.members[j + 1]))
    return found


def _joined(relations: Sequence[str]) -> str | None:
    """What a chain says of its ends: = and < is <; < and > is nothing."""
    kinds = set(relations) - {"="}
    if kinds <= {"<", r"\le"} or kinds <= {">", r"\ge"}:
        return min(kinds, key=len, default="=")
    return relations[0] if len(relations) == 1 else None


def why(
    left: Any,
    relation: str,
    right: Any,
    premises: Sequence[Premise],
    values: Mapping[Expr, Any] = MappingProxyType({}),
) -> str | None:
    """In a few words how the relation follows; None where it is not seen to.

    `values` has the numbers that the sentences before give to some names.
    """
    both = sp.Tuple(sp.sympify(left), sp.sympify(right))
    if relation in ("=", *_ORDER) and _holds(both, relation):
        return "algebra"
    if label := stated(left, relation, right, premises):
        return label
    here = [moved for premise in premises for moved in _at(premise, both)]
    return _by_replacing(both, relation, here, values) if relation in ("=", *_ORDER) else None


def stated(left: Any, relation: str, right: Any, premises: Sequence[Premise]) -> str | None:
    """The label of the display that says this word for word, perhaps at another index."""
    both = sp.Tuple(sp.sympify(left), sp.sympify(right))
    like = [premise for premise in premises if premise.heads == _heads(both)]
    found = (m for premise in like for m in _at(premise, both) if _says(m, both, relation))
    return next((premise.label for premise in found), None)


def contradicts(left: Any, relation: str, right: Any) -> bool:
    """Whether the book's definitions make an equation false whatever the symbols are."""
    if relation != "=":
        return False
    try:
        rest = difference(left, right)
    except NOT_COMPARABLE:
        return False
    return bool(getattr(rest, "is_number", False) and rest != 0)


# --- Displays, at another index -------------------------------------------------------------------


def _at(premise: Premise, both: sp.Tuple) -> Iterator[Premise]:
    """The premise as it stands, and with its indices moved to those of the relation."""
    if not _heads(both) & premise.heads:
        return
    yield premise
    if any(member.is_Symbol for member in premise.pair):  # A = ... at t says nothing of t - 1
        return
    wanted = _indices(both)
    for index in sorted((i for i in premise.indices if i.is_Symbol), key=str):
        shifts = {place - index for place in premise.indices}
        values = {w - shift for w in wanted for shift in shifts if shift.is_Integer}
        for value in sorted(values - {index}, key=str):
            try:
                moved = named_by(premise.pair, {index: value})
            except NOT_COMPARABLE:  # it moves in a derivative or a limit
                continue
            yield Premise(premise.label, moved[0], premise.relation, moved[1])


def _is_name(member: Any) -> bool:
    r"""A name, or a power of one, as in \sigma_t^2 = \beta_t."""
    base = member.base if member.is_Pow and member.exp.is_Integer else member
    return isinstance(base, _NAMES)


@lru_cache(maxsize=4096)
def _heads(expression: sp.Tuple) -> frozenset[str]:
    """The names in it, without their indices."""
    return frozenset(_head(atom) for atom in expression.atoms(*_NAMES)) - _INDICES


def _head(name: Any) -> str:
    if isinstance(name, sp.Indexed):
        return str(name.base.label)
    return name.name if isinstance(name, sp.Symbol) else str(name.func)


@lru_cache(maxsize=4096)
def _indices(expression: sp.Tuple) -> frozenset[Any]:
    """What stands as an index, and the symbols of the table that may."""
    found = {i for atom in expression.atoms(sp.Indexed) for i in atom.indices}
    plain = {s for s in expression.free_symbols if s.is_Symbol and s.name in _INDICES}
    return frozenset(found | plain)


def _says(premise: Premise, both: sp.Tuple, relation: str) -> bool:
    """Whether the premise says this, from left to right or from right to left."""
    turned = _MIRRORED.get(premise.relation, premise.relation)
    if premise.pair == both:
        return relation in (premise.relation, _weaker(premise.relation))
    if premise.pair.args[::-1] == both.args and premise.relation in _SYMMETRIC:
        return relation in (turned, _weaker(turned))
    return False


def _weaker(relation: str) -> str:
    return {"<": r"\le", ">": r"\ge"}.get(relation, relation)


# --- Algebra --------------------------------------------------------------------------------------


def _equal(left: Any, right: Any) -> bool:
    """Proved equal. Numbers tell most pairs apart before the proof is tried."""
    try:
        return not counterexample(left, right) and bool(difference(left, right) == 0)
    except NOT_COMPARABLE:
        return False


def _holds(both: sp.Tuple, relation: str) -> bool:
    """Whether the two are equal, or their difference has the sign, whatever the symbols are."""
    left, right = both
    if relation == "=":
        return _equal(left, right)
    try:
        gap = left - right if relation in (">", r"\ge") else right - left
        weak = relation in (r"\le", r"\ge")
        return _has_sign(gap, not weak) or (weak and _equal(left, right))
    except NOT_COMPARABLE:
        return False


def _has_sign(gap: Any, strict: bool) -> bool:
    """Put 1/(1 + p) with p > 0 for what lies between 0 and 1; then no term may be negative.

    For alpha_bar_{t-1}, which may be 1, p may be 0.
    """
    gap = apply_definitions(rename_indices(gap))
    free = {u: 1 / (1 + _at_least_0(u)) for u in gap.atoms(*_NAMES) if is_unit(u)}
    whole = sp.factor(sp.together(gap.xreplace(free)))
    return bool(whole.is_positive if strict else whole.is_nonnegative)


def _at_least_0(unit: Expr) -> sp.Dummy:
    known = "positive" if is_between_0_and_1(unit) else "nonnegative"
    return sp.Dummy(**{known: True})


def _by_replacing(
    both: sp.Tuple, relation: str, rules: Sequence[Premise], values: Mapping[Expr, Any]
) -> str | None:
    """Replace names by what displays say they are, and by the values given; compare again."""
    waiting: list[tuple[sp.Tuple, tuple[str, ...]]] = [(both, ()), (_defined(both, values), ())]
    seen: set[sp.Tuple] = set()
    while waiting and len(seen) <= _MOST:
        now, labels = waiting.pop(0)
        if now in seen:
            continue
        seen.add(now)
        valued = _valued(now, values)
        if labels and _holds(now, relation):
            return ", ".join(labels)
        if valued != now and _holds(valued, relation):
            return ", ".join((*labels, "values"))
        if len(labels) < _STEPS:
            waiting += [(put, (*labels, label)) for put, label in _replaced(now, rules)]
    return None


def _defined(both: sp.Tuple, values: Mapping[Expr, Any]) -> sp.Tuple:
    """Under the book's definitions, down to the indices of which values are known."""
    try:
        return sp.Tuple(*apply_definitions(sp.Tuple(*both, *values))[:2])
    except NOT_COMPARABLE:
        return both


def _valued(both: sp.Tuple, values: Mapping[Expr, Any]) -> sp.Tuple:
    r"""With numbers for names; a value of \epsilon_\theta is one of \epsilon_\theta(x_t, t)."""
    heads = {_head(name): value for name, value in values.items() if isinstance(name, sp.Symbol)}
    applied = {a: heads[_head(a)] for a in both.atoms(AppliedUndef) if _head(a) in heads}
    return _put(both, {**values, **applied})


def _put(both: sp.Tuple, values: Mapping[Any, Any]) -> sp.Tuple:
    """Replace names; as it was, where one of them runs through a sum or an integral."""
    running = {v for e in both.atoms(ExprWithLimits, sp.Derivative) for v in e.variables}
    if any(running & (sp.Tuple(name, value).free_symbols) for name, value in values.items()):
        return both
    try:
        put: sp.Tuple = named_by(both, values)
    except NOT_COMPARABLE:
        return both
    return put


def _replaced(both: sp.Tuple, rules: Sequence[Premise]) -> Iterator[tuple[sp.Tuple, str]]:
    """With the names replaced of which one display says what they are; with one of them alone."""
    for label in dict.fromkeys(rule.label for rule in rules):
        pairs = [
            (name, value)
            for rule in rules
            if rule.label == label and rule.relation == "="
            for name, value in (rule.pair, rule.pair[::-1])
            if _is_name(name) and both.has(name) and not value.has(name)
        ]
        for part in (pairs[::-1], *([pair] for pair in pairs)):  # of two values the first
            put = _put(both, dict(part))
            if both.has(*_LONG) or not put.has(*_LONG):  # working one out may take minutes
                yield put, label
