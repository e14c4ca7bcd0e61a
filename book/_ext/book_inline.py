"""Judges the formulas in running text while the book is built; the directive `inline-ledger`.

A formula that cannot be read, a number that is false, a claim that neither follows from its page
nor stands in book/inline.yml, and an entry of that list which no page needs are warnings with page
and line. What the kinds mean stands in ddpm_lite.symbolic.inline.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from book_proofs import is_output
from book_tables import contents, page_link, reading_order, row, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from ddpm_lite.symbolic.inline import INLINE_KINDS, Finding, Listing, dead, findings
from ddpm_lite.symbolic.page import Equation, equations_of
from ddpm_lite.symbolic.prose import one_line

logger = logging.getLogger(__name__)
HEADS = {
    "term": "Claim nothing",
    "numbers": "Numbers, worked out",
    "follows": "Follow from the page",
    "given": "Given in the sentence",
    "notation": "Notation",
    "wrong": "Called wrong",
    "unchecked": "Not checked",
}


def kept(env: BuildEnvironment) -> dict[str, list[Finding]]:
    """The verdicts by page, kept with the environment."""
    found: dict[str, list[Finding]] = env.__dict__.setdefault("book_inline", {})
    return found


def listing(env: BuildEnvironment) -> dict[str, Listing]:
    """The list, by the name of the page; empty where there is none."""
    path = Path(env.srcdir) / "book" / "inline.yml"
    return contents(path) or {} if path.is_file() else {}


def displays(env: BuildEnvironment) -> dict[str, Equation]:
    """The displays of all pages by label."""
    paths = [Path(env.doc2path(name)) for name in sorted(env.found_docs)]
    found = [e for path in paths if path.is_file() for e in _equations(path, path.stat().st_mtime)]
    return {equation.label: equation for equation in found if equation.label}


@lru_cache(maxsize=256)
def _equations(path: Path, modified: float) -> list[Equation]:
    return equations_of(path.read_text(encoding="utf-8"))


# --- The gate ------------------------------------------------------------------------------------


def read(app: Sphinx, doctree: nodes.document) -> None:
    """Judge the formulas of a page, and warn of what is wrong with them."""
    env, page = app.env, app.env.docname
    env.note_dependency(str(Path(env.srcdir) / "book" / "inline.yml"))
    text = Path(env.doc2path(page)).read_text(encoding="utf-8")
    listed = listing(env).get(PurePosixPath(page).name, {})
    try:
        found = kept(env)[page] = findings(text, listed, displays(env))
    except ValueError as error:
        logger.warning("inline.yml: %s", error, location=page, type="inline")
        return
    faults = [(one.line, one.verdict.fault) for one in found if one.verdict.fault]
    faults += [(0, fault) for fault in dead(listed, (one.latex for one in found))]
    faults += [(0, fault) for fault in overlooked(page, doctree, found)]
    for line, fault in dict.fromkeys(faults):
        logger.warning(fault, location=(page, line or None), type="inline")


def overlooked(page: str, doctree: nodes.document, found: Iterable[Finding]) -> Iterator[str]:
    """Formulas of a built chapter that were not found in its source.

    The pages at the back are left out: their directives repeat the chapters, or quote others.
    """
    if not PurePosixPath(page).name[:1].isdigit():
        return
    seen = {one.latex for one in found}
    for node in doctree.findall(nodes.math):
        if not is_output(node) and one_line(node.astext()) not in seen:
            yield f"${node.astext()}$ stands on the page, and was not found in its source"


def unknown_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of pages in the list that the book does not have."""
    names = {PurePosixPath(name).name for name in env.found_docs}
    for name in listing(env).keys() - names:
        logger.warning("inline.yml names the page %s, which does not exist", name, type="inline")


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read anew."""
    kept(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    kept(env).update({name: kept(other)[name] for name in docnames if name in kept(other)})


# --- The ledger ----------------------------------------------------------------------------------


class InlinePlace(nodes.General, nodes.Element):
    """Where the count will stand once all pages are read."""


class InlineLedger(SphinxDirective):
    """Puts a placeholder, and has the page read in each build."""

    def run(self) -> list[nodes.Node]:
        """The placeholder alone."""
        self.env.note_reread()
        return [InlinePlace("", nodes.math())]  # the formula has MathJax loaded on this page


def counts(found: Iterable[Finding]) -> list[str]:
    """How many there are, and how many of each kind."""
    count = Counter(one.verdict.kind for one in found)
    return [f"{count.total():,}", *(f"{count[kind]:,}" for kind in INLINE_KINDS)]


def count_table(env: BuildEnvironment, page: str) -> nodes.table:
    """One row for each page that has formulas, one for all."""
    names = [name for name in reading_order(env) if kept(env).get(name)]
    rows = [row([[page_link(name, page)], *counts(kept(env)[name])]) for name in names]
    whole = row(["all", *counts(one for name in names for one in kept(env)[name])])
    return table(
        ["Page", "All", *(HEADS[kind] for kind in INLINE_KINDS)], [*rows, whole], "book-inline"
    )


def unchecked_table(env: BuildEnvironment, page: str) -> nodes.table:
    """The claims that the machine cannot check, each with the reason."""
    rows = []
    for name in reading_order(env):
        found = dict.fromkeys((one.latex, one.verdict) for one in kept(env).get(name, []))
        for latex, verdict in found:
            if verdict.kind == "unchecked":
                rows.append(row([[page_link(name, page)], nodes.math(latex, latex), verdict.how]))
    return table(["Page", "Claim", "Why it is not checked"], rows, "book-unchecked")


class FillInline(SphinxPostTransform):
    """Replaces the placeholder."""

    default_priority = 5  # before the references are resolved

    def run(self, **kwargs: Any) -> None:
        """Fills each placeholder of the page."""
        page = self.env.docname
        for place in list(self.document.findall(InlinePlace)):
            between = nodes.paragraph("", "The claims that the machine cannot check:")
            place.replace_self(
                [count_table(self.env, page), between, unchecked_table(self.env, page)]
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects the gate, and registers the directive."""
    app.add_node(InlinePlace)
    app.add_directive("inline-ledger", InlineLedger)
    app.add_post_transform(FillInline)
    app.connect("doctree-read", read)
    app.connect("env-check-consistency", unknown_pages)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
