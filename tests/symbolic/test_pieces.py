"""Marks of formulas that can be pointed at: all of them, in their places, and nothing else."""

import re
from pathlib import Path

import pytest

from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.pieces import marked, pieces_of

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
    ],
)
def test_pieces(latex: str, pieces: list[str]) -> None:
    assert [latex[p.start : p.end] for p in pieces_of(latex)] == pieces


def test_an_index_without_braces_gets_some() -> None:
    assert marked("x_t") == r"\class{piece-0}{x}_{\class{piece-1}{t}}"
    assert marked("x_{t}") == r"\class{piece-0}{x}_{\class{piece-1}{t}}"


@pytest.mark.parametrize("path", sorted(BOOK.glob("[01]*.md")), ids=lambda p: p.stem)
def test_without_its_marks_it_is_the_formula_again(path: Path) -> None:
    for equation in Page(path).equations.values():
        plain = re.sub(r"\{?\\class\{piece-\d+\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", equation.latex)
        again = re.sub(r"\\class\{piece-\d+\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", marked(plain))
        assert re.sub(r"[{}\s]", "", again) == re.sub(r"[{}\s]", "", equation.latex)
