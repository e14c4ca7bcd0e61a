r"""Equality: the one notion of it, and all that it assumes. `difference(a, b)` is 0, or not proved.

What equal means
    numbers     the same value for all values of the symbols at which both sides are defined;
    functions   f(x) and g(x) are numbers, so: for every x. A name such as f or \mu_\theta is any
                function at all;
    vectors     \epsilon, x_t, ... stand for a vector of d coordinates inside norms and inner
                products, and for any one coordinate elsewhere;
    matrices    the same shape, and equal entry by entry;
    densities   equal at every point. N(x; m, v) is its formula; q, p and p_\theta are different
                laws, and of each it is known only that it is a Markov chain x_0, ..., x_T;
    expectations, divergences
                equal where what is averaged is the same function under one law of all variables
                (`expectations` brings both sides there): for every law that has them. They are
                taken to be finite;
    lists, sets, relations
                equal part by part, in the order in which they are written.

What is assumed
    - Every symbol is real, and as its row in `notation` says: positive, not negative, between 0
      and 1 (never 0 or 1), or a positive whole number. alpha_t, beta_t and alpha_bar_t lie between
      0 and 1, and beta_t = 1 - alpha_t, alpha_bar_t = alpha_t alpha_bar_{t-1}, alpha_bar_0 = 1: so
      alpha_bar_{t-1} may be 1, and beta_tilde_1 is 0.
    - An index is a whole number, and such that all that is written exists. A sum or a product
      has no fewer than 0 terms. A running index is assumed to be no more than its range says.
    - Variances of densities are positive, covariance matrices positive definite.
    - In a law, t and its like lie between 2 and T - 1, and T is 2 or more. p(x_T) is the law at
      which the chain of p_\theta starts. Names that may depend on what is averaged (noise, another
      random variable, a guess) are refused: an expectation may hold the variables of its law,
      what is given, and the fixed numbers of the table.
    - No letter depends on another one. But of the derivative or the limit of what does not show
      what moves, as x in t or p_\theta in \theta, nothing is known.
    - Entries of matrices are counted from 1, and matrices keep their order.
    - A decimal is the number that is written: 0.1 is 1/10.

`ComparisonError` is raised where the two sides do not fit together, or one of them means nothing:
1/0, a sum that ends before it begins, a law that is none.
"""

from math import comb, prod
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic.algebra import (
    NOT_COMPARABLE,
    apply_definitions,
    both_positive,
    is_defined,
    is_unit,
    left_over,
    reduce_to_zero,
)
from ddpm_lite.symbolic.expectations import integrand
from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import (
    KL,
    ComparisonError,
    Covariance,
    Density,
    Expectation,
    Formal,
    Gaussian,
    Variance,
)

__all__ = ["ComparisonError", "counterexample", "difference", "equal"]


def equal(a: Any, b: Any) -> bool:
    """Whether a = b is proved. Raises ComparisonError."""
    return bool(difference(a, b) == 0)


def difference(a: Any, b: Any) -> Any:
    """0 where a = b is proved, and else what is left of a - b, a matrix for matrices.

    Raises ComparisonError where the two sides do not fit together.
    """
    try:
        return _difference(_exact(a), _exact(b))
    except ComparisonError:
        raise
    except NOT_COMPARABLE as error:
        raise ComparisonError(f"the two sides do not fit together: {error}") from error


def _difference(a: Any, b: Any) -> Any:
    check_meaning(a)
    check_meaning(b)
    a, b = _with_unknowns(sp.Tuple(a, b))
    left = left_over(a, b)
    if left == 0 or not _has_laws(a, b):
        return left
    if a.has(Expectation, KL) or b.has(Expectation, KL) or not both_positive(a, b):
        return reduce_to_zero(integrand(a - b))
    ratio = sp.log(a, evaluate=False) - sp.log(b, evaluate=False)
    return left if reduce_to_zero(integrand(ratio)) != 0 else sp.S.Zero


def _with_unknowns(pair: sp.Tuple) -> sp.Tuple:
    """Numbers for derivatives and limits that do not show all that moves: x may depend on t."""
    unknown = {e: sp.Symbol(sp.latex(e), real=True) for e in pair.atoms(*_CHANGES) if _hides(e)}
    named: sp.Tuple = pair.xreplace(unknown)
    return named


_CHANGES = (sp.Derivative, sp.Limit)


def _hides(change: Any) -> bool:
    r"""Whether what moves is in the body unseen, as \theta is in p_\theta(x)."""
    body, moved = change.args[0], _moved(change)
    if isinstance(change, sp.Limit) and not body.free_symbols:
        return False
    if any(str(getattr(v, "base", v)) == _WEIGHTS for v in moved):
        return any(one.endswith("_" + _WEIGHTS) or one in _OF_WEIGHTS for one in _names(body))
    if any(_family(v) in _TIED for v in moved) and _names(body) & _OF_SCHEDULE:
        return True
    return not all(body.has(v) for v in moved)


