"""Pieces of the generated pages: tables, links, and the order of the book."""

import html
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment

Cell: TypeAlias = str | nodes.Node | Sequence[nodes.Node]


def contents(file: Path) -> Any:
    """What a YAML file holds; not to be changed, as it is read but once."""
    return _contents(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _contents(file: Path, modified: int) -> Any:
    # the same language in C, ten times as fast, where PyYAML was built with it
    return yaml.load(
        file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )


def cell_nodes(cell: Cell) -> list[nodes.Node]:
    """What stands in a cell: words, one node or several."""
    if isinstance(cell, str):
        return [nodes.Text(cell)]
    return [cell] if isinstance(cell, nodes.Node) else list(cell)


# A mark at the end of a part of a displayed formula: MathJax would break the line before it.
MARK = re.compile(r"(?<=\s)(?=[.,]\s*(?:\\\\|\\end\{|\\\]|\\qquad))")


def with_marks(latex: str) -> str:
    r"""A displayed formula, whose full stops and commas stay with what is before them."""
    return MARK.sub(r"\\nobreak ", latex)


def set_alone(latex: str) -> nodes.Node:
    """A formula on a line of its own that is none of the page's displayed equations."""
    plain = " ".join(latex.split()).rstrip(" .,").replace(r" . \end{aligned}", r" \end{aligned}")
    text = (
        f'<span class="math notranslate nohighlight">\\[{html.escape(with_marks(plain))}\\]</span>'
    )
    return nodes.raw("", text, format="html")


def row(cells: Sequence[Cell], row_id: str = "") -> nodes.row:
    """One row, with an anchor if it has an id."""
    entries = [nodes.entry("", nodes.paragraph("", "", *cell_nodes(cell))) for cell in cells]
    return nodes.row("", *entries, ids=[row_id] if row_id else [])


def table(header: Sequence[Cell], rows: Sequence[nodes.row], *classes: str) -> nodes.table:
    """A table with columns as wide as they need to be."""
    columns = [nodes.colspec(colwidth=100 // len(header)) for _ in header]
    head, body = nodes.thead("", row(header)), nodes.tbody("", *rows)
    group = nodes.tgroup("", *columns, head, body, cols=len(header))
    return nodes.table("", group, classes=["colwidths-auto", *classes])


def _reference(domain: str, role: str, target: str, page: str) -> addnodes.pending_xref:
    mark = nodes.literal() if role == "eq" else nodes.inline()
    return addnodes.pending_xref(
        "",
        mark,
        refdomain=domain,
        reftype=role,
        reftarget=target,
        refdoc=page,
        refexplicit=False,
        refwarn=True,
    )


def equation_link(label: str, page: str) -> addnodes.pending_xref:
    """A link from a page to an equation, which Sphinx turns into its number."""
    return _reference("math", "eq", label, page)


def page_link(target: str, page: str) -> addnodes.pending_xref:
    """A link from a page to another page, under that one's title."""
    return _reference("std", "doc", f"/{target}", page)


def reading_order(env: BuildEnvironment) -> Iterator[str]:
    """All pages as the table of contents has them."""
    waiting = [env.config.root_doc]
    while waiting:
        page = waiting.pop(0)
        yield page
        waiting = [*env.toctree_includes.get(page, []), *waiting]
