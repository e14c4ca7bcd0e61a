"""The machine's files in the built site: compiled when something changes, or done without."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import book_machine
import pytest
from docutils.nodes import document

from ddpm_lite.symbolic import service

ROOT = Path(__file__).parents[2]


class Node:
    """Writes byte code beside each source, as Pyodide's Python would."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, arguments: list[str], **settings: Any) -> None:
        script, pyodide, folder = map(Path, arguments)
        assert script.is_file()
        assert (pyodide / "pyodide.mjs").is_file()
        assert settings["timeout"] == book_machine.SECONDS
        self.calls += 1
        for path in folder.rglob("*.py"):
            path.with_suffix(".pyc").write_bytes(b"code of " + path.read_bytes())


def fails(error: Exception) -> Callable[..., None]:
    def node(*args: Any, **settings: Any) -> None:
        raise error

    return node


def use(monkeypatch: pytest.MonkeyPatch, *nodes: Callable[..., object]) -> None:
    monkeypatch.setattr(book_machine, "node_programs", lambda: iter(nodes))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small book with a package and one library, where npm has been."""
    monkeypatch.setattr(book_machine, "LIBRARIES", ("lark",))
    pyodide = tmp_path / "_build" / "vendor" / "node_modules" / "pyodide"
    pyodide.mkdir(parents=True)
    for name in book_machine.CORE:
        (pyodide / name).write_text(name)
    (pyodide / "package.json").write_text('{"version": "1.2.3"}')
    with ZipFile(pyodide / book_machine.STANDARD, "w") as packed:
        packed.writestr("json/__init__.py", "of json")
    lock = {"info": {"python": "3.14"}, "packages": {"numpy": {}}}
    (pyodide / book_machine.LOCK).write_text(json.dumps(lock))
    symbolic = tmp_path / "ddpm_lite" / "symbolic"
    symbolic.mkdir(parents=True)
    for path in (symbolic.parent / "__init__.py", symbolic / "reader.py", symbolic / "a.lark"):
        path.write_text(path.name)
    (symbolic.parent / "unet.py").write_text("import torch")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "01_chapter.md").write_text('use_page("01_chapter.md")')
    (tmp_path / "book" / "index.md").write_text("# A book")
    return tmp_path


def target(project: Path) -> Path:
    return project / "_build" / "html" / "_static" / "machine"


def app_of(project: Path, form: str = "html") -> Any:
    """What Sphinx hands over."""
    scripts: list[str] = []
    return SimpleNamespace(
        builder=SimpleNamespace(format=form),
        srcdir=str(project),
        outdir=str(project / "_build" / "html"),
        add_js_file=lambda name, **options: scripts.append(name),
        scripts=scripts,
    )


def bring(project: Path, form: str = "html") -> Any:
    app = app_of(project, form)
    book_machine.bring(app)
    return app


def names(path: Path) -> set[str]:
    with ZipFile(path) as packed:
        return set(packed.namelist())


def test_all_that_the_browser_needs_is_there(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    use(monkeypatch, Node())
    bring(project)
    folder = target(project)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert found == {
        *book_machine.CORE, book_machine.LOCK, *book_machine.ZIPS, "machine.json", "NOTICE.txt",
        "commands.js", "pages/01_chapter.md",
    }  # fmt: skip
    assert names(folder / "engine.zip") == {
        "ddpm_lite/__init__.pyc", "ddpm_lite/symbolic/reader.pyc", "ddpm_lite/symbolic/a.lark",
    }  # fmt: skip
    assert names(folder / book_machine.STANDARD) == {"json/__init__.pyc"}
    contents = json.loads((folder / "machine.json").read_text())
    assert contents["pages"] == ["01_chapter.md"]
    for name, size in contents["bytes"].items():
        assert (folder / name).stat().st_size == size
    assert json.loads((folder / book_machine.LOCK).read_text())["packages"] == {}
    assert "Pyodide 1.2.3" in (folder / "NOTICE.txt").read_text()


def test_the_libraries_come_without_their_tests_and_with_their_licences() -> None:
    files = book_machine.library_files()
    assert {"sympy/__init__.py", "mpmath/__init__.py", "lark/grammars/common.lark"} <= files.keys()
    assert all(path.is_file() for path in files.values())
    assert not any("/tests/" in place or "__pycache__" in place for place in files)
    for library in book_machine.LIBRARIES:
        assert any(place.startswith(library) and "LICENSE" in place for place in files)


def test_what_has_not_changed_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    node = Node()
    use(monkeypatch, node)
    bring(project)
    before = (target(project) / "engine.zip").read_bytes()
    bring(project)
    assert node.calls == 3  # once for each zip
    (project / "ddpm_lite" / "symbolic" / "reader.py").write_text("another reader")
    bring(project)
    assert node.calls == 4  # the engine alone
    assert (target(project) / "engine.zip").read_bytes() != before
    assert len(list((project / "_build" / "vendor" / "machine").iterdir())) == 3


def test_the_same_files_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path
) -> None:
    use(monkeypatch, Node())
    kept = []
    for name in "ab":
        book_machine.kept_zip(
            "engine.zip", "key", lambda: {"a.py": b"a", "b/c.lark": b"c", "b/a.py": b"d"},
            project / "_build" / "vendor" / "node_modules" / "pyodide", tmp_path / name,
        )  # fmt: skip
        kept.append((tmp_path / name / "engine-key.zip").read_bytes())
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([], "there is no Node"),
        ([fails(subprocess.TimeoutExpired("node", 1))], "more than 600 seconds"),
        ([fails(OSError("gone"))], "gone"),
        ([fails(subprocess.CalledProcessError(3, "node"))], "failed \\(3\\)"),
    ],
)
def test_the_reason_is_said_and_nothing_half_done_stays(
    monkeypatch: pytest.MonkeyPatch, project: Path, nodes: list[Any], reason: str
) -> None:
    use(monkeypatch, Node())
    bring(project)
    (project / "ddpm_lite" / "symbolic" / "reader.py").write_text("another reader")
    use(monkeypatch, *nodes)
    said: list[str] = []
    monkeypatch.setattr(book_machine.logger, "info", lambda text, *args: said.append(text % args))
    bring(project)
    assert not target(project).exists()
    (line,) = said
    assert re.search(reason, line)
    use(monkeypatch, Node())
    bring(project)
    assert target(project).exists()


def test_the_next_node_stands_in(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    use(monkeypatch, fails(OSError("no such file")), Node())
    bring(project)
    assert target(project).exists()


def test_without_npm_the_build_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, Node())
    bring(tmp_path)
    assert not target(tmp_path).exists()


def test_other_builds_get_no_machine(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    use(monkeypatch, Node())
    bring(project, form="gettext")
    assert not target(project).exists()


def test_the_chapters_with_proofs_are_its_pages() -> None:
    assert len(book_machine.chapters(ROOT / "book")) == 13


def shown(app: Any, page: str) -> str:
    """What is added to a page."""
    context = {"body": ""}
    book_machine.show(app, page, "page.html", context, document(None, None))  # type: ignore[arg-type]
    return context["body"]


CHAPTER = r"""
% definition
$$
\alpha_t
$$ (eq-a)

