r"""Numbers as they are printed: is $\sqrt{0.9} \approx 0.949$ right to its last digit?

An equals sign means equal. \approx means equal to the digits that stand there: 0.949 stands for
0.9485 to 0.9495. Zeros at the end of a whole number are no digits (4800 is rounded to hundreds).
"""

from collections.abc import Sequence
from typing import Any

import sympy as sp
from lark import Token
from sympy import Expr

from ddpm_lite.symbolic.objects import Formal

_DIGITS = 50
"""Working precision, in decimal digits: exact equality is decided by SymPy, order by these."""


def is_number(value: Any) -> bool:
    """Whether a member of a claim is a number, worked out or not."""
    value = sp.sympify(value)
    plain = isinstance(value, Expr) and not getattr(value, "is_Matrix", False)
    return bool(plain and not value.free_symbols and not _opaque(value))


def _opaque(value: Any) -> bool:
    """Whether something stands in it that has no value of its own."""
    return bool(
        value.has(Formal, sp.Limit, sp.MatrixExpr, sp.core.function.AppliedUndef, sp.oo, sp.nan)
    )


def holds(left: Any, relation: str, right: Any, units: Sequence[Expr | None] = ()) -> bool | None:
    r"""Whether a relation between two numbers is true; None for a relation of another kind.

    `units` are those of the last printed digits of both sides (see `last_digit`), None for a side
    that is a formula; \approx needs one of them.
    """
    gap = sp.sympify(left) - sp.sympify(right)
    if relation in ("=", r"\ne"):
        return bool(_is_zero(gap)) == (relation == "=")
    if relation == r"\approx":
        known = [unit for unit in units if unit is not None]
        return bool(known) and bool(sp.N(abs(gap) - max(known) / 2, _DIGITS) <= 0)
    if relation in ("<", ">", r"\le", r"\ge"):
        zero, sign = _is_zero(gap), sp.N(gap, _DIGITS)
        strict = bool(not zero and (sign < 0) == (relation in ("<", r"\le")))
        return strict or bool(zero and relation in (r"\le", r"\ge"))
    return None


def _is_zero(gap: Expr) -> bool:
    """Exactly: SymPy's `equals` proves what it says of numbers, or says None."""
    return gap == 0 or gap.equals(0) is True


def last_digit(member: Sequence[Token]) -> Expr | None:
    r"""The unit of the last digit of 0.36, 4800 or 4.04 \cdot 10^{-5}; None of a formula."""
    words = [t for t in member if t.type not in ("MINUS", "LBRACE", "RBRACE")]
    kinds = [t.type for t in words]
    if kinds == ["NUMBER"]:
        return _unit(words[0])
    if kinds == ["NUMBER", "CDOT", "NUMBER", "CIRCUMFLEX", "NUMBER"] and words[2] == "10":
        minus = any(t.type == "MINUS" for t in member[1:])
        return _unit(words[0]) * sp.Integer(10) ** (int(words[4]) * (-1 if minus else 1))
    return None


def _unit(number: str) -> Expr:
    if "." in number:
        return sp.Integer(10) ** -len(number.partition(".")[2])
    zeros = len(number) - len(number.rstrip("0"))
    return sp.Integer(10) ** (zeros if number.strip("0") else 0)


def coefficients_agree(left: Any, right: Any) -> bool:
    r"""0.8836 + 0.258 z \approx 0.884 + 0.258 z: the same formula, its decimals rounded."""
    symbols = sorted(sp.sympify(left).free_symbols | sp.sympify(right).free_symbols, key=str)
    try:
        one, other = sp.Poly(left, *symbols), sp.Poly(right, *symbols)
    except sp.PolynomialError:
        return False
    terms = set(one.monoms()) | set(other.monoms())
    return all(_rounded(one.coeff_monomial(term), other.coeff_monomial(term)) for term in terms)


def _rounded(value: Expr, printed: Expr) -> bool:
    """Whether a decimal fraction is a value to its own digits."""
    if printed == 0:  # the term is not printed, and no 0 is
        return False
    places = next((n for n in range(9) if (printed * 10**n).is_integer), None)
    unit = None if places is None else sp.Rational(1, 10**places)
    return bool(holds(value, r"\approx", printed, [unit]))
