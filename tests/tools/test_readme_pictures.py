"""The pictures of the README are made by a command, and are those of what they show today."""

import re
import shutil
from pathlib import Path

import pictures
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources of the book in a folder of their own."""
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("colab"))
    return tmp_path


def test_no_picture_is_older_than_what_it_shows() -> None:
    assert pictures.stale() == [], "run `make pictures`"


def test_all_pictures_of_the_readme_are_made_by_the_command() -> None:
    named = re.findall(r"!\[[^\]]*\]\(docs/([^)]*)\)", (ROOT / "README.md").read_text())
    assert sorted(named) == sorted(pictures.MAKERS)
    kept = {path.name for path in pictures.DOCS.iterdir() if path.suffix == ".png"}
    assert kept == set(pictures.MAKERS)


def test_a_change_that_can_be_seen_makes_the_page_old(copy: Path) -> None:
    before, page = pictures.shows(copy)["page.png"], copy / "book" / f"{pictures.PAGE}.md"
    text = page.read_text()
    page.write_text(text.replace("\n## The idea", "\n## An idea", 1))
    assert pictures.shows(copy)["page.png"] != before
    page.write_text(text)
    other = copy / "book" / "12_other_clocks.md"
    other.write_text(re.sub(r"^# .*$", "# Another title", other.read_text(), count=1, flags=re.M))
    assert pictures.shows(copy)["page.png"] != before


def test_a_change_far_below_does_not(copy: Path) -> None:
    before, page = pictures.shows(copy)["page.png"], copy / "book" / f"{pictures.PAGE}.md"
    page.write_text(page.read_text() + "\nOne more sentence.\n")
    assert pictures.shows(copy)["page.png"] == before


def test_parts_of_a_digest_do_not_run_together() -> None:
    assert pictures.digest(b"ab", b"c") != pictures.digest(b"a", b"bc")
