"""Pages run at the same time, away from the checkout, and Jupyter Book finds what they show."""

from pathlib import Path

import colab
import pytest
import run_chapters
from jupyter_cache import get_cache
from myst_nb.core.read import myst_nb_reader_plugin
from nbclient.exceptions import CellExecutionError

PAGE = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page

% cited
$$
a = b
$$ (eq-a)

```{code-cell} ipython3
# use_page("01_small.md")
import os
from pathlib import Path
import ddpm_lite

print(sorted(path.name for path in Path().iterdir()), os.environ["DDPM_LITE_PAGES"])
print(ddpm_lite.__file__, open("01_small.md").read().count("eq-a"))
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only page of a book, and a package for it."""
    monkeypatch.setattr(colab, "BOOK", tmp_path / "book")
    monkeypatch.setattr(run_chapters, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(run_chapters, "install", write_package)
    write_package(tmp_path / "package")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "text_only.md").write_text("# No cells\n")
    made = tmp_path / "book" / "01_small.md"
    made.write_text(PAGE)
    return made


def write_package(folder: Path) -> None:
    (folder / "ddpm_lite").mkdir(parents=True)
    (folder / "ddpm_lite" / "__init__.py").touch()


def test_a_page_runs_with_its_own_files_and_the_installed_package(page: Path) -> None:
    package = page.parents[1] / "package"
    notebook, seconds = run_chapters.run(page, package)
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (shown,) = cell.outputs
    assert shown.text.splitlines() == [
        "['01_small.md'] 1",
        f"{package}/ddpm_lite/__init__.py 1",
    ]
    assert seconds > 0


def test_what_a_page_shows_is_found_in_the_cache(page: Path) -> None:
    assert run_chapters.main() == 0
    cache = get_cache(run_chapters.BUILD / ".jupyter_cache")
    _, merged = cache.merge_match_into_notebook(myst_nb_reader_plugin(str(page)))
    assert "['01_small.md']" in merged.cells[-1].outputs[0].text


def test_a_cell_that_fails_ends_the_run(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.write_text(PAGE.replace("import ddpm_lite", "1 / 0"))
    with pytest.raises(CellExecutionError):
        list(run_chapters.run_all([page], page.parents[1] / "package"))
    assert run_chapters.main() == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_longest_page_begins_first() -> None:
    names = [page.stem for page in run_chapters.pages()]
    assert names[0] == run_chapters.LONGEST
    assert {page.stem for page in colab.chapters()} < set(names)
