"""Small changes of a module's source, each of which some test should notice.

The changes of an expression are those of mutmut (operators, numbers, names, arguments left out or
None). mutmut itself leaves out decorated functions, which here are half of the formulas, and all
that stands outside of functions; so its changes are applied to every node of the file, and a few
coarse ones are added: a condition turned round, a statement left out, nothing returned.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

SKIPPED = (cst.Annotation, cst.Import, cst.ImportFrom)
"""What has no effect when it runs, or none that a test could be asked for."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    function: str
    """Where it is, as `NoiseSchedule.at`; empty outside of functions and classes."""
    first: int
    last: int
    """The lines of the statement that is changed."""
    runs_on_import: bool
    """Whether it stands outside of all functions."""
    change: str
    """The changed lines, before and after, on one line."""
    source: str
    """The whole module, changed."""

    @property
    def description(self) -> str:
        """Where it is and what it changes, as Markdown."""
        return f"`{self.function}`: `{self.change}`"


def mutants(source: str) -> list[Mutant]:
    """Every change of a module, in the order of its lines, none twice."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    finder = _Finder(wrapper, source)
    wrapper.visit(finder)
    return list({mutant.source: mutant for mutant in finder.found}.values())


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, wrapper: MetadataWrapper, source: str) -> None:
        super().__init__()
        self.module, self.source = wrapper.module, source
        self.lines = source.splitlines(keepends=True)
        self.found: list[Mutant] = []
        self.names: list[str] = []
        self.functions = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, SKIPPED) or _is_text(node) or _is_all(node):
            return False
        for changed in _changes(node):
            self._add(node, changed)
        if isinstance(node, cst.If | cst.While):
            self._add(node.test, _turned(node.test))
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.names.append(node.name.value)
            self.functions += isinstance(node, cst.FunctionDef)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.names.pop()
            self.functions -= isinstance(original_node, cst.FunctionDef)

    def _add(self, node: cst.CSTNode, changed: cst.CSTNode) -> None:
        where = self.get_metadata(PositionProvider, node)
        source = self._replaced(where, self.module.code_for_node(changed).strip("\n"))
        try:
            compile(source, "mutant", "exec")
        except SyntaxError:
            return
        statement, in_body = self._statement(node)
        lines = self.get_metadata(PositionProvider, statement)
        last = (
            where.end.line if isinstance(statement, cst.BaseCompoundStatement) else lines.end.line
        )
        self.found.append(
            Mutant(
                function=".".join(self.names),
                first=lines.start.line,
                last=last,
                runs_on_import=not (self.functions and in_body),
                change=self._change(where, source),
                source=source,
            )
        )

    def _replaced(self, where: CodeRange, text: str) -> str:
        start, end = where.start, where.end
        before = self.lines[start.line - 1][: start.column]
        after = self.lines[end.line - 1][end.column :]
        middle = [before + text + after]
        return "".join(self.lines[: start.line - 1] + middle + self.lines[end.line :])

    def _change(self, where: CodeRange, source: str) -> str:
        more = len(source.splitlines()) - len(self.lines)
        old = self.lines[where.start.line - 1 : where.end.line]
        new = source.splitlines(keepends=True)[where.start.line - 1 : where.end.line + more]
        return f"{_one_line(old)} -> {_one_line(new)}"

    def _statement(self, node: cst.CSTNode) -> tuple[cst.CSTNode, bool]:
        """The statement around a node, and whether that is in a function's body, not its head."""
        inner: cst.CSTNode = node
        while not isinstance(inner, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            inner = self.get_metadata(ParentNodeProvider, inner)
        head = isinstance(inner, cst.FunctionDef) and inner is not node
        return inner, not (head and self.functions == 1)


def _one_line(lines: Iterable[str]) -> str:
    return " ".join(" ".join(lines).split())


def _is_text(node: cst.CSTNode) -> bool:
    """A docstring, or any other text for people: it has a blank. Its wording is not tested."""
    if isinstance(node, cst.SimpleString):
        return " " in node.value.strip(" '\"") or node.value.startswith(('"""', 'r"""'))
    return isinstance(node, cst.ConcatenatedString)


def _is_all(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Assign) and cst.Module([]).code_for_node(node).startswith("__all__")


def _changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            some = list(operator(node))
            # mutmut writes each string in capitals and in small letters too: one change will do
            yield from some[:1] if isinstance(node, cst.BaseString) else some
    yield from _coarse(node)


def _coarse(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A statement left out, nothing returned."""
    if isinstance(node, cst.Raise | cst.Expr) and not _is_docstring(node):
        yield cst.Pass()
    if isinstance(node, cst.Return) and node.value is not None and not _is_none(node.value):
        yield cst.Return()


def _is_none(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"


def _turned(test: cst.BaseExpression) -> cst.BaseExpression:
    inside = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), inside)


def _is_docstring(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Expr) and isinstance(node.value, cst.BaseString)
