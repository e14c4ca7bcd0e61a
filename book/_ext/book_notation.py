"""The directive `notation-table`: the symbols that the reader of the pages knows, and no others."""

from typing import Any

from book_tables import page_link, row, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ddpm_lite.symbolic.notation import TABLE, Entry


class NotationTable(SphinxDirective):
    """One row for each symbol: how it looks, what it means, where it is first used."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        entries = sorted(TABLE.values(), key=lambda entry: entry.chapter)
        return [table(["Symbol", "Meaning", "First used in"], [self.row(e) for e in entries])]

    def row(self, entry: Entry) -> nodes.row:
        """The row of one symbol."""
        meaning, _ = self.state.inline_text(entry.meaning, self.lineno)
        return row([nodes.math(entry.shown, entry.shown), meaning, self.chapter(entry.chapter)])

    def chapter(self, number: int) -> nodes.Node:
        """A link to a chapter, or its number as long as it is not written."""
        prefix = f"book/{number:02d}_"
        pages = [name for name in self.env.found_docs if name.startswith(prefix)]
        return page_link(pages[0], self.env.docname) if pages else nodes.Text(f"chapter {number}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.add_directive("notation-table", NotationTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
