"""What a page asks of the machine: `call(name, arguments)`, JSON in and JSON out.

A page's worker opens chapters by their Markdown text, and then asks about labels of theirs. What a
reader types goes through the page's reader, or the small grammar of `plain`; it is never evaluated.
Python runs only in `run_cell`, for a reader who runs a cell on purpose.

Every answer is an object. `error` in it says in one line why there is no answer: an unknown label,
a cell that needs what is not there. Otherwise `verdict` is one of

    equal       what was typed is what the cells derive; `mark` are the ledger's words for it
    compared    the members are, and the relation between them was not proved
    different   it is not: `message`, and as far as there are any the two sides, their difference
                and an example in numbers
    unreadable  `message`, `place` (in what was typed, from 0; absent if unknown) and `expected`,
                the marks that could stand there
    undecided   the machine cannot tell: `message`

All LaTeX that is shown is made here or is the book's; messages may hold formulas between $.
"""

import ast
import contextlib
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp

from ddpm_lite.symbolic import checks, display
from ddpm_lite.symbolic.cells import Cell, cells_of
from ddpm_lite.symbolic.checks import CheckError, Disagreement, Ledger, LedgerEntry, Mark, ledger
from ddpm_lite.symbolic.derivations import Derivations
from ddpm_lite.symbolic.equality import counterexample
from ddpm_lite.symbolic.objects import ComparisonError
from ddpm_lite.symbolic.outputs import Output
from ddpm_lite.symbolic.page import Page, PageError
from ddpm_lite.symbolic.palette import palette
from ddpm_lite.symbolic.pieces import latex_pieces, place_of, with_classes
from ddpm_lite.symbolic.plain import to_latex
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.sheet import LET, Sheet, SheetError
from ddpm_lite.symbolic.slips import slips
from ddpm_lite.symbolic.tokens import ReadError

Answer = dict[str, Any]

LONGEST = 2000
"""Characters of a formula; the longest of the book has 500."""
DEEPEST = 40
"""Brackets within brackets of a formula."""
MOST_NUMBERS = 12
"""An example that gives numbers to more symbols is none that a reader can check by hand."""
SHOWN = 3000
"""A formula whose LaTeX is longer is not shown: nobody reads it."""


class ServiceError(ValueError):
    """Why there is no answer, in one line."""


def call(name: str, arguments: str) -> str:
    """Calls a function of `FUNCTIONS` with a JSON list of arguments; its answer as JSON."""
    try:
        if name not in FUNCTIONS:
            raise ServiceError(f"there is no function {name!r}")
        answer = FUNCTIONS[name](*json.loads(arguments))
    except (ServiceError, PageError, AttributeError, TypeError, ValueError) as error:
        answer = {"error": str(error)}
    return json.dumps(answer, ensure_ascii=False)


# --- Chapters ------------------------------------------------------------------------------------


@dataclass
class Exercise:
    """What one call of `answer` in a chapter compares with."""

    given: Any
    """The chapter's own answer."""
    solution: Any
    hint: str


@dataclass
class Chapter:
    """An open page: its equations, what has run of its cells, and its own ledger."""

    page: Page
    text: str
    exercises: dict[str, list[Exercise]] = field(default_factory=dict)
    noted: dict[str, Any] = field(default_factory=lambda: vars(Ledger()))
    """The ledger while other chapters are in use."""

    @cached_property
    def derivations(self) -> Derivations:
        """Its statements, where `answer` notes the solution instead of marking."""
        return Derivations(self.page.name, self.text, {"answer": self._note_solution})

    @cached_property
    def cells(self) -> list[Cell]:
        """Its code cells."""
        return cells_of(self.text)

    def run(self, *places: int) -> None:
        """Run statements and what they need. Raises ServiceError."""
        with self.in_use():
            for place in places:
                try:
                    self.derivations.run(place)
                except ImportError as error:
                    raise ServiceError(f"its cells need {error.name}, which is not here") from None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """While cells run and formulas are compared, the ledger is this chapter's."""
        before, hook = dict(vars(ledger)), display.hook
        vars(ledger).update(self.noted)
        display.hook = lambda line: None
        try:
            yield
        finally:
            self.noted = dict(vars(ledger))
            vars(ledger).update(before)
            display.hook = hook

    def _note_solution(self, exercise: str, expression: Any, solution: Any, hint: str = "") -> Mark:
        self.exercises.setdefault(exercise, []).append(Exercise(expression, solution, hint))
        return Mark(True)


