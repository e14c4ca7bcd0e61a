"""The role `value` puts measured numbers into the text, and tells where there are none."""

import json
import re
from pathlib import Path

import colab
import pytest
from small_book import SmallBook


@pytest.mark.slow
def test_a_measured_number_stands_in_the_text(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_values")
    (tmp_path / "book" / "data").mkdir()
    file = tmp_path / "book" / "data" / "run.json"
    file.write_text(json.dumps({"seconds": 1309}))
    book.page("page", "# A page\n\nIt took {value}`run.seconds/60:.0f` minutes.\n")
    assert book.build() == (0, "")
    assert re.search(r'It took <span class="book-value">22</span> minutes', book.built("page"))
    file.write_text(json.dumps({"seconds": 1500}))  # measured again: the page follows
    assert book.build() == (0, "")
    assert ">25</span> minutes" in book.built("page")


@pytest.mark.slow
def test_the_build_fails_where_there_is_none(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_values")
    book.page("page", "# A page\n\nWords.\n\nIt took {value}`run.seconds:.0f` seconds.\n")
    code, messages = book.build()
    assert code != 0
    assert re.search(r"page\.md:5: WARNING: there is no measured file 'run'", messages)


def test_notebooks_have_the_number() -> None:
    stored = json.loads((colab.BOOK / "data" / "coloured_mnist_run.json").read_text())["seconds"]
    assert colab.plain("{value}`coloured_mnist_run.seconds:.0f` s") == f"{stored:.0f} s"
