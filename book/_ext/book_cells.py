"""How cells and exercises stand on a page: proofs folded under their ticks, fields for answers.

A proof cell leaves one line with a tick for each formula. Who reads for the story wants those, and
not the code: so the lines come first, and the code is folded below them. A cell with the tag
`open-proof` has the same fold, open: each chapter of mathematics shows one short proof in this way.
Each cell gets a number that scripts can find (`cell-7`), the same as in `ddpm_lite.symbolic.cells`.
The zip of the book and paper show the code (`book_offline`, book.js).

An exercise whose answer is a formula gets a field. It stays hidden until a script shows it, because
without the machine nobody would mark what is typed. What each field asks for stands in the text of
the exercise, as in `% asks: the mean | the variance`.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import book_machine
from book_proofs import lines_in
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from ddpm_lite.symbolic.cells import Cell

ASKS = re.compile(r"^:label: (?P<label>\S+)\n\n% asks: (?P<asks>.+)$", re.M)
FIELD = """<form class="answer" hidden data-exercise="{label}" data-part="{part}">
<label><span>Your answer: {asks}</span>
<input type="text" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
<button type="submit">Check</button>
</form>"""
"""One answer of an exercise."""
OPEN = "open-proof"
"""The tag of a proof that a page shows at first sight."""
MATH = "math notranslate nohighlight"
"""The class of what MathJax sets."""


def cells_in(document: nodes.document) -> list[nodes.container]:
    """The code cells of a page, in order."""
    found = document.findall(nodes.container)
    return [node for node in found if node.get("nb_element") == "cell_code"]


def source_of(cell: nodes.container) -> str:
    """Its code; empty where only its output is shown."""
    inputs = [c for c in cell.children if c.get("nb_element") == "cell_code_source"]
    return inputs[0].astext() if inputs else ""


def leaves_lines_only(cell: nodes.container) -> bool:
    """Whether all that a cell shows are lines of proofs, and there is one."""
    outputs = [c for c in cell.children if c.get("nb_element") == "cell_code_output"]
    shown = [node for output in outputs for node in output.findall() if _is_shown(node)]
    lines = [node for node in shown if isinstance(node, nodes.raw) and lines_in(node.astext())]
    return bool(shown) and len(lines) == len(shown)


def _is_shown(node: nodes.Node) -> bool:
    """HTML, and what holds nothing else: a picture, a printed word."""
    return isinstance(node, nodes.raw) or not (node.children or isinstance(node.parent, nodes.raw))


def fold(cell: nodes.container) -> None:
    """The lines first, then the code, folded unless the cell's tag says otherwise."""
    code, *outputs = cell.children
    lines = [line for line in source_of(cell).splitlines() if line.strip()]
    words = f"proof, {len(lines)} line{'s' if len(lines) > 1 else ''}"
    shown = " open" if OPEN in cell.get("cell_metadata", {}).get("tags", []) else ""
    before = f'<details class="proof-code"{shown}><summary>{words}</summary>'
    after = nodes.raw("", "</details>", format="html")
    cell.children = []
    cell += [*outputs, nodes.raw("", before, format="html"), code, after]


class FoldProofs(SphinxPostTransform):
    """Numbers the cells, and folds those that prove and show nothing but ticks."""

    default_priority = 198  # outputs are chosen, and the theme's own folding comes next
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """All cells of the page."""
        for number, cell in enumerate(cells_in(self.document), 1):
            cell["ids"].append(f"cell-{number}")
            source = source_of(cell)
            is_shown = source and not cell.get("hide_mode")
            if is_shown and Cell(number, source).proves and leaves_lines_only(cell):
                fold(cell)


# --- Answers -------------------------------------------------------------------------------------


def asked(text: str) -> dict[str, list[str]]:
    """What the fields of each exercise ask for, by its label."""
    return {m["label"]: m["asks"].split(" | ") for m in ASKS.finditer(text)}


def with_formulas(text: str) -> str:
    r"""HTML of words with $formulas$, for MathJax to set."""
    parts = html.escape(text).split("$")
    parts[1::2] = [f'<span class="{MATH}">\\({formula}\\)</span>' for formula in parts[1::2]]
    return "".join(parts)


def fields(label: str, asks: list[str]) -> Iterator[nodes.raw]:
    """A field for each answer."""
    for part, words in enumerate(asks):
        text = FIELD.format(label=label, part=part, asks=with_formulas(words))
        yield nodes.raw("", text, format="html")


class PutFields(SphinxPostTransform):
    """A field at the end of each exercise that asks for a formula."""

    default_priority = 198
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """All exercises of the page; none where the site has no machine."""
        if not book_machine.is_here(self.app):
            return
        text = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        asks = asked(text)
        for node in list(self.document.findall(nodes.Admonition)):
            for label in asks.keys() & set(node["ids"]):
                node += fields(label, asks[label])


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers both."""
    app.add_post_transform(FoldProofs)
    app.add_post_transform(PutFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
