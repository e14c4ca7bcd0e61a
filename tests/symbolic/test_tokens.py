"""From LaTeX to tokens: which `=` is a relation, where a claim ends, what TeX takes together."""

import re
from pathlib import Path

import pytest

from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.tokens import ReadError, commands, tokens_of, words_of

BOOK = Path(__file__).parents[2] / "book"


def types(latex: str) -> list[str]:
    return [token.type for token in tokens_of(latex)]


def texts(latex: str) -> str:
    return " ".join(tokens_of(latex))


BRACKETS = [
    ("(", ")"), ("[", "]"), ("{", "}"), (r"\lVert", r"\rVert"), (r"\lvert", r"\rvert"),
    (r"\langle", r"\rangle"), (r"\begin{pmatrix}", r"\end{pmatrix}"), (r"\bigl(", r"\bigr)"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), BRACKETS)
@pytest.mark.parametrize("sign", ["=", r"\to"])
def test_a_sign_between_brackets_is_no_relation(left: str, right: str, sign: str) -> None:
    found = types(f"x = {left} a {sign} b {right} {sign} c")
    assert found.count("REL") == 2
    assert found.index("EQUAL" if sign == "=" else "TO") < len(found) - 2
    assert found[-2] == "REL"


@pytest.mark.parametrize(
    ("latex", "read"),
    [
        (r"\frac12", r"\frac { 1 } { 2 }"),
        (r"\frac123", r"\frac { 1 } { 2 } 3"),
        (r"\frac{1}23", r"\frac { 1 } { 2 } 3"),
        (r"\frac ab c", r"\frac { a } { b } c"),
        (r"\tfrac\alpha{b}", r"\tfrac { \alpha } { b }"),
        (r"\frac{\frac12}{\sqrt3}", r"\frac { \frac { 1 } { 2 } } { \sqrt { 3 } }"),
        (r"\sqrt12", r"\sqrt { 1 } 2"),
        (r"x^1 2", "x ^ 1 2"),
        (r"x^{12}", "x ^ { 12 }"),
        (r"12 x", "12 x"),
        (r"1.25 x", "1.25 x"),
        (r"x . y", "x y"),
        (r"p_{\theta}(x)", r"p_\theta ( x )"),
        (r"p_\theta(x)", r"p_\theta ( x )"),
        (r"L_{\mathrm{simple}} x", r"L_{simple} x"),
        (r"L_{simple} x", r"L_{simple} x"),
        (r"L_{ij} x", r"L _ { i j } x"),
        (r"\bar \alpha_t", r"\bar{\alpha} _ t"),
        (r"\bar{ \alpha }_{t}", r"\bar{\alpha} _ { t }"),
        (r"{x}_{t}", "x _ { t }"),
        (r"a + {x}_{t} {y}_0", "a + x _ { t } y _ 0"),
        (r"{x}^{2}", "{ x } ^ { 2 }"),
        (r"{12}_{t}", "{ 12 } _ { t }"),
        (r"\Bigl( x \Bigr)", "( x )"),
        (r"a \leq b \geq c \neq d", r"a \le b \ge c \ne d"),
    ],
)
def test_tex_takes_arguments_mark_by_mark(latex: str, read: str) -> None:
    assert texts(latex) == read


@pytest.mark.parametrize(
    ("latex", "kind"),
    [
        ("q(x)", "DENSITY"), ("q x", "SYMBOL"), ("f(x)", "FUNCTION"), ("f x", "SYMBOL"),
        (r"\times x", "CDOT"),
        (r"\cdot x", "CDOT"), ("P(x)", "DENSITY"), ("P x", "SYMBOL"), ("x(y)", "SYMBOL"),
        (r"\mathcal N(x)", "NORMAL"),
        (r"\mathbb{E}[x]", "EXPECT"), (r"D_{\mathrm{KL}}(x)", "KL"), ("e^x", "EULER"),
        (r"\operatorname{Var}[x]", "OPERATOR"), (r"\mathrm{Cov}[x]", "OPERATOR"),
        (r"\operatorname{tr} M", "WORD"), (r"\det M", "WORD"), (r"\mathrm{d}x", "DIFF"),
        (r"\infty", "INFINITY"), (r"\ln x", "ELEMENTARY"), (r"\cos x", "ELEMENTARY"),
        (r"\Phi(x)", "FUNCTION"), (r"\mathrm{SNR}_t", "SYMBOL"), ("0.5", "NUMBER"),
    ],
)  # fmt: skip
def test_the_table_names_the_kind_of_a_word(latex: str, kind: str) -> None:
    assert types(latex)[0] == kind


