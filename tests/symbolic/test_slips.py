"""Each kind of slip: what it makes of a formula, and what it leaves alone."""

import pytest

from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import slips, stronger

MADE = [
    ("a sign", "a + b", "a - b"),
    ("a sign", "a - b", "a + b"),
    ("t for t-1", "x_{t-1}", "x_{t}"),
    ("t for t-1", r"x_{1:T-1}", r"x_{1:T}"),
    ("t-1 for t", "x_t", "x_{t-1}"),
    ("t-1 for t", "x_{t} a", "x_{t-1} a"),
    ("t-1 for t", "x_s", "x_{s-1}"),
    ("1 for 0", "x_0", "x_1"),
    ("1 for 0", "x_{0}", "x_1"),
    ("0 for 1", "x_1", "x_0"),
    ("alpha for alpha_bar", r"\bar\alpha_t", r"\alpha_t"),
    ("alpha for alpha_bar", r"\bar{\alpha}_t", r"\alpha_t"),
    ("alpha_bar for alpha", r"\alpha_t", r"\bar\alpha_t"),
    ("beta for alpha", r"\alpha_t", r"\beta_t"),
    ("alpha for beta", r"\beta_t", r"\alpha_t"),
    ("beta for beta_tilde", r"\tilde\beta_t", r"\beta_t"),
    ("sigma for mu", r"\mu", r"\sigma"),
    ("a square dropped", "x^2", "x"),
    ("a square dropped", "x^{2}", "x"),
    ("a transpose dropped", r"L^\top", "L"),
    ("an inverse dropped", r"a^{-1}", "a"),
    ("a factor 2", r"\frac12 a", "1 a"),
    ("a factor 2", r"2\pi", r"\pi"),
    ("a factor 2", "a = b", "a = 2 b"),
    ("a number", "0.25", "0.35"),
    ("a number", "0.95", "0.05"),
    ("an end of a sum", r"\sum_{s=1}^{n} s", r"\sum_{s=2}^{n} s"),
    ("an end of a sum", r"\sum_{s=1}^{t} s", r"\sum_{s=1}^{t-1} s"),
    ("an end of a sum", r"\prod_{s=1}^T s", r"\prod_{s=1}^{T-1} s"),
    ("n+1 for n", "a^n", "a^{n+1}"),
    ("m for n", "x_{m+n}", "x_{m+m}"),
    ("j for i", "P_{ij}", "P_{jj}"),
    ("x_t for x_0", r"q(x_t \mid x_0)", r"q(x_t \mid x_t)"),
    ("epsilon for x", "x_t + a", r"\epsilon_t + a"),
    ("q for p", r"p_\theta(x_0)", "q(x_0)"),
    ("p for p_theta", r"p_\theta(x_0)", "p(x_0)"),
    ("a square root dropped", r"\sqrt{a} b", "{a} b"),
    ("numerator and denominator swapped", r"\frac{a}{b} c", r"\frac{b}{a} c"),
    ("numerator and denominator swapped", r"\frac{\frac{a}{b}}{c}", r"\frac{c}{\frac{a}{b}}"),
    ("numerator and denominator swapped", r"\frac{\frac{a}{b}}{c}", r"\frac{\frac{b}{a}}{c}"),
    ("the two sides of a divergence swapped",
     r"D_{\mathrm{KL}}(q(x)\,\|\,p(x))", r"D_{\mathrm{KL}}(p(x)\,\|\,q(x))"),
    ("the two sides of a divergence swapped",
     r"D_{\mathrm{KL}}\bigl(q(x)\|p(x)\bigr)", r"D_{\mathrm{KL}}\bigl(p(x)\,\|\,q(x)\bigr)"),
]  # fmt: skip

