"""Which cells of a page prove, and what each needs from the ones above."""

from ddpm_lite.symbolic.cells import after, cells_of, needs, proof_cells

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
