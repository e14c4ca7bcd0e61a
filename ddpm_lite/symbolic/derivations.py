"""What one check rests on, statement by statement, and nothing else: how a page runs on demand.

A notebook runs its cells from the top. Here a statement runs when something needs it, once, and in
a namespace of its own: each name in it has the value that the last statement above has given it.
So the order in which a reader asks does not matter, and what needs torch is left alone until
something needs it.
"""

import ast
import contextlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ddpm_lite.symbolic.cells import Cell, cells_of


@dataclass(frozen=True)
class Statement(Cell):
    """One statement of a cell; `number` is the cell's."""

    @cached_property
    def made(self) -> frozenset[str]:
        """Names that it binds, imports, or whose values it changes in place."""
        return super().made | self._changed

    @cached_property
    def used(self) -> frozenset[str]:
        """Names that it takes from the statements above; what it changes was made there."""
        return super().used | self._changed

    @cached_property
    def _changed(self) -> frozenset[str]:
        return frozenset(name for node in ast.walk(self.tree) for name in _changed_by(node))

    def labels(self, function: str) -> list[str]:
        """The labels with which it calls a function, as in `check("eq-a", ...)`."""
        return [label for name, label in self._labelled if name == function]

    @cached_property
    def _labelled(self) -> list[tuple[str, str]]:
        return [call for node in ast.walk(self.tree) for call in _labelled_call(node)]

    @cached_property
    def tries(self) -> bool:
        """Whether it shows a refusal on purpose, and proves nothing."""
        return any(isinstance(node, ast.Try) for node in ast.walk(self.tree))


def _changed_by(node: ast.AST) -> list[str]:
    """The name of what a node changes: x[0] = 1, x.a = 1, and x.append(1) as a statement."""
    match node:
        case (
            ast.Subscript(ast.Name(name), _, ast.Store())
            | ast.Attribute(ast.Name(name), _, ast.Store())
            | ast.Expr(ast.Call(ast.Attribute(ast.Name(name))))
        ):
            return [name]
    return []


def _labelled_call(node: ast.AST) -> list[tuple[str, str]]:
    match node:
        case ast.Call(ast.Name(name), [ast.Constant(str(label)), *_]):
            return [(name, label)]
    return []


def statements_of(text: str) -> list[Statement]:
    """All statements of a page's code cells, in order."""
    return [
        Statement(cell.number, ast.unparse(node))
        for cell in cells_of(text)
        for node in cell.tree.body
    ]


@dataclass
class Derivations:
    """A page's statements, and what those that have run have made."""

    page: str
    text: str
    replaced: dict[str, Any] = field(default_factory=dict)
    """Values that stand for names in every statement, such as another `answer`."""
    values: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What each statement has made, by its place; a statement that is not here has not run."""

    @cached_property
    def statements(self) -> list[Statement]:
        """All of the page, in order."""
        return statements_of(self.text)

    @cached_property
    def checks(self) -> dict[str, int]:
        """Where each label is checked, of those that are."""
        return self._first("check")

    @cached_property
    def answers(self) -> dict[str, list[int]]:
        """Where each exercise is marked; one may have several answers."""
        found: dict[str, list[int]] = {}
        for place, statement in enumerate(self.statements):
            for label in statement.labels("answer"):
                found.setdefault(label, []).append(place)
        return found

    def run(self, place: int) -> None:
        """Run a statement, after those that it needs. Raises whatever they raise."""
        for needed in sorted(self.above([place]) - self.values.keys()):
            self._run_alone(needed)

    def names_for(self, source: str, place: int) -> dict[str, Any]:
        """What other code would find in the place of a statement, after all that it needs has run.

        Raises SyntaxError for code that is none, and whatever the statements above raise.
        """
        code = Statement(0, source)
        last: dict[str, int] = {}
        for above, statement in enumerate(self.statements[:place]):
            last |= dict.fromkeys(statement.made, above)
        found = {name: last[name] for name in code.used & last.keys()}
        needed = {*found.values(), *(begin for begin in self._begins if begin < place)}
        checked = (self.checks.get(label, place) for label in code.labels("proved"))
        for one in sorted({*needed, *(check for check in checked if check < place)}):
            self.run(one)
        return {name: self.values[maker][name] for name, maker in found.items()}

    def above(self, places: Iterable[int]) -> set[int]:
        """Statements and all that they need, directly or not."""
        found = set(places)
        todo = list(found)
        while todo:
            new = self._needs(todo.pop()) - found
            found |= new
            todo += new
        return found

    def _needs(self, place: int) -> set[int]:
        """The statements that one needs directly."""
        found = set(self._makers[place].values())
        labels = self.statements[place].labels("proved")
        found |= {self.checks[label] for label in labels if label in self.checks}
        return found | {first for first in self._begins if first < place}

    @cached_property
    def _begins(self) -> list[int]:
        return list(self._first("use_page").values())

    def _first(self, function: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for place, statement in enumerate(self.statements):
            for label in statement.labels(function) if not statement.tries else ():
                found.setdefault(label, place)
        return found

    @cached_property
    def _makers(self) -> list[dict[str, int]]:
        """For each statement, and each name that it uses, the last one above that makes it."""
        last: dict[str, int] = {}
        found = []
        for place, statement in enumerate(self.statements):
            found.append({name: last[name] for name in statement.used & last.keys()})
            last |= dict.fromkeys(statement.made, place)
        return found

    def _run_alone(self, place: int) -> None:
        names: dict[str, Any] = {"__name__": "__main__"}
        for name, maker in self._makers[place].items():
            names[name] = self.values[maker][name]
        names |= {name: new for name, new in self.replaced.items() if name in names}
        statement = self.statements[place]
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(statement.source, f"{self.page}, cell {statement.number}", "exec"), names)
        self.values[place] = {name: names[name] for name in statement.made if name in names}