STRONGER = [
    ("another operator", r"\sum_{s=3}^{n} s", r"\prod_{s=3}^{n} s"),
    ("another operator", r"\prod_{s=3}^{n} s", r"\sum_{s=3}^{n} s"),
    ("another operator", r"\log(x)", r"\exp(x)"),
    ("another operator", r"\sin(x)", r"\cos(x)"),
    ("another operator", r"\cos(x)", r"\sin(x)"),
    ("another operator", r"\operatorname{Var}[x]", r"\mathbb{E}[x]"),
    ("another operator", "a + b", r"a \cdot b"),
    ("limits shifted", r"\sum_{s=1}^{n} s", r"\sum_{s=2}^{n} s"),
    ("limits shifted", r"\sum_{s=2}^{n} s", r"\sum_{s=1}^{n} s"),
    ("limits shifted", r"\int_{-\infty}^{5} x", r"\int_{0}^{5} x"),
    ("limits shifted", r"\int_{5}^{\infty} x", r"\int_{5}^{1} x"),
    ("another law", r"\mathcal N(x; \mu, v)", r"\mathcal N(x; \mu, 2 v)"),
    ("another law", r"\mathcal{N}(x; f(a, b), (v))", r"\mathcal{N}(x; f(a, b), 2 (v))"),
    ("another law", r"\mathcal N(a, b) \mathcal N\bigl(c, d\bigr)",
     r"\mathcal N(a, b) \mathcal N\bigl(c, 2 d\bigr)"),
    ("another law", r"\mathcal N(x; (a, b), [c, d] + e)", r"\mathcal N(x; (a, b), 2 [c, d] + e)"),
    ("another law", r"\mathcal N(x; a, {c, d}^2)", r"\mathcal N(x; a, 2 {c, d}^2)"),
    ("another law", r"\mathcal N(X; \mu, v)", r"\mathcal N(X; \mu, 2 v)"),
    ("another value", "a = 0 .", "a = 1 ."),
    ("another value", "a = 0", "a = 1"),
    ("another value", "a = 1", "a = 0"),
    ("another value", "f(x, 1)", "f(x, 2)"),
    ("an index shifted", "x_t", "x_{t+1}"),
    ("an index shifted", "x_{t-1}", "x_{t+1}"),
    ("a condition dropped", r"q(x_t \mid x_0)", "q(x_t)"),
    ("a condition dropped", r"p_\theta(x_t \mid f(x))", r"p_\theta(x_t)"),
    ("the sides of a bar exchanged", r"a q(x_t \mid x_0) b", r"a q(x_0 \mid x_t) b"),
    ("a claim dropped", r"a = b , \qquad c = d .", "c = d"),
    ("a claim dropped", r"a = b , \qquad c = d .", "a = b"),
    ("a claim dropped", r"a = b , \qquad c = d , \qquad x = y", r"a = b , \qquad x = y"),
]  # fmt: skip


def plain(latex: str) -> str:
    return "".join(latex.replace(r"\,", "").split())


@pytest.mark.parametrize(("name", "latex", "slipped"), MADE)
def test_slips_of_the_pen(name: str, latex: str, slipped: str) -> None:
    assert (name, plain(slipped)) in [(one.name, plain(one.latex)) for one in slips(latex)]


@pytest.mark.parametrize(("name", "latex", "slipped"), STRONGER)
def test_other_statements_of_a_premise(name: str, latex: str, slipped: str) -> None:
    assert (name, plain(slipped)) in [(one.name, plain(one.latex)) for one in stronger(latex)]


@pytest.mark.parametrize(
    "latex",
    ["a", "x^{-3}", r"\epsilon_\theta(z)", r"\int y", "(a)", r"\frac{\partial y}{\partial z}",
     r"\mathbf{x}", r"\log y", "12", "f(a, b)", "S_k"],
)  # fmt: skip
def test_what_has_no_place_for_one_stays(latex: str) -> None:
    assert list(slips(latex)) == []


@pytest.mark.parametrize("latex", ["a", r"\mathcal N(x", r"\mathcal N(x)", "q(x)", "a = b"])
def test_what_says_nothing_else_stays(latex: str) -> None:
    assert list(stronger(latex)) == []


@pytest.mark.parametrize("made", [slips, stronger])
def test_one_formula_is_made_once(made: object) -> None:
    latex = r"x_1 = \sum_{s=1}^{t} \sqrt{\alpha_s} x_0 + \frac{1}{2} q(x_t \mid x_1), \qquad a = 0"
    found = [one.latex for one in made(latex)]  # type: ignore[operator]
    assert len(found) == len(set(map(plain, found))) > 5
    assert plain(latex) not in map(plain, found)


def test_a_factor_before_a_number_has_its_sign() -> None:
    """2 1 is read no more: it looks like 21."""
    for latex in ("a = 1", r"x \sim \mathcal N(0, 1)"):
        for slip in (*slips(latex), *stronger(latex)):
            read_claims(slip.latex)
    assert r"a = 2 \cdot  1" in [slip.latex for slip in slips("a = 1")]
