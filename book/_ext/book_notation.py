"""The directive `notation-table`: the symbols that the reader of the pages knows, and no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from book_tables import page_link, row, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from ddpm_lite.symbolic.notation import TABLE, Entry
from ddpm_lite.symbolic.page import equations_of
from ddpm_lite.symbolic.tokens import Tokens

logger = logging.getLogger(__name__)


def symbols_of(text: str) -> set[str]:
    """The symbols of the table that stand in a page's displayed equations."""
    lexer = Tokens(None)
    return {str(word) for e in equations_of(text) for word in lexer.lex(e.latex)} & TABLE.keys()


class NotationTable(SphinxDirective):
    """One row for each symbol: how it looks, what it means, which chapter has a formula first."""

    def run(self) -> list[nodes.Node]:
        """The table, in the order of the chapters."""
        first: dict[str, str] = {}
        for page, text in self.chapters():
            first = dict.fromkeys(symbols_of(text), page) | first
        for symbol in TABLE.keys() - first.keys():
            logger.warning("no formula of the book has the symbol %s", symbol)
        known = [entry for entry in TABLE.values() if entry.latex in first]
        known.sort(key=lambda entry: first[entry.latex])
        rows = [self.row(entry, first[entry.latex]) for entry in known]
        return [table(["Symbol", "Meaning", "First in a formula of"], rows)]

    def chapters(self) -> Iterator[tuple[str, str]]:
        """Name and source of each numbered chapter, in order."""
        for page in sorted(self.env.found_docs):
            if re.search(r"(^|/)\d", page):
                path = self.env.doc2path(page)
                self.env.note_dependency(str(path))
                yield page, Path(path).read_text(encoding="utf-8")

    def row(self, entry: Entry, page: str) -> nodes.row:
        """The row of one symbol."""
        meaning, _ = self.state.inline_text(entry.meaning, self.lineno)
        link = page_link(page, self.env.docname)
        return row([nodes.math(entry.shown, entry.shown), meaning, link])


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.add_directive("notation-table", NotationTable)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
