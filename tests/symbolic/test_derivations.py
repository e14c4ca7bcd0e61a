"""A page runs on demand: what a check needs, once, in any order, without what it does not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_lite.symbolic import checks, display
from ddpm_lite.symbolic.cells import run_page
from ddpm_lite.symbolic.derivations import Derivations, Statement, statements_of
from ddpm_lite.symbolic.page import Page

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[01]*.md"))
PAGE = r"""
% definition
$$
y = 2 x
$$ (eq-y)

% derived
$$
x + 2 x = 3 x
$$ (eq-sum)

% derived
$$
2 x + 2 x = 4 x
$$ (eq-twice)

```{code-cell} ipython3
import a_module_that_nobody_has
from ddpm_lite.symbolic import answer, check, definition, proved, symbols, use_page
use_page("on_demand.md")
x, y = symbols("x, y")
```

```{code-cell} ipython3
rule = definition("eq-y")[0]
runs, parts = [], []
for factor in (1, 2):
    parts.append(rule.rhs / 2 * factor)
check("eq-sum", sum(parts), method="adding")
```

```{code-cell} ipython3
answer("ex-three", "3x", sum(parts), hint="Add.")
```

```{code-cell} ipython3
parts = [4 * proved("eq-sum")[0].rhs / 3]
check("eq-twice", parts[0], method="doubling")
pictures = a_module_that_nobody_has.draw(x)
```
"""


@pytest.fixture
def page() -> Derivations:
    Page.from_text("on_demand.md", PAGE)
    return Derivations("on_demand.md", PAGE)


def test_a_check_runs_with_what_it_needs_and_nothing_else(page: Derivations) -> None:
    page.run(page.checks["eq-twice"])
    assert list(checks.ledger.results) == ["eq-sum", "eq-twice"]  # one rests on the other
    ran = [page.statements[place].source for place in page.values]
    assert not any("a_module" in source or "answer(" in source for source in ran)


def test_each_statement_runs_once(page: Derivations) -> None:
    page.run(page.checks["eq-sum"])
    first = dict(page.values)
    page.run(page.checks["eq-twice"])
    assert all(page.values[place] is names for place, names in first.items())


def test_the_order_of_asking_does_not_matter(
    page: Derivations, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[object] = []
    monkeypatch.setattr(display, "hook", lines.append)
    page.run(page.checks["eq-twice"])  # gives `parts` another value
    page.run(page.answers["ex-three"][0])
    assert str(lines[-1]) == "✓ ex-three: right"


def test_what_a_statement_changes_in_place_was_made_above() -> None:
    cell = "```{code-cell} ipython3\n{}\n```\n"
    for change in ("d[0] = 1", "d.a = 1", "d.append(1)", "for i in x:\n    d.append(i)"):
        (statement,) = statements_of(cell.replace("{}", change, 1))
        assert "d" in statement.used & statement.made, change


@pytest.mark.parametrize(
    ("source", "made", "used"),
    [
        ("x[0] = a", "x", "x a"),
        ("x.part = a", "x", "x a"),
        ("x.append(a)", "x", "x a"),
        ("y = x.append(a)", "y", "x a"),
        ("f(x)", "", "f x"),
        ("if a:\n    x.pop()", "x", "a x"),
        ("x = a", "x", "a"),
    ],
)
def test_names_of_a_statement(source: str, made: str, used: str) -> None:
    statement = Statement(1, source)
    assert statement.made == {*made.split()}
    assert statement.used == {*used.split()}


def test_the_labels_of_a_statement() -> None:
    statement = Statement(1, "check('eq-a', 1)\nx = [check('eq-b'), proved('eq-c'), check(y)]")
    assert statement.labels("check") == ["eq-a", "eq-b"]
    assert statement.labels("proved") == ["eq-c"]
    assert statement.labels("answer") == []
    assert not statement.tries
    assert Statement(1, "try:\n    check('eq-a', 1)\nexcept ValueError:\n    pass").tries


CELLS = """
```{code-cell} ipython3
use_page = print
use_page("a page")
a = [1]
b = a + [2]
```

```{code-cell} ipython3
a.append(3)
check = print
check("eq-a", a)
```