_chapters: dict[str, Chapter] = {}


def open_page(name: str, text: str) -> Answer:
    """Read a chapter: its equations and exercises.

    Nothing runs yet. A chapter that is open stays as it is.
    """
    if name not in _chapters:
        _chapters[name] = Chapter(Page.from_text(name, text), text)
    chapter = _chapters[name]
    derivations = chapter.derivations
    return {
        "equations": [
            {"label": e.label, "kind": e.kind, "latex": e.latex,
             "checked": e.label in derivations.checks}
            for e in chapter.page.equations.values()
        ],
        "exercises": [{"label": x, "parts": len(p)} for x, p in derivations.answers.items()],
    }  # fmt: skip


def offered(name: str, text: str) -> Answer:
    """What a page shows of a chapter before it has a machine: cells that can run, and symbols."""
    open_page(name, text)
    chapter = _chapters[name]
    cells = [cell.number for cell in chapter.cells if _runs_here(chapter, cell)]
    return {"cells": cells, "symbols": palette(chapter.page)}


def run_to(label: str) -> Answer:
    """Run what a check rests on, and the check, once: the line that the ledger has for it."""
    entry = _derive(_chapter_with(label), label)
    return {"label": label, "mark": entry.mark, "method": entry.method, "seconds": entry.seconds}


def _derive(chapter: Chapter, label: str) -> LedgerEntry:
    if label not in chapter.derivations.checks:
        raise ServiceError(f"no cell checks {label}")
    chapter.run(chapter.derivations.checks[label])
    entry: LedgerEntry = chapter.noted["entries"][label]
    return entry


def _chapter_with(label: str) -> Chapter:
    for chapter in _chapters.values():
        if label in chapter.page.equations:
            return chapter
    raise ServiceError(f"no open page has an equation {label!r}")


# --- Formulas ------------------------------------------------------------------------------------


def try_formula(label: str, latex: str) -> Answer:
    """Compare a reader's LaTeX with what the cells derive for a label, as `check` does."""
    chapter = _chapter_with(label)
    entry = _derive(chapter, label)
    results, witnesses = (chapter.noted[x][label] for x in ("results", "witnesses"))

    def verdict() -> Answer:
        claims = read_claims(latex)
        kind = checks.verdict_of(label, claims, results, entry.method, witnesses)
        mark = checks.LedgerEntry(label, "derived", entry.method, 0.0, latex, kind).mark
        return {"verdict": "compared" if kind == "compared" else "equal", "mark": mark}

    with chapter.in_use():
        return _judged(latex, verdict)


def _judged(text: str, judge: Callable[[], Answer]) -> Answer:
    """The answer, or what is wrong with what was typed."""
    try:
        _check_size(text)
        return judge()
    except ReadError as error:
        return _unreadable(error)
    except CheckError as error:
        if isinstance(error.__cause__, ComparisonError):
            return _undecided(error.__cause__)
        return {"verdict": "different", **_difference(error)}
    except RecursionError:
        return {"verdict": "undecided", "message": "too many parts within parts"}
    except Exception as error:  # whatever SymPy raises: it is no proof
        return _undecided(error)


def _undecided(error: Exception) -> Answer:
    return {"verdict": "undecided", "message": f"this cannot be compared: {_line(str(error))}"}


def _check_size(text: str) -> None:
    if len(text) > LONGEST:
        raise ReadError(f"a formula has at most {LONGEST} characters here", text, LONGEST)
    depth = 0
    for place, mark in enumerate(text):
        depth += (mark in "({[") - (mark in ")}]")
        if depth > DEEPEST:
            raise ReadError(f"more than {DEEPEST} brackets within brackets", text, place)


def _unreadable(error: ReadError) -> Answer:
    return {
        "verdict": "unreadable",
        "message": _line(error.reason),
        "place": error.position,
        "expected": list(error.expected),
    }


