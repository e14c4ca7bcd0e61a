"""Collects the lines that the checks leave on a page, and holds them against its equations.

An equation that is displayed without a label, without a kind, or whose kind the cells of the page
do not bear out, is a warning with page and line, and the book is built with warnings as errors.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from ddpm_lite.symbolic.page import Equation, equations_of

KINDS = ("definition", "derived", "cited")
NEEDS = {"definition": "definition", "derived": "check", "cited": "cited"}
"""The function that has to be called for an equation of each kind."""

logger = logging.getLogger(__name__)


CODE = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)
"""Where a dollar sign is a dollar sign."""


@dataclass(frozen=True)
class ProofLine:
    """What `check`, `definition` or `cited` has put on the page for one equation."""

    label: str
    kind: str
    method: str = ""
    seconds: float = 0.0
    latex: str = ""
    """The formula that was read when the cell ran."""
    verdict: str = ""
    """What the check has found: proved, identity or compared."""


@dataclass(frozen=True)
class Shown:
    """A displayed formula as it stands on the built page."""

    label: str | None
    line: int


@dataclass
class Page:
    """The equations of one page and the lines of its cells."""

    equations: list[Equation] = field(default_factory=list)
    lines: list[ProofLine] = field(default_factory=list)


Fault: TypeAlias = tuple[int, str]
"""A line of the page and what is wrong there."""


def pages(env: BuildEnvironment) -> dict[str, Page]:
    """Pages by name, kept with the environment."""
    kept: dict[str, Page] = env.__dict__.setdefault("book_proofs", {})
    return kept


# --- Collecting ----------------------------------------------------------------------------------


def is_output(node: nodes.Node) -> bool:
    """Whether a node stands in the output of a cell."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output":
            return True
    return False


def lines_in(html: str) -> list[ProofLine]:
    """The proof lines of one output."""
    found = BeautifulSoup(html, "html.parser").select("div.proof-line[data-label]")
    return [proof_line(tag) for tag in found]


def proof_line(tag: Tag) -> ProofLine:
    """One line from its attributes and the formula that it shows."""
    label, kind, method, seconds, verdict = (
        str(tag.get(f"data-{name}", ""))
        for name in ("label", "kind", "method", "seconds", "verdict")
    )
    formula = tag.select_one(".math")
    latex = formula.text[2:-2] if formula else ""  # between its signs
    return ProofLine(label, kind, method, float(seconds or 0), latex, verdict)


def lines_of(doctree: nodes.document) -> list[ProofLine]:
    """The proof lines that the cells of a page have put out."""
    raw = [node for node in doctree.findall(nodes.raw) if node.get("format") == "html"]
    return [line for node in raw if is_output(node) for line in lines_in(node.astext())]


def shown_in(doctree: nodes.document) -> list[Shown]:
    """The displayed formulas of a page, but for those that cells print."""
    blocks = [node for node in doctree.findall(nodes.math_block) if not is_output(node)]
    return [Shown(node.get("label"), node.line or 0) for node in blocks]


def dollars_in(doctree: nodes.document) -> list[Fault]:
    """Dollar signs that are left in the text: a formula that was not taken for one."""
    texts = [text for text in doctree.findall(nodes.Text) if "$" in text]
    prose = [text for text in texts if not isinstance(text.parent, CODE) and not is_output(text)]
    return [
        (text.parent.line or 0, "a stray $: a display needs lines of its own") for text in prose
    ]


# --- The gate ------------------------------------------------------------------------------------


def unlabelled(equations: Iterable[Equation], shown: Iterable[Shown]) -> Iterator[Fault]:
    """Displays that have no label, or that the reader of the page does not see."""
    known = {equation.label for equation in equations}
    for display in shown:
        if not (display.label or "").startswith("eq-"):
            yield display.line, "a displayed equation has no label; write $$ ... $$ (eq-name)"
        elif display.label not in known:
            yield (
                display.line,
                f"{display.label} is not written $$ ... $$ ({display.label}) in the text",
            )


def unproved(equations: Iterable[Equation], lines: Iterable[ProofLine]) -> Iterator[Fault]:
    """Equations without a kind, or whose kind no cell bears out."""
    kinds = {(line.label, line.kind) for line in lines}
    for equation in equations:
        label, kind = equation.label, equation.kind
        if not label:
            yield equation.line, "a displayed equation has no label; write $$ ... $$ (eq-name)"
        elif kind not in KINDS:
            yield equation.line, f"{label} has no kind; write % {' or % '.join(KINDS)} above it"
        elif (label, kind) not in kinds:
            yield equation.line, f'{label} is {kind}, but no cell has run {NEEDS[kind]}("{label}")'


def strays(equations: Iterable[Equation], lines: Iterable[ProofLine]) -> Iterator[Fault]:
    """Lines of cells for equations that the page does not have, or has with another kind."""
    kinds = {equation.label: equation.kind for equation in equations}
    for line in lines:
        if line.label not in kinds:
            yield 0, f"a cell runs {NEEDS.get(line.kind, line.kind)} for {line.label or 'no label'}"
        elif line.kind != kinds[line.label]:
            yield 0, f"{line.label} is {kinds[line.label] or 'of no kind'}, a cell says {line.kind}"


def stale(equations: Iterable[Equation], lines: Iterable[ProofLine]) -> Iterator[Fault]:
    """Equations that have been changed since the cells ran: outputs from the cache."""
    now = {equation.label: equation for equation in equations}
    for line in lines:
        equation = now.get(line.label)
        if equation and one_line(equation.latex) != one_line(line.latex):
            yield equation.line, f"{line.label} is another formula than the one that the cell read"


def one_line(latex: str) -> str:
    """LaTeX without line breaks and without the stop at its end."""
    return " ".join(latex.split()).rstrip(" .,")


def twice(equations: Iterable[Equation]) -> Iterator[Fault]:
    """Labels that stand twice on the page."""
    labels = Counter(equation.label for equation in equations)
    yield from ((0, f"{label} is used {n} times") for label, n in labels.items() if n > 1)


def faults(page: Page, shown: list[Shown]) -> list[Fault]:
    """All that is wrong with the equations of a page."""
    return [
        *unlabelled(page.equations, shown),
        *unproved(page.equations, page.lines),
        *strays(page.equations, page.lines),
        *stale(page.equations, page.lines),
        *twice(page.equations),
    ]


# --- Sphinx --------------------------------------------------------------------------------------


def read(app: Sphinx, doctree: nodes.document) -> None:
    """Keeps the page's equations and lines, and warns of what is wrong with them."""
    env = app.env
    text = Path(env.doc2path(env.docname)).read_text()
    page = Page(equations_of(text), lines_of(doctree))
    pages(env)[env.docname] = page
    found = [*faults(page, shown_in(doctree)), *dollars_in(doctree)]
    for line, message in sorted(set(found)):
        logger.warning(message, location=(env.docname, line or None), type="proof")


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forgets a page that is read anew."""
    pages(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    """Takes over what another process has read."""
    pages(env).update({name: pages(other)[name] for name in docnames if name in pages(other)})


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects the collecting and the gate."""
    app.connect("doctree-read", read)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True}
