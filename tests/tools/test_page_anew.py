"""One page anew: which it is, and when its cells run again."""

import os
from pathlib import Path

import colab
import page as page_tool
import pytest
import run_chapters
from test_run_chapters import PAGE

PROSE, FORMULA, CELL = "# A page", "a = b", "import os"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only page of a book that has been built."""
    monkeypatch.setattr(colab, "BOOK", tmp_path / "book")
    for module in (run_chapters, page_tool):
        monkeypatch.setattr(module, "BUILD", tmp_path / "_build")
    (tmp_path / "book").mkdir()
    (tmp_path / "_build" / "html" / "book").mkdir(parents=True)
    made = tmp_path / "book" / "01_small.md"
    made.write_text(PAGE)
    return made


@pytest.fixture
def done(page: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tool does, in order, in the place of doing it."""
    did: list[str] = []

    def again(page: Path) -> None:
        did.append("cells")
        note(page)

    def build(*args: object, **how: object) -> object:
        did.append("Sphinx")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(page_tool, "run_again", again)
    monkeypatch.setattr(page_tool.subprocess, "run", build)
    return did


def note(page: Path) -> None:
    """Say that it has run as it is now."""
    run_chapters.note(page)


@pytest.mark.parametrize(
    ("old", "new", "did"),
    [
        (PROSE, "# Another title", ["Sphinx"]),
        (FORMULA, "a = c", ["cells", "Sphinx"]),
        (CELL, "import sys, os", ["cells", "Sphinx"]),
        ("% cited", "% derived", ["cells", "Sphinx"]),
    ],
)
def test_cells_run_again_where_they_or_a_formula_changed(
    page: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, old: str, new: str, did: list[str]
) -> None:
    note(page)
    assert PAGE.count(old) == 1
    page.write_text(PAGE.replace(old, new))
    monkeypatch.setattr("sys.argv", ["page.py", "01"])
    assert page_tool.main() == 0
    assert done == did
    done.clear()
    assert page_tool.main() == 0
    assert done == ["Sphinx"]


def test_another_package_makes_them_run_again(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colab, "ROOT", tmp_path)
    (tmp_path / "ddpm_lite").mkdir()
    (tmp_path / "ddpm_lite" / "a.py").write_text("x = 1\n")
    note(page)
    assert run_chapters.ran(page)
    (tmp_path / "ddpm_lite" / "a.py").write_text("x = 2\n")
    assert not run_chapters.ran(page)


@pytest.mark.parametrize("name", ["", "0", "13"])
def test_a_page_is_named_clearly(
    page: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    page.with_name("02_other.md").write_text(PAGE)
    monkeypatch.setattr("sys.argv", ["page.py", name])
    assert page_tool.main() == 2
    assert done == []


def test_a_book_that_is_not_built_is_built_first(
    page: Path, done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (page.parents[1] / "_build" / "html" / "book").rmdir()
    monkeypatch.setattr("sys.argv", ["page.py", "01"])
    assert page_tool.main() == 2
    assert "`make book`" in capsys.readouterr().err
    assert done == []


def test_a_page_whose_cells_ran_again_is_read_again(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sphinx reads a page when it is newer than before, whatever its outputs are."""
    os.utime(page, (0, 0))
    monkeypatch.setattr(run_chapters, "install", lambda folder: None)
    monkeypatch.setattr(run_chapters, "run", lambda page, package: (None, 1.0))
    monkeypatch.setattr(run_chapters, "keep", lambda page, notebook, seconds: None)
    page_tool.run_again(page)
    assert page.stat().st_mtime > 0
