"""Densities, expectations and norms as SymPy expressions: their parts, signs and how they print."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import objects as ob
from ddpm_lite.symbolic import read

PRINTED = [
    "x_{1:T}",
    r"q(x_t \mid x_0, x_1)",
    r"q(x_0, x_1)",
    r"q(x_t \mid x_0)^2 - 1",
    r"\mathcal N(x; \mu, v)",
    r"1 / \mathcal N(x; \mu, v)^3",
    r"\mathcal N(\mu, v)",
    r"\mathbb{E}[x]",
    r"\mathbb{E}_{q(x_t)}[x_t - 1]^2",
    r"\mathbb{E}[x_t - 1 \mid x_0, x_1]^2",
    r"\mathbb{E}_{q(x_t \mid x_0) q(x_0)}[x_t x_0]",
    r"\operatorname{Var}[x - y \mid x_0]^2",
    r"\operatorname{Var}[x]",
    r"\operatorname{Cov}[x, y \mid x_0, x_1]",
    r"2 - \operatorname{Cov}[x, y]^3",
    r"D_{\mathrm{KL}}(q(x) \,\|\, p(x))",
    r"D_{\mathrm{KL}}(q(x) \,\|\, p(x))^2 / 2",
    r"\lVert x_t - x_0 \rVert^3",
    r"3 \langle x_0, x_t - x_0 \rangle^2",
    r"(x_0 \odot x_t)^2",
    r"a (x_0 \odot (x_t - x_0))",
    r"(x_0 + x_1) \odot x_t^2",
    r"P(X_1 = i \mid X_0 = j)",
    r"L_{\mathrm{simple}} + \mathrm{ELBO}",
]


@pytest.mark.parametrize("latex", PRINTED)
def test_what_is_printed_means_the_same(latex: str) -> None:
    formula = read(latex)
    assert read(sp.latex(formula)) == formula


@pytest.mark.parametrize(
    ("latex", "positive", "nonnegative"),
    [
        ("q(x)", True, True),
        (r"\mathcal N(x; \mu, v)", True, True),
        (r"\lVert x_t \rVert", None, True),
        (r"\mathbb{E}[x]", None, None),
        (r"\operatorname{Var}[x]", None, None),
        (r"\langle x_0, x_t \rangle", None, None),
        (r"D_{\mathrm{KL}}(q(x) \,\|\, p(x))", None, None),
    ],
)
def test_signs(latex: str, positive: bool | None, nonnegative: bool | None) -> None:
    formula = read(latex)
    assert (formula.is_positive, formula.is_nonnegative) == (positive, nonnegative)
    assert (formula.is_extended_positive or None) is positive
    assert (formula.is_extended_nonnegative or None) is nonnegative
    assert formula.is_real
    assert formula.is_extended_real
    assert formula.is_commutative


def test_the_parts_have_names() -> None:
    x, y, a, v = map(read, ("x", "y", "a", "v"))
    q = sp.Symbol("q")
    density = ob.Density(q, [x], [y, a])
    assert (density.name, density.variables, density.given) == (q, (x,), (y, a))
    bell = ob.Gaussian(x, a, v)
    assert (bell.x, bell.mean, bell.variance) == (x, a, v)
    law = ob.Normal(a, v)
    assert (law.mean, law.variance) == (a, v)
    mean = ob.Expectation((density,), x, (y,))
    assert (mean.laws, mean.body, mean.given) == ((density,), x, (y,))
    assert ob.Expectation((), x).given == ()
    assert ob.Variance(x, (y,)).given == ob.Covariance(x, a, (y,)).given == (y,)
    assert ob.Variance(x).given == ob.Covariance(x, a).given == ()


def test_the_order_matters_in_all_but_an_inner_product() -> None:
    x, y = read("x_0"), read("x_t")
    assert ob.Dot(x, y) == ob.Dot(y, x)
    assert ob.Dot(x, y) != ob.Dot(x, x)
    assert ob.Hadamard(x, y) != ob.Hadamard(y, x)
    assert ob.KL(x, y) != ob.KL(y, x)


def test_they_are_named_in_messages() -> None:
    assert str(read(r"\lVert x_t \rVert")) == "Norm(x[t])"
    assert str(read(r"q(x_t \mid x_0)")) == "Density(q, (x[t],), (x[0],))"
