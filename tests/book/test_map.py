"""The map of proof: which lines are drawn, and what stands on the page without scripts."""

import json
import random
import re
from itertools import combinations
from pathlib import Path

import pytest
from book_map import Formula, closure, needed
from bs4 import BeautifulSoup
from small_book import HEADER, SmallBook


def formula(label: str, *ground: str) -> Formula:
    return Formula(label, "page", "derived", "proved", "algebra", "x", ground)


def reached(ground: dict[str, set[str]], start: str) -> set[str]:
    """All below a formula, by matrix powers in place of a walk: n rounds of one step."""
    known = set(ground[start])
    for _ in ground:
        known |= {two for one in known for two in ground[one]}
    return known


def test_all_that_a_formula_rests_on() -> None:
    dice = random.Random(0)
    names = [f"eq-{n}" for n in range(12)]
    ground: dict[str, set[str]] = {name: set() for name in names}
    for low, high in combinations(names, 2):
        if dice.random() < 0.2:
            ground[high].add(low)
    assert closure(ground) == {name: reached(ground, name) for name in names}


def test_a_line_that_a_way_over_another_says_is_not_drawn() -> None:
    found = [formula("a"), formula("b", "a"), formula("c", "a", "b"), formula("d", "a", "c")]
    assert needed(found) == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}


def test_what_is_drawn_reaches_as_far_as_what_was_measured() -> None:
    dice = random.Random(1)
    names = [f"eq-{n:02}" for n in range(15)]
    found = [
        formula(name, *(low for low in names[:n] if dice.random() < 0.3))
        for n, name in enumerate(names)
    ]
    drawn = {label: set(lines) for label, lines in needed(found).items()}
    assert closure(drawn) == closure({one.label: set(one.rests_on) for one in found})
    assert sum(map(len, drawn.values())) < sum(len(one.rests_on) for one in found)


PAGE = f"""{HEADER}
% definition
$$
\\alpha_t = 1 - \\beta_t
$$ (eq-a)

% derived
$$
\\beta_t = 1 - \\alpha_t .
$$ (eq-b)

```{{code-cell}} ipython3
from sympy import solve
from ddpm_lite.symbolic import check, definition, symbols, use_page
use_page("page.md")
beta = symbols("\\\\beta_t")[0]
claim = definition("eq-a")[0]
check("eq-b", solve(claim.lhs - claim.rhs, beta)[0], method="solved </script>")
```
"""
RUN = {"mutants": 1, "caught": 1, "rests_on": {"eq-b": ["eq-a"]}}


@pytest.mark.slow
def test_the_page_holds_the_map_in_words_and_as_data(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_map")
    book.page("page", PAGE)
    book.page("map", "# Map\n\n```{proof-map}\neq-b: What is below?\n```\n")
    (book.root / "book" / "mutants.json").write_text(json.dumps(RUN))
    code, messages = book.build()
    assert (code, messages.strip()) == (0, "")
    page = BeautifulSoup(book.built("map"), "html.parser")
    assert "2 displayed formulas, and 1 times one rests on another" in page.text
    assert [link["href"] for link in page.select(".book-map-questions a")] == ["#eq-b"]
    items = {item["id"]: item for item in page.select(".book-map-list li")}
    assert list(items) == ["eq-a", "eq-b"]
    assert re.sub(r"\s+", " ", items["eq-b"].text).strip() == "(1.2) rests on (1.1)"
    assert items["eq-b"].find("a")["href"] == "page.html#equation-eq-b"
    data = json.loads(page.select_one("#book-map-data").text)
    assert data["eq-b"]["restsOn"] == data["eq-b"]["drawn"] == ["eq-a"]
    assert data["eq-b"]["method"] == "solved </script>"
    assert data["eq-a"]["latex"].strip() == r"\alpha_t = 1 - \beta_t"

    book.page("map", "# Map\n\n```{proof-map}\neq-c: What is below?\n```\n")
    code, messages = book.build()
    assert code != 0
    assert "the map asks for eq-c, which no page has" in messages
