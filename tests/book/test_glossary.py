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

- **Heading** of an item, and in it the **range**.

```{admonition} An answer
:class: solution

The **wrong one** is no term.
```

What is left is

$$
x = z
$$ (eq-b)

after a while. Such a **rest** is short.

Divide the two. The quotient is the **ratio**:

- 1/2

| Name | What |
|---|---|
| **mode** | the highest point |
"""
SECOND = "# The second\n\n## Later\n\nAnother **Density** and a **variance**; more. Then an end.\n"
THIRD = "# The third\n\nOf a country it is another **density**, of people.\n"


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tag]:
    book = SmallBook(Path(tmp_path_factory.mktemp("book")), "book_glossary")
    senses = "density 03_third, mean 01_first"
    book.page("glossary", f"# Glossary\n\n```{{term-list}}\n:senses: {senses}\n```\n")
    book.page("01_first", FIRST)
    book.page("02_second", SECOND)
    book.page("03_third", THIRD)
    book.page("other", "# Other\n\nA **word** in bold.\n")
    assert book.build() == (0, "")
    page = BeautifulSoup(book.built("glossary"), "html.parser")
    names = [name.text.strip() for name in page.select("dl.book-terms dt")]
    return dict(zip(names, page.select("dl.book-terms dd"), strict=True))


@pytest.mark.slow
def test_terms_stand_once_and_in_order(terms: dict[str, Tag]) -> None:
    kept = ["centre", "density", "Markov place", "mean", "mode", "peak", "range", "ratio", "rest"]
    assert list(terms) == [*kept, "variance"]


def test_each_has_its_sentence(terms: dict[str, Tag]) -> None:
    text = {name: " ".join(found.text.split()) for name, found in terms.items()}
    first, second = (" ".join(p.text.split()) for p in terms["density"].select("p"))
    assert first == r"A density is a function, as in \(p(x)\). The first"
    assert second == "Of a country it is another density, of people. The third"
    assert text["mean"].count("The first") == 1
    assert text["variance"] == "Another Density and a variance; more. The second"
    assert text["mode"] == "mode: the highest point The first"


def test_a_sentence_that_points_back_has_the_one_before(terms: dict[str, Tag]) -> None:
    text = " ".join(terms["peak"].text.split())
    assert text == "The highest point is easy to find. Its name is Peak. The first"


def test_one_that_leads_over_to_what_is_not_here_has_it_too(terms: dict[str, Tag]) -> None:
    text = " ".join(terms["ratio"].text.split())
    assert text == "Divide the two. The quotient is the ratio. The first"


def test_the_rest_of_a_sentence_is_left_out_for_its_equation(terms: dict[str, Tag]) -> None:
    assert terms["rest"].text.strip().startswith("Such a rest is short.")
    assert terms["rest"].select_one('a[href="01_first.html#equation-eq-b"]')


def test_no_space_is_left_of_a_citation_but_authors_are() -> None:
    source = addnodes.pending_xref("", refdomain="cite", reftype="p")
    authors = addnodes.pending_xref("", nodes.Text("Ho"), refdomain="cite", reftype="t")
    text = [authors, nodes.Text(" balance the two "), source, nodes.Text(".")]
    assert [node.astext() for node in without_citations(text)] == ["Ho", " balance the two", "."]


@pytest.mark.slow
def test_a_sense_that_no_chapter_has_fails_the_build(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_glossary")
    book.page("01_first", FIRST)
    book.page("glossary", "# Glossary\n\n```{term-list}\n:senses: peak 02_second\n```\n")
    code, said = book.build()
    assert code != 0
    assert "the page 02_second has no term peak" in said


def test_a_sentence_has_the_equation_beside_it(terms: dict[str, Tag]) -> None:
    for name in ("mean", "centre"):
        assert terms[name].select_one('a[href="01_first.html#equation-eq-a"]')


def test_the_page_has_its_formulas_typeset(terms: dict[str, Tag]) -> None:
    page = terms["mean"].find_parent("html")
    assert page is not None
    assert any("mathjax" in str(script["src"]) for script in page.select("script[src]"))


def test_links_lead_to_the_section(terms: dict[str, Tag]) -> None:
    assert terms["variance"].select_one('a[href="02_second.html#later"]')
