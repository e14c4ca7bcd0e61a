"""A page runs on demand: what a check needs, once, in any order, without what it does not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_lite.symbolic import checks, display
from ddpm_lite.symbolic.cells import run_page
from ddpm_lite.symbolic.derivations import Derivations, statements_of
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
