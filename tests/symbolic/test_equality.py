"""False equations that were once called equal, and what must not be read at all."""

import contextlib
import time

import pytest
import sympy as sp

from ddpm_lite.symbolic import ReadError, answer, read
from ddpm_lite.symbolic.equality import ComparisonError, counterexample, difference, equal
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import Gaussian

X = read("x")
FALSE = [
    # second indices
    (r"w_{ij}", r"w_{ik}"),
    # the rest of a variance
    (r"\mathcal N(x_t; \mu, \beta_t I + \alpha_t)", r"\mathcal N(x_t; \mu, \beta_t I)"),
    (r"\mathcal N(x; \mu, v I + I^2)", r"\mathcal N(x; \mu, v I)"),
    (r"\mathcal N(x; \mu, v I + \sigma^2)", r"\mathcal N(x; \mu, v I)"),
    (r"\mathcal N(x; \mu, v I)", r"\mathcal N(x; \mu, v)"),
    # logarithms of what may be negative
    (r"\log(\prod_{s=1}^{t}(-1))", r"\sum_{s=1}^{t}\log(-1)"),
    (r"\log(\prod_{s=1}^{t}x_s)", r"\sum_{s=1}^{t}\log(x_s)"),
    (r"\log((\prod_{s=1}^{t}x_s)^2)", r"2\sum_{s=1}^{t}\log(x_s)"),
    (
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\log((a-2)(b-3) q(x_1 \mid x_0))]",
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\log(a-2) + \log(b-3) + \log q(x_1 \mid x_0)]",
    ),
    # what depends on the variable that is averaged
    (r"\mathbb{E}_{q(x_0)}[\lVert\epsilon\rVert^2]", r"\lVert\epsilon\rVert^2"),
    (r"\mathbb{E}_{q(x_2 \mid x_0)}[\tilde\mu_2]", r"\tilde\mu_2"),
    (r"\mathbb{E}_{q(x_1 \mid x_0)}[\hat x_0 x_1]", r"\hat x_0\mathbb{E}_{q(x_1 \mid x_0)}[x_1]"),
    (r"\mathbb{E}_{q(x_1 \mid x_0)}[f(z) x_1]", r"f(z)\mathbb{E}_{q(x_1 \mid x_0)}[x_1]"),
    (r"\mathbb{E}_{q(x_1 \mid x_0)}[y x_1]", r"y\mathbb{E}_{q(x_1 \mid x_0)}[x_1]"),
    (r"\mathbb{E}_{q(x_1 \mid x_0)}[x x_1]", r"x\mathbb{E}_{q(x_1 \mid x_0)}[x_1]"),
    (
        r"\mathbb{E}_{q(x_1 \mid x_0)}[(\sum_{s=1}^{2} x_s)^2]",
        r"(\sum_{s=1}^{2} x_s)^2",
    ),
    (
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\prod_{s=1}^{t}\epsilon_s]",
        r"\prod_{s=1}^{t}\epsilon_s",
    ),
    (
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\log((\prod_{s=1}^{2}x_s)^2)]",
        r"\log((\prod_{s=1}^{2}x_s)^2)",
    ),
    # alpha_t is a factor of alpha_bar_t
    (r"\frac{\partial}{\partial \alpha_t} \bar\alpha_t", "0"),
    (r"\frac{\partial}{\partial \bar\alpha_{t-1}} \bar\alpha_t", "0"),
    (r"\frac{\partial}{\partial \beta_t} (\alpha_t x_t)", "0"),
    (r"\lim_{\beta_t \to 0} \bar\alpha_t", r"\bar\alpha_t"),
    (r"\infty + 1", r"\infty"),
    # an integral that runs backward
    (
        r"\int_0^2 \lvert x\rvert\,\mathrm{d}x",
        r"\int_0^{-2} \lvert x\rvert\,\mathrm{d}x",
    ),
    # two laws, two variables
    (
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\log p_\theta(x_0 \mid x_1)]",
        r"\mathbb{E}_{q(x_1 \mid x_0)}[\log p(x_0 \mid x_1)]",
    ),
    (r"\log p_\theta(x_0)", r"\log p(x_0)"),
    (r"p_\theta(x_{0:T})", r"p(x_{0:T})"),
    (r"\mathbb{E}_{q(x_t \mid x)}[x_t]", r"\mathbb{E}_{q(x_t \mid x_0)}[x_t]"),
    # an index of the inner sum that is one of the outer sum too
    (
        r"\sum_{s=1}^{t}\sum_{k=1}^{t} x_s x_k",
        r"\sum_{s=1}^{t}\sum_{k=1}^{t} x_k^2",
    ),
    # a fraction that means nothing
    (r"\frac{x}{(a+1)^2-a^2-2a-1}", r"\frac{y}{(b+1)^2-b^2-2b-1}"),
    (r"\lim_{x \to 0} \frac{\lvert x\rvert}{x}", "1"),
    (r"\int_0^1 x\,\mathrm{d}x + \log(0)", r"\frac12 + \log(0)"),
]


