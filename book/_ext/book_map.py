"""The directive `proof-map`: every formula of the book, and which of them rests on which.

The lines come from the last run of `make mutants`. The page holds the whole as a list, for readers
without scripts; `map.js` draws it from that list and lets the reader walk.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from book_ledger import KIND_WORDS, Entry, entries, mutation_run
from book_proofs import pages
from book_tables import equation_link, page_link
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

SCRIPTS = ("vendor/cytoscape/cytoscape.min.js", "map.js")
"""In `_static`. Plain scripts, because a page that is opened from a file may run no modules."""

logger = logging.getLogger(__name__)


class MapPlace(nodes.General, nodes.Element):
    """Where the map will stand once all pages are read."""


class ProofMap(SphinxDirective):
    """Puts a placeholder with the questions: one a line, the equation's label in front."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The placeholder alone."""
        self.env.note_reread()
        self.env.note_dependency("book/mutants.json")
        questions = [line.partition(": ")[::2] for line in self.content if line.strip()]
        return [MapPlace("", nodes.math(), questions=questions)]  # the formula loads MathJax


@dataclass(frozen=True)
class Formula:
    """A point of the map."""

    label: str
    page: str
    kind: str
    verdict: str
    method: str
    latex: str
    rests_on: tuple[str, ...]


# --- The graph -----------------------------------------------------------------------------------


def formulas(env: BuildEnvironment, rests_on: dict[str, list[str]]) -> list[Formula]:
    """All displayed equations in the order of the book."""
    found = list(entries(env))
    known = {entry.line.label for entry in found}
    return [_formula(env, entry, rests_on, known) for entry in found]


def _formula(
    env: BuildEnvironment, entry: Entry, rests_on: dict[str, list[str]], known: set[str]
) -> Formula:
    line = entry.line
    latex = {e.label: e.latex for e in pages(env)[entry.page].equations}[line.label]
    ground = tuple(label for label in rests_on.get(line.label, []) if label in known)
    return Formula(line.label, entry.page, line.kind, line.verdict, line.method, latex, ground)


def needed(found: list[Formula]) -> dict[str, list[str]]:
    """The lines that are drawn: those that no longer way over other formulas says already."""
    ground = {formula.label: set(formula.rests_on) for formula in found}
    below = closure(ground)
    return {
        label: sorted(one for one in own if not any(one in below[other] for other in own - {one}))
        for label, own in ground.items()
    }


def closure(ground: dict[str, set[str]]) -> dict[str, set[str]]:
    """All that each formula rests on, directly or by way of others."""
    whole: dict[str, set[str]] = {}

    def all_of(label: str) -> set[str]:
        if label not in whole:
            whole[label] = set()  # a circle ends here
            own = ground.get(label, set())
            whole[label] = own.union(*map(all_of, own))
        return whole[label]

    for label in ground:
        all_of(label)
    return whole


# --- The page ------------------------------------------------------------------------------------


def data(found: list[Formula]) -> dict[str, Any]:
    """What `map.js` reads, beside the list."""
    drawn = needed(found)
    return {
        formula.label: {
            "kind": KIND_WORDS.get(formula.verdict, formula.kind),
            "method": formula.method,
            "latex": formula.latex,
            "restsOn": formula.rests_on,
            "drawn": drawn[formula.label],
        }
        for formula in found
    }


def as_list(found: list[Formula], page: str) -> Iterator[nodes.Node]:
    """A list for each chapter: the formula's number, and the numbers of what it rests on."""
    for name in dict.fromkeys(formula.page for formula in found):
        yield nodes.paragraph("", "", page_link(name, page), classes=["book-map-chapter"])
        rows = [_item(formula, page) for formula in found if formula.page == name]
        yield nodes.bullet_list("", *rows, classes=["simple", "book-map-list"])


def _item(formula: Formula, page: str) -> nodes.list_item:
    links: list[nodes.Node] = [equation_link(formula.label, page)]
    for text, label in zip([" rests on ", *[" "] * 99], formula.rests_on, strict=False):
        links += [nodes.Text(text), equation_link(label, page)]
    return nodes.list_item("", nodes.paragraph("", "", *links), ids=[formula.label])


def questions_of(place: MapPlace, known: set[str]) -> str:
    """Links that choose a formula, in HTML."""
    for label, _ in place["questions"]:
        if label not in known:
            logger.warning("the map asks for %s, which no page has", label, location=place)
    links = (f'<li><a href="#{label}">{text}</a></li>' for label, text in place["questions"])
    return f'<ul class="book-map-questions">{"".join(links)}</ul>'


def parts(place: MapPlace, env: BuildEnvironment) -> Iterator[nodes.Node]:
    """The sentence with the numbers, the questions, the map, the list and the scripts."""
    run = mutation_run(env)
    found = formulas(env, run["rests_on"] if run else {})
    lines = sum(len(formula.rests_on) for formula in found)
    yield nodes.paragraph(
        "",
        f"The book has {len(found)} displayed formulas, and {lines:,} times one rests on another.",
    )
    text = json.dumps(data(found), ensure_ascii=False).replace("<", r"\u003c")
    html = (
        f"{questions_of(place, {formula.label for formula in found})}"
        f'<div id="book-map"></div><script type="application/json" id="book-map-data">{text}'
        f'</script><details id="book-map-words"><summary>The whole map in words</summary>'
    )
    yield nodes.raw("", html, format="html")
    yield from as_list(found, env.docname)
    scripts = "".join(f'<script src="../_static/{name}"></script>' for name in SCRIPTS)
    yield nodes.raw("", f"</details>{scripts}", format="html")


class FillMap(SphinxPostTransform):
    """Replaces the placeholder when all equations have their numbers."""

    default_priority = 5  # before the references are resolved

    def run(self, **kwargs: Any) -> None:
        """Fills each placeholder of the page."""
        for place in list(self.document.findall(MapPlace)):
            place.replace_self(list(parts(place, self.env)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.setup_extension("book_ledger")
    app.add_node(MapPlace)
    app.add_directive("proof-map", ProofMap)
    app.add_post_transform(FillMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
