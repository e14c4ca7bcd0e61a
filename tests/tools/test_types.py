"""Everything is typed. A test, because it keeps one process busy for half a minute."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_everything_is_typed() -> None:
    words = [sys.executable, "-m", "mypy"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
