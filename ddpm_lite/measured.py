"""Numbers of the measured files by name, for the text: what is printed is what was measured.

    mnist_evaluation.frechet:.2f
    sampling_quality.quality[sampler=DDIM & steps=20].frechet:.1f
    mnist_metrics.-1.loss:.3f
    coloured_mnist_run.seconds/60:.0f

First the file's name without its ending; then keys of objects, places in lists (from the end where
negative), or conditions that one row of a list fulfils; then, if wanted, one number to multiply by
or to divide by; after the colon a format as Python's `format` takes it.
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
_STEP = re.compile(r"\.(?P<key>-?\w+)|\[(?P<conditions>[^\]]+)\]")
_SPEC = re.compile(
    r"(?P<file>\w+)(?P<path>(?:\.-?\w+|\[[^\]]+\])+)(?:(?P<sign>[*/])(?P<factor>[\d.]+))?:(?P<format>[^:]+)"
)


def number(spec: str, folders: Sequence[Path] = (ASSETS,)) -> str:
    """The number that `spec` names, formatted. Raises ValueError, in one line, if there is none."""
    match = _SPEC.fullmatch(spec.strip())
    if match is None:
        raise ValueError(f"{spec!r} is not file.path:format")
    value: Any = _content(_file(match["file"], folders))
    for step in _STEP.finditer(match["path"]):
        value = _row(value, step["conditions"]) if step["conditions"] else _at(value, step["key"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{spec!r} is no number but {type(value).__name__}")
    if match["sign"]:
        factor = float(match["factor"])
        value = value * factor if match["sign"] == "*" else value / factor
    try:
        shown = format(value, match["format"])
    except ValueError as error:
        raise ValueError(f"{spec!r}: {error}") from None
    if not shown.strip("-0.%"):  # what is rounded to zero has no sign
        shown = shown.lstrip("-")
    return shown.replace("-", "\N{MINUS SIGN}", 1) if shown.startswith("-") else shown


def path_of(spec: str, folders: Sequence[Path] = (ASSETS,)) -> Path:
    """The file that a spec reads. Raises ValueError if there is none."""
    return _file(spec.strip().partition(".")[0], folders)


def _file(name: str, folders: Sequence[Path]) -> Path:
    for folder in folders:
        for path in (folder / f"{name}.json", folder / f"{name}.jsonl"):
            if path.is_file():
                return path
    raise ValueError(f"there is no measured file {name!r}")


def _content(path: Path) -> Any:
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _parsed(path: Path, modified: int) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def _at(value: Any, key: str) -> Any:
    try:
        return value[int(key)] if isinstance(value, list) else value[key]
    except (KeyError, IndexError, TypeError, ValueError):
        known = ", ".join(value) if isinstance(value, dict) else f"{type(value).__name__}"
        raise ValueError(f"there is no {key!r} in: {known}") from None


def _row(value: Any, conditions: str) -> Any:
    """The one row of a list that has all the values named."""
    wanted = [part.strip().partition("=")[::2] for part in conditions.split("&")]
    rows = [r for r in value if isinstance(r, dict)] if isinstance(value, list) else []
    found = [row for row in rows if all(_is(row.get(key), text) for key, text in wanted)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows have {conditions}")
    return found[0]


def _is(value: Any, text: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return str(value) == text
