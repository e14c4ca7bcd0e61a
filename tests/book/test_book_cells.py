"""Cells and exercises on a page: proofs folded under their ticks, fields for formulas."""

import re
from pathlib import Path

import book_cells
import pytest
from bs4 import BeautifulSoup, Tag
from small_book import HEADER, SmallBook

BOOK = Path(__file__).parents[2] / "book"
LINE = '<div class="proof-line proof-derived" data-label="eq-a" data-kind="derived">tick</div>'
CELLS = f"""
```{{code-cell}} ipython3
from IPython.display import HTML, display
```

```{{code-cell}} ipython3
def check(label):
    display(HTML('{LINE}'))

check("eq-a")

check("eq-b")
```

```{{code-cell}} ipython3
check("eq-a")
print("something else")
```

```{{code-cell}} ipython3
:tags: [hide-input]
check("eq-a")
```

```{{code-cell}} ipython3
---
tags: [open-proof]
---
check("eq-a")
```

```{{exercise}} A title
:label: ex-one

% asks: the mean, $\\mu$ | the <variance>

What are both?
```
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> BeautifulSoup:
    """A page with these cells, in a site that has a machine."""
    book = SmallBook(
        tmp_path_factory.mktemp("book"), "sphinx_exercise", "book_proofs", "book_cells"
    )
    book.page("page", HEADER + CELLS)
    machine = book.root / "_build" / "_static" / "machine"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text("{}")
    code, said = book.build()
    assert code == 1  # the lines stand for no equation, and that alone is wrong
    assert set(re.findall(r"a cell runs \w+ for (eq-\w)", said)) == {"eq-a"}
    html = (book.root / "_build" / "book" / "page.html").read_text()
    return BeautifulSoup(html, "html.parser")


def cell(page: BeautifulSoup, number: int) -> Tag:
    found = page.find(id=f"cell-{number}")
    assert isinstance(found, Tag)
    return found


@pytest.mark.slow
def test_a_proof_is_folded_below_its_ticks(page: BeautifulSoup) -> None:
    proof = cell(page, 2)
    folded = proof.select_one("details.proof-code")
    assert folded is not None
    assert not folded.has_attr("open")
    assert folded.summary is not None
    assert folded.summary.text == "proof, 4 lines"
    assert 'check("eq-b")' in folded.text
    parts = proof.find_all(class_=["proof-line", "proof-code"])
    assert [part["class"][0] for part in parts] == ["proof-line", "proof-line", "proof-code"]


def test_a_proof_with_the_tag_is_open(page: BeautifulSoup) -> None:
    shown = cell(page, 5).select_one("details.proof-code")
    assert shown is not None
    assert shown.has_attr("open")
    assert 'check("eq-a")' in shown.text


@pytest.mark.parametrize("number", [1, 3, 4])
def test_other_cells_stay_as_they_are(page: BeautifulSoup, number: int) -> None:
    assert cell(page, number).select("details.proof-code") == []
    assert cell(page, number).select(".cell_input") != []


def test_an_exercise_gets_a_field_for_each_answer(page: BeautifulSoup) -> None:
    forms = page.select("#ex-one form.answer")
    assert [form["data-part"] for form in forms] == ["0", "1"]
    assert all(form["data-exercise"] == "ex-one" and form.has_attr("hidden") for form in forms)
    assert forms[0].text.split("\n")[1] == r"Your answer: the mean, \(\mu\)"
    assert "the <variance>" in forms[1].text


@pytest.mark.slow
def test_without_a_machine_there_are_no_fields(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "sphinx_exercise", "book_cells")
    book.page("page", HEADER + CELLS[CELLS.index("```{exercise}") :])
    assert book.build() == (0, "")
    assert "data-exercise" not in (tmp_path / "_build" / "book" / "page.html").read_text()


@pytest.mark.parametrize("path", sorted(BOOK.glob("[01]*.md")), ids=lambda p: p.stem)
def test_each_answer_of_the_book_is_asked_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    answers = re.findall(r'answer\(\s*"(ex-[a-z0-9-]+)"', text)
    asks = book_cells.asked(text)
    assert {label: answers.count(label) for label in answers} == {
        label: len(words) for label, words in asks.items()
    }
