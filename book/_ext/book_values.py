"""The role `value`: a number of a measured file, put into the text while the book is built.

What stands in it is described in ddpm_lite.measured; the files are those of ddpm_lite/assets and
book/data.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from ddpm_lite.measured import ASSETS, number, path_of

logger = logging.getLogger(__name__)


class Value(SphinxRole):
    """A number, or a warning with page and line where there is none."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The number as text."""
        folders = (ASSETS, Path(self.env.srcdir) / "book" / "data")
        try:
            shown = number(self.text, folders)
        except ValueError as error:
            logger.warning("%s", error, location=self.get_location(), type="value")
            return [nodes.literal(self.rawtext, self.text)], []
        self.env.note_dependency(str(path_of(self.text, folders)))
        return [nodes.inline(self.rawtext, shown, classes=["book-value"])], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the role."""
    app.add_role("value", Value())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
