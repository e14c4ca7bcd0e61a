"""A page's code cells outside of a notebook: which of them prove, and what each needs.

A cell depends on the last cell above it that makes a name which it uses. Cells that neither check
nor make something that a checking cell needs (figures, trainings) are not among the proof cells.
"""

import ast
import builtins
import contextlib
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)^```$", re.M | re.S
)
_PROVES = frozenset({"check", "definition", "proved", "cited", "use_page"})


@dataclass(frozen=True)
class Cell:
    """One code cell: its number on the page, from 1, and its source."""

    number: int
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source, without IPython's magic lines."""
        return ast.parse(re.sub(r"^[%!].*$", "", self.source, flags=re.M))

    @cached_property
    def proves(self) -> bool:
        """Whether it calls one of the functions that read or check equations."""
        return any(
            isinstance(node, ast.Name) and node.id in _PROVES for node in ast.walk(self.tree)
        )

    @cached_property
    def made(self) -> frozenset[str]:
        """Names that it binds, imports, or whose values it changes in place."""
        return frozenset(self._names[0])

    @cached_property
    def used(self) -> frozenset[str]:
        """Names that it takes from the cells above."""
        return frozenset(self._names[1])

    @cached_property
    def _names(self) -> tuple[set[str], set[str]]:
        made: set[str] = set()
        used: set[str] = set()
        for statement in self.tree.body:
            _walk(statement, made, used)
        return made, used - set(dir(builtins))

    def run(self, page: str, names: dict[str, Any]) -> None:
        """Runs it in a namespace; what it prints is lost."""
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(self.source, f"{page}, cell {self.number}", "exec"), names)


def _walk(node: ast.AST, made: set[str], used: set[str]) -> None:
    """Adds the names of a node in the order in which Python comes to them."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            used |= {node.id} - made
        else:
            made.add(node.id)
        return
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        for default in node.args.defaults:  # worked out where the function is made
            _walk(default, made, used)
        _walk_inside(_body(node), _arguments(node), made, used)
        if isinstance(node, ast.FunctionDef):
            made.add(node.name)
        return
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        _walk_inside([*node.generators, *_elements(node)], set(), made, used)
        return
    if isinstance(node, ast.ClassDef):
        _walk_inside([*node.bases, *node.body], set(), made, used)
        made.add(node.name)
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    for child in _in_order(node):
        _walk(child, made, used)
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        made |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}  # and it was there


def _in_order(node: ast.AST) -> list[ast.AST]:
    """The parts of a node, what is read before what it is bound to."""
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        old = [ast.Name(n.id, ast.Load()) for n in [getattr(node, "target", None)]
               if isinstance(node, ast.AugAssign) and isinstance(n, ast.Name)]  # fmt: skip
        return [*old, *([node.value] if node.value else []), *children]
    if isinstance(node, ast.For | ast.comprehension):
        return [node.iter, *(c for c in children if c is not node.iter)]
    return children


def _body(node: ast.FunctionDef | ast.Lambda) -> list[ast.AST]:
    return list(node.body) if isinstance(node, ast.FunctionDef) else [node.body]


def _arguments(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    return {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}


def _elements(node: Any) -> list[ast.AST]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _walk_inside(nodes: list[Any], local: set[str], made: set[str], used: set[str]) -> None:
    """A scope of its own: what it binds stays there."""
    inner = made | local
    for node in nodes:
        _walk(node, inner, used)


def cells_of(text: str) -> list[Cell]:
    """All code cells of a page's source."""
    return [Cell(number, match[1]) for number, match in enumerate(_CELL.finditer(text), 1)]


def needs(cells: list[Cell]) -> dict[int, set[int]]:
    """For each cell (by its place in the list) the earlier ones whose names it uses."""
    makers: dict[str, list[int]] = {}
    found: dict[int, set[int]] = {}
    for place, cell in enumerate(cells):
        found[place] = set()
        for name in cell.used & makers.keys():
            found[place] |= _last_makers(makers[name], cells, name)
        for name in cell.made:
            makers.setdefault(name, []).append(place)
    return found


def _last_makers(places: list[int], cells: list[Cell], name: str) -> set[int]:
    """The last cell that makes the name anew, and those after it that change its value."""
    taken: set[int] = set()
    for place in reversed(places):
        taken.add(place)
        if name not in cells[place].used:
            break
    return taken


def proof_cells(text: str) -> list[Cell]:
    """The cells that check or read equations, and those that make what they need, in order."""
    cells = cells_of(text)
    above = needs(cells)
    wanted = {place for place, cell in enumerate(cells) if cell.proves}
    return [cells[place] for place in sorted(_with_needs(wanted, above))]


def after(cells: list[Cell], start: Iterable[int]) -> list[int]:
    """The places of the given cells, in order, of all that depend on them and of what these need.

    Only of the first given cell and those below it: what stands above it has run.
    """
    above, wanted = needs(cells), set(start)
    first = min(wanted, default=0)
    for place in range(len(cells)):
        if above[place] & wanted:
            wanted.add(place)
    return sorted(place for place in _with_needs(wanted, above) if place >= first)


def _with_needs(wanted: set[int], above: dict[int, set[int]]) -> set[int]:
    """The places and all whose names they use, directly or through others."""
    found, todo = set(wanted), list(wanted)
    while todo:
        for place in above[todo.pop()] - found:
            found.add(place)
            todo.append(place)
    return found


def run_page(path: Path) -> dict[str, Any]:
    """Runs a page's proof cells in one namespace, in the page's folder."""
    os.chdir(path.parent)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in proof_cells(path.read_text(encoding="utf-8")):
        cell.run(path.name, names)
    return names
