"""Equal or not: what is proved, what is refused, and counterexamples that are true."""

import contextlib
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.algebra import reduce_to_zero
from ddpm_lite.symbolic.equality import ComparisonError, counterexample, difference

EQUAL = [
    (r"\sqrt{(1-\bar\alpha_t)\beta_t}", r"\sqrt{1-\bar\alpha_t}\sqrt{1-\alpha_t}"),
    (r"\frac{1}{\sqrt{1-\bar\alpha_t}}",
     r"\frac{\sqrt{1-\bar\alpha_t}}{1-\alpha_t\bar\alpha_{t-1}}"),
    (r"\log\frac{1-\bar\alpha_t}{\beta_t}", r"\log(1-\bar\alpha_t) - \log(1-\alpha_t)"),
    (r"\sqrt{\bar\alpha_{t+1}}", r"\sqrt{\alpha_{t+1}\alpha_t\bar\alpha_{t-1}}"),
    (r"\bar\alpha_2", r"(1-\beta_1)(1-\beta_2)"),
    (r"\prod_{s=1}^{t}\sqrt{1-\beta_s}", r"\sqrt{\bar\alpha_t}"),
    (r"\prod_{s=3}^{t}\alpha_s", r"\frac{\bar\alpha_t}{\alpha_1\alpha_2}"),
    (r"\sum_{s=1}^{t} x_s", r"x_1 + x_t + \sum_{k=2}^{t-1} x_k"),
    (r"\sum_{s=1}^{t} 2 \alpha_s + \sum_{k=1}^{t} \beta_k", r"t + \sum_{s=1}^{t} \alpha_s"),
    (r"\lVert a x_t - b x_0\rVert^2",
     r"a^2\lVert x_t\rVert^2 - 2ab\langle x_t, x_0\rangle + b^2\lVert x_0\rVert^2"),
    (r"\mathcal{N}(x; \mu, \sigma^2)",
     r"\frac{1}{\sqrt{2\pi}\,\sigma} e^{-\frac12(\frac{x-\mu}{\sigma})^2}"),
    (r"\mathcal{N}(x_t; \sqrt{\alpha_t}x_0, \beta_t I)",
     r"\mathcal{N}(x_t; \sqrt{1-\beta_t}x_0, (1-\alpha_t) I)"),
    (r"\frac{\mathrm{d}}{\mathrm{d}x} x^3", "3x^2"),
    (r"\frac{\partial}{\partial\mu}(\mu^m\sigma^k\,\mathbb{E}[\epsilon^j])",
     r"m\,\mu^{m-1}\sigma^k\,\mathbb{E}[\epsilon^j]"),
    (r"\int_0^1 x^2\,\mathrm{d}x", r"\frac13"),
    (r"\begin{pmatrix} \alpha_t & 0 \end{pmatrix}", r"\begin{pmatrix} 1-\beta_t & 0 \end{pmatrix}"),
]  # fmt: skip

