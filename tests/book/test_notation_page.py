"""The table of symbols: one row each, all of them used, under the chapter that has them first."""

import os
from pathlib import Path

import pytest
from book_notation import symbols_of
from bs4 import BeautifulSoup

from ddpm_lite.symbolic.notation import ROWS, TABLE

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.md"))


def test_each_symbol_has_one_row() -> None:
    assert len(TABLE) == len(ROWS)


def test_symbols_of_displayed_formulas_alone() -> None:
    page = "Here $\\sigma$.\n\n$$\n\\bar\\alpha_t = \\prod_{s=1}^{t} \\alpha_s\n$$ (eq-a)\n"
    assert symbols_of(page) == {r"\bar{\alpha}", r"\alpha", "s", "t"}


def test_every_symbol_stands_in_a_formula() -> None:
    assert set.union(*(symbols_of(page.read_text()) for page in CHAPTERS)) == TABLE.keys()


def test_the_page_names_the_first_chapter() -> None:
    built = ROOT / "_build" / "html" / "book" / "notation.html"
    if not built.exists():
        assert os.environ.get("CI") != "true", "the book is not built"
        pytest.skip("the book is not built; `make book` builds it")
    page = BeautifulSoup(built.read_text(), "html.parser")
    rows = [row.select("td") for row in page.select("table tbody tr")]
    place = {cells[0].text.strip(): str(cells[2].select_one("a")) for cells in rows}
    assert len(rows) == len(TABLE)
    assert "05_bayes_posterior.html" in place[r"\(\tilde{\beta}_t\)"]
    assert "02_markov_chains.html" in place[r"\(\beta_t\)"]