```{code-cell} ipython3
try:
    check("eq-b", 1 / 0)
except ZeroDivisionError:
    pass
check("eq-b", b)
answer = print
answer("ex-a", 1)
answer("ex-b", 2)
answer("ex-a", 3)
c = 1 / 0
```
"""


def test_places_of_checks_and_answers() -> None:
    page = Derivations("p.md", CELLS)
    sources = [one.source for one in page.statements]
    assert [one.number for one in page.statements] == [1] * 4 + [2] * 3 + [3] * 7
    assert {label: sources[place] for label, place in page.checks.items()} == {
        "eq-a": "check('eq-a', a)", "eq-b": "check('eq-b', b)",
    }  # fmt: skip
    marked = {label: [sources[p] for p in places] for label, places in page.answers.items()}
    assert marked == {
        "ex-a": ["answer('ex-a', 1)", "answer('ex-a', 3)"], "ex-b": ["answer('ex-b', 2)"],
    }  # fmt: skip


def test_what_is_above_a_statement_directly_or_not() -> None:
    page = Derivations("p.md", CELLS)
    sources = [one.source for one in page.statements]
    needed = {sources[place] for place in page.above([page.checks["eq-b"]])}
    assert needed == {"use_page = print", "use_page('a page')", "a = [1]", "b = a + [2]",
                      "check = print", "check('eq-b', b)"}  # fmt: skip
    assert page.above([]) == set()


def test_a_statement_runs_in_names_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    page = Derivations("p.md", CELLS, {"print": lambda *_: None})
    page.run(page.checks["eq-a"])
    assert capsys.readouterr().out == ""
    values = [v for place, v in sorted(page.values.items())]
    assert {"a": [1, 3]} in values  # one list, as in a notebook
    assert not any("c" in v for v in values)


def test_names_for_other_code() -> None:
    page = Derivations("p.md", CELLS)
    last = len(page.statements)
    assert page.names_for("x = a + [b, nothing]", last)["a"] == [1, 3]
    assert set(page.names_for("x = a + [b, nothing]", last)) == {"a", "b"}
    resting = Derivations("p.md", CELLS)
    resting.names_for("proved('eq-a')", last)
    assert resting.checks["eq-a"] in resting.values
    assert resting.checks["eq-b"] not in resting.values
    early = Derivations("p.md", CELLS)
    early.names_for("proved('eq-b')", early.checks["eq-b"] - 1)  # that check stands below
    assert early.checks["eq-b"] not in early.values
    early = Derivations("p.md", CELLS)
    assert early.names_for("a", 4) == {"a": [1]}
    assert early.names_for("a", 2) == {}
    assert early.names_for("1", 2) == {}
    assert 1 in early.values  # the page is named first of all
    with pytest.raises(SyntaxError):
        page.names_for("x = = 1", last)
    with pytest.raises(ZeroDivisionError):
        page.names_for("c", last)


def test_an_error_tells_page_and_cell() -> None:
    page = Derivations("p.md", CELLS)
    with pytest.raises(ZeroDivisionError) as refused:
        page.run(len(page.statements) - 1)
    assert str(refused.traceback[-1].path).endswith("p.md, cell 3")


BLOCKED = """
import importlib.abc, sys
from pathlib import Path

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "numpy", "IPython", "PIL", "matplotlib", "pytest"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
from ddpm_lite.symbolic import checks, display
from ddpm_lite.symbolic.derivations import Derivations
from ddpm_lite.symbolic.page import Page

name, text = sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8")
page, derivations = Page.from_text(name, text), Derivations(name, text)
for place in derivations.checks.values():
    derivations.run(place)
derived = [label for label, one in page.equations.items() if one.kind == "derived"]
assert sorted(checks.ledger.results) == sorted(derived), derived
print(len(derived))
print(checks.ledger.entries[derived[0]])
"""


@pytest.mark.slow
def test_a_whole_chapter_needs_sympy_only_and_no_file(tmp_path: Path) -> None:
    chapter = BOOK / "12_other_clocks.md"
    environment = {**os.environ, "PYTHONPATH": str(BOOK.parent)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, chapter.name, str(chapter)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    number, line = done.stdout.strip().splitlines()
    assert int(number) == chapter.read_text(encoding="utf-8").count("\n% derived\n")
    assert line.startswith("✓ ")


@pytest.mark.slow
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_on_demand_and_from_the_top_give_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)  # run_page goes there
    Page(path.name)
    derivations = Derivations(path.name, path.read_text(encoding="utf-8"))
    for place in reversed(derivations.checks.values()):  # the last first, so that order matters
        derivations.run(place)
    found = dict(checks.ledger.results)
    run_page(path)
    assert found == checks.ledger.results
