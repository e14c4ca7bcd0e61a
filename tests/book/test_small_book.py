"""The throw-away books themselves: what they take for a fault, and what not."""

from pathlib import Path

import pytest
from small_book import SmallBook

NOISE = """
import atexit, os
atexit.register(os.write, 2, b"Assertion failed: pfd.revents & POLLIN (src/signaler.cpp:238)\\n")
"""


@pytest.mark.slow
def test_a_warning_fails_a_build_and_what_a_kernel_says_at_its_end_does_not(tmp_path: Path) -> None:
    book = SmallBook(tmp_path)
    with (tmp_path / "conf.py").open("a") as conf:
        conf.write(NOISE)
    book.page("page", "# A page\n\nText.\n")
    assert book.build() == (0, "")
    book.page("other", "# A page\n\n{ref}`nowhere`\n")
    code, messages = book.build()
    assert code != 0
    assert "other.md:3: WARNING: undefined label: 'nowhere'" in messages
    assert "Assertion failed" in messages
