"""One page of a built book anew, by `tools/page.py`: pages that tell of it are left as they are.

The ledger, the map, the errata and others are read again whenever any page changes, which a whole
build does in any case. A change of prose is looked at sooner without.
"""

import os
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ONE_PAGE = "DDPM_LITE_ONE_PAGE"
"""The variable with the name of the page, as Sphinx knows it; without it all are read."""


def choose(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Leaves that page alone in the list of those to be read."""
    pages[:] = [page for page in pages if page == os.environ[ONE_PAGE]]


def setup(app: Sphinx) -> dict[str, Any]:
    """Runs before anything is read, where one page is wanted."""
    if ONE_PAGE in os.environ:
        app.connect("env-before-read-docs", choose, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
