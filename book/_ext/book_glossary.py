"""The directive `term-list`: each term in bold at its first use in a chapter, with its sentence.

A word that means something else in a later chapter is named with that chapter's page:

    ```{term-list}
    :senses: score 09_sampling, convolution 09_sampling
    ```
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from book_tables import equation_link, reading_order
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z“\"(])")
LONGEST = 4
"""Words in a term; a bold phrase of more is there for stress."""
BACK = (
    *("This ", "It ", "Its ", "Their ", "Such ", "Each ", "Nor "),
    *("That is ", "For that ", "If these "),
)
"""Openings of a sentence that cannot be understood without the one before."""


class TermPlace(nodes.General, nodes.Element):
    """Where the glossary will stand once all pages are read."""


class TermList(SphinxDirective):
    """Puts a placeholder, and has the page read in each build."""

    option_spec: ClassVar = {"senses": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The placeholder alone, with the pairs of a word and a page."""
        self.env.note_reread()
        pairs = self.options.get("senses", "").split(",")
        senses = [pair.strip().rsplit(None, 1) for pair in pairs if pair.strip()]
        # the formula has MathJax loaded on this page
        return [TermPlace("", nodes.math(), senses=senses)]


@dataclass(frozen=True)
class Term:
    """A word, the sentence that says what it means, and the section of it."""

    word: str
    sentence: list[nodes.Node]
    section: str


def terms(env: BuildEnvironment) -> dict[str, list[Term]]:
    """Terms by page, kept with the environment."""
    kept: dict[str, list[Term]] = env.__dict__.setdefault("book_terms", {})
    return kept


# --- Collecting ----------------------------------------------------------------------------------


BETWEEN = (nodes.target, nodes.comment)
"""What may stand between a sentence and its equation."""


def is_chapter(page: str) -> bool:
    """Chapters are numbered; other pages define no terms."""
    return PurePosixPath(page).name[:1].isdigit()


def is_term(strong: nodes.strong) -> bool:
    """Bold words in running text that is no answer, but not those that head a paragraph or item."""
    words = strong.astext().strip('"“” ')
    running = isinstance(strong.parent, nodes.paragraph) and not any(strong.findall(nodes.math))
    if not running or opens_item(strong) or in_solution(strong):
        return False
    return len(words.split()) <= LONGEST and not words.endswith((".", "?", "!", ":"))


def opens_item(strong: nodes.strong) -> bool:
    """Whether it is the first that an item of a list says: a heading of the item."""
    item = strong.parent.parent
    before = strong.parent.children[: strong.parent.index(strong)]
    first = isinstance(item, nodes.list_item) and item[0] is strong.parent
    return first and not any(node.astext() for node in before)


def in_solution(node: nodes.Node | None) -> bool:
    """Whether it stands in the solution of an exercise."""
    while node is not None and "solution" not in getattr(node, "attributes", {}).get("classes", ()):
        node = node.parent
    return node is not None


def word_of(strong: nodes.strong, text: str) -> str:
    """The term; in small letters if its capital is only that of a sentence."""
    word: str = strong.astext()
    small = word.lower()
    capital = word[1:] == small[1:] and re.search(rf"\b{re.escape(small)}\b", text)
    return small if capital else word


def section_of(node: nodes.Node) -> str:
    """The anchor of the section around a node."""
    while not isinstance(node, nodes.section):
        node = node.parent
    return str(node["ids"][0])


def sentences(paragraph: nodes.paragraph) -> Iterator[list[nodes.Node]]:
    """The children of a paragraph, cut at the ends of its sentences."""
    current: list[nodes.Node] = []
    for child in paragraph.children:
        pieces = ENDS.split(child.astext()) if isinstance(child, nodes.Text) else []
        for piece in pieces[:-1]:
            yield [*current, nodes.Text(piece)]
            current = []
        current.append(nodes.Text(pieces[-1]) if pieces else child)
    yield current


def sentence_with(strong: nodes.strong) -> list[nodes.Node]:
    """A copy of the sentence around a term, without its citations.

    A sentence that leads over to an equation has that one's number, and so has one that speaks of
    the equation before. One that leads over to something else, which is not here, has the sentence
    before it. A cell of a table is read together with its row.
    """
    if isinstance(strong.parent.parent, nodes.entry):
        return row_with(strong.parent.parent.parent)
    whole = list(sentences(strong.parent))
    place = next(i for i, s in enumerate(whole) if any(n is strong for n in s))
    found = whole[place]
    end = found[-1].astext().rstrip()
    leads = place == len(whole) - 1 and not end.endswith(".")
    label = equation_beside(strong.parent, 1) if leads else ""
    away = end.endswith(":") and not label
    if away or found[0].astext().startswith(BACK):
        before = whole[place - 1] if place else last_sentence(strong.parent)
        if before and not before[0].astext()[:1].islower():
            found = [*before, nodes.Text(" "), *found]
        else:  # nothing, or the rest of a sentence with an equation in it
            label = label or equation_beside(strong.parent, -1)
    if away:
        found = [*found[:-1], nodes.Text(end[:-1] + ".")]
    number = [nodes.Text(" "), equation_link(label, "")] if label else []
    return [*without_citations(found), *number]


