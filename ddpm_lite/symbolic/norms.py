r"""Vectors inside norms and inner products: everything expands by linearity.

A vector is a sum of scalar coefficients times vector atoms. An atom is a symbol that the table
calls a vector (x_t, \epsilon, \epsilon_\theta(x_t, t), ...), or an expectation, a sum or an
entrywise product that has such atoms inside.
"""

from itertools import product

import sympy as sp
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic.notation import is_vector
from ddpm_lite.symbolic.objects import Dot, Expectation, Formal, Hadamard, Norm
from ddpm_lite.symbolic.rules import use


def expand_norms(expression: sp.Expr) -> sp.Expr:
    """Write even powers of norms, and inner products, as sums of coefficient * Dot(atom, atom)."""
    if expression.has(Norm, Dot):
        use("eq-gauss-norm")
    squares = expression.replace(_is_square, lambda e: sp.Pow(inner(*e.base.args * 2), e.exp / 2))
    expanded: sp.Expr = squares.replace(lambda e: isinstance(e, Dot), lambda e: inner(*e.args))
    return expanded


def inner(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """The inner product of two vectors, as a sum over their atoms."""
    pairs = product(coefficients(a).items(), coefficients(b).items())
    total: sp.Expr = sp.Add(*(c * k * Dot(u, v) for (u, c), (v, k) in pairs))
    return total


def coefficients(vector: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    """The scalar coefficient of each atom of a vector; none for the vector 0."""
    names = {atom: sp.Dummy(real=True) for atom in sorted(atoms(vector), key=sp.default_sort_key)}
    plain = _put(vector, names)
    found = {atom: _slope(plain, name) for atom, name in names.items()}
    rest = plain.xreplace(dict.fromkeys(names.values(), sp.S.Zero))
    if sp.expand(rest) != 0 or any(c.has(*names.values()) for c in found.values() if names):
        raise ValueError(f"not a sum of scalars times vectors: {sp.latex(vector)}")
    if any(map(_holds_vector, found.values())):
        raise ValueError(f"a function of a vector is no scalar: {sp.latex(vector)}")
    return found


def _holds_vector(scalar: sp.Expr) -> bool:
    """Whether a vector stands in a scalar, as in 1/x; norms and f(x) are numbers."""
    if isinstance(scalar, (Formal, AppliedUndef)):
        return False
    return is_vector(scalar) or any(map(_holds_vector, scalar.args))


def atoms(vector: sp.Expr) -> set[sp.Expr]:
    """The vector atoms of a sum of products; what stands inside a scalar does not count."""
    if is_vector(vector) or _wraps_vector(vector):
        return {vector}
    if isinstance(vector, (sp.Add, sp.Mul)):
        return set().union(*(atoms(part) for part in vector.args))
    return set()


def _wraps_vector(expression: sp.Expr) -> bool:
    """Whether it is an expectation, a sum or an entrywise product of vectors."""
    if isinstance(expression, Expectation):
        return bool(atoms(expression.body))
    if isinstance(expression, sp.Sum):
        return bool(atoms(expression.function))
    return isinstance(expression, Hadamard)


def _put(vector: sp.Expr, names: dict[sp.Expr, sp.Dummy]) -> sp.Expr:
    """The names in place of the atoms; only where an atom stands as a term or a factor."""
    if vector in names:
        return names[vector]
    if isinstance(vector, (sp.Add, sp.Mul)):
        built: sp.Expr = vector.func(*(_put(part, names) for part in vector.args))
        return built
    return vector


def _slope(plain: sp.Expr, name: sp.Dummy) -> sp.Expr:
    """The coefficient of a name in a linear expression."""
    slope: sp.Expr = sp.diff(plain, name)
    return sp.expand(slope) if slope.has(sp.Dummy) else slope


def _is_square(expression: sp.Expr) -> bool:
    """Whether it is an even positive power of a norm."""
    power = isinstance(expression, sp.Pow) and isinstance(expression.base, Norm)
    return power and bool(expression.exp.is_even and expression.exp.is_positive)
