"""The page "From formula to code": the table of `book_formulas`, row by row."""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any

from book_formulas import ROWS, WITHOUT
from book_formulas_row import BOOK, PACKAGE, Row, line_number, pages
from book_tables import equation_link, set_alone
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def is_promised(code: str) -> bool:
    """Whether the API reference has a class or function, or the class of a method."""
    module, name = code.split(".")[:2]
    return name in import_module(f"ddpm_lite.{module}").__all__


class CodePart(SphinxDirective):
    """What both directives have in common."""

    def depend(self) -> None:
        """The page is read again when the code, a chapter or the table changes."""
        table = BOOK.glob("_ext/book_formulas*.py")
        for path in (*PACKAGE.glob("*.py"), *BOOK.glob("[01]*.md"), *table):
            self.env.note_dependency(str(path))

    def words(self, markdown: str) -> list[nodes.Node]:
        """Markdown as nodes."""
        found: list[nodes.Node] = self.state.inline_text(markdown, self.lineno)[0]
        return found

    def entry(self, code: str, words: nodes.Element) -> nodes.Node:
        """Words that lead to the entry in the API reference, where there is one."""
        if not is_promised(code):
            return words
        return addnodes.pending_xref(
            "",
            words,
            refdomain="py",
            reftype="obj",
            reftarget=f"ddpm_lite.{code}",
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )


class FormulaCode(CodePart):
    """The rows of the module that the argument names, with a heading for each function."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A section for each function."""
        self.depend()
        rows = ROWS[self.arguments[0]]
        return [self.section(code, list(own)) for code, own in groupby(rows, lambda r: r.code)]

    def section(self, code: str, rows: Sequence[Row]) -> nodes.section:
        """A function and its formulas."""
        anchor = "code-" + code.replace(".", "-").replace("_", "-").lower()
        title = nodes.title("", "", literal(code.split(".")[-1]))
        section = nodes.section("", title, ids=[anchor])
        for row in rows:
            section += list(self.row(row))
        return section

    def row(self, row: Row) -> Iterator[nodes.Node]:
        """The formula, and the line that runs it."""
        yield nodes.paragraph("", "", *self.heading(row))
        label, *_ = row.labels.split()
        yield displayed(pages()[label][label].latex)
        number = line_number(row)
        yield self.line(row, number)

    def heading(self, row: Row) -> Iterator[nodes.Node]:
        """The equation's number, what of it is meant, and which other equations it needs."""
        label, *others = row.labels.split()
        yield equation_link(label, self.env.docname)
        yield from self.words(f", {row.says}" if row.says else "")
        for word, other in zip([", with ", *[" and "] * len(others)], others, strict=False):
            yield nodes.Text(word)
            yield equation_link(other, self.env.docname)
        yield nodes.Text(":")

    def line(self, row: Row, number: int) -> nodes.container:
        """The line of the file, with its number."""
        text = row.file.read_text(encoding="utf-8").splitlines()[number - 1].strip()
        block = nodes.literal_block(text, text, language="python", classes=["book-code-line"])
        small = nodes.paragraph("", f"{row.file.name}, line {number}", classes=["book-code-place"])
        if is_promised(row.code):
            words = nodes.inline("", "in the API reference")
            small += [nodes.Text("; "), self.entry(row.code, words)]
        return nodes.container("", block, small, classes=["book-code"])


def literal(text: str) -> nodes.literal:
    """A name of the program."""
    return nodes.literal(text, text)


def displayed(latex: str) -> nodes.paragraph:
    """The formula as it stands in its chapter; its number stands above, as a link."""
    return nodes.paragraph("", "", set_alone(latex), classes=["book-formula"])


class WithoutFormula(CodePart):
    """What has no row, and why."""

    def run(self) -> list[nodes.Node]:
        """A list."""
        self.depend()
        return [nodes.bullet_list("", *self.items(WITHOUT.items()), classes=["simple"])]

    def items(self, reasons: Iterable[tuple[str, str]]) -> Iterator[nodes.list_item]:
        """One name each."""
        for code, reason in reasons:
            module, name = code.split(".", 1)
            text = [self.entry(code, literal(name)), nodes.Text(f" ({module}): ")]
            text += self.words(reason)
            yield nodes.list_item("", nodes.paragraph("", "", *text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers both directives."""
    app.add_directive("formula-code", FormulaCode)
    app.add_directive("without-formula", WithoutFormula)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