_WEIGHTS = r"\theta"
_OF_WEIGHTS = (r"\bar{\theta}", r"\hat{x}", r"\mathrm{v}", "L_{simple}", r"\ell", r"\mathrm{ELBO}",
               r"\mathcal{L}", r"\mathcal{C}", r"\mathcal{K}")  # fmt: skip
"""What depends on the weights without their sign in its name."""


_OF_SCHEDULE = {r"\tilde{\beta}", r"\mathrm{SNR}"}


def _names(body: Any) -> set[str]:
    """The names of symbols, families, laws and functions."""
    functions = {str(f.func) for f in body.atoms(AppliedUndef)}
    return functions | {s.name for s in body.atoms(sp.Symbol)}


def _moved(change: Any) -> tuple[Any, ...]:
    return tuple(change.variables if isinstance(change, sp.Derivative) else change.args[1:2])


def _exact(value: Any) -> Any:
    """As SymPy writes it, decimals as fractions."""
    value = sp.sympify(value)
    if not hasattr(value, "xreplace"):
        raise ComparisonError(f"{value!r} is no formula")
    return value.xreplace({f: sp.Rational(repr(float(f))) for f in value.atoms(sp.Float)})


def check_meaning(side: Any) -> None:
    if not is_defined(side):
        raise ComparisonError(f"there is a division by 0 in it: {side}")
    if getattr(side, "is_infinite", False) or _is_infinite_inside(side):
        raise ComparisonError("infinity is no number: 1 more is the same")
    for bell in side.atoms(Gaussian):
        if bell.variance.is_nonpositive:
            raise ComparisonError(f"{bell.variance} is no variance")
    for change in side.atoms(sp.Derivative, sp.Limit):
        _check_others_stay(change)
    terms = max(map(_terms_over_one_denominator, side.atoms(sp.Add)), default=1)
    if max(terms, _terms(side)) > _MOST_TERMS or any(map(_is_large, side.atoms(sp.Determinant))):
        raise ComparisonError("written out it would have too many terms to be compared")
    for series in side.atoms(sp.Sum, sp.Product):
        for index, *ends in series.limits:
            if len(ends) == 2 and (ends[1] - ends[0] + 1).is_negative:
                raise ComparisonError(f"the sum or product over {index} ends before it begins")


def _is_large(determinant: Any) -> bool:
    """Whether its matrix is written out in letters, and has too many of them."""
    matrix = determinant.args[0]
    return bool(matrix.free_symbols) and isinstance(matrix, sp.MatrixBase) and matrix.rows > 4


def _is_infinite_inside(side: Any) -> bool:
    """Whether infinity stands in it other than as an end, or a limit is infinite."""
    ends = dict.fromkeys(side.atoms(ExprWithLimits, sp.Limit), sp.S.One)
    limits = (e for e in side.atoms(sp.Limit) if e.args[0].free_symbols == {e.args[1]})
    return bool(side.xreplace(ends).has(sp.oo, -sp.oo)) or any(map(_is_infinite, limits))


def _is_infinite(limit: Any) -> bool:
    try:
        return bool(limit.doit().is_infinite)
    except NOT_COMPARABLE:
        return False


def _check_others_stay(change: Any) -> None:
    """Where alpha_t changes, so does alpha_bar_t, and a derivative would have to say so."""
    for variable in _moved(change):
        name = _family(variable)
        if isinstance(change, sp.Limit) and any(_may_be(e, variable) for e in _others(change)):
            raise ComparisonError(f"{change} may move another {name} of it too")
        if name in _TIED and any(_is_tied(e, variable) for e in change.args[0].atoms(sp.Indexed)):
            raise ComparisonError(f"{change} moves what depends on {variable} too")


def _others(limit: Any) -> set[Expr]:
    return {e for e in limit.args[0].atoms(sp.Indexed) if e != limit.args[1]}


def _may_be(element: Expr, variable: Expr) -> bool:
    """Whether x_s may be x_t; x_{t-1} is another one."""
    if not isinstance(variable, sp.Indexed) or element.base != variable.base:
        return False
    gaps = [a - b for a, b in zip(element.indices, variable.indices, strict=False)]
    return not any(gap.is_nonzero and gap.is_number for gap in gaps)


def _is_tied(element: Expr, variable: Expr) -> bool:
    """Whether an element of the noise schedule is not independent of another one."""
    name, other = _family(element), _family(variable)
    same = name == other and (name != _TIED[-1] or element == variable)
    return name in _TIED and not same


def _family(variable: Expr) -> str:
    return str(variable.base.label) if isinstance(variable, sp.Indexed) else ""


_TIED = (r"\alpha", r"\beta", r"\bar{\alpha}")
_MOST_TERMS = 50_000


def _terms(expression: Any) -> int:
    """At most so many terms stand in it after it has been multiplied out, or too many."""
    if isinstance(expression, sp.Add):
        return min(sum(map(_terms, expression.args)), _MOST_TERMS + 1)
    if isinstance(expression, sp.Mul):
        return min(prod(map(_terms, expression.args)), _MOST_TERMS + 1)
    if isinstance(expression, sp.Pow) and expression.exp.is_Rational:
        terms, power = _terms(expression.base), int(sp.ceiling(abs(expression.exp)))
        return min(comb(power + terms - 1, terms - 1), _MOST_TERMS + 1)
    return max(map(_terms, expression.args), default=1)


