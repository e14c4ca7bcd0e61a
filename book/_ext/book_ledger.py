"""The directive `proof-ledger`: every displayed equation of the book, and what stands behind it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from book_proofs import ProofLine, pages
from book_tables import equation_link, page_link, reading_order, row, set_alone, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective


class LedgerPlace(nodes.General, nodes.Element):
    """Where the ledger will stand once all pages are read."""


class ProofLedger(SphinxDirective):
    """Puts a placeholder, and has the page read in each build."""

    def run(self) -> list[nodes.Node]:
        """The placeholder alone."""
        self.env.note_reread()
        self.env.note_dependency("book/mutants.json")
        return [LedgerPlace("", nodes.math())]  # the formula has MathJax loaded on this page


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    page: str
    line: ProofLine


def entries(env: BuildEnvironment) -> Iterator[Entry]:
    """The equations of all pages in the order of the book, each with its line."""
    kept = pages(env)
    for name in reading_order(env):
        lines = {line.label: line for line in kept[name].lines} if name in kept else {}
        for equation in kept[name].equations if name in kept else []:
            label = equation.label or ""
            yield Entry(name, lines.get(label, ProofLine(label, equation.kind or "")))


# --- Totals --------------------------------------------------------------------------------------


def totals(found: list[Entry]) -> str:
    """The first sentence of the ledger."""
    kinds = Counter(entry.line.kind for entry in found)
    seconds = [entry.line.seconds for entry in found]
    share = 100 * kinds["cited"] / max(1, len(found))
    verdicts = Counter(entry.line.verdict for entry in found)
    return (
        f"{len(found)} displayed equations: {kinds['derived']} derived, {kinds['definition']} "
        f"definitions, {kinds['cited']} cited ({share:.1f} %). Of the derived ones "
        f"{verdicts['identity']} are identities, {verdicts['witnessed']} are relations that a "
        f"witness bears out, {verdicts['compared']} have a relation of which only the members were "
        f"compared. All checks together took "
        f"{sum(seconds):.1f} seconds, the longest {max(seconds, default=0):.1f}."
    )


def mutation_totals(run: dict[str, Any]) -> str:
    """How many slips of the pen the checks have caught, and how many changed premises."""
    return (
        f"Of {run['mutants']:,} slips put into derived equations, {run['caught']:,} were caught "
        f"({_share(run['caught'], run['mutants'])}): page and cell agree. Of "
        f"{run['premise_mutants']:,} changes of definitions and of proved equations that others "
        f"start from, {run['premise_caught']:,} made something fail "
        f"({_share(run['premise_caught'], run['premise_mutants'])}): the cells derive from them."
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"


def mutation_run(env: BuildEnvironment) -> dict[str, Any] | None:
    """The last run of the mutation test, if there has been one."""
    file = Path(env.srcdir) / "book" / "mutants.json"
    run: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return run if "rests_on" in run else None  # a file of before the premises were tried


# --- The page ------------------------------------------------------------------------------------


def survivors(run: dict[str, Any], page: str) -> nodes.table:
    """The slips that were not caught, each with the reason."""
    header = ["Equation", "Slip", "What it became", "Why it is no error"]
    rows = [
        row(
            [
                equation_link(one["label"], page),
                one["slip"],
                set_alone(one["formula"]),
                one["reason"],
            ]
        )
        for one in (*run["survivors"], *run["premise_survivors"])
    ]
    return table(header, rows, "book-survivors")


KIND_WORDS = {
    "identity": "derived: identity",
    "witnessed": "derived: witnessed",
    "compared": "derived: members compared",
}


def ledger_row(entry: Entry, page: str, rests_on: dict[str, list[str]]) -> nodes.row:
    """An equation's number, kind, method, premises and time."""
    line = entry.line
    time = f"{line.seconds:.3f}\N{NO-BREAK SPACE}s" if line.kind == "derived" else ""
    kind = KIND_WORDS.get(line.verdict, line.kind)
    premises = _links(rests_on.get(line.label, []), page)
    return row([equation_link(line.label, page), kind, line.method, premises, time])


def _links(labels: list[str], page: str) -> list[nodes.Node]:
    """Links to equations, with spaces between."""
    return [node for label in labels for node in (equation_link(label, page), nodes.Text(" "))]


def page_tables(
    found: list[Entry], page: str, rests_on: dict[str, list[str]]
) -> Iterator[nodes.Node]:
    """A table for each page that has equations, under the page's title."""
    header = ["Equation", "Kind", "Method", "Rests on", "Time"]
    for name in dict.fromkeys(entry.page for entry in found):
        yield nodes.paragraph("", "", nodes.strong("", "", page_link(name, page)))
        rows = [ledger_row(e, page, rests_on) for e in found if e.page == name]
        yield table(header, rows, "book-ledger")


def mutation_part(run: dict[str, Any] | None, page: str) -> Iterator[nodes.Node]:
    """The totals of the mutation run and its survivors."""
    if run is not None:
        yield nodes.paragraph("", mutation_totals(run))
        if run["survivors"] or run["premise_survivors"]:
            yield nodes.paragraph("", "The others, each with the reason:")
            yield survivors(run, page)


class FillLedger(SphinxPostTransform):
    """Replaces the placeholder when all equations have their numbers."""

    default_priority = 5  # before the references are resolved

    def run(self, **kwargs: Any) -> None:
        """Fills each placeholder of the page."""
        for place in list(self.document.findall(LedgerPlace)):
            found, page = list(entries(self.env)), self.env.docname
            last = mutation_run(self.env)
            mutation = mutation_part(last, page)
            rests_on = last["rests_on"] if last else {}
            head = nodes.paragraph("", totals(found))
            place.replace_self([head, *mutation, *page_tables(found, page, rests_on)])


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive."""
    app.setup_extension("book_proofs")
    app.add_node(LedgerPlace)
    app.add_directive("proof-ledger", ProofLedger)
    app.add_post_transform(FillLedger)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
