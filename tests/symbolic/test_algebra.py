"""Equal or not: what is proved, what is refused, and counterexamples that are true."""

import contextlib
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_lite.symbolic import read, rules, symbols
from ddpm_lite.symbolic.algebra import (
    in_range,
    is_positive,
    left_over,
    named_by,
    reduce_to_zero,
    rename_indices,
)
from ddpm_lite.symbolic.equality import ComparisonError, counterexample, difference

EQUAL = [
    (r"\sqrt{(1-\bar\alpha_t)\beta_t}", r"\sqrt{1-\bar\alpha_t}\sqrt{1-\alpha_t}"),
    (r"\frac{1}{\sqrt{1-\bar\alpha_t}}",
     r"\frac{\sqrt{1-\bar\alpha_t}}{1-\alpha_t\bar\alpha_{t-1}}"),
    (r"\sqrt{1-2\alpha_t+\alpha_t^2}", r"\beta_t"),
    (r"(1-\bar\alpha_t)^{5/2}",
     r"(1-\bar\alpha_t)\bigl(\sqrt{1-\bar\alpha_t}-\bar\alpha_t\sqrt{1-\bar\alpha_t}\bigr)"),
    (r"\sqrt{1-\bar\alpha_t-\alpha_t+\alpha_t\bar\alpha_t}",
     r"\sqrt{1-\bar\alpha_t}\sqrt{1-\alpha_t}"),
    (r"\sqrt{1-2\delta+\delta^2}", r"1-\delta"),
    (r"\sqrt{1-\frac{2}{\alpha_t}+\frac{1}{\alpha_t^2}}", r"\frac{1}{\alpha_t}-1"),
    (r"\log(v e^x + v^2 e^x)", r"\log v + x + \log(1+v)"),
    (r"\log(\prod_{s=1}^{t}\sigma_s)", r"\sum_{s=1}^{t}\log(\sigma_s)"),
    (r"\log(\prod_{s=1}^{t}(1-\alpha_s))", r"\sum_{k=1}^{t}\log(\beta_k)"),
    (r"\log\frac{1-\bar\alpha_t}{\beta_t}", r"\log(1-\bar\alpha_t) - \log(1-\alpha_t)"),
    (r"\sqrt{\bar\alpha_{t+1}}", r"\sqrt{\alpha_{t+1}\alpha_t\bar\alpha_{t-1}}"),
    (r"\bar\alpha_2", r"(1-\beta_1)(1-\beta_2)"),
    (r"\prod_{s=1}^{t}\sqrt{1-\beta_s}", r"\sqrt{\bar\alpha_t}"),
    (r"\prod_{s=3}^{t}\alpha_s", r"\frac{\bar\alpha_t}{\alpha_1\alpha_2}"),
    (r"\prod_{s=2}^{t}\alpha_s^3", r"\bar\alpha_t^3 / \alpha_1^3"),
    (r"\bar\alpha_{t+2} \bar\alpha_{t-1}",
     r"\alpha_{t+2}\alpha_{t+1}\alpha_t\bar\alpha_{t-1}^2"),
    (r"\sum_{s=1}^{t} 1", "t"),
    (r"\sum_{s=3}^{t+2} \alpha_s - \sum_{s=1}^{t} \alpha_s",
     r"\alpha_{t+2} + \alpha_{t+1} - \alpha_1 - \alpha_2"),
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
    (r"\int_0^1 q(y) x\,\mathrm{d}x", r"q(y) / 2"),
    (r"\lim_{x \to \alpha_t} (x \bar\alpha_t)", r"\alpha_t \bar\alpha_t"),
    (r"\operatorname{Var}[\alpha_t x_t]", r"\operatorname{Var}[(1-\beta_t) x_t]"),
    (r"(LM)^\top", r"M^\top L^\top"),
    (r"(x+1)\operatorname{tr}(LM)", r"x\operatorname{tr}(LM) + \operatorname{tr}(LM)"),
    (r"(x+1)\det(LM)", r"x\det(LM) + \det(LM)"),
    (r"\begin{pmatrix} \alpha_t & 0 \end{pmatrix}", r"\begin{pmatrix} 1-\beta_t & 0 \end{pmatrix}"),
]  # fmt: skip

