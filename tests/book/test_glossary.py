"""The glossary: bold terms of the chapters, each with the sentence that introduces it."""

from pathlib import Path

import pytest
from book_glossary import without_citations
from bs4 import BeautifulSoup, Tag
from docutils import nodes
from small_book import SmallBook
from sphinx import addnodes

FIRST = """# The first

**Proof.** No term. A **density** is a function, as in $p(x)$. It is positive.

The **mean** of it (see {eq}`eq-a`) is

$$
x = y
$$ (eq-a)

This is the **centre**. Two **rather long phrases in bold** are no term, nor is
**a $y$**.

The highest point is easy to find.

Its name is **Peak**. A peak is high. **Markov place** is a name.

| Name | What |
|---|---|
| **mode** | the highest point |
"""
SECOND = "# The second\n\n## Later\n\nAnother **Density** and a **variance**; more. Then an end.\n"


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tag]:
    book = SmallBook(Path(tmp_path_factory.mktemp("book")), "book_glossary")
    book.page("glossary", "# Glossary\n\n```{term-list}\n```\n")
    book.page("01_first", FIRST)
    book.page("02_second", SECOND)
    book.page("other", "# Other\n\nA **word** in bold.\n")
    assert book.build() == (0, "")
    page = BeautifulSoup(book.built("glossary"), "html.parser")
    names = [name.text.strip() for name in page.select("dl.book-terms dt")]
    return dict(zip(names, page.select("dl.book-terms dd"), strict=True))


@pytest.mark.slow
def test_terms_stand_once_and_in_order(terms: dict[str, Tag]) -> None:
    assert list(terms) == ["centre", "density", "Markov place", "mean", "mode", "peak", "variance"]


def test_each_has_its_sentence(terms: dict[str, Tag]) -> None:
    text = {name: " ".join(found.text.split()) for name, found in terms.items()}
    assert text["density"] == r"A density is a function, as in \(p(x)\). The first"
    assert text["variance"] == "Another Density and a variance; more. The second"
    assert text["mode"] == "mode: the highest point The first"


def test_a_sentence_that_points_back_has_the_one_before(terms: dict[str, Tag]) -> None:
    text = " ".join(terms["peak"].text.split())
    assert text == "The highest point is easy to find. Its name is Peak. The first"


def test_no_space_is_left_of_a_citation() -> None:
    source = addnodes.pending_xref("", refdomain="cite")
    found = without_citations([nodes.Text("balances the two "), source, nodes.Text(".")])
    assert [node.astext() for node in found] == ["balances the two", "."]


def test_a_sentence_has_the_equation_beside_it(terms: dict[str, Tag]) -> None:
    for name in ("mean", "centre"):
        assert terms[name].select_one('a[href="01_first.html#equation-eq-a"]')


def test_the_page_has_its_formulas_typeset(terms: dict[str, Tag]) -> None:
    page = terms["mean"].find_parent("html")
    assert page is not None
    assert any("mathjax" in str(script["src"]) for script in page.select("script[src]"))


def test_links_lead_to_the_section(terms: dict[str, Tag]) -> None:
    assert terms["variance"].select_one('a[href="02_second.html#later"]')
