"""What lets the built site do without a server: files as scripts, and one zip."""

import base64
import json
import re
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import book_offline

from ddpm_lite.widgets.files import model_file


def finish(outdir: Path, form: str = "html", error: Exception | None = None) -> None:
    app = SimpleNamespace(builder=SimpleNamespace(format=form), outdir=str(outdir))
    book_offline.write(app, error)


def test_a_wrapped_file_holds_the_same_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5
    (tmp_path / "some.wasm").write_bytes(data)
    book_offline.wrap(tmp_path, "some.wasm")
    script = (tmp_path / "some.wasm.js").read_text()
    found = re.fullmatch(r'\(globalThis\.bookFiles \?\?= \{\}\)\[(".*")\] = "(.*)";\n', script)
    assert found is not None
    assert json.loads(found[1]) == "some.wasm"
    assert base64.b64decode(found[2]) == data


FOLDED = '<p>hello<details class="proof-code"></details><details class="more-section">'


def test_the_zip_holds_the_site_in_one_folder_and_not_itself(tmp_path: Path) -> None:
    model = tmp_path / "_static" / model_file("mnist")
    model.parent.mkdir(parents=True)
    model.write_bytes(b"onnx")
    (tmp_path / "index.html").write_text(FOLDED)
    finish(tmp_path)
    finish(tmp_path)
    with ZipFile(tmp_path / book_offline.ARCHIVE) as packed:
        files = [
            f"_static/{model_file('mnist')}",
            f"_static/{model_file('mnist')}.js",
            "index.html",
        ]
        assert packed.namelist() == [f"ddpm-lite-book/{name}" for name in files]
        page = packed.read("ddpm-lite-book/index.html").decode()
    assert page.count("<details") == page.count(" open>") == 2
    assert "open" not in (tmp_path / "index.html").read_text()


def test_the_zip_has_the_proof_machine_as_scripts_only(tmp_path: Path) -> None:
    pages = tmp_path / "_static" / "machine" / "pages"
    pages.mkdir(parents=True)
    (pages / "01_a.md").write_text("$x$")
    (pages.parent / "engine.zip").write_bytes(b"PK")
    (pages.parent / "NOTICE.txt").write_text("by others")
    (tmp_path / "_static" / "machine_worker.js").write_text("say()")
    finish(tmp_path)
    finish(tmp_path)
    assert sorted(p.name for p in pages.iterdir()) == ["01_a.md", "01_a.md.js"]
    assert '["machine/pages/01_a.md"]' in (pages / "01_a.md.js").read_text()
    with ZipFile(tmp_path / book_offline.ARCHIVE) as packed:
        assert packed.namelist() == [
            f"ddpm-lite-book/_static/{name}"
            for name in (
                *("machine/NOTICE.txt", "machine/engine.zip.js", "machine/pages/01_a.md.js"),
                *("machine_worker.js", "machine_worker.js.js"),
            )
        ]


def test_other_builds_and_failed_ones_get_none(tmp_path: Path) -> None:
    finish(tmp_path, form="gettext")
    finish(tmp_path, error=ValueError("a page is wrong"))
    assert not list(tmp_path.iterdir())
