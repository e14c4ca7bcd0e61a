"""Figures and exercises of chapter 0 are called 0.1, 0.2, ...: Sphinx begins to count at 1.

The pages of chapter 0 have no numbers of their own, and Sphinx would give their figures plain ones
that go on from those of the front page.
"""

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from book_tables import reading_order
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def is_way_in(page: str) -> bool:
    """Whether a page belongs to chapter 0."""
    return PurePosixPath(page).name.startswith("00_")


def count_from_zero(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Numbers what stands in chapter 0, page after page; says which pages it has changed."""
    counts: Counter[str] = Counter()
    pages = [page for page in reading_order(env) if is_way_in(page)]
    for page in pages:
        for kind, numbered in env.toc_fignumbers.get(page, {}).items():
            for label in numbered:
                counts[kind] += 1
                numbered[label] = (0, counts[kind])
    return pages if counts else []


def setup(app: Sphinx) -> dict[str, Any]:
    """Runs after Sphinx itself has counted."""
    app.connect("env-get-updated", count_from_zero, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