def test_a_d_in_a_fraction_is_a_derivative() -> None:
    assert types(r"\frac{\mathrm{d}}{\mathrm{d}x} x").count("PARTIAL") == 2
    assert types(r"\frac{1}{2} \mathrm{d}x").count("DIFF") == 1


@pytest.mark.parametrize(
    ("latex", "claims"),
    [
        (r"x = 1 ,\qquad y = 2 ,", 2),
        (r"x = 1 \text{ and } y = 2 \text{ or } z = 3", 3),
        (r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}", 2),
        (r"\begin{aligned} x &= 1 \\ &= y \\ &\quad + 2 \end{aligned}", 1),
        (r"\begin{aligned} x &= 1 \\ &< y \\ &\cdot 2 \\ &- 2 \end{aligned}", 1),
        (r"\begin{aligned} x &= 1 \\ &- 2 (y = 3) \end{aligned}", 1),
        (r"\begin{aligned} M &= \begin{pmatrix} 1 \\ 0 \end{pmatrix} \\ x &= 1 \end{aligned}", 2),
        (r"\quad x = 1 \qquad\qquad y = 2 \quad", 2),
        (r"\begin{aligned} x &= 1 ,\\ y &= 2 .\end{aligned}", 2),
    ],
)
def test_claims_and_rows(latex: str, claims: int) -> None:
    assert types(latex).count("SEP") == claims - 1
    if "(y = 3)" not in latex:
        assert len(read_claims(latex)) == claims


@pytest.mark.parametrize(
    ("latex", "place", "reason"),
    [
        (r"\begin{aligned} a &= b \\ -c &= d \end{aligned}", 26, "is this minus part"),
        (r"\begin{aligned} a &= b \\ & -c < d \end{aligned}", 28, "is this minus part"),
        (r"\begin{aligned} a &= b \\ -c \\ &= d \end{aligned}", None, ""),
        (r"x + \begin{cases} x \end{cases}", 4, "is not read"),
        (r"\begin{cases} x \end{cases}", 0, "is not read"),
        (r"\zeta", 0, "not in the table"),
        (r"\text{for}", 0, "words do not belong"),
        (r"x + \zeta", 4, "not in the table"),
        (r"x + \text{for}", 4, "words do not belong"),
        (r"x + %", 4, "cannot read"),
        ("x + \N{ARABIC-INDIC DIGIT TWO}", 4, "cannot read"),
        (r"x + 1e-5", 4, "write 1e5"),
        (r"x + x^12", 5, "one digit only"),
        (r"x + x_ 12", 5, "one digit only"),
        (r"x + x^1.5", 5, "one digit only"),
        (r"3. 5", 1, "a dot within a formula"),
        (r"3.\, 5", 1, "a dot within a formula"),
        (r"x & y", 2, "stands in a matrix or in aligned"),
        (r"x + \frac{dx}{dt}", 4, "a derivative is"),
        (r"x + x_{\mathrm{simple}}", 4, "not in the table"),
    ],
)
def test_what_is_no_word_is_refused_at_its_place(
    latex: str, place: int | None, reason: str
) -> None:
    if place is None:
        tokens_of(latex)
        return
    with pytest.raises(ReadError, match=reason) as refused:
        tokens_of(latex)
    assert refused.value.position == place


def test_an_error_shows_twenty_characters_before_and_thirty_after() -> None:
    latex = "a" * 30 + "%" + "b" * 40
    with pytest.raises(ReadError, match=f" {'a' * 20} >>> %{'b' * 29}$"):
        tokens_of(latex)


def test_the_words_know_where_they_stand() -> None:
    latex = r"\sqrt{x_t} + 2"
    for word in words_of(latex):
        assert word.start_pos is not None
        assert latex.startswith(word, word.start_pos)


def test_the_commands_are_those_of_the_lexer_the_table_and_the_typesetter() -> None:
    found = commands()
    assert found == sorted(set(found))
    assert {"frac", "cos", "alpha", "epsilon", "bigl", "neq", "|", ","} <= {*found}
    assert "zeta" not in found
    for path in sorted(BOOK.glob("[01]*.md")):
        for equation in Page(path).equations.values():
            assert {*re.findall(r"\\([a-zA-Z]+|[^a-zA-Z\s])", equation.latex)} <= {*found}
