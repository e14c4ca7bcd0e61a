"""The model's file in the built site: written once, after good builds to HTML, never in the way."""

import os
from pathlib import Path
from types import SimpleNamespace

import book_model
import pytest
from small import coloured_model
from small_book import SmallBook

from ddpm_lite.export import ExportError
from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import model_file


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where files have been exported to; the export itself takes long and has tests of its own."""
    done: list[Path] = []

    def export(model: object, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"onnx")
        done.append(path)
        return 4

    monkeypatch.setattr("ddpm_lite.export.export", export)
    return done


def finish(outdir: Path, form: str = "html", error: Exception | None = None) -> None:
    app = SimpleNamespace(builder=SimpleNamespace(format=form), outdir=str(outdir))
    book_model.write_models(app, error)


def test_each_is_written_once_and_again_when_its_weights_are_newer(
    exports: list[Path], tmp_path: Path
) -> None:
    paths = [tmp_path / "_static" / model_file(name) for name in MODELS]
    finish(tmp_path)
    finish(tmp_path)
    assert exports == paths
    os.utime(paths[0], (0, 0))
    finish(tmp_path)
    assert exports == [*paths, paths[0]]
    assert paths[0].stat().st_mtime > 0


def test_other_builds_and_failed_ones_get_no_model(exports: list[Path], tmp_path: Path) -> None:
    finish(tmp_path, form="gettext")
    finish(tmp_path, error=ValueError("a page is wrong"))
    assert exports == []


def test_without_the_exporter_the_build_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(model: object, path: Path) -> int:
        raise ExportError("export needs the package onnx")

    monkeypatch.setattr("ddpm_lite.export.export", refuse)
    finish(tmp_path)
    assert not list(tmp_path.iterdir())


MODELS_ARE = """
from pathlib import Path
from ddpm_lite.shipped import MODELS
MODELS.clear()
MODELS["colours"] = Path({path!r})
"""


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["no such file", "damaged"])
def test_weights_that_cannot_be_read_fail_the_build_in_one_line(fault: str, tmp_path: Path) -> None:
    """Also where the file of an earlier build is there, which is all that a page needs."""
    earlier = tmp_path / "_build" / "_static" / model_file("colours")
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"onnx")
    path = tmp_path / "colours.safetensors"
    if fault == "damaged":
        coloured_model(path)
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(earlier, (0, 0))
    book = SmallBook(tmp_path, "book_model")
    with (tmp_path / "conf.py").open("a") as conf:
        conf.write(MODELS_ARE.format(path=str(path)))
    book.page("page", "# A page\n\nText.\n")
    code, messages = book.build()
    assert code != 0
    [line] = [line for line in messages.splitlines() if "colours" in line]
    assert line.startswith(f"the model colours: {path}: ")
    assert fault in line
    assert "Traceback" not in messages
