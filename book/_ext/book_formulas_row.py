"""A row of the table: a formula of a chapter, and the line of the package that runs it."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sympy as sp
import torch
from book_formulas_given import every
from book_formulas_numbers import Values, worked_out
from book_formulas_reading import Reading
from torch import Tensor

from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.reader import read_claims

BOOK = Path(__file__).parents[1]
PACKAGE = BOOK.parent / "ddpm_lite"


@dataclass(frozen=True)
class Row:
    """A formula and the code that runs it."""

    code: str
    """A function of the package, such as `diffusion.q_step`."""
    line: str
    """The line of it that runs the formula, or a part of that line."""
    labels: str
    """The labels of the equations, separated by blanks; the first one is shown."""
    read: Reading
    """What the equations say, from a list of claims for each label."""
    run: Callable[[NoiseSchedule], Tensor]
    """What the code computes, one number for each of the times."""
    says: str = ""
    """What of the formula the line computes, where it is a part."""
    times: Callable[[int], range] = every
    """The times of a schedule of T steps at which both are worked out."""
    given: Callable[[NoiseSchedule], Mapping[str, Values]] = lambda schedule: {}
    """Numbers for further names of the formula, one for all times or one for each."""
    within: float = 1e-10
    """The largest relative difference."""
    crosses_zero: bool = False
    """Whether it changes its sign on the way: near 0 the difference counts by the largest value."""

    @property
    def name(self) -> str:
        """For the tests."""
        return f"{self.code}-{self.labels.split()[0]}"

    @property
    def owner(self) -> str:
        """The public function that a private one serves, or the function itself."""
        return OWNERS.get(self.code, self.code)

    @property
    def file(self) -> Path:
        """Where the function is defined."""
        return PACKAGE / f"{self.code.split('.')[0]}.py"

    def expression(self) -> sp.Expr:
        """The formula as it stands on the page."""
        return self.read(*(claims(label) for label in self.labels.split()))

    def proved(self, schedule: NoiseSchedule) -> Tensor:
        """The formula's numbers."""
        times = self.times(schedule.T)
        found = worked_out(self.expression(), schedule, self.given(schedule), times)
        return torch.tensor(found, dtype=torch.float64)


OWNERS = {
    "frechet._apart": "frechet.frechet_distance",
    "sample._half_log_snr": "sample.dpm_solver",
    "sample._extrapolate": "sample.dpm_solver",
    "sample.ancestral_step": "sample.ancestral",
    "sample.ddim_step": "sample.ddim",
}


@cache
def pages() -> dict[str, Page]:
    """The chapter of each label."""
    chapters = [Page(path) for path in sorted(BOOK.glob("[01]*.md"))]
    return {label: chapter for chapter in chapters for label in chapter.equations}


@cache
def claims(label: str) -> list[Claim]:
    """What an equation says."""
    return read_claims(pages()[label][label].latex)


def line_number(row: Row) -> int:
    """Where the line stands in its file. Raises ValueError unless the function has it once."""
    text = row.file.read_text(encoding="utf-8")
    names, body = row.code.split(".")[1:], ast.parse(text).body
    for name in names:
        node: Any = next(node for node in body if getattr(node, "name", "") == name)
        body = node.body
    lines = text.splitlines()
    found = [n for n in range(node.lineno, node.end_lineno + 1) if row.line in lines[n - 1]]
    if len(found) != 1:
        raise ValueError(f"{row.code} has the line {row.line!r} {len(found)} times")
    return found[0]
