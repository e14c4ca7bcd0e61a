"""What stands in chapter 0 is called 0.1, 0.2, ...; other pages keep their numbers."""

import re
from pathlib import Path

from small_book import SmallBook

EXERCISE = "```{{exercise}}\n:label: ex-{0}\n\nOne.\n```\n\n"


def test_the_pages_of_chapter_0_are_counted_through(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "sphinx_exercise", "book_numbers")
    first, second, third, other = (EXERCISE.format(word) for word in ("a", "b", "c", "d"))
    book.page("00_1_one", f"# One\n\n{first}{second}")
    book.page("00_2_two", f"# Two\n\n{third}")
    book.page("01_three", f"# Three\n\n{other}")
    assert book.build() == (0, "")
    names = ("00_1_one", "00_2_two", "01_three")
    shown = [re.findall(r"Exercise ([\d.]+)", book.built(name)) for name in names]
    assert shown == [["0.1", "0.2"], ["0.3"], ["3.1"]]
