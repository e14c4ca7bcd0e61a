"""Which cells of a page prove, and what each needs from the ones above."""

from pathlib import Path

import pytest

from ddpm_lite.symbolic.cells import Cell, after, cells_of, needs, proof_cells, run_page

PAGE = """
```{code-cell} ipython3
---
tags: [hide-input]
---
import torch
picture = torch.zeros(3)
```

```{code-cell} ipython3
from ddpm_lite.symbolic import check, definition
a = definition("eq-a")
b = [a for a in range(3)]
```

```{code-cell} ipython3
def double(x, factor=a):
    y = x * factor
    return y
```

```{code-cell} ipython3
picture = double(1)
check("eq-c", picture, method="twice")
```

```{code-cell} ipython3
print(picture.mean())
```

```{code-cell} ipython3
total = 0
total += len(b)
```

```{code-cell} ipython3
total += 1
check("eq-d", total, method="counting")
```
"""
CELLS = cells_of(PAGE)


def test_a_cell_needs_the_last_one_that_makes_a_name() -> None:
    above = needs(CELLS)
    assert above[2] == {1}  # the default argument
    assert above[3] == {1, 2}  # not the first: picture is made anew
    assert above[4] == {3}
    assert above[5] == {1}  # total is made there, before it is changed
    assert above[6] == {1, 5}


def test_names_inside_functions_and_comprehensions_stay_there() -> None:
    assert CELLS[1].made == {"check", "definition", "a", "b"}
    assert CELLS[2].made == {"double"}
    assert CELLS[2].used == {"a"}


def test_a_default_value_is_taken_from_above() -> None:
    (cell,) = cells_of("```{code-cell} ipython3\nrow = lambda n, i=i: P[i, n]\n```\n")
    assert cell.used == {"i", "P"}


def test_proof_cells_are_those_that_check_and_what_they_need() -> None:
    assert [cell.number for cell in proof_cells(PAGE)] == [2, 3, 4, 6, 7]


def test_what_depends_on_a_cell() -> None:
    assert after(CELLS, [1]) == [1, 2, 3, 4, 5, 6]
    assert after(CELLS, [3]) == [3, 4]
    assert after(CELLS, [5]) == [5, 6]


def test_what_they_need_besides_runs_too_but_nothing_from_above() -> None:
    text = "```{code-cell} ipython3\n%s\n```\n"
    cells = cells_of("".join(text % line for line in ("a = 1", "b = 2", "c = 3", "d = b + c")))
    assert after(cells, [1]) == [1, 2, 3]
    assert after(cells, [2]) == [2, 3]


@pytest.mark.parametrize(
    ("source", "made", "used"),
    [
        ("x = a", "x", "a"),
        ("a = a", "a", "a"),
        ("x = y = a + b", "x y", "a b"),
        ("x, (y, *z) = a", "x y z", "a"),
        ("x: float = a", "x", "a"),
        ("a += b", "a", "a b"),
        ("a[0] = b", "a", "a b"),
        ("a.part = b", "a", "a b"),
        ("a.x.y = b", "a", "a b"),
        ("del a[0]", "a", "a"),
        ("a[0]", "", "a"),
        ("a.part", "", "a"),
        ("import a.b.c", "a", ""),
        ("import a.b as x", "x", ""),
        ("from a.b import c, d as x", "c x", ""),
        ("for i in a:\n    b(i)", "i", "a b"),
        ("for i in i:\n    pass", "i", "i"),
        ("x = [i + b for i in a]", "x", "a b"),
        ("x = {i: j for i, j in a if i}", "x", "a"),
        ("x = {i for i in a}\ny = (k for k in b)", "x y", "a b"),
        ("x = [i for i in a for j in i]", "x", "a"),
        ("def f(x, y=a, *args, **more):\n    z = x + y + b\n    return args, more, z", "f", "a b"),
        ("def f():\n    a", "f", "a"),
        ("g = lambda x, y=a: x + y + b", "g", "a b"),
        ("class A(b):\n    x = a\n    def f(self):\n        return x", "A", "a b"),
        ("with a as x:\n    y = x", "x y", "a"),
        ("print(len(a))", "", "a"),
        ("x = 1\ny = x", "x y", ""),
        ("y = x\nx = 1", "x y", "x"),
        ("%matplotlib inline\n!ls\nx = a", "x", "a"),
    ],
)
def test_names_that_a_cell_makes_and_takes(source: str, made: str, used: str) -> None:
    cell = Cell(1, source)
    assert cell.made == {*made.split()}
    assert cell.used == {*used.split()}


@pytest.mark.parametrize(
    ("source", "proves"),
    [("check('eq-a', a, method='b')", True), ("x = definition('eq-a')", True),
     ("proved('e')", True), ("cited('e')", True), ("use_page('p.md')", True),
     ("checks('eq-a')", False),
     ("'check'", False), ("a.check", False)],
)  # fmt: skip
def test_cells_that_prove(source: str, proves: bool) -> None:
    assert Cell(1, source).proves is proves


def test_a_cell_that_changes_a_value_in_place_needs_the_one_that_made_it() -> None:
    sources = ("d = {}", "x = 1", "d['a'] = 2", "check('eq-a', d, method='b')")
    cells = [Cell(number, source) for number, source in enumerate(sources)]
    assert needs(cells) == {0: set(), 1: set(), 2: {0}, 3: {0, 2}}


def test_a_cell_runs_in_the_names_it_is_given_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"a": 2}
    Cell(7, "print(a)\nx = a + 1").run("page.md", names)
    assert names["x"] == 3
    assert capsys.readouterr().out == ""
    with pytest.raises(ZeroDivisionError) as refused:
        Cell(7, "\n1 / 0").run("page.md", names)
    assert str(refused.traceback[-1].path).endswith("page.md, cell 7")


def test_a_page_runs_its_proof_cells_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "page.md").write_text(
        "```{code-cell} ipython3\nx = 1 / 0\n```\n\n```{code-cell} ipython3\n"
        "import os\ncheck = len\ny = check(os.listdir())\nwho = __name__\n```\n"
    )
    names = run_page(tmp_path / "page.md")
    assert (names["y"], names["who"]) == (1, "__main__")
    assert "x" not in names


def test_the_head_of_a_cell_is_no_source() -> None:
    text = (
        "```{code-cell} ipython3\n:tags: [a]\n:name: b\nx = 1\n```\n\n"
        "```{code-cell}\n---\ntags: [c]\n---\n\ny = 2\nz = 3\n```\n\n```python\nw = 4\n```\n"
    )
    assert [(c.number, c.source.strip()) for c in cells_of(text)] == [
        (1, "x = 1"),
        (2, "y = 2\nz = 3"),
    ]