def last_sentence(paragraph: nodes.Element) -> list[nodes.Node]:
    """The end of the paragraph just before this one; nothing if something else stands there."""
    place = paragraph.parent.index(paragraph) - 1
    before = paragraph.parent[place] if place >= 0 else None
    return list(sentences(before))[-1] if isinstance(before, nodes.paragraph) else []


def row_with(row: nodes.row) -> list[nodes.Node]:
    """The cells of a table's row, one after the other."""
    cells = [cell[0].children for cell in row.children if cell.children]
    marks = [nodes.Text(": "), *(nodes.Text("; ") for _ in cells[2:]), nodes.Text("")]
    return without_citations(
        n for cell, mark in zip(cells, marks, strict=True) for n in (*cell, mark)
    )


def without_citations(found: Iterable[nodes.Node]) -> list[nodes.Node]:
    """Copies of nodes, but not of citations in brackets, nor of the space before them."""
    kept: list[nodes.Node] = []
    for node in found:
        if not is_citation(node):
            kept.append(node.deepcopy())
        elif kept and isinstance(kept[-1], nodes.Text):
            kept[-1] = nodes.Text(kept[-1].rstrip())
    return kept


def equation_beside(node: nodes.Element, step: int) -> str:
    """The label of the equation just after a paragraph, or just before it."""
    place = node.parent.index(node) + step
    while 0 <= place < len(node.parent) and isinstance(node.parent[place], BETWEEN):
        place += step
    found = node.parent[place] if 0 <= place < len(node.parent) else None
    return str(found.get("label") or "") if isinstance(found, nodes.math_block) else ""


def is_citation(node: nodes.Node) -> bool:
    """Whether a node refers to the bibliography in brackets; authors are a part of the sentence."""
    is_reference = isinstance(node, addnodes.pending_xref) and node["refdomain"] == "cite"
    return is_reference and node.get("reftype") != "t"


def read(app: Sphinx, doctree: nodes.document) -> None:
    """Keeps the terms of a chapter."""
    if is_chapter(app.env.docname):
        text = doctree.astext()
        terms(app.env)[app.env.docname] = [
            Term(word_of(strong, text), sentence_with(strong), section_of(strong))
            for strong in doctree.findall(nodes.strong)
            if is_term(strong)
        ]


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forgets a page that is read anew."""
    terms(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    """Takes over what another process has read."""
    terms(env).update({name: terms(other)[name] for name in docnames if name in terms(other)})


def uses(env: BuildEnvironment, senses: Iterable[list[str]]) -> dict[str, list[tuple[str, Term]]]:
    """Each term with the page that has it first, and with those where it means something else."""
    found: dict[str, list[tuple[str, Term]]] = {}
    wanted = {(word.casefold(), page) for word, page in senses}
    for page in reading_order(env):
        for term in terms(env).get(page, []):
            word = term.word.casefold()
            sense = (word, PurePosixPath(page).name)
            if word not in found or sense in wanted:
                found.setdefault(word, []).append((page, term))
            wanted.discard(sense)
    for word, page in sorted(wanted):
        logger.warning("the page %s has no term %s", page, word)
    return found


# --- The page ------------------------------------------------------------------------------------


class FillTerms(SphinxPostTransform):
    """Replaces the placeholder by the terms in alphabetical order."""

    default_priority = 5  # before the references are resolved

    def run(self, **kwargs: Any) -> None:
        """Fills each placeholder of the page."""
        for place in list(self.document.findall(TermPlace)):
            found = uses(self.env, place["senses"])
            items = [self.item(found[word]) for word in sorted(found)]
            place.replace_self(nodes.definition_list("", *items, classes=["book-terms"]))

    def item(self, senses: list[tuple[str, Term]]) -> nodes.definition_list_item:
        """One term, and for each sense its sentence and a link to it."""
        definition = nodes.definition()
        for page, term in senses:
            sentence = [self.moved(node) for node in term.sentence]
            link = self.link(page, term)
            definition += nodes.paragraph("", "", *sentence, nodes.Text(" "), link)
        name = nodes.term("", senses[0][1].word)
        return nodes.definition_list_item("", name, definition)

    def moved(self, node: nodes.Node) -> nodes.Node:
        """The node as it has to be on this page."""
        copy = node.deepcopy()
        for link in copy.findall(addnodes.pending_xref):
            link["refdoc"] = self.env.docname
        for part in copy.findall(nodes.Element):
            part["ids"] = []
        return copy

    def link(self, page: str, term: Term) -> nodes.reference:
        """A link to the section, under the chapter's title."""
        assert self.app.builder is not None
        uri = self.app.builder.get_relative_uri(self.env.docname, page)
        title = self.env.titles[page].astext()
        return nodes.reference("", title, refuri=f"{uri}#{term.section}", internal=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive and the collecting."""
    app.add_node(TermPlace)
    app.add_directive("term-list", TermList)
    app.add_post_transform(FillTerms)
    app.connect("doctree-read", read)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    return {"version": "1", "env_version": 3, "parallel_read_safe": True}
