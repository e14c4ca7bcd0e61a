"""Measurements that take hours are kept as they come, so that a run that is stopped goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
UNDER_WAY = ROOT / "runs" / "bench"
"""Where measurements lie, also those that are not over."""
RESULTS = ROOT / "benchmarks" / "results"
"""Where those are copied that are: the tables are made of these."""


def begin(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is in the file, or a new record of `about`.

    Raises SystemExit if the file is of something else, as another machine or another version of a
    peer: its numbers would be mixed with those to come.
    """
    if not path.is_file():
        return dict(about)
    told: dict[str, Any] = json.loads(path.read_text())
    other = [name for name, value in about.items() if told.get(name) != value]
    if other:
        raise SystemExit(f"{path} was begun with another {', '.join(other)}: remove it first")
    return told


def keep(path: Path, told: Mapping[str, Any]) -> None:
    """Writes the file; a stop in the middle leaves the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(told, indent=1) + "\n")
    part.replace(path)
