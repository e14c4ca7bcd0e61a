"""What a cell shows: as data, in order, and never as HTML; and where a line goes."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ddpm_lite.symbolic import display
from ddpm_lite.symbolic.checks import LedgerEntry, Line, Mark
from ddpm_lite.symbolic.outputs import MOST_PRINTED, Output

AT_FIRST = display.hook


@pytest.fixture(autouse=True)
def _hook() -> Iterator[None]:
    before = display.hook
    yield
    display.hook = before


def ran(source: str, **names: Any) -> tuple[list[list[str]], str]:
    output = Output()
    raised = output.run(source, names)
    return output.shown, raised


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("", []),
        ("1 + 1", [["text", "2"]]),
        ("a = 5", []),
        ("a = 5\na", [["text", "5"]]),
        ("1\n2", [["text", "2"]]),
        ("None", []),
        ("print('a')\nprint('b')\n3", [["text", "a\nb\n"], ["text", "3"]]),
        ("'<b>'", [["text", "'<b>'"]]),
        ("int", [["text", "<class 'int'>"]]),
        ("import sympy\nsympy.Symbol('a') / 2", [["latex", r"\displaystyle \frac{a}{2}"]]),
        ("__name__", [["text", "'__main__'"]]),
        ("for i in (1, 2):\n    print(i)", [["text", "1\n2\n"]]),
    ],
)
def test_what_a_notebook_would_show(source: str, shown: list[list[str]]) -> None:
    assert ran(source) == (shown, "")


def test_lines_of_the_machine_stand_among_what_is_printed() -> None:
    entry = LedgerEntry("eq-a", "derived", "by hand", 0.5, "a = b", "proved")
    names = {"show": display.show_line, "entry": entry, "line": Line("ex: right", True)}
    shown, raised = ran(
        "print('a')\nshow(entry)\nprint('b')\nshow(line)\nmark", mark=Mark(True), **names
    )
    assert raised == ""
    assert shown == [
        ["text", "a\n"],
        ["line", "✓ proved", "a = b", "by hand"],
        ["text", "b\n"],
        ["answer", "✓ ex: right"],
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [("print('a')\n1 / 0", "ZeroDivisionError: division by zero"),
     ("print('a')\nraise SystemExit('no')", "SystemExit: no")],
)  # fmt: skip
def test_an_error_ends_it_and_what_was_printed_stays(source: str, error: str) -> None:
    assert ran(source) == ([["text", "a\n"]], error)


def test_a_cell_prints_no_more_than_fits() -> None:
    shown, raised = ran(f"print('a' * {MOST_PRINTED - 1})\nprint('b')")
    assert [len(text) for _, text in shown] == [MOST_PRINTED]
    assert raised.startswith("OverflowError: a cell may print 100,000")
    assert ran(f"print('a' * {MOST_PRINTED - 1})")[1] == ""


def test_a_line_is_displayed_where_ipython_runs_and_printed_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[object] = []
    for shell, there in ((object(), True), (None, False)):
        fake = SimpleNamespace(
            get_ipython=lambda shell=shell: shell, display=SimpleNamespace(display=shown.append)
        )
        monkeypatch.setitem(sys.modules, "IPython", fake)
        display.in_notebook_or_print("a line")
        assert (shown == ["a line"]) is there
        assert (capsys.readouterr().out == "") is there
        shown.clear()
    assert AT_FIRST is display.in_notebook_or_print
    monkeypatch.delitem(sys.modules, "IPython")
    display.in_notebook_or_print("a line")
    assert capsys.readouterr().out == "a line\n"
