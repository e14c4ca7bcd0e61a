r"""The logarithm of a normal density: the one that algebra, expectations and gaussians use.

Three kinds are known, and everything else is refused with `ComparisonError`:

- x, mean and variance v are numbers;
- x and mean are vectors of d coordinates, and the variance is v I, with nothing beside it;
- x and mean are columns of n rows, and the variance is an n by n matrix.

The variance is taken to be positive, or positive definite: otherwise there is no such density.
"""

from typing import Any

import sympy as sp

from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import ComparisonError, Gaussian, Norm
from ddpm_lite.symbolic.rules import use

IDENTITY = TABLE["I"].plain()
DIMENSION = TABLE["d"].plain()


def is_isotropic(gaussian: Gaussian) -> bool:
    """Whether the variance is v * I, so that x is a vector of d coordinates."""
    return bool(gaussian.variance.has(IDENTITY))


def has_matrix(gaussian: Gaussian) -> bool:
    """Whether the variance is a matrix, explicit or symbolic."""
    return bool(gaussian.variance.is_Matrix)


def scale(gaussian: Gaussian) -> sp.Expr:
    """The number v of a variance v or v * I; a matrix as it is."""
    variance: sp.Expr = gaussian.variance
    if not is_isotropic(gaussian):
        return variance
    v: sp.Expr = sp.Integer(0) if has_matrix(gaussian) else sp.diff(variance, IDENTITY)
    if v == 0 or v.has(IDENTITY) or sp.expand(variance.xreplace({IDENTITY: sp.S.Zero})) != 0:
        raise ComparisonError(f"a variance is v, v I or a matrix, and not {sp.latex(variance)}")
    return v


def dimension(gaussian: Gaussian) -> sp.Expr:
    """The number of coordinates: 1, d for a variance v * I, the number of rows of a matrix."""
    if has_matrix(gaussian):
        rows: sp.Expr = sp.sympify(gaussian.variance.shape[0])
        return rows
    return DIMENSION if is_isotropic(gaussian) else sp.S.One


def exponent(gaussian: Gaussian) -> sp.Expr:
    """The part of the log density that depends on x: -(x - mean)^2 / (2 v)."""
    _check_shapes(gaussian)
    use("eq-gauss-isotropic" if is_isotropic(gaussian) else "eq-gauss-density")
    away = gaussian.x - gaussian.mean
    if has_matrix(gaussian):
        return -_entry(away.T * gaussian.variance.inv() * away) / 2
    square: sp.Expr = Norm(away) ** 2 if is_isotropic(gaussian) else away**2
    return -square / (2 * scale(gaussian))


def log_density(gaussian: Gaussian) -> sp.Expr:
    """-n/2 log(2 pi) - 1/2 log det - 1/2 (x - mean)^T Sigma^-1 (x - mean), and its like for v, v I.

    Raises ComparisonError for a variance that is neither v, nor v I, nor a matrix.
    """
    n, away = dimension(gaussian), exponent(gaussian)
    if has_matrix(gaussian):
        return -n * sp.log(2 * sp.pi) / 2 - sp.log(sp.det(gaussian.variance)) / 2 + away
    return -n * sp.log(2 * sp.pi * scale(gaussian)) / 2 + away


def _check_shapes(gaussian: Gaussian) -> None:
    """Both x and mean are numbers where the variance is one, and columns of its rows else."""
    wanted = (gaussian.variance.shape[0], 1) if has_matrix(gaussian) else None
    for part in (gaussian.x, gaussian.mean):
        if _shape(part) != wanted:
            raise ComparisonError(f"{sp.latex(part)} does not fit the variance of {gaussian}")
    if has_matrix(gaussian) and len(set(gaussian.variance.shape)) > 1:
        raise ComparisonError(f"the variance of {gaussian} is not a square matrix")


def _shape(part: Any) -> Any:
    return part.shape if part.is_Matrix else None


def _entry(product: Any) -> sp.Expr:
    """The one entry of a matrix with one row and one column."""
    return product[0, 0] if isinstance(product, sp.MatrixBase) else sp.Trace(product)
