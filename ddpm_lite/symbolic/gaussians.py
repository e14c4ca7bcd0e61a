r"""Gaussian densities: product, marginal, affine map, moments and divergence, by exact algebra.

Everything rests on one square and one integral. A logarithm -(A x^2 - 2 B x + C) / 2 with A > 0 is

    -(A/2) (x - B/A)^2 + B^2 / (2A) - C/2,

and the integral of its exponential over the real line is sqrt(2 pi / A) exp(B^2 / (2A) - C/2).
With variance v * I the variables are vectors of d coordinates, squares are squared norms, and the
integral is the product of d such integrals. All functions take and give objects of `objects`.
Variances are taken to be positive: a logarithm of a quotient of variances is split and merged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from ddpm_lite.symbolic.algebra import left_over, named_by
from ddpm_lite.symbolic.normals import (
    DIMENSION,
    IDENTITY,
    dimension,
    exponent,
    is_isotropic,
    log_density,
    scale,
)
from ddpm_lite.symbolic.norms import coefficients, expand_norms, inner
from ddpm_lite.symbolic.objects import Dot, Gaussian, Norm
from ddpm_lite.symbolic.rules import use

__all__ = [
    "DIMENSION",
    "IDENTITY",
    "Quadratic",
    "Square",
    "affine",
    "complete_square",
    "convolve",
    "dimension",
    "exponent",
    "from_log",
    "gaussian_kl",
    "is_isotropic",
    "log_density",
    "marginal",
    "moment",
    "product",
    "quadratic",
    "scale",
    "substitute",
    "sum_independent",
    "tidy",
]


class Square(NamedTuple):
    """-(a/2) (x - center)^2 + rest, or -(a/2) Norm(x - center)^2 + rest; no x in the parts."""

    a: sp.Expr
    center: sp.Expr
    rest: sp.Expr


class Quadratic(NamedTuple):
    """-(a x^2 - 2 b x + c) / 2, with Dot(x, x) and Dot(b, x) for vectors; no x in the parts."""

    a: sp.Expr
    b: sp.Expr
    c: sp.Expr


def _gaussian(x: sp.Expr, mean: sp.Expr, v: sp.Expr, isotropic: bool) -> Gaussian:
    made = Gaussian(x, mean, v * IDENTITY if isotropic else v)
    assert isinstance(made, Gaussian)
    return made


# ---------------------------------------------------------------------------- completing the square


def complete_square(expression: sp.Expr, x: sp.Expr) -> Square:
    """Write an expression of degree 2 in x as -(a/2) (x - center)^2 + rest.

    An expression with norms or inner products is taken as one in the vector x.
    """
    a, b, c = quadratic(expression, x)
    if a == 0:
        raise ValueError(f"not of degree 2 in {sp.latex(x)}: {sp.latex(expression)}")
    if not _has_norms(expression):
        return Square(a, tidy(b / a), b**2 / (2 * a) - c / 2)
    center = sp.Add(*(tidy(k / a) * u for u, k in coefficients(b).items()))
    return Square(a, center, inner(b, b) / (2 * a) - c / 2)


def quadratic(expression: sp.Expr, x: sp.Expr) -> Quadratic:
    """The coefficients a, b, c of an expression -(a x^2 - 2 b x + c) / 2.

    Taylor's formula at 0, exact because the second derivative does not depend on x.
    """
    if _has_norms(expression):
        return _vector_quadratic(expression, x)
    at = sp.Dummy(real=True)
    plain = substitute(expression, x, at)
    slope = sp.diff(plain, at)
    a, b, c = -_free(sp.diff(slope, at), at, expression), slope.subs(at, 0), plain.subs(at, 0)
    return Quadratic(tidy(a), b, -2 * c)


def _vector_quadratic(expression: sp.Expr, x: sp.Expr) -> Quadratic:
    """The same for a vector x: the coefficients of Dot(x, x) and of each Dot(x, other)."""
    plain = expand_norms(expression)
    others = {dot: _partner(dot, x) for dot in plain.atoms(Dot) if x in dot.args}
    names = {dot: sp.Dummy(real=True) for dot in sorted(others, key=sp.default_sort_key)}
    named, at = plain.xreplace(names), sp.Dummy(real=True)
    slopes = {others[dot]: sp.diff(named, name) for dot, name in names.items()}
    rest = named.xreplace(dict.fromkeys(names.values(), sp.S.Zero))
    a, b = -2 * slopes.pop(x, sp.S.Zero), sp.Add(*(k * u for u, k in slopes.items()))
    for part in (a, b, rest):
        _free(substitute(part.xreplace(dict.fromkeys(names.values(), at)), x, at), at, expression)
    return Quadratic(tidy(a), b, -2 * rest)


def from_log(expression: sp.Expr, x: sp.Expr) -> Gaussian:
    """The Gaussian in x proportional to exp(expression); v * I if it has norms of vectors."""
    return _peak(complete_square(expression, x), x, _has_norms(expression))


def _peak(square: Square, x: sp.Expr, isotropic: bool) -> Gaussian:
    """The Gaussian proportional to the exponential of a square, which is of no rising one."""
    if square.a.is_negative:
        raise ValueError(f"{sp.latex(1 / square.a)} is no variance")
    return _gaussian(x, square.center, tidy(1 / square.a), isotropic)


def tidy(expression: sp.Expr) -> sp.Expr:
    """One fraction in lowest terms, in factors unless there are roots of symbols."""
    roots = {base: sp.Dummy(positive=True) for base in _under_roots(expression)}
    if not roots:
        return sp.factor(sp.cancel(expression))
    lowest: sp.Expr = sp.cancel(expression.xreplace({b: name**2 for b, name in roots.items()}))
    return lowest.xreplace({name: sp.sqrt(base) for base, name in roots.items()})


def _under_roots(expression: sp.Expr) -> list[sp.Expr]:
    """The positive symbols of which the expression has a square root, in a fixed order."""
    halves = [p.base for p in expression.atoms(sp.Pow) if p.exp.is_Rational and p.exp.q == 2]
    symbols = {b for b in halves if b.is_positive and isinstance(b, (sp.Symbol, sp.Indexed))}
    return sorted(symbols, key=sp.default_sort_key)


def substitute(expression: sp.Expr, x: sp.Expr, value: sp.Expr) -> sp.Expr:
    """Put a value for x; the symbol x does not stand for the x of x_t.

    Raises ValueError where x_t may be one of the x_s of a sum.
    """
    if isinstance(x, sp.Indexed):
        for series in expression.atoms(ExprWithLimits):
            if _may_run_over(series, x):
                raise ValueError(f"{sp.latex(x)} may be one of the terms of {sp.latex(series)}")
    put: sp.Expr = named_by(expression, {x: value})
    return put


def _may_run_over(series: ExprWithLimits, x: sp.Indexed) -> bool:
    """Whether x_t may be one of the x_s over which a sum runs."""
    like = [e for e in series.function.atoms(sp.Indexed) if e.base == x.base]
    running = [e.indices[0] for e in like if e.has(*series.variables)]
    if len(series.limits) > 1:
        return bool(running)
    (variable, *ends), *_ = series.limits
    reached = [[sp.expand(named_by(i, {variable: end}) - x.indices[0]) for end in ends]
               for i in running]  # fmt: skip
    return not all((at[0]).is_positive or (-at[-1]).is_positive for at in reached if at)


def _has_norms(expression: sp.Expr) -> bool:
    return bool(expression.has(Norm, Dot))


def _partner(dot: Dot, x: sp.Expr) -> sp.Expr:
    """The other vector of an inner product with x; x itself for Dot(x, x)."""
    first, second = dot.args
    return second if first == x else first


def _free(part: sp.Expr, at: sp.Dummy, expression: sp.Expr) -> sp.Expr:
    """The part itself, which must not depend on the variable."""
    found = sp.expand(part) if part.has(at) else part
    if found.has(at):
        raise ValueError(f"not of degree 2 in the variable: {sp.latex(expression)}")
    return found


# ----------------------------------------------------------------------------------- the integral


def log_integral(square: Square, n: sp.Expr = sp.S.One) -> sp.Expr:
    """The logarithm of the integral of exp(square) over the line, or over n coordinates."""
    return square.rest + n * sp.log(2 * sp.pi / square.a) / 2


def gaussian_integral(A: sp.Expr, B: sp.Expr, C: sp.Expr) -> sp.Expr:
    """The integral of exp(-(A x^2 - 2 B x + C) / 2) over the real line, for A > 0.

    The master formula sqrt(2 pi / A) exp(B^2 / (2A) - C/2); a test compares it with
    `sympy.integrate`, so that no other integral has to be done.
    """
    x = sp.Dummy(real=True)
    integral: sp.Expr = sp.exp(log_integral(complete_square(-(A * x**2 - 2 * B * x + C) / 2, x)))
    return integral


# ----------------------------------------------------------------------- products and marginals


def product(
    first: Gaussian, second: Gaussian, x: sp.Expr | None = None
) -> tuple[Gaussian, sp.Expr]:
    """Split first * second = gaussian * exp(rest): the Gaussian in x, and rest, free of x.

    x is the variable of the second one unless given. The first may be N(y; a x + b, v).
    """
    return _combine(first, second, 1, second.x if x is None else x)


def quotient(
    first: Gaussian, second: Gaussian, x: sp.Expr | None = None
) -> tuple[Gaussian, sp.Expr]:
    """Split first / second = gaussian * exp(rest), where the variance of the first is the smaller.

    x is the variable of the first one unless given.
    """
    return _combine(first, second, -1, first.x if x is None else x)


def _combine(first: Gaussian, second: Gaussian, sign: int, x: sp.Expr) -> tuple[Gaussian, sp.Expr]:
    """The Gaussian in x that first * second^sign is proportional to, and the log of the factor.

    The Gaussian integrates to 1, so the factor is the integral of the product.
    """
    square = _joint_square(first, second, sign, x)
    gaussian = _peak(square, x, is_isotropic(first))
    inside = tidy(scale(first) * scale(second) ** sign * square.a) * (2 * sp.pi) ** sign
    return gaussian, square.rest - dimension(first) * sp.log(inside) / 2


def _joint_square(first: Gaussian, second: Gaussian, sign: int, x: sp.Expr) -> Square:
    """The square in x of the exponent of first * second^sign."""
    if is_isotropic(first) != is_isotropic(second):
        raise ValueError("one Gaussian is a vector's, the other a number's")
    return complete_square(exponent(first) + sign * exponent(second), x)


def convolve(y_given_x: Gaussian, of_x: Gaussian) -> Gaussian:
    """The density of y: the integral of N(y; a x + b, v) N(x; mean, w) over x.

    The integrand is the exponential of a square in x over 2 pi sqrt(v w). By `gaussian_integral`
    the integral is exp(rest) / sqrt(2 pi v w a), which must be a normalised density of y.
    """
    square = _joint_square(y_given_x, of_x, 1, of_x.x)
    factor = scale(y_given_x) * scale(of_x) * square.a
    return _normalised(square.rest, y_given_x.x, factor)


marginal = convolve


def affine(gaussian: Gaussian, a: sp.Expr, b: sp.Expr, y: sp.Expr) -> Gaussian:
    """The density of y = a x + b, for a number a not 0: that of x at (y - b) / a, over |a|."""
    if left_over(a, 0) == 0:
        raise ValueError("y = 0 x + b has no density")
    log = substitute(exponent(gaussian), gaussian.x, (y - b) / a)
    return _normalised(log, y, a**2 * scale(gaussian))


def _normalised(log: sp.Expr, y: sp.Expr, factor: sp.Expr) -> Gaussian:
    """The Gaussian in y that equals exp(log) / sqrt(2 pi factor)^n; an error if there is none."""
    square = complete_square(log, y)
    gaussian = _peak(square, y, _has_norms(log))
    if left_over(square.rest, 0) != 0 or left_over(scale(gaussian), factor) != 0:
        raise ValueError(f"not a normalised density of {sp.latex(y)}: {sp.latex(log)}")
    return gaussian


def sum_independent(first: Gaussian, second: Gaussian, y: sp.Expr) -> Gaussian:
    """The density of the sum y of two independent variables: the first, shifted by the second."""
    shifted = _gaussian(y, first.mean + second.x, scale(first), is_isotropic(first))
    return convolve(shifted, second)


# ------------------------------------------------------------------------ moments and divergence


def moment(expression: sp.Expr, normals: sp.Expr | Sequence[sp.Expr]) -> sp.Expr:
    """The expectation of a polynomial in independent standard normal variables.

    Numbers by E[e^k] = (k-1)!! for even k, 0 for odd k; vectors inside norms and inner products by
    pairing (Isserlis 1918): E[<e, u> <e, w>] = <u, w>, E[<e, e>] = d.
    """
    use("eq-gauss-expectation")
    names = list(normals) if isinstance(normals, (Sequence, sp.Tuple)) else [normals]
    total = sp.expand(expand_norms(expression))
    for name in names:
        total = sp.expand(sp.Add(*(_mean_of_term(term, name) for term in sp.Add.make_args(total))))
    return total


def _mean_of_term(term: sp.Expr, normal: sp.Expr) -> sp.Expr:
    """The expectation of one term, a coefficient times powers."""
    if not term:
        return term
    at = sp.Dummy(real=True)
    constant, rest = substitute(term, normal, at).as_independent(at, as_Add=False)
    powers = rest.as_powers_dict()
    dots = [dot for dot, k in powers.items() if isinstance(dot, Dot) for _ in range(_whole(k))]
    k = _whole(powers.pop(at, sp.S.Zero))
    inside = not all(at in dot.args and _is_apart(_partner(dot, at), at) for dot in dots)
    if set(powers) - set(dots) - {sp.S.One} or (k and dots) or inside:
        raise ValueError(f"not a polynomial in {sp.latex(normal)}: {sp.latex(term)}")
    number = sp.Integer(0) if k % 2 else sp.factorial2(k - 1)
    mean: sp.Expr = constant * number * _pairings(dots, at)
    return mean.xreplace({at: normal})


def _is_apart(partner: sp.Expr, at: sp.Dummy) -> bool:
    """Whether a vector is the normal one itself or has no part in it, unlike a function of it."""
    return bool(partner == at or not partner.has(at))


def _whole(power: sp.Expr) -> int:
    if not (power.is_Integer and power >= 0):
        raise ValueError(f"not a power of a polynomial: {sp.latex(power)}")
    return int(power)


def _pairings(dots: list[Dot], at: sp.Dummy) -> sp.Expr:
    """The expectation of a product of inner products, each with the normal vector `at` in it.

    One slot of `at` in the first product is paired with every other slot in turn.
    """
    if not dots:
        return sp.S.One
    partner, others = _partner(dots[0], at), dots[1:]
    total = DIMENSION * _pairings(others, at) if partner == at else sp.S.Zero
    for i, dot in enumerate(others):
        slots = dot.args.count(at)
        joined = Dot(partner, _partner(dot, at))
        total += slots * _times(joined, others[:i] + others[i + 1 :], at)
    return total


def _times(joined: Dot, others: list[Dot], at: sp.Dummy) -> sp.Expr:
    """The expectation of joined * others, where joined may hold the normal vector or not."""
    if at in joined.args:
        return _pairings([joined, *others], at)
    return joined * _pairings(others, at)


def gaussian_kl(q: Gaussian, p: Gaussian) -> sp.Expr:
    """The divergence KL(q || p) = E_q[log q - log p] of two Gaussians of the same variable.

    The variable is mean + sqrt(v) e with e standard normal, so the log ratio is a polynomial in e
    plus the logarithm of the quotient of the normalising factors.
    """
    if q.x != p.x or is_isotropic(q) != is_isotropic(p):
        raise ValueError("the divergence needs two densities of the same variable")
    use("eq-elbo-kl")
    normal = sp.Dummy(r"\epsilon", real=True)
    value = q.mean + sp.sqrt(scale(q)) * normal
    ratio = substitute(exponent(q) - exponent(p), q.x, value)
    factors = dimension(q) * sp.log(tidy(scale(p) / scale(q))) / 2
    return factors + moment(ratio, normal)