def _difference(error: CheckError) -> Answer:
    found = error.disagreement
    if found is None:
        return {"message": _line(str(error).partition(": ")[2])}
    itself = found.sides == ("left", "right")
    message = "the two sides are never equal" if itself else "this is another formula"
    return {"message": message, **_sides(found)}


def _sides(found: Disagreement) -> Answer:
    sides = {
        "sides": list(found.sides),
        "formulas": [_shown(found.member), _shown(found.wanted)],
        "difference": _shown(found.left),
    }
    if found.example is None or len(found.example[0]) > MOST_NUMBERS:
        return sides
    values, one, other = found.example
    at = [[sp.latex(symbol), sp.latex(value)] for symbol, value in values.items()]
    return {**sides, "at": at, "values": [str(sp.N(one, 6)), str(sp.N(other, 6))]}


def _shown(formula: Any) -> str:
    latex = str(sp.latex(formula))
    return latex if len(latex) <= SHOWN else ""


def _line(text: str) -> str:
    """One line, and no longer than one is read."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:299] + "…"


# --- Exercises -----------------------------------------------------------------------------------


def try_answer(exercise: str, text: str, part: int = 0) -> Answer:
    r"""Mark a reader's answer, LaTeX or as in Python: \sqrt{1 - \bar\alpha_t}, sqrt(1 - abar_t).

    `latex` is the formula as it was read, and `hint` the chapter's. `part` is the number of the
    answer, from 0, where an exercise has several.
    """
    wanted = _solution(exercise, part)

    def mark() -> Answer:
        latex = _as_latex(text)
        try:
            given, right = checks.marked(latex, wanted.solution)
        except ReadError as error:
            if latex == text:
                raise
            return {"verdict": "unreadable", "message": _line(error.reason), "latex": latex}
        if right:
            return {"verdict": "equal", "latex": latex}
        example = counterexample(given, wanted.solution)
        found = Disagreement(given, wanted.solution, None, example, ("yours", "wanted"))
        shown = {key: value for key, value in _sides(found).items() if key in ("at", "values")}
        return {"verdict": "different", "latex": latex, "message": "not yet", **shown}

    return _judged(text, mark) | {"hint": wanted.hint}


def _solution(exercise: str, part: int) -> Exercise:
    for chapter in _chapters.values():
        places = chapter.derivations.answers.get(exercise)
        if not places:
            continue
        if exercise not in chapter.exercises:
            chapter.run(*places)
        if not 0 <= part < len(chapter.exercises[exercise]):
            raise ServiceError(f"{exercise} has no part {part}")
        return chapter.exercises[exercise][part]
    raise ServiceError(f"no open page has an exercise {exercise!r} with an expression")


def _as_latex(text: str) -> str:
    r"""What was typed as LaTeX. Names of several letters, such as abar_t, are no products."""
    if "\\" in text or "{" in text:
        return text
    try:
        return to_latex(text)
    except ReadError:
        if re.search(r"[A-Za-z]{2}", text):
            raise
        return text


# --- Slips ---------------------------------------------------------------------------------------


def slip(label: str, seed: int) -> Answer:
    """A slip of the pen in an equation, one that reads as another formula and is refused.

    `latex` is the whole formula with the slip, `name` its kind; `start` and `end` are its place
    there, and `right` is what stands at it on the page. `marked` is the formula with each of its
    pieces marked, and `pieces` are their places (see `pieces`). The same seed gives the same slip.
    """
    chapter = _chapter_with(label)
    _derive(chapter, label)
    original = chapter.page[label].latex.rstrip(" .,\n")
    order = list(slips(original))
    random.Random(seed).shuffle(order)
    for one in order:
        if try_formula(label, one.latex)["verdict"] == "different":
            return {"label": label, "name": one.name, "latex": one.latex,
                    "marked": with_classes(one.latex),
                    "pieces": [piece[:2] for piece in latex_pieces(one.latex)],
                    **place_of(original, one.latex)}  # fmt: skip
    raise ServiceError(f"no slip in {label} is one that can be seen")


# --- A sheet of one's own ------------------------------------------------------------------------

MOST_LINES = 60


def sheet(text: str) -> Answer:
    r"""Judge the lines of a reader's own sheet: `let s = \sqrt{1 - \beta}`, and claims.

    `lines` has an answer for each line that is not empty, with its number from 1, and its LaTeX as
    it was read. A definition has the verdict "defined" or "refused".
    """
    own = Sheet()
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise ServiceError(f"a sheet has at most {MOST_LINES} lines")
    asked = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    return {"lines": [{"line": number, **_line_of_sheet(own, line)} for number, line in asked]}


def _line_of_sheet(own: Sheet, line: str) -> Answer:
    is_definition = line.startswith(LET)
    formula = line.removeprefix(LET).strip().strip("$").strip()
    found: Answer = {"latex": ""}

    def judge() -> Answer:
        found["latex"] = latex = _as_latex(formula)
        try:
            if not is_definition:
                return _claims_judged(own, latex)
            own.define(latex)
        except SheetError as error:
            return {"verdict": "refused" if is_definition else "undecided", "message": str(error)}
        return {"verdict": "defined"}

    judged = _judged(formula, judge)
    if "place" in judged:
        judged["place"] += line.index(formula)
    return found | judged


def _claims_judged(own: Sheet, latex: str) -> Answer:
    verdicts = own.judge(latex)
    for one in verdicts:
        if one.kind != "equal":
            told = {"verdict": one.kind, "message": one.message}
            if one.pair is None:
                return told
            example = counterexample(*one.pair) if one.kind == "different" else None
            found = Disagreement(*one.pair, one.left, example, ("left", "right"))
            return told | _sides(found)
    return {"verdict": "equal"}


# --- Cells ---------------------------------------------------------------------------------------

_OF_FILES = frozenset({"os", "pathlib", "shutil", "subprocess", "tempfile"})
"""Modules that cells need for files of the repository, which a browser does not have."""
_HERE = frozenset({"sympy", "mpmath", *sys.stdlib_module_names}) - _OF_FILES


def _runs_here(chapter: Chapter, cell: Cell) -> bool:
    """Whether neither a cell nor what it needs imports what is not here."""
    derivations = chapter.derivations
    wanted = derivations.above(_places(chapter, cell))
    return all(_is_here(derivations.statements[place].tree) for place in wanted)


def _places(chapter: Chapter, cell: Cell) -> set[int]:
    statements = enumerate(chapter.derivations.statements)
    return {place for place, one in statements if one.number == cell.number}


def _is_here(tree: ast.Module) -> bool:
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
    return all(m.split(".")[0] in _HERE or m.startswith("ddpm_lite.symbolic") for m in modules)


def run_cell(name: str, number: int, source: str) -> Answer:
    """Run a cell of a page as a reader has written it, after what it needs from the cells above.

    `output` is what a notebook shows (see `outputs`), and `raised` the error that ended it, or
    empty. The other cells keep the book's own values.
    """
    if name not in _chapters:
        raise ServiceError(f"the page {name!r} is not open")
    chapter = _chapters[name]
    if number not in [cell.number for cell in chapter.cells]:
        raise ServiceError(f"{name} has no cell {number}")
    first = min(_places(chapter, chapter.cells[number - 1]))
    output = Output()
    with chapter.in_use():
        try:
            names = chapter.derivations.names_for(source, first)
        except SyntaxError as error:
            return {"output": [], "raised": f"line {error.lineno}: {error.msg}"}
        except ImportError as error:
            raise ServiceError(f"its cells need {error.name}, which is not here") from None
        except Exception as error:
            raise ServiceError(f"a cell above it fails here: {_line(str(error))}") from None
        with _ledger_kept():
            raised = output.run(source, names)
    return {"output": output.shown, "raised": raised}


@contextlib.contextmanager
def _ledger_kept() -> Iterator[None]:
    """What is noted inside is forgotten: a changed cell must not count as the book's."""
    before = {key: copy(value) for key, value in vars(ledger).items()}
    try:
        yield
    finally:
        vars(ledger).update(before)


FUNCTIONS: dict[str, Callable[..., Answer]] = {
    one.__name__: one for one in (open_page, run_to, try_formula, try_answer, slip, sheet, run_cell)
}
"""What a page may call."""
