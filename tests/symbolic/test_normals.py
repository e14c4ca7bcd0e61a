"""The logarithm of a normal density: shapes that fit, the rule it is, and what is refused."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import read, rules
from ddpm_lite.symbolic.normals import (
    dimension,
    exponent,
    has_matrix,
    is_isotropic,
    log_density,
    scale,
)
from ddpm_lite.symbolic.objects import ComparisonError, Gaussian

x, m, v, d, I = (read(name) for name in (r"x", r"\mu", "v", "d", "I"))  # noqa: E741
X, M = sp.Matrix([x, 2 * x]), sp.Matrix([m, 1])
S = sp.Matrix([[2, 1], [1, v]])


def test_three_kinds() -> None:
    number, vector, matrix = (Gaussian(x, m, v), Gaussian(x, m, v * I), Gaussian(X, M, S))
    assert [is_isotropic(g) for g in (number, vector, matrix)] == [False, True, False]
    assert [has_matrix(g) for g in (number, vector, matrix)] == [False, False, True]
    assert [dimension(g) for g in (number, vector, matrix)] == [1, d, 2]
    assert [scale(g) for g in (number, vector)] == [v, v]
    assert scale(matrix) == S
    assert scale(Gaussian(x, m, I)) == 1
    assert scale(Gaussian(x, m, 2 * v * I + I)) == 2 * v + 1


def test_a_covariance_matrix_by_hand() -> None:
    """Of two variables: the square by the inverse, written out."""
    a, b = x - m, 2 * x - 1
    determinant = 2 * v - 1
    square = (v * a**2 - 2 * a * b + 2 * b**2) / determinant
    wanted = -sp.log(2 * sp.pi) - sp.log(determinant) / 2 - square / 2
    assert sp.simplify(log_density(Gaussian(X, M, S)) - wanted) == 0


@pytest.mark.parametrize(
    ("place", "mean", "variance", "label"),
    [(x, m, v, "eq-gauss-density"), (x, m, v * I, "eq-gauss-isotropic"),
     (X, M, S, "eq-gauss-density")],
)  # fmt: skip
def test_the_density_is_the_rule_of_a_page(
    place: sp.Expr, mean: sp.Expr, variance: sp.Expr, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "withdrawn", {"eq-gauss-density", "eq-gauss-isotropic"} - {label})
    exponent(Gaussian(place, mean, variance))
    monkeypatch.setattr(rules, "withdrawn", {label})
    with pytest.raises(rules.RuleError, match=label):
        exponent(Gaussian(place, mean, variance))


@pytest.mark.parametrize(
    ("place", "mean", "variance", "reason"),
    [
        (X, M, v, "does not fit"),
        (x, M, v, "does not fit"),
        (X, m, v, "does not fit"),
        (x, M, S, "does not fit"),
        (X, m, S, "does not fit"),
        (X.T, M.T, S, "does not fit"),
        (sp.Matrix([x, x, x]), M, S, "does not fit"),
        (X, M, sp.Matrix([[1, 2, 3], [4, 5, 6]]), "not a square"),
        (x, m, v * I + 1, "a variance is"),
        (x, m, v * I**2, "a variance is"),
        (x, m, I - I**2, "a variance is"),
        (x, m, v + I - I, None),
    ],
)
def test_what_does_not_fit_has_no_density(
    place: sp.Expr, mean: sp.Expr, variance: sp.Expr, reason: str | None
) -> None:
    if reason is None:
        log_density(Gaussian(place, mean, variance))
        return
    with pytest.raises(ComparisonError, match=reason) as refused:
        log_density(Gaussian(place, mean, variance))
    assert reason != "a variance is" or str(refused.value).endswith(sp.latex(variance))
