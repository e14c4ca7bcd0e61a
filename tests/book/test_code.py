"""The code runs the formula on the page: every row of the table, every t of every schedule.

The table is `book_formulas`, from which the page "From formula to code" is drawn. Each formula is
read from its chapter under its label, and worked out with 40 digits from the schedule's betas; what
the package computes in float64 must agree to 1e-10 relative.
"""

import ast
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import book_formulas_bound
import book_formulas_evaluate
import pytest
import torch
from book_formulas import ROWS, WITHOUT
from book_formulas_numbers import worked_out
from book_formulas_row import PACKAGE, Row, line_number, pages

from ddpm_lite.schedule import SCHEDULES, NoiseSchedule, cosine, linear

TABLE = [row for rows in ROWS.values() for row in rows]
OTHERS = SCHEDULES.keys() - {"linear", "cosine"}


def difference(row: Row, code: torch.Tensor, page: torch.Tensor) -> float:
    """The largest relative difference; where the formula is 0, so must the code be."""
    assert code.dtype == torch.float64
    assert code.shape == page.shape
    if row.crosses_zero:
        return float((code - page).abs().max() / page.abs().max())
    scale = torch.where(page == 0, torch.finfo(torch.float64).tiny, page.abs())
    return float(((code - page).abs() / scale).max())


def agree(row: Row, schedule: NoiseSchedule) -> bool:
    return difference(row, row.run(schedule), row.proved(schedule)) < row.within


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_code_runs_the_formula(row: Row) -> None:
    assert agree(row, linear(1000))
    assert agree(row, cosine(1000))
    assert agree(row, linear(100))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_code_runs_all_formulas_on_the_other_schedules_too(name: str) -> None:
    schedule = SCHEDULES[name](1000)
    assert [row.name for row in TABLE if not agree(row, schedule)] == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_formula_a_little_off_is_found(row: Row) -> None:
    schedule = cosine(40)
    times = row.times(schedule.T)
    off = row.expression() * (1 + 10 * row.within) + int(row.expression() == 0)
    found = worked_out(off, schedule, row.given(schedule), times)
    page = torch.tensor(found, dtype=torch.float64)
    assert difference(row, row.run(schedule), page) > row.within


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_line_is_one_that_runs(row: Row) -> None:
    assert line_number(row) in lines_run(row, cosine(40).beta)


def lines_run(row: Row, beta: torch.Tensor) -> set[int]:
    """The lines of the row's file that run, from the making of the schedule on."""
    seen: set[int] = set()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != str(row.file):
            return None
        seen.add(frame.f_lineno)
        return trace

    forget()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        row.run(NoiseSchedule(beta))
    finally:
        sys.settrace(before)
    return seen


def forget() -> None:
    """What other rows have made the code compute."""
    for kept in (book_formulas_evaluate._likelihood, book_formulas_bound.few):
        kept.cache_clear()


def test_every_label_is_a_formula_that_a_chapter_proves_or_defines() -> None:
    for row in TABLE:
        for label in row.labels.split():
            assert pages()[label][label].kind in ("derived", "definition"), label


def public(module: str) -> Iterator[str]:
    """The functions and classes of a module, and the methods of the schedule."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield f"{module}.{node.name}"
        if isinstance(node, ast.ClassDef) and node.name == "NoiseSchedule":
            inner = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            yield from (f"{module}.{node.name}.{name}" for name in inner)


@pytest.mark.parametrize("module", ROWS)
def test_every_function_has_its_formula_or_a_reason_to_have_none(module: str) -> None:
    rows = {name for row in ROWS[module] for name in (row.code, row.owner)}
    reasons = set(WITHOUT)
    names = {name for name in public(module) if not name.split(".")[-1].startswith("_")}
    names.discard("schedule.NoiseSchedule")
    assert names - rows - reasons == set()
    assert {name for name in reasons if name.startswith(f"{module}.")} <= names - rows
