"""The machine says in Pyodide what it says in CPython: of the whole book, and of slips in it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import book_machine
import pytest
import verdicts

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "_build" / "html" / "_static" / "machine"
PARTS = 2
SLIPS = 40
"""In each part."""


def in_pyodide(part: int) -> dict[str, Any]:
    """What Pyodide says under Node, from the files of the built site, of a part of the book."""
    if not (MACHINE / "machine.json").exists():
        pytest.skip("the book is not built with its proof machine; `make book` builds it")
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    script = Path(__file__).with_name("run_all.mjs")
    command = [node, *map(str, (script, MACHINE, SLIPS, part, PARTS))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_pyodide_says_what_cpython_says_and_that_is_right(part: int) -> None:
    """The whole book in two parts, for two processes: in Pyodide it takes minutes."""
    said = in_pyodide(part)
    chapters = sorted(book_machine.chapters(ROOT / "book").items())[part::PARTS]
    here = verdicts.verdicts(dict(chapters), SLIPS, part, PARTS, tell=lambda line: None)
    for kind in ("equations", "answers", "slips", "hostile", "untrue"):
        assert said[kind] == here[kind], kind
    assert set(said["equations"].values()) <= {"equal", "compared"}
    assert "equal" not in said["untrue"].values()
    right = [v for label, v in said["answers"].items() if not label.endswith(" wrong")]
    assert set(right) == {"equal"}
    wrong = [v for label, v in said["answers"].items() if label.endswith(" wrong")]
    assert wrong
    assert "equal" not in wrong
    passed = [slip for slip, v in said["slips"].items() if v in ("equal", "compared")]
    assert len(passed) <= 0.02 * SLIPS, passed  # a few say the same as the original
    assert said["loaded"] == []  # of torch, numpy, IPython, PIL
