"""Directives of the page on the sources: the claims, their places, and the errors among them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import counterexamples as ce
import sympy as sp
from book_claims import (
    VERDICTS,
    Claim,
    Place,
    Source,
    claims_in,
    missing,
    places,
    sources_in,
)
from book_tables import Cell, contents, row, set_alone, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from ddpm_lite.symbolic.page import equations_of
from ddpm_lite.symbolic.reader import read

logger = logging.getLogger(__name__)
NEGATED = {"=": r"\ne", ">": r"\not>", "<": r"\not<", r"\ge": r"\not\ge", r"\le": r"\not\le"}


class ClaimDirective(SphinxDirective):
    """What the directives have in common: the data, and Markdown in a cell."""

    @property
    def book(self) -> Path:
        """The folder of the page."""
        return Path(self.env.doc2path(self.env.docname)).parent

    def claims(self) -> list[Claim]:
        """All claims."""
        self.env.note_dependency(str(self.book / "claims.yml"))
        return claims_in(self.book)

    def places(self) -> dict[str, list[Place]]:
        """The place of each claim."""
        pages = [Path(self.env.doc2path(name)) for name in self.env.found_docs]
        for page in pages:
            self.env.note_dependency(str(page))
        return places(page for page in pages if page.parent == self.book)

    def text(self, markdown: str) -> list[nodes.Node]:
        """Markdown as nodes."""
        found: list[nodes.Node] = self.state.inline_text(markdown, self.lineno)[0]
        return found

    def where(self, spots: Iterable[Place]) -> list[nodes.Node]:
        """Links to places."""
        return self.text(", ".join(spot.link for spot in spots))


# --- The documents -------------------------------------------------------------------------------


def described(source: Source) -> str:
    """Title, author and links of a document."""
    links = [f"[{link.split('/')[2]}]({link})" for link in source.links]
    author = f"by {source.author}" if source.author else ""
    return ", ".join(part for part in (source.title, author, *links, source.kind) if part)


class ClaimSources(ClaimDirective):
    """The documents."""

    def run(self) -> list[nodes.Node]:
        """One row for each."""
        rows = [self.row(source) for source in sources_in(self.book)]
        return [table(["", "Document"], rows)]

    def row(self, source: Source) -> nodes.row:
        """One document."""
        return row([source.key, self.text(described(source))])


class ClaimCounts(ClaimDirective):
    """How many claims of each document have which verdict."""

    def run(self) -> list[nodes.Node]:
        """One row for each document, and one for all."""
        claims, keys = self.claims(), [source.key for source in sources_in(self.book)]
        rows = [self.row(key, [c for c in claims if c.source == key]) for key in keys]
        header = ["", "Claims", *(verdict.capitalize() for verdict in VERDICTS)]
        return [table(header, [*rows, self.row("all", claims)])]

    def row(self, key: str, claims: list[Claim]) -> nodes.row:
        """The numbers of one document."""
        count = Counter(claim.verdict for claim in claims)
        return row([key, str(len(claims)), *(str(count[verdict]) for verdict in VERDICTS)])


# --- All claims ----------------------------------------------------------------------------------


class ClaimList(ClaimDirective):
    """All claims of the document that the argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One row for each claim."""
        found = self.places()
        claims = [claim for claim in self.claims() if claim.source == self.arguments[0]]
        rows = [self.row(claim, found.get(claim.id, [])) for claim in claims]
        header = ["Claim", "Lines", "Verdict", "What it says", "Where"]
        return [table(header, rows, "book-claims", "all")]

    def row(self, claim: Claim, spots: list[Place]) -> nodes.row:
        """One claim."""
        cells = [claim.id, claim.lines, verdict(claim), self.statement(claim), self.where(spots)]
        return row(cells, claim.anchor)

    def statement(self, claim: Claim) -> list[nodes.Node]:
        """What is claimed, with a remark if the claim is right."""
        remark = f" ({claim.note})" if claim.verdict == "correct" and claim.note else ""
        return self.text(claim.says + remark)


def verdict(claim: Claim) -> Cell:
    """The verdict, with a link to the reason."""
    if claim.verdict not in ("wrong", "imprecise", "typo"):
        return claim.verdict
    return nodes.reference("", claim.verdict, refid=f"why-{claim.anchor}", internal=True)


class ClaimSlips(ClaimDirective):
    """The claims with a verdict that the argument names, what is amiss, and what is right."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One row for each."""
        claims = [claim for claim in self.claims() if claim.verdict == self.arguments[0]]
        header = ["Claim", "What it says", "What is amiss, and what is right"]
        return [table(header, [self.row(claim) for claim in claims], "book-claims")]

    def row(self, claim: Claim) -> nodes.row:
        """One claim, with a link to its row in the list of all."""
        link = nodes.reference("", claim.id, refid=claim.anchor, internal=True)
        says, amiss = self.text(claim.says), self.text(f"{claim.note} **Right:** {claim.right}")
        return row([link, says, amiss], f"why-{claim.anchor}")