DIFFERENT = [
    (r"\sqrt{x^2}", "x"),
    (r"\log(x^2)", r"2\log x"),
    (r"\sqrt{x^2-2xy+y^2}", "x-y"),
    (r"\bar\alpha_t", r"\alpha_t"),
    (r"\bar\alpha_t", r"\bar\alpha_{t-1}"),
    (r"\sqrt{1-\bar\alpha_t}", r"1-\sqrt{\bar\alpha_t}"),
    (r"\sum_{s=1}^{t} x_s", r"\sum_{s=1}^{t-1} x_s"),
    (r"\sum_{s=1}^{t} x_s", r"\sum_{s=1}^{t} x_{s-1}"),
    (r"\lVert x_t - x_0\rVert^2", r"\lVert x_t\rVert^2 - \lVert x_0\rVert^2"),
    (r"\mathcal{N}(x; \mu, \sigma^2)", r"\mathcal{N}(x; \mu, \sigma)"),
    (r"\mathcal{N}(x_t; 0, \beta_t I)", r"\mathcal{N}(x_t; 0, \beta_t)"),
    (r"q(x_t \mid x_0)", r"q(x_t)"),
    (r"q(x_t \mid x_{t-2})", r"q(x_t \mid x_{t+2})"),
    (r"q(x_t \mid x_0)", r"q(x_0 \mid x_t)"),
    (r"q(x_t \mid x_0)", r"p(x_t \mid x_0)"),
    (r"\mathbb{E}_{q(x_t)}[x_t]", r"\mathbb{E}_{q(x_0)}[x_t]"),
    (r"\operatorname{Var}[x_t]", r"\operatorname{Var}[x_t \mid x_0]"),
    (r"\operatorname{Cov}[x_1, x_t \mid x_0]", r"\operatorname{Cov}[x_1, x_t \mid x_1]"),
    (r"P(X_1 = i \mid X_0 = j)", r"P(X_1 = j \mid X_0 = i)"),
    (r"\frac{\partial}{\partial\mu}\mu^m", r"m\,\mu^m"),
    (r"\frac{\partial}{\partial\mu}\mu^m", r"(m-1)\,\mu^{m-1}"),
    (r"\begin{pmatrix} 1 & 0 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 0 \end{pmatrix}"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_formulas_are_proved_equal(a: str, b: str) -> None:
    assert difference(read(a), read(b)) == 0
    assert difference(read(b), read(a)) == 0


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_formulas_are_not(a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        with contextlib.suppress(ComparisonError):
            assert difference(read(one), read(other)) != 0


@pytest.mark.parametrize(("a", "b"), DIFFERENT[3:8])
def test_a_counterexample_is_one(a: str, b: str) -> None:
    found = counterexample(read(a), read(b))
    assert found is not None
    values, left, right = found
    assert values
    assert abs(float(left) - float(right)) > 1e-9


units = st.fractions(min_value="1/10", max_value="9/10", max_denominator=20)
words = st.sampled_from([
    r"\alpha_t", r"\beta_t", r"\bar\alpha_t", r"\bar\alpha_{t-1}", r"(1-\bar\alpha_t)",
    r"\sqrt{1-\bar\alpha_{t-1}}", r"\sqrt{\alpha_t}", r"\sqrt{\beta_t}", r"\sqrt{\bar\alpha_t}",
])  # fmt: skip
terms = st.lists(words, min_size=1, max_size=3).map(" ".join)
formulas = st.lists(terms, min_size=1, max_size=3).map(" + ".join)


@settings(max_examples=150, deadline=None)
@given(formulas, formulas, units, units)
@pytest.mark.slow
def test_the_verdict_agrees_with_numbers(a: str, b: str, alpha: Fraction, bar: Fraction) -> None:
    """Where numbers differ it must say so; where it says 0 the numbers must agree."""
    one, other = read(a), read(b)
    left = reduce_to_zero(one - other)
    values = {
        read(r"\alpha_t"): sp.Rational(alpha),
        read(r"\beta_t"): 1 - sp.Rational(alpha),
        read(r"\bar\alpha_{t-1}"): sp.Rational(bar),
        read(r"\bar\alpha_t"): sp.Rational(alpha) * sp.Rational(bar),
    }
    gap = sp.N((one - other).xreplace(values), 30)
    assert abs(sp.N(left.xreplace(values), 30) - gap) < 1e-20


def test_a_counterexample_has_a_number_for_a_mean_that_stands_on_both_sides() -> None:
    right, wrong = (read(rf"{factor} \operatorname{{Var}}[X]") for factor in ("a^2", "a"))
    found = counterexample(right, wrong)
    assert found is not None
    values, one, other = found
    a, variance = values[read("a")], next(v for k, v in values.items() if k != read("a"))
    assert (one, other) == (a**2 * variance, a * variance)


def test_means_that_may_hang_together_are_not_given_numbers() -> None:
    assert counterexample(read(r"\mathbb{E}[2X]"), read(r"3\,\mathbb{E}[X]")) is None