@pytest.mark.parametrize(("a", "b"), FALSE)
def test_false_equations_are_not_called_equal(a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        with contextlib.suppress(ComparisonError, ReadError):
            assert difference(read(one), read(other)) != 0


UNREADABLE = {
    "two indices": [r"\beta_{2t}", r"\bar\alpha_{t,s}", r"x_{ts}", r"\mathbf{x}_{1,1,1}", "P_1"],
    "a positive index that is not": [
        r"\sum_{k=0}^{n} 0^k", r"\sum_{s=-2}^{2} \lvert s\rvert", r"\sum_{s=-2}^{2} \sqrt{s^2}",
        r"\int_{-1}^{1} \lvert\sigma\rvert\,\mathrm{d}\sigma",
    ],
    "a range or a family": [
        r"\sum_{s=5}^{2} x_s", r"\sum_{x=1}^{3} x", r"\int_0^1 x_t x\,\mathrm{d}x",
        r"\sum_{s=t}^{t-2} x_s",
    ],
    "no matrix": [r"x^\top y", r"\lvert 2 I\rvert", r"\det(2 I)", r"\det(x)", r"x + \Sigma"],
    "two meanings": [
        r"\log 2\pi", r"\log x^2", r"\sin a b", r"\log a/b", "a/bc", "1/2 x", "f_t(x)", "f^2(x)",
        r"q_t(x_0)", r"\tanh^{-1}(x)", r"\det L^2", r"\prod_{s=1}^{t} \alpha_s x_0",
        r"\begin{aligned} a &= b \\ -c &= d \end{aligned}", r"\max(x)",
    ],
    "not this notation": [r"\frac{dx}{dt}", r"\frac{dx_t}{dt}", "dx/dt", "1e-3", "1e5", "2E+1"],
    "too large": [
        r"10^{10^{9}}", "(10^9)!", "2^{2^{2^{2^{2^2}}}}", "(2^{1000})^{1000}", "((5!)!)!",
        "1" * 5000, "x^{0.000001}", "2^{-5000}", "(" * 3000 + "x" + ")" * 3000,
    ],
}  # fmt: skip


@pytest.mark.parametrize("latex", [x for many in UNREADABLE.values() for x in many])
def test_what_has_no_meaning_or_two_is_refused_at_once(latex: str) -> None:
    read("x")  # the parser is built once
    start = time.process_time()
    with pytest.raises(ReadError):
        read(latex)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "latex", [r"x_{2 \cdot t}", r"w_{ij}", r"\log(2)\pi", r"\frac{a}{b}c", r"\frac{d}{2}",
              r"\begin{aligned} a &= b \\ &- c \end{aligned}", r"\sum_{k=0}^{n} a^k", "10^{1000}",
              r"\int_{-\infty}^{\infty} \sigma^2 \,\mathrm{d}\sigma",
              r"\prod_{s=1}^{t} 2\alpha_s"],
)  # fmt: skip
def test_what_has_one_meaning_is_read(latex: str) -> None:
    read(latex)