# --- The errors ----------------------------------------------------------------------------------


def formula(latex: str, verdict: str) -> nodes.paragraph:
    """A formula on a line of its own, without a number: it is not one of the book's."""
    return nodes.paragraph("", "", set_alone(latex), classes=["book-formula", verdict])


def shown(value: Any) -> str:
    """A value in LaTeX: exact if that is short, else four digits."""
    if isinstance(value, sp.Tuple):
        return rf"\mathcal N({shown(value[0])}, {shown(value[1])})"
    if isinstance(value, sp.MatrixBase):
        lines = [" & ".join(map(shown, value.row(i))) for i in range(value.rows)]
        return r"\begin{pmatrix}" + r" \\ ".join(lines) + r"\end{pmatrix}"
    if value.is_infinite or (value.is_Rational and value.q < 1000):
        return str(sp.latex(value)).replace("frac", "tfrac")
    return f"{float(value):.4g}"


def compared(outcome: ce.Outcome) -> str:
    """The two sides, and whether they stand in the relation."""
    relation = outcome.relation.replace(r"\sim", "=")  # two laws are equal or not
    relation = relation if outcome.holds else NEGATED[relation]
    return f"${shown(outcome.left)} {relation} {shown(outcome.right)}$"


def given(at: dict[str, Any]) -> Iterator[str]:
    """The values, as they are written."""
    for name, said in at.items():
        if isinstance(said, str):
            relation = r"\sim" if r"\mathcal N" in said else "="
            yield f"${name} {relation} {said}$"
        else:
            yield f"${name}$ the {said['by'].replace('_', ' ')} of ${said['of']}$"


def model(reverse: list[list[str]]) -> Iterator[str]:
    """The steps of the model p, as densities."""
    for t, (k, h, w) in enumerate(reverse, 1):
        mean = (f"{k}\\,x_{t}" if k != "1" else f"x_{t}") + (f" + {h}" if h != "0" else "")
        yield rf"$p_\theta(x_{t - 1} \mid x_{t}) = \mathcal N(x_{t - 1}; {mean}, {w})$"


def conditions(erratum: dict[str, Any]) -> str:
    """Where the two sides are worked out."""
    data = [f"$x_0$ one of ${', '.join(erratum['data'])}$"] if "data" in erratum else []
    said = [*given(erratum["at"]), *model(erratum.get("reverse", [])), *data]
    return f"With {', '.join(said)}: " if said else "In numbers: "


def stated(erratum: dict[str, Any]) -> list[str]:
    """The statement as printed; then, if that cannot be worked out, the one that is."""
    return list(dict.fromkeys([erratum.get("printed", erratum["wrong"]), erratum["wrong"]]))


