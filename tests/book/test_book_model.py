"""The model's file in the built site: written once, after good builds to HTML, never in the way."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import book_model
import pytest

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
    assert paths[0].stat().st_mtime > time.time() - 60


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
