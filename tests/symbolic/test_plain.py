"""Formulas typed without LaTeX: they mean what Python would make of them, and run nothing."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_lite.symbolic.equality import equal
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.plain import names, to_latex
from ddpm_lite.symbolic.reader import read, symbols
from ddpm_lite.symbolic.tokens import ReadError

a, b, x, x_0 = symbols("a, b, x, x_0")
bar_t, bar_prev, beta_t = symbols(r"\bar\alpha_t, \bar\alpha_{t-1}, \beta_t")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("sqrt(1 - abar_t)", sp.sqrt(1 - bar_t)),
        ("alpha_bar[t-1]*beta_t/(1 - bar_alpha_t)", bar_prev * beta_t / (1 - bar_t)),
        ("x0**2/2 - x_0^2", -(x_0**2) / 2),
        ("a - (b - x) - (-x)", a - b + 2 * x),
        ("a/b/x*2**-1", a / (2 * b * x)),
        ("-(a/b)**2**x", -((a / b) ** (2**x))),
        ("exp(-x**2/2) + log(a*b)**2 + e**x", sp.exp(-(x**2) / 2) + sp.log(a * b) ** 2 + sp.exp(x)),
        ("abs(x) * pi * 0.5", sp.Abs(x) * sp.pi / 2),
        ("x_t**2 / 3**x", read("x_t^2") / 3**x),
        ("(a*b)**2 + (-a)**2 - a**-b", (a * b) ** 2 + a**2 - a**-b),
        ("a**b**2", a ** (b**2)),
        ("x*(a + b)/(a - b)", x * (a + b) / (a - b)),
        ("a*(-b) - -x", -a * b + x),
        ("cos(x) + sin(x)*tanh(x) + ln(a)", sp.cos(x) + sp.sin(x) * sp.tanh(x) + sp.log(a)),
        ("norm(x_0)**2", read(r"\lVert x_0 \rVert^2")),
        ("f(x)*g(x, a)", read(r"f(x) g(x, a)")),
        ("q(x_0)", read("q(x_0)")),
        ("eps + epsilon_t", read(r"\epsilon + \epsilon_t")),
        ("eps_theta(x_t, t)", read(r"\epsilon_\theta(x_t, t)")),
        ("SNR[t] + ELBO + L_simple", read(r"\mathrm{SNR}_t + \mathrm{ELBO} + L_{\mathrm{simple}}")),
        ("tilde_beta_t + beta_tilde[t-1]", read(r"\tilde\beta_t + \tilde\beta_{t-1}")),
        ("w[i, j] + w_i_j", 2 * read("w_{i,j}")),
        ("E + e", 2 * sp.E),
        ("mu_theta(x_0, t)", read(r"\mu_\theta(x_0, t)")),
    ],
)
def test_it_means_what_python_makes_of_it(text: str, meaning: sp.Expr) -> None:
    assert equal(read(to_latex(text)), meaning)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("2x", 1, r"write \*"),
        ("x (a)", 0, "no function"),
        ("__import__('os').system('ls')", 0, "cannot read"),
        ("x.real", 1, "cannot read"),
        ("abar_t + steps", 9, "not a symbol"),
        ("sqrt(x, 2)", 0, "one argument"),
        ("a + * b", 4, "not expected"),
        ("sqrt(a", 6, "the end"),
        ("lambda: 0", 6, "cannot read"),
        ("a 2", 2, r"write \*"),
        ("a + sqrt(x, 2)", 4, "sqrt takes one argument"),
        ("a + sqrt()", 9, r"'\)' is not expected here, at"),
        ("a + x(a)", 4, "x is no function: write"),
        ("a + nothing(a)", 4, "no function"),
        ("a + x_nothing", 4, "x_nothing is not a symbol"),
        ("a + x_1y", 4, "not a symbol"),
        ("x+" * 1000 + "x", 0, "too many parts within parts"),
        ("sqrt(" * 1000 + "x" + ")" * 1000, 0, "too many parts within parts"),
    ],
)
def test_the_place_and_the_reason_are_said(text: str, place: int, reason: str) -> None:
    with pytest.raises(ReadError, match=reason) as refused:
        to_latex(text)
    assert refused.value.position == place


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("factorial(n)", r"\left(n\right)!"),
        ("x_t**2", "x_{t}^{2}"),
        ("x[t]**2", "x_{t}^{2}"),
        ("x**2", "x^{2}"),
        ("2**x", "2^{x}"),
        ("sqrt(x)**2", r"\left(\sqrt{x}\right)^{2}"),
        ("a - (b + x)", r"a - \left(b + x\right)"),
        ("a = b = x", "a = b = x"),
        ("oo", r"\infty"),
        ("inf", r"\infty"),
    ],
)
def test_it_is_written_without_brackets_in_vain(text: str, latex: str) -> None:
    assert to_latex(text) == latex


def test_nearly_every_symbol_of_the_table_can_be_typed() -> None:
    for latex in TABLE.keys() - {r"\ell", r"\varnothing"}:
        typed = [name for name, one in names().items() if one == latex]
        if latex.startswith(
            (r"\mathcal", r"\mathbf", r"\boldsymbol", r"\mathrm{v}", r"\mathrm{f}")
        ):
            assert typed == []
        else:
            assert typed, latex
    assert names()["alpha_bar"] == names()["bar_alpha"] == names()["alphabar"] == r"\bar{\alpha}"
    assert {name for name, one in names().items() if one == r"\hat{x}"} == {"hat_x", "x_hat"}
    assert "alpha_alpha" not in names()
    assert "bar_bar" not in names()


def test_one_name_never_stands_for_two_symbols_of_the_table() -> None:
    found = names()
    assert found["alpha"] == r"\alpha"
    assert found["abar"] == r"\bar{\alpha}"
    assert len({found[name] for name in ("mu", "mu_tilde", "mu_theta")}) == 3


LEAVES = st.sampled_from(["a", "b", "x", "2", "0.5", "x_0"])
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
        inner.map(lambda p: f"-{p}"),
        inner.map(lambda p: f"({p})**2"),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(FORMULAS)
def test_brackets_and_order_are_pythons(text: str) -> None:
    values = {"a": sp.Rational(2, 3), "b": sp.Rational(5, 7), "x": sp.Rational(11, 13)}
    values["x_0"] = sp.Rational(17, 19)
    try:
        wanted = eval(text.replace("0.5", "half").replace("2", "two"), {}, {
            **values, "half": sp.Rational(1, 2), "two": sp.Integer(2)})  # fmt: skip
    except ZeroDivisionError:
        return
    if not sp.sympify(wanted).is_finite:
        return
    known = {a: values["a"], b: values["b"], x: values["x"], x_0: values["x_0"]}
    assert read(to_latex(text)).xreplace(known) == wanted