class ClaimErrata(ClaimDirective):
    """A block for each wrong claim: the formula, the counterexample, the correction, the proof."""

    def run(self) -> list[nodes.Node]:
        """All blocks, in the order of the documents."""
        file = self.book / "errata.yml"
        self.env.note_dependency(str(file))
        self.env.note_dependency(ce.__file__)
        errata, found = contents(file), self.places()
        wrong = [claim for claim in self.claims() if claim.verdict == "wrong"]
        self.warn(set(errata) ^ {claim.id for claim in wrong})
        return [self.block(c, errata[c.id], found.get(c.id, [])) for c in wrong if c.id in errata]

    def warn(self, unmatched: Iterable[str]) -> None:
        """Complain of wrong claims without an erratum, and of errata without a wrong claim."""
        for claim in sorted(unmatched):
            logger.warning("%s is wrong or has an erratum, but not both", claim, type="claims")

    def block(self, claim: Claim, erratum: dict[str, Any], spots: list[Place]) -> nodes.Node:
        """One error."""
        wrong, right = self.outcomes(claim, erratum)
        where = ", ".join(spot.link for spot in spots)
        lines = "lines" if re.search("[-,]", claim.lines) else "line"
        said = f", {lines} {claim.lines}. {claim.says}"
        link = nodes.reference("", claim.id, refid=claim.anchor, internal=True)
        parts = [
            nodes.paragraph("", "", nodes.strong("", "", link), *self.text(said)),
            self.paragraph(erratum["why"]),
            *self.statement(erratum),
            self.paragraph(f"{conditions(erratum)}{compared(wrong)}. {erratum.get('note', '')}"),
            self.paragraph(f"The right formula, {self.proof(erratum['proved_by'].split())}:"),
            formula(erratum["right"], "book-true"),
            self.paragraph(f"At the same values {compared(right)}. In the book: {where}."),
        ]
        anchor = f"why-{claim.anchor}"
        return nodes.container("", *parts, ids=[anchor], classes=["book-erratum"])

    def statement(self, erratum: dict[str, Any]) -> Iterator[nodes.paragraph]:
        """What is printed, and what is worked out for it."""
        first, *second = stated(erratum)
        yield formula(first, "book-false")
        for numbers in second:
            yield self.paragraph("Written so that both sides are numbers:")
            yield formula(numbers, "book-false")

    def proof(self, labels: list[str]) -> str:
        """Which equations of the book settle the matter."""
        texts = [page.read_text() for page in self.book.glob("*.md")]
        kinds = {equation.label: equation.kind for text in texts for equation in equations_of(text)}
        word = "by definition" if kinds.get(labels[0]) == "definition" else "proved as"
        return f"{word} {' and '.join(f'{{eq}}`{label}`' for label in labels)}"

    def outcomes(self, claim: Claim, erratum: dict[str, Any]) -> tuple[ce.Outcome, ce.Outcome]:
        """The wrong and the right formula at the values; a warning if they do not differ."""
        here = ce.world(erratum["at"], erratum.get("reverse", ()), erratum.get("data", ()))
        wrong, right = (ce.outcome(read(erratum[part]), here) for part in ("wrong", "right"))
        if wrong.holds or not right.holds:
            logger.warning("%s: the counterexample does not work", claim.id, type="claims")
        return wrong, right

    def paragraph(self, markdown: str) -> nodes.paragraph:
        """A paragraph of Markdown."""
        return nodes.paragraph("", "", *self.text(markdown))


# --- The gate ------------------------------------------------------------------------------------


class ClaimsGate(ClaimDirective):
    """Puts nothing, and warns of claims without a place and of places without a claim."""

    final_argument_whitespace: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """Nothing to show."""
        for fault in missing(self.book, self.places()):
            logger.warning(fault, location=(self.env.docname, self.lineno), type="claims")
        return []


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directives."""
    app.add_directive("claim-sources", ClaimSources)
    app.add_directive("claim-counts", ClaimCounts)
    app.add_directive("claim-list", ClaimList)
    app.add_directive("claim-slips", ClaimSlips)
    app.add_directive("claim-errata", ClaimErrata)
    app.add_directive("claims-gate", ClaimsGate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
