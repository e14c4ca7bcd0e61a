"""What a cell shows that a reader runs: as a notebook would, but as data and never as HTML.

HTML from a cell could bring scripts into the page. So what is shown is a list, and each part of it
one of
    ["line", mark, LaTeX, method]   a line of the ledger;
    ["answer", text]                what `answer` says;
    ["latex", LaTeX]                a formula;
    ["text", text]                  all else.
"""

import ast
import contextlib
import io
from typing import Any

from ddpm_lite.symbolic import display
from ddpm_lite.symbolic.checks import LedgerEntry, Line, Mark

MOST_PRINTED = 100_000
"""Characters; a cell that prints for ever would fill the memory."""


class _Printed(io.StringIO):
    def write(self, text: str) -> int:
        if self.tell() + len(text) > MOST_PRINTED:
            raise OverflowError(f"a cell may print {MOST_PRINTED:,} characters here")
        return super().write(text)


class Output:
    """What a cell shows: its lines, what it prints, and the value of its last line."""

    def __init__(self) -> None:
        self.shown: list[list[str]] = []
        self.printed = _Printed()

    def run(self, source: str, names: dict[str, Any]) -> str:
        """Run the code; the error that ended it, in one line."""
        display.hook = self.show  # `in_use` puts the former one back
        names["__name__"] = "__main__"
        *body, last = ast.parse(source).body or [ast.Pass()]
        is_value = isinstance(last, ast.Expr)
        try:
            with contextlib.redirect_stdout(self.printed):
                before = ast.Module(body if is_value else [*body, last], [])
                exec(compile(ast.fix_missing_locations(before), "the cell", "exec"), names)
                if isinstance(last, ast.Expr):
                    self.show(eval(compile(ast.Expression(last.value), "the cell", "eval"), names))
        except (Exception, SystemExit) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.flush()
        return ""

    def flush(self) -> None:
        """What has been printed so far, in its place among the other lines."""
        if text := self.printed.getvalue():
            self.shown.append(["text", text])
            self.printed.seek(0)
            self.printed.truncate()

    def show(self, value: Any) -> None:
        """As a notebook shows it."""
        if value is None or isinstance(value, Mark):
            return
        self.flush()
        self.shown.append(_part(value))


def _part(value: Any) -> list[str]:
    if isinstance(value, LedgerEntry):
        return ["line", value.mark, value.latex, value.method]
    if isinstance(value, Line):
        return ["answer", str(value)]
    write = None if isinstance(value, type) else getattr(value, "_repr_latex_", None)
    latex = write() if write else None
    return ["latex", latex.strip("$")] if latex else ["text", repr(value)]
