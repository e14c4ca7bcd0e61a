"""The adversary of `make adversary`, for a few seconds, and that its judge can tell and can see."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddpm_lite.symbolic import algebra, expectations, read

TOOL = Path(__file__).parents[2] / "tools" / "adversary"


@pytest.fixture(scope="module")
def tool() -> Any:
    """The tool's modules, which import each other by their plain names."""
    sys.path.insert(0, str(TOOL))
    try:
        yield importlib.import_module("trial")
    finally:
        sys.path.remove(str(TOOL))


@pytest.mark.slow
def test_the_command_runs_in_processes_that_begin_afresh() -> None:
    """As multiprocessing begins them on macOS: they find their work by its module's name."""
    command = [sys.executable, str(TOOL), "--pairs", "20", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["pairs"] >= 20
    assert last["false_accepted"] == 0


@pytest.mark.parametrize("first", [0, 40, 80, 120])
def test_no_false_pair_is_called_equal(tool: Any, first: int) -> None:
    outcomes = [tool.tried(0, number) for number in range(first, first + 40)]
    assert not [o for o in outcomes if o.true is False and o.verdict == "equal"]
    assert sum(o.true is True and o.verdict == "equal" for o in outcomes) >= 8
    assert sum(o.true is False for o in outcomes) >= 8


X, Y, ONE, T = ("sym", "x"), ("sym", "y"), ("num", 1, 1), ("t", 0)
BAR, ALPHA = r"\bar{\alpha}", r"\alpha"
X_T, X_0 = ("at", "x", T), ("at", "x", ("", 0))
LAW = ("den", "q", (X_T,), (X_0,))
JUDGED = [
    (("at", BAR, T), ("mul", ("at", BAR, ("t", -1)), ("at", ALPHA, T)), True),
    (("at", BAR, T), ("prod", "k", ("", 1), T, ("at", ALPHA, ("k", 0))), True),
    (("at", BAR, T), ("at", ALPHA, T), False),
    (("sqrt", ("pow", X, 2)), ("abs", X), True),
    (("sqrt", ("pow", X, 2)), X, False),
    (("log", ("pow", X, 2)), ("mul", ("num", 2, 1), ("log", X)), False),
    (("norm2", ("add", X_T, X_0)), ("dot", ("add", X_T, X_0), ("add", X_0, X_T)), True),
    (("norm2", ("add", X_T, X_0)), ("add", ("norm2", X_T), ("norm2", X_0)), False),
    (("normal", X, Y, ONE, "I"), ("normal", Y, X, ONE, "I"), True),
    (("normal", X, Y, ONE, "I"), ("normal", X, Y, ONE, ""), False),
    (("der", X, ("pow", X, 3)), ("mul", ("num", 3, 1), ("pow", X, 2)), True),
    (("int", X, ("num", -1, 1), ONE, ("abs", X)), ONE, True),
    (("int", X, ("num", -1, 1), ONE, ("abs", X)), ("num", 0, 1), False),
    (("lim", ("sym", "u"), ("div", ("abs", ("sym", "u")), ("sym", "u"))), ONE, None),
    (("det", ("mmul", ("msym", "L"), ("msym", "M"))), ("det", ("mmul", ("msym", "M"),
      ("msym", "L"))), True),
    (("mmul", ("msym", "L"), ("msym", "M")), ("mmul", ("msym", "M"), ("msym", "L")), False),
    (("E", (LAW,), ONE), ONE, True),
    (("E", (LAW,), ("mul", X_T, X_0)), ("mul", X_0, ("E", (LAW,), X_T)), True),
    (("E", (LAW,), ("mul", X_T, X_T)), ("mul", X_T, ("E", (LAW,), X_T)), False),
    (("E", (LAW,), ("norm2", ("at", r"\epsilon", T))), ("norm2", ("at", r"\epsilon", T)), False),
    (("den", "q", (X_T,), (("at", "x", ("t", -1)),)),
     ("den", "q", (X_T,), (("at", "x", ("t", -1)), X_0)), True),
    (("den", "q", (X_T,), (("at", "x", ("t", 1)),)), LAW, False),
    (("den", "p", (("at", "x", ("T", 0)),), ()), ("den", r"p_\theta", (("at", "x", ("T", 0)),), ()),
     True),
    (("den", "p", (X_0,), ()), ("den", r"p_\theta", (X_0,), ()), False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "verdict"), JUDGED)
def test_the_judge_judges_by_itself(tool: Any, one: Any, other: Any, verdict: bool) -> None:
    assert tool.judge.agree(one, other, "a seed", 9) is verdict
    for formula in (one, other):
        read(tool.latex(formula))


def test_a_tiny_square_is_no_rounded_zero(tool: Any) -> None:
    """sqrt(a^2) = a for a = 8e-20, where a^2 is below the digits of the judge."""
    tiny = ("exp", ("num", -44, 1))
    assert tool.judge.agree(("sqrt", ("pow", tiny, 2)), tiny, "a seed") is not False


def test_the_judge_shares_nothing_with_the_engine() -> None:
    for file in ("judge.py", "formulas.py", "scalars.py", "laws.py"):
        text = (TOOL / file).read_text()
        assert "ddpm_lite" not in text
        assert "sympy" not in text


HOLES = [
    # what was taken for true once, put back: (where, what, a pair that shows it)
    (algebra, "is_positive", lambda e: True,
     (("log", ("prod", "k", ("", 1), T, ("at", "x", ("k", 0)))),
      ("sum", "k", ("", 1), T, ("log", ("at", "x", ("k", 0)))))),
    (expectations, "_check_fixed", lambda e, v: None,
     (("E", (LAW,), ("norm2", ("at", r"\epsilon", T))), ("norm2", ("at", r"\epsilon", T)))),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "broken", "pair"), HOLES)
def test_a_hole_put_back_is_found(
    tool: Any, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, broken: Any, pair: Any
) -> None:
    a, b = map(tool.latex, pair)
    assert tool.judge.agree(*pair, "a seed", 9) is False
    assert tool.verdict(a, b) != "equal"
    monkeypatch.setattr(module, name, broken)
    assert tool.verdict(a, b) == "equal"
