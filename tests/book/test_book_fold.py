"""Sections for those who want it all are folded, whole, and nothing else is."""

from pathlib import Path

from bs4 import BeautifulSoup
from small_book import HEADER, SmallBook

TEXT = """
First.

## Folded

```{rst-class} more
```
### In it

Deep.

```{rst-class} more
```
## Also folded

Before the cell.

```{code-cell} ipython3
print("ran")
```

### A part of it

$$
1 + 1 = 2
$$ (eq-two)

## Open

After {eq}`eq-two`.
"""


def test_a_marked_section_is_folded_under_its_heading(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_fold")
    book.page("a", HEADER + TEXT)
    assert book.build() == (0, "")
    page = BeautifulSoup((tmp_path / "_build" / "book" / "a.html").read_text(), "html.parser")
    folds = page.select("details.more-section")
    headings = [fold.find_previous_sibling(["h2", "h3"]).get_text() for fold in folds]
    assert [heading.split(". ")[1][:-1] for heading in headings] == ["In it", "Also folded"]
    first, second = (fold.get_text() for fold in folds)
    assert "Deep." in first
    assert "Also folded" not in first
    assert all(part in second for part in ("Before the cell.", "ran", "A part of it", "1 + 1"))
    assert "After" not in second
    assert page.select("details details") == []