DIFFERENT = [
    (r"\sqrt{(1-\sigma_t)^2}", r"1-\sigma_t"),
    (r"\sqrt{(1-\alpha_t^x)^2}", r"1-\alpha_t^x"),
    (r"\sqrt{(1-\alpha_t-\beta_{t-1})^2}", r"1-\alpha_t-\beta_{t-1}"),
    (r"\prod_{s=1}^{t}x_s", r"\bar\alpha_t"),
    (r"\prod_{s=1}^{t}\alpha_s^s", r"\bar\alpha_t^s"),
    (r"\prod_{s=1}^{t}\alpha_{s-1}", r"\bar\alpha_t"),
    (r"\sum_{s=1}^{t} 1", "t - 1"),
    (r"\sum_{s=1}^{t}\sum_{k=1}^{t} x_s", r"\sum_{s=1}^{t} x_s"),
    ("LM", "ML"),
    ("L", r"L^\top"),
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


@pytest.mark.parametrize(("a", "b"), DIFFERENT[13:18])
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


# --- What is left, in numbers --------------------------------------------------------------------

T = 5
ALPHAS = [sp.Rational(7, 10), sp.Rational(4, 5), sp.Rational(1, 2), sp.Rational(9, 10),
          sp.Rational(3, 5), sp.Rational(2, 3), sp.Rational(3, 4)]  # fmt: skip
"""alpha_1 to alpha_7."""


def _number(element: sp.Indexed) -> sp.Expr:
    index = int(element.indices[0])
    if element.base.label.name == "x":
        return sp.Rational(2 * index - 3, index + 2)
    alpha = ALPHAS[index - 1]
    numbers = {r"\alpha": alpha, r"\beta": 1 - alpha, r"\bar{\alpha}": sp.prod(ALPHAS[:index])}
    return numbers[element.base.label.name]


def in_numbers(expression: sp.Expr) -> sp.Expr:
    """Its value at t = 5, by SymPy's sums and products and nothing of the engine."""
    written = expression.subs(read("t"), T).doit().doit()
    elements = {e: _number(e) for e in written.atoms(sp.Indexed)}
    loose = {read("x"): sp.Rational(-4, 3), read("v"): sp.Rational(5, 2)}
    return sp.N(written.xreplace(elements).xreplace(loose), 30)


LEFT_OVER = [
    r"\sum_{s=2}^{t} x_s - \sum_{k=1}^{t-1} 2 x_k + \sum_{s=3}^{t+1} x_s",
    r"\sum_{s=1}^{t} \beta_s - \sum_{s=2}^{t+2} \alpha_s",
    r"3 \sum_{s=1}^{t} (x_s + x) - \sum_{s=1}^{t-2} x_s",
    r"\sum_{s=1}^{t} x_s \sum_{k=2}^{t} x_k - \sum_{s=1}^{t} x_s",
    r"x \sum_{s=2}^{t} \frac{x_s}{v}",
    r"\frac{1}{\sqrt{1-\bar\alpha_t}} - \sqrt{1-\bar\alpha_{t-1}}",
    r"(1-\bar\alpha_t)^{3/2} - \sqrt{\bar\alpha_{t-1}} (1-\bar\alpha_{t-1})^{5/2}",
    r"\log(\beta_t v) - \log(1-\bar\alpha_t) + \log(\frac{\bar\alpha_{t-1}}{\sqrt{\alpha_t}})",
    r"\prod_{s=2}^{t} \sqrt{\alpha_s} - \prod_{s=1}^{t-1} \alpha_s + \bar\alpha_2 \bar\alpha_{t+1}",
    r"\frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1}) x}{1-\bar\alpha_t} - \frac{\beta_t}{v - \alpha_t}",
    r"e^{x} (1-\bar\alpha_t) - e^{2x} \sqrt{\beta_t}",
    r"\log(\prod_{s=1}^{t} \beta_s) - 2 \sum_{s=2}^{t} \log(\alpha_s)",
]  # fmt: skip


@pytest.mark.parametrize("latex", LEFT_OVER)
def test_what_is_left_has_the_value_of_the_difference(latex: str) -> None:
    whole = read(latex)
    assert abs(in_numbers(whole)) > 1e-3
    assert abs(in_numbers(reduce_to_zero(whole)) - in_numbers(whole)) < 1e-20


# --- Parts ---------------------------------------------------------------------------------------


def test_a_running_variable_is_as_its_range_says_and_no_more() -> None:
    whole, real = sp.Symbol("k", integer=True), sp.Symbol("y", real=True)
    n = read("n")
    assert in_range(whole, sp.S.One, n) == {"integer": True, "positive": True}
    assert in_range(whole, sp.S.Zero, n) == {"integer": True, "nonnegative": True}
    assert in_range(whole, sp.Integer(-1), n) == {"integer": True}
    assert in_range(whole, n - 1, n) == {"integer": True, "nonnegative": True}
    assert in_range(whole) == {"integer": True}
    assert in_range(real, sp.S.One, n) == {"real": True, "positive": True}
    assert in_range(real, sp.S.Zero, n) == {"real": True, "nonnegative": True}
    for ends in ((sp.S.Zero, sp.Integer(-2)), (sp.Integer(-2), sp.S.Zero), (-sp.oo, sp.oo), ()):
        assert in_range(real, *ends) == {"real": True}


def test_a_sum_over_numbers_of_both_signs_keeps_its_modulus() -> None:
    k = sp.Symbol("k", integer=True)
    for low, same in ((-2, False), (0, True), (1, True)):
        sums = [sp.Sum(body, (k, low, 2)) for body in (sp.Abs(k), k)]
        assert (difference(*sums) == 0) is same


@pytest.mark.parametrize(
    ("latex", "positive"),
    [
        (r"e^{\sum_{s=1}^{t} x_s}", True),
        (r"\prod_{s=1}^{t} \sigma_s", True),
        (r"\prod_{s=1}^{t} e^{x_s}", True),
        (r"1-\bar\alpha_t", True),
        (r"\frac{1}{\bar\alpha_t}-1", True),
        (r"q(x_t)", True),
        (r"\mathcal N(x; \mu, v)", True),
        (r"\sum_{s=1}^{t} x_s", False),
        (r"\prod_{s=1}^{t} x_s", False),
        (r"\prod_{s=1}^{t} (x_s - 1)", False),
        (r"\bar\alpha_t-1", False),
        (r"1-\sigma_t", False),
        (r"x^2", False),
        (r"v - 1", False),
    ],
)
def test_what_is_surely_positive(latex: str, positive: bool) -> None:
    assert is_positive(read(latex)) is positive


def test_lists_are_equal_part_by_part() -> None:
    a, b, beta, alpha = (read(x) for x in ("a", "b", r"\beta_t", r"\alpha_t"))
    assert left_over(sp.Tuple(alpha, a), sp.Tuple(1 - beta, a)) == 0
    for other in (sp.Tuple(a, alpha), sp.Tuple(alpha), sp.Tuple(alpha, b), sp.Tuple(alpha, a, a)):
        assert left_over(sp.Tuple(1 - beta, a), other) != 0
    same, turned = sp.Eq(alpha, a), sp.Eq(a, alpha)
    assert left_over(same, sp.Eq(1 - beta, a)) == 0
    assert left_over(same, sp.Ge(1 - beta, a)) != 0 != left_over(sp.Eq(1 - beta, a), turned)


def test_what_is_undefined_equals_nothing() -> None:
    for nothing in (sp.nan, sp.zoo, sp.zoo * read("x") + sp.zoo):
        assert left_over(nothing, nothing) != 0


def test_known_entries_beside_a_matrix_that_is_but_named() -> None:
    assert left_over(sp.diag(1, 2), sp.Identity(2)) != 0 != left_over(sp.Identity(2), sp.diag(1, 2))
    named = sp.MatrixSymbol("N", 2, 2)
    assert left_over(sp.eye(2), named) != 0 != left_over(named, sp.eye(2))
    assert left_over(sp.eye(2) * named, named) == 0


@pytest.mark.parametrize(
    "latex", [r"\beta_t", r"\bar\alpha_t", r"\prod_{s=1}^{t}\alpha_s", r"\prod_{s=1}^{t}\beta_s"]
)
def test_the_noise_schedule_is_the_rule_of_a_page(
    latex: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "withdrawn", {"eq-alpha"})
    assert reduce_to_zero(read("x_t + a")) == read("x_t + a")
    with pytest.raises(rules.RuleError, match="eq-alpha"):
        reduce_to_zero(read(latex))


def test_a_value_goes_to_what_is_free_and_is_caught_by_nothing() -> None:
    i, j, n, x = symbols("i, j, n, x")
    double = sp.Sum(i * j, (i, 1, j), (j, 1, 3))
    assert named_by(double, {i: x, j: n}) == double
    inner = sp.Sum(i * j, (i, 1, j))
    assert sp.expand(named_by(inner, {j: i}).doit() - i * i * (i + 1) / 2) == 0
    assert named_by(inner + i, {i: x}) == inner + x
    assert named_by(sp.Integral(x * n, (x, 0, 1)), {n: x}).doit() == x / 2
    for change in (sp.Derivative(x**2, x), sp.Limit(x, x, 0)):
        with pytest.raises(ValueError, match="has no value"):
            named_by(change, {x: n})


def test_sums_within_a_sum_keep_their_indices_apart() -> None:
    """One name for each depth, and none that is free, bound inside, or bound to something else."""
    i, j, m, n, x_i, x_j, y_j = symbols("i, j, m, n, x_i, x_j, y_j")
    one = sp.Sum((sp.Sum(x_j, (j, 1, n)) + sp.Sum(x_i * y_j, (j, 1, n))) ** 2, (i, 1, m))
    other = sp.Sum((sp.Sum(x_j, (j, 1, n)) + sp.Sum(x_j * y_j, (j, 1, n))) ** 2, (i, 1, m))
    assert reduce_to_zero(one - other) != 0
    assert reduce_to_zero(one - one.xreplace({j: sp.Dummy(integer=True, positive=True)})) == 0
    there = [v for e in rename_indices(one).atoms(sp.Sum) for v in e.variables]
    assert {v.name for v in there} == {"i_0", "i_1"}


def test_an_integral_knows_no_whole_numbers() -> None:
    t = read("t")
    assert not rename_indices(sp.Integral(t, (t, 0, 1))).variables[0].is_integer
    assert rename_indices(sp.Sum(t, (t, 1, 3))).variables[0].is_integer