def test_large_powers_are_not_multiplied_out() -> None:
    with pytest.raises(ComparisonError, match="too many terms"):
        difference(read("(a + b + c + x + y)^{200}"), read("(a + b + c + x + z)^{200}"))


def test_the_start_of_the_model_is_p() -> None:
    steps = r"\prod_{t=1}^{T} p_\theta(x_{t-1} \mid x_t)"
    assert equal(read(r"p_\theta(x_{0:T})"), read(rf"p(x_T) {steps}"))
    assert not equal(read(r"p_\theta(x_{0:T})"), read(rf"p(x_0) {steps}"))


def test_a_normal_density_in_an_expectation_is_its_formula() -> None:
    left = read(r"\mathbb{E}_{q(x_1 \mid x_0)}[\log \mathcal N(x_1; a x_0, \sigma^2)]")
    square = r"\mathbb{E}_{q(x_1 \mid x_0)}[-\frac{(x_1 - a x_0)^2}{2\sigma^2}]"
    assert equal(left, read(rf"-\frac12\log(2\pi\sigma^2) + {square}"))
    assert not equal(left, read(rf"-\log(2\pi\sigma^2) + {square}"))


def test_decimals_are_what_is_written() -> None:
    assert equal(sp.Float(0.1), sp.Rational(1, 10))
    assert not equal(sp.Float(0.3), sp.Float(0.1 + 0.2))
    assert not equal(0.333333333333333, sp.Rational(1, 3))


def test_what_is_no_formula_is_refused() -> None:
    for nothing in (None, [1, 2], "x +"):
        with pytest.raises(ComparisonError):
            difference(nothing, sp.Integer(1))


# --- What is refused, and what is not -------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (sp.oo, "infinity"),
        (-sp.oo, "infinity"),
        (Gaussian(X, 0, 0), "0 is no variance"),
        (Gaussian(X, 0, -1), "-1 is no variance"),
        (sp.zoo, "division by 0"),
        (sp.nan, "division by 0"),
        (sp.Sum(read("x_s"), (read("s"), 1, -1)), "ends before it begins"),
        (sp.Product(read("x_s"), (read("s"), 5, read("3"))), "ends before it begins"),
        (sp.Sum(read("x_s"), (read("s"), read("t"), read("t-2"))), "ends before it begins"),
        (read(r"\frac{\partial}{\partial \bar\alpha_{t-1}} \bar\alpha_t"), "moves what depends"),
        (read(r"\frac{\partial}{\partial \alpha_t} \beta_t"), "moves what depends"),
        (read(r"\lim_{\alpha_t \to 0} \bar\alpha_t"), "moves what depends"),
    ],
)
def test_a_side_that_means_nothing_is_refused_on_both_sides(side: sp.Expr, reason: str) -> None:
    for pair in ((side, X), (X, side), (side, side)):
        with pytest.raises(ComparisonError, match=reason):
            difference(*pair)


def test_a_sum_or_a_product_may_have_no_term() -> None:
    s, t = read("s"), read("t")
    for series in (sp.Sum, sp.Product):
        for low, high in ((1, 0), (t, t - 1), (3, 2), (1, t)):
            assert difference(series(read("x_s"), (s, low, high)), X) != 0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\frac{\partial}{\partial \alpha_t} \alpha_t^2", r"2\alpha_t"),
        (r"\frac{\partial}{\partial \bar\alpha_t} (\bar\alpha_t x_t)", "x_t"),
        (r"\frac{\partial}{\partial x_t} (\bar\alpha_t x_t)", r"\bar\alpha_t"),
        (r"\lim_{x \to \beta_t} (x + \alpha_t)", "1"),
    ],
)
def test_what_does_not_move_may_stand_beside_what_does(a: str, b: str) -> None:
    assert equal(read(a), read(b))


