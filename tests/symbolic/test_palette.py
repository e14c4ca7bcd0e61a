"""The symbols to click: those of the page, and both ways of writing them mean the same."""

from pathlib import Path

import pytest

from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.palette import MOST_SYMBOLS, palette
from ddpm_lite.symbolic.plain import to_latex
from ddpm_lite.symbolic.reader import read

BOOK = Path(__file__).parents[2] / "book"
WITH_FORMULAS = [p for p in sorted(BOOK.glob("[01]*.md")) if "use_page(" in p.read_text()]
"""The chapters but chapter 0, which displays no formula."""


def test_what_is_used_most_comes_first() -> None:
    text = "% definition\n$$\na + \\bar\\alpha_t + \\bar\\alpha_t = x_{t-1} + x_{1:T}\n$$ (eq-a)\n"
    found = palette(Page.from_text("page.md", text))
    assert [typed for _, typed in found] == ["abar_t", "x[t-1]", "t", "a", "T"]


@pytest.mark.parametrize(
    ("latex", "typed"),
    [
        (r"\sigma_t", ["sigma_t"]),
        (r"\sigma_{t}", ["sigma_t"]),
        (r"\sigma_{t-1}", ["sigma[t-1]"]),
        (r"\sigma_{12}", ["sigma_12"]),
        (r"\sigma", ["sigma"]),
        ("a", ["a"]),
        (r"w_{ij}", ["i", "j"]),
        (r"\sigma_{1:T}", ["T"]),
        (r"f(\epsilon) q(x)", ["eps", "x"]),
        (r"\tilde\beta_t \hat x_0", ["beta_tilde_t", "x_hat_0", "t"]),
        (r"\sigma_t + \zeta", []),
    ],
)
def test_each_symbol_with_its_index(latex: str, typed: list[str]) -> None:
    found = palette(Page.from_text("page.md", f"% cited\n$$\n{latex}\n$$ (eq-a)\n"))
    assert {one for _, one in found} >= {*typed}
    assert all(read(one) == read(to_latex(other)) for one, other in found)
    assert len(found) <= len(typed) + 1


def test_there_are_no_more_than_fit() -> None:
    letters = " + ".join("abcxyzuvrAXYSCB")
    assert len(palette(Page.from_text("page.md", f"% cited\n$$\n{letters}\n$$ (eq-a)\n"))) == 12


@pytest.mark.parametrize("path", WITH_FORMULAS, ids=lambda p: p.stem)
def test_both_ways_of_writing_mean_the_same(path: Path) -> None:
    found = palette(Page(path))
    assert 4 <= len(found) <= MOST_SYMBOLS
    for latex, typed in found:
        assert read(latex) == read(to_latex(typed))
