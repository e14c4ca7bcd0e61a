"""With one page wanted, no other is read again."""

import os
from pathlib import Path

import pytest
from book_one_page import ONE_PAGE
from small_book import HEADER, SmallBook


@pytest.mark.slow
def test_only_the_page_that_is_wanted_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = SmallBook(tmp_path, "book_one_page")
    for name in "ab":
        book.page(name, f"{HEADER}\nOld {name}.\n")
    assert book.build() == (0, "")
    for name in "ab":
        book.page(name, f"{HEADER}\nNew {name}.\n")
        later = (tmp_path / "_build" / "book" / f"{name}.html").stat().st_mtime + 5
        os.utime(tmp_path / "book" / f"{name}.md", (later, later))

    def shown(name: str) -> bool:
        return "New" in book.built(name)

    monkeypatch.setenv(ONE_PAGE, "book/b")
    assert book.build() == (0, "")
    assert (shown("a"), shown("b")) == (False, True)
    monkeypatch.delenv(ONE_PAGE)
    assert book.build() == (0, "")
    assert (shown("a"), shown("b")) == (True, True)
