r"""Sums, products and powers as a page writes them, where a letter may be a number or a matrix."""

import math
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic import objects as ob
from ddpm_lite.symbolic.algebra import reduce_to_zero
from ddpm_lite.symbolic.notation import TABLE

IDENTITY = TABLE["I"].plain()
_LARGEST_POWER = 12
"""Largest number of rows times exponent, for a matrix with letters in it."""
_BITS = 7000
"""Largest length of a number that a power gives."""
_ROOT_BITS = 500
"""Largest length of a number whose root is taken: SymPy looks for its factors."""
_MOST_TERMS = 1000
"""Of a divisor that has been cancelled, multiplied out to see whether it is 0."""


def number_power(base: Any, exponent: Any) -> Any:
    """A power of numbers is worked out, and must stay small."""
    if isinstance(base, sp.Rational) and isinstance(exponent, sp.Integer):
        bits = max(abs(base.p).bit_length(), base.q.bit_length())
        if bits * abs(int(exponent)) > _BITS:
            raise ValueError("a number with too many digits to be written out")
    elif isinstance(base, sp.Rational) and isinstance(exponent, sp.Rational):
        _check_root(base)
    return sp.Pow(base, exponent)


def _check_root(inside: Any) -> None:
    numbers = sp.sympify(inside).atoms(sp.Rational)
    if any(max(abs(n.p), n.q).bit_length() > _ROOT_BITS for n in numbers):
        raise ValueError("a root of so large a number is not worked out")


def shape_of(value: Any) -> Any:
    """(rows, columns) of a matrix, None of a number."""
    return getattr(value, "shape", None) if getattr(value, "is_Matrix", False) else None


def as_number(value: Any) -> Any:
    """A matrix with one entry, such as x^T A x, stands for that entry."""
    if shape_of(value) == (1, 1):
        return value[0, 0] if isinstance(value, sp.MatrixBase) else sp.Trace(value)
    return value


def times(a: Any, b: Any) -> Any:
    """The product in the order of the page. Raises TypeError where the order is not clear."""
    _check_order(a, b)
    if shape_of(a) and shape_of(b):
        return a * b
    return as_number(a) * as_number(b) if shape_of(a) == (1, 1) or shape_of(b) == (1, 1) else a * b


def over(a: Any, b: Any) -> Any:
    """The quotient. Raises ValueError if b is 0 and has been cancelled."""
    _check_order(a, b)
    quotient = a / b
    factors = sp.Mul.make_args(b) if isinstance(b, Expr) and not shape_of(b) else ()
    gone = [f for f in factors if not f.is_Atom and not quotient.has(f) and not quotient.has(1 / f)]
    if any(_terms(f) > _MOST_TERMS for f in gone):
        raise ValueError("so large a divisor, which cancels, is not worked out")
    if any(reduce_to_zero(f) == 0 or f.doit() == 0 for f in gone):
        raise ValueError("a division by 0")
    return quotient


def _terms(value: Any) -> int:
    """How many terms there are at most when all is multiplied out and all sums are written out."""
    inside = [_terms(part) for part in value.args if isinstance(part, Expr)]
    if isinstance(value, sp.Pow) and value.exp.is_Integer:
        return math.comb(inside[0] + abs(int(value.exp)) - 1, abs(int(value.exp)))
    if isinstance(value, sp.Mul):
        return math.prod(inside)
    if isinstance(value, sp.Sum | sp.Product):
        runs = (last - first + 1 for _, first, last in value.limits)
        return math.prod([*inside, *(int(run) for run in runs if run.is_Integer and run > 0)])
    if isinstance(value, sp.Derivative):
        return math.prod([*inside, *(2 ** min(int(n), 20) for _, n in value.variable_count)])
    return max(1, sum(inside))


def _check_order(a: Any, b: Any) -> None:
    r"""Var[x] of a vector x is a matrix, and \pi a row: what is it, and does the order matter?"""
    if not (shape_of(a) or _hides_matrix(a)) or not (shape_of(b) or _hides_matrix(b)):
        return
    if _hides_matrix(a) or _hides_matrix(b):
        raise TypeError("a matrix in a function or an average: does the order matter?")


def _hides_matrix(value: Any) -> bool:
    r"""Whether a number of SymPy's is a matrix on the page: Var[x], M \odot L, \pi as a row."""
    if shape_of(value):
        return False
    hidden = sp.sympify(value).atoms(ob.Expectation, ob.Variance, ob.Covariance, ob.Hadamard)
    inside = [part for formal in hidden for part in formal.args]
    functions = [part for f in sp.sympify(value).atoms(AppliedUndef) for part in f.args]
    square = any(shape_of(part) and shape_of(part)[1] != 1 for part in functions)
    return sp.pi in sp.Mul.make_args(value) or square or any(map(shape_of, inside))


def matrix_power(base: Any, exponent: Any) -> Any:
    """A power of a matrix; SymPy takes M for the root of its square."""
    if not (exponent.is_integer or isinstance(base, (sp.MatrixSymbol, sp.MatrixBase))):
        raise ValueError("only whole powers of a product or a power of matrices are read")
    letters = isinstance(base, sp.MatrixBase) and base.free_symbols and exponent.is_Integer
    most = 3 if exponent.is_negative else _LARGEST_POWER
    if letters and base.rows * abs(exponent) > most:
        raise ValueError("so large a power of a matrix with letters is not worked out")
    return base**exponent


def root(inside: Any) -> Any:
    """The square root. Raises ValueError of a product of matrices, where SymPy errs."""
    if shape_of(inside):
        return matrix_power(inside, sp.S.Half)
    _check_root(inside)
    return sp.sqrt(inside)


def plus(a: Any, b: Any) -> Any:
    """The sum. Raises TypeError if the shapes differ."""
    a, b = alike([a, b])
    if shape_of(a) != shape_of(b):
        raise TypeError(f"shapes {shape_of(a)} and {shape_of(b)}")
    return a + b


def alike(values: list[Any]) -> list[Any]:
    """Beside a matrix, c I is c times the identity matrix; beside a number, x^T x is a number."""
    shapes = [shape_of(v) for v in values if shape_of(v) and shape_of(v) != (1, 1)]
    if not shapes:
        return [as_number(v) for v in values] if any(not shape_of(v) for v in values) else values
    return [v if shape_of(v) else _scaled_identity(v, shapes[0]) for v in values]


def _scaled_identity(value: Any, shape: Any) -> Any:
    factor = sp.sympify(value).coeff(IDENTITY)
    if sp.expand(value - factor * IDENTITY) != 0 or factor == 0 or shape[0] != shape[1]:
        return value
    identity = (
        sp.eye(shape[0]) if isinstance(shape[0], (int, sp.Integer)) else sp.Identity(shape[0])
    )
    return factor * identity
