"""Marks of formulas that can be pointed at: all of them, in their places, and nothing else."""

import re
from pathlib import Path

import pytest

from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.pieces import latex_pieces, place_of, with_classes
from ddpm_lite.symbolic.slips import slips

BOOK = Path(__file__).parents[2] / "book"


@pytest.mark.parametrize(
    ("latex", "pieces"),
    [
        (r"x_{t-1} = 2.5", ["x", "t", "-", "1", "=", "2.5"]),
        (r"\sqrt{\bar\alpha_t}", [r"\bar\alpha", "t"]),
        (r"\frac12 x^2", ["x", "2"]),
        (r"\frac{a}3 \sqrt2", ["a"]),
        (r"p_\theta(x)", ["p", r"\theta", "x"]),
        (r"\Bigl( a \Bigr)", ["a"]),
        (r"a \le b \ne c < d", ["a", r"\le", "b", r"\ne", "c", "<", "d"]),
        (r"\log x + \tanh y", [r"\log", "x", "+", r"\tanh", "y"]),
        (r"x! / \infty", ["x", "!", "/", r"\infty"]),
        (r"L^\top \cdot \partial", ["L", r"\top", r"\partial"]),
        (r"a \cdots \in b", ["a", r"\cdots", r"\in", "b"]),
        (r"\bar{\alpha}_{t}", [r"\bar{\alpha}", "t"]),
        (r"\mathbb{E}_q[x \mid y]", [r"\mathbb{E}", "q", "x", "y"]),
        (r"\mathrm{SNR}", [r"\mathrm{SNR}"]),
        ("", []),
    ],
)
def test_pieces(latex: str, pieces: list[str]) -> None:
    assert [latex[p.start : p.end] for p in latex_pieces(latex)] == pieces


MARKS = (
    r"\le \leq \ge \geq \ne \neq \sim \propto \approx \log \ln \exp \sin \cos \tanh \det \infty "
    r"\partial \top \in \cdots \dots \ldots \alpha \epsilon"
)
NO_MARKS = r"\frac \sqrt \sum \quad \cdot \mid \langle"


@pytest.mark.parametrize("command", MARKS.split())
def test_commands_that_can_be_pointed_at(command: str) -> None:
    latex = f"a {command} b"
    assert [latex[p.start : p.end] for p in latex_pieces(latex)] == ["a", command, "b"]


@pytest.mark.parametrize("command", NO_MARKS.split())
def test_commands_that_cannot(command: str) -> None:
    latex = f"{command} {{a}} {{b}}"
    assert [latex[p.start : p.end] for p in latex_pieces(latex)] == ["a", "b"]


def test_an_index_without_braces_gets_some() -> None:
    assert with_classes("x_t") == r"\class{piece-0}{x}_{\class{piece-1}{t}}"
    assert with_classes("x^t + 12") == (
        r"\class{piece-0}{x}^{\class{piece-1}{t}} \class{piece-2}{+} \class{piece-3}{12}"
    )
    assert [p.is_index for p in latex_pieces("x_t^2 + y_{s}")] == [0, 1, 1, 0, 0, 0]
    assert with_classes(r"\frac12") == r"\frac12"
    assert with_classes("x_{t}") == r"\class{piece-0}{x}_{\class{piece-1}{t}}"


@pytest.mark.parametrize("path", sorted(BOOK.glob("[01]*.md")), ids=lambda p: p.stem)
def test_without_its_marks_it_is_the_formula_again(path: Path) -> None:
    for equation in Page(path).equations.values():
        plain = re.sub(r"\{?\\class\{piece-\d+\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", equation.latex)
        again = re.sub(
            r"\\class\{piece-\d+\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", with_classes(plain)
        )
        assert re.sub(r"[{}\s]", "", again) == re.sub(r"[{}\s]", "", equation.latex)


@pytest.mark.parametrize(
    ("original", "changed", "wrong", "right"),
    [
        ("a + b", "a - b", "-", "+"),
        (r"1 - \bar\alpha_t", r"1 - \alpha_t", r"\alpha", r"\bar\alpha"),
        (r"\alpha_t", r"\beta_t", r"\beta", r"\alpha"),
        (r"\sqrt{\alpha_t} x", r"\alpha_t x", r"\alpha_t", r"\sqrt{\alpha_t}"),
        (
            r"y = \frac{u}{(1-u)^2}",
            r"y = \frac{(1-u)^2}{u}",
            r"\frac{(1-u)^2}{u}",
            r"\frac{u}{(1-u)^2}",
        ),
        ("a", "a", "", ""),
        (r"\alpha + 1", r"\alpha_{t} + 1", "_{t}", ""),
        (r"\alpha", r"\alpha_t", "_t", ""),
        (r"a \sqrt{b}", "a {b}", "", r"\sqrt"),
        (r"\frac{a}{b} x", r"\frac{b}{a} x", r"\frac{b}{a}", r"\frac{a}{b}"),
        ("a = 0.25", "a = 0.35", "0.35", "0.25"),
        ("2x", "x", "", "2"),
        ("x_{t-1}", "x_{t}", "", "-1"),
    ],
)
def test_the_place_of_a_change(original: str, changed: str, wrong: str, right: str) -> None:
    found = place_of(original, changed)
    assert changed[found["start"] : found["end"]] == wrong
    assert found["right"] == right


@pytest.mark.parametrize("path", sorted(BOOK.glob("[01]*.md")), ids=lambda p: p.stem)
def test_what_was_right_makes_every_slip_right_again(path: Path) -> None:
    for equation in Page(path).equations.values():
        for slip in slips(equation.latex):
            found = place_of(equation.latex, slip.latex)
            before, after = slip.latex[: found["start"]], slip.latex[found["end"] :]
            assert before + found["right"] + after == equation.latex
            assert found["right"].count("{") == found["right"].count("}")