# --- Counterexamples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [("x + x", "2x"), (r"\alpha_t", r"1-\beta_t"), (r"\sum_{s=1}^{3} s", "6"),
     (r"\lVert x_t\rVert^2", r"\langle x_t, x_t\rangle")],
)  # fmt: skip
def test_what_is_equal_has_none(a: str, b: str) -> None:
    assert counterexample(read(a), read(b)) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x", "-x"),
        (r"\alpha_t", r"\beta_t"),
        (r"\bar\alpha_{t+1}", r"\bar\alpha_t"),
        (r"\sum_{s=1}^{t} s", "t^2"),
        (r"\sum_{s=1}^{50} s", "1274"),
        (r"\delta", "x"),
        (r"\operatorname{Var}[X] - \mathbb{E}[X]", r"\mathbb{E}[X] - \operatorname{Var}[X]"),
    ],
)
def test_the_numbers_are_such_as_the_table_allows(a: str, b: str) -> None:
    found = counterexample(read(a), read(b))
    assert found is not None
    values, left, right = found
    assert left != right
    for symbol, number in values.items():
        name = str(symbol.base.label) if isinstance(symbol, sp.Indexed) else str(symbol)
        domain = TABLE[name].domain if name in TABLE else "real"
        assert number > 0
        assert domain != "unit" or number < 1
        assert domain != "integer" or number.is_Integer


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\int_0^1 x\,\mathrm{d}x", "1"),
        (r"\lim_{x \to 0} x", "1"),
        (r"\sum_{s=1}^{51} s", "1"),
        (r"\lVert x_t\rVert", r"\lVert x_0\rVert"),
        ("q(x_t)", "p(x_t)"),
        (r"\mathbb{E}[X]", r"\mathbb{E}[Y]"),
        (r"\operatorname{Var}[X]", r"\operatorname{Var}[\mathbb{E}[X] X]"),
        (r"\mathbb{E}[X] + \mathbb{E}[Y]", r"\mathbb{E}[X]"),
        (r"\mathbb{E}[2]", r"3\mathbb{E}[2] - 4"),
        ("L", "M"),
    ],
)
def test_what_cannot_be_worked_out_by_hand_has_none(a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        assert counterexample(read(one), read(other)) is None


# --- Answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "solution"),
    [
        (sp.Symbol("x") ** 2, X**2),
        (sp.Symbol("sigma") / 2, read(r"\sigma") / 2),
        (sp.IndexedBase("x")[sp.Symbol("t")], read("x_t")),
        (sp.IndexedBase("beta")[sp.Symbol("t")], 1 - read(r"\alpha_t")),
        (0.5 * sp.Symbol("x"), X / 2),
        ("y = x^2", X**2),
        ("x x = x^2", X**2),
        (sp.Symbol("P") + 1, sp.Symbol("P") + 1),  # the table's P is a matrix of another size
    ],
)
def test_right_answers(given: object, solution: object) -> None:
    assert answer("ex", given, solution)


@pytest.mark.parametrize(
    ("given", "solution", "reason"),
    [
        ("1 = x^2", X**2, "1.00000"),
        ("x^2 = 1", X**2, "1.00000"),
        ("x = x^2", X**2, "At x"),
        ("x < 3", sp.Integer(3), "no inequality"),
        (r"3 \quad 4", sp.Integer(3), "here are 2"),
        (r"3 \quad 4", sp.Integer(4), "here are 2"),
        ("x = 1 = 3", sp.Integer(3), "not yet"),
        (r"\frac{dx}{dt}", X, "derivative"),
        ("x^", X, "not expected"),
        (None, X, "no formula"),
        (5 * sp.Symbol("x") / 3, X**2, "✗ ex: not yet. At x"),
    ],
)
def test_wrong_answers_hear_why(
    given: object, solution: object, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not answer("ex", given, solution)
    assert reason in capsys.readouterr().out