```{code-cell} ipython3
from ddpm_lite.symbolic import use_page
use_page("01_chapter.md")
```

```{code-cell} ipython3
import torch
```
"""


def test_a_chapter_tells_the_script_what_it_has(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    use(monkeypatch, Node())
    monkeypatch.setattr(service, "_chapters", {})
    (project / "book" / "01_chapter.md").write_text(CHAPTER)
    app = bring(project)
    body = shown(app, "book/01_chapter")
    told = json.loads(body.partition('id="book-machine">')[2].removesuffix("</script>"))
    assert told == {
        "page": "01_chapter.md", "cells": [1], "symbols": [[r"\alpha_{t}", "alpha_t"], ["t", "t"]],
    }  # fmt: skip
    assert 'class="slips"' in body
    assert app.scripts == [book_machine.SCRIPT]
    assert shown(app, "book/index") == ""


def test_a_page_with_a_place_knows_the_chapters(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    use(monkeypatch, Node())
    (project / "book" / "sheet.md").write_text('<div class="book-machine-place sheet"></div>')
    app = bring(project)
    assert '"chapters":["01_chapter.md"]' in shown(app, "book/sheet")
    assert app.scripts == [book_machine.SCRIPT]


def test_where_it_is_missing_each_page_says_why(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    use(monkeypatch)
    app = bring(project)
    body = shown(app, "book/01_chapter")
    assert "there is no Node" in body
    assert body.count("<p") == 1
    assert app.scripts == []