def _terms_over_one_denominator(total: Expr) -> int:
    """So many stand above it: each summand is multiplied by what the others are divided by."""
    factors = [f for part in total.args for f in sp.Mul.make_args(part) if isinstance(f, sp.Pow)]
    below = {1 / f for f in factors if f.exp.is_negative}
    return len(total.args) * prod(map(_terms, below))


def _has_laws(a: Any, b: Any) -> bool:
    return all(isinstance(e, Expr) and not getattr(e, "is_Matrix", False) for e in (a, b)) and any(
        e.has(Density, Expectation, KL) for e in (a, b)
    )


def counterexample(a: Any, b: Any) -> tuple[dict[Expr, Expr], Expr, Expr] | None:
    """Numbers for the symbols at which a and b differ: what a reader can check by hand, no proof.

    (values, a there, b there); None where both cannot be worked out as numbers.
    """
    pair = sp.Tuple(sp.sympify(a), sp.sympify(b))
    if pair.has(sp.Integral, sp.Limit):
        return None  # working it out may take minutes
    if any(_hides(change) for change in pair.atoms(*_CHANGES)) or _is_long(pair):
        return None
    try:
        pair = _without_sums(pair)
    except NOT_COMPARABLE:
        return None
    pair = _named_means(pair)
    if pair.has(Formal, sp.Derivative, sp.MatrixExpr, sp.MatrixBase, TABLE["I"].plain()):
        return None
    for seed in range(4):
        values = _values(pair, seed)
        try:
            left, right = (sp.sympify(e).xreplace(values) for e in pair)
        except NOT_COMPARABLE:
            return None
        if left.is_number and right.is_number and _are_apart(left, right):
            return values, left, right
    return None


def _are_apart(left: Expr, right: Expr) -> bool:
    """Whether two numbers differ in digits that are not mere rounding."""
    gap = sp.N(left - right)
    return bool(abs(gap) > 1e-9) and all(part._prec > 1 for part in gap.atoms(sp.Float))


_MOST_WRITTEN_OUT = 50
"""A sum or product of more terms is none that a reader can check by hand."""


def _is_long(pair: sp.Tuple) -> bool:
    """Whether a sum or product has too many terms, or fewer than none, where it is worked out."""
    limits = [limit for one in pair.atoms(sp.Sum, sp.Product) for limit in one.limits]
    ends = [(limit[1], limit[2]) for limit in limits if len(limit) == 3]
    lengths = [(last - first + 1).subs(_small(pair)) for first, last in ends]
    return any(n.is_Integer and not 0 <= n <= _MOST_WRITTEN_OUT for n in lengths)


def _named_means(pair: sp.Tuple) -> sp.Tuple:
    """Var[X] and E[X] as numbers of their own, where the same ones stand on both sides.

    No others: E[X^2] depends on E[X], E[-X^2] is no positive number, and E[2] is 2.
    """
    kinds = (Covariance, Expectation, Variance)
    means = [set(e.atoms(*kinds)) for e in pair]
    names = {m: sp.Symbol(sp.latex(m), positive=True) for m in means[0]}
    named: sp.Tuple = pair.xreplace(names)
    letters = set(map(_letter_of, names))
    any_numbers = None not in letters and not letters & named.free_symbols
    return named if means[0] == means[1] and any_numbers else pair


def _letter_of(mean: Expr) -> Expr | None:
    """The X of E[X] and of Var[X], whose mean may be any real number."""
    inside = mean.body if isinstance(mean, Expectation) else mean.args[0]
    plain = not isinstance(mean, Covariance) and not mean.given and not getattr(mean, "laws", ())
    return inside if plain and inside.is_Symbol and inside.is_positive is None else None


def _small(pair: sp.Tuple) -> dict[Expr, Expr]:
    return {s: sp.Integer(3) for s in pair.free_symbols if s.is_integer and s.is_Symbol}


def _without_sums(pair: sp.Tuple) -> sp.Tuple:
    """Both sides under the book's rules; sums and products written out at small indices."""
    if pair.has(sp.Sum, sp.Product, sp.Derivative):
        pair = sp.Tuple(*(e.subs(_small(pair)).doit() for e in pair))
    ready: sp.Tuple = expand_norms(apply_definitions(pair))
    return ready


def _values(pair: sp.Tuple, seed: int) -> dict[Expr, Expr]:
    """A small number for each symbol: 1/2 to 9/10 between 0 and 1, whole for an index."""
    values: dict[Expr, Expr] = {}
    indexed = pair.atoms(sp.Indexed)
    loose = {s for s in pair.free_symbols if s.is_Symbol} - {
        s for a in indexed for s in a.free_symbols
    }
    for k, atom in enumerate(sorted(indexed | loose, key=sp.default_sort_key)):
        if is_unit(atom):
            values[atom] = sp.Rational(9 - (k + seed) % 5, 10)
        else:
            values[atom] = (
                sp.Integer(3) if atom.is_integer else sp.Rational(3 + 2 * k + seed, 2 + k)
            )
    return values
