"""What rests on what, measured on small pages."""

from pathlib import Path

import pytest

from ddpm_lite.symbolic import mutants
from ddpm_lite.symbolic.trials import try_premises

PAGE = r"""
% definition
$$
x = \mu + \sigma\,\epsilon
$$ (eq-one)

% definition
$$
y = \rho
$$ (eq-idle)

% derived
$$
x^2 = (\mu + \sigma\,\epsilon)^2
$$ (eq-square)

% derived
$$
x^2 + 1 = \mu^2 + 2\mu\sigma\epsilon + \sigma^2\epsilon^2 + 1
$$ (eq-more)

% derived
$$
(\mu + \sigma)^2 = \mu^2 + 2 \mu\sigma + \sigma^2
$$ (eq-identity)

% derived
$$
z = 7 \mu
$$ (eq-typed)

```{code-cell} ipython3
from sympy import Eq
from ddpm_lite.symbolic import check, definition, proved, symbols, use_page

use_page("page.md")
(one,) = definition("eq-one")
definition("eq-idle")
check("eq-square", Eq(one.lhs**2, one.rhs**2), method="squared")
```

```{code-cell} ipython3
(square,) = proved("eq-square")
check("eq-more", Eq(square.lhs + 1, square.rhs + 1), method="one added")
```

```{code-cell} ipython3
mu, sigma, z = symbols(r"\mu, \sigma, z")
check("eq-identity", (mu + sigma) ** 2, method="multiplied out")
check("eq-typed", Eq(z, 7 * mu), method="derived, says the author")
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_each_equation_rests_on_what_it_was_derived_from(page: Path) -> None:
    found = try_premises(page)
    assert found.rests_on["eq-square"] == {"eq-one"}
    assert found.rests_on["eq-more"] == {"eq-square"}
    assert "eq-typed" not in found.rests_on
    assert found.identities == {"eq-identity"}


def test_a_definition_that_nothing_reads_survives(page: Path) -> None:
    found = try_premises(page)
    assert {change.label for change in found.survivors} == {"eq-idle"}
    assert found.caught > 5


def test_what_is_only_typed_is_groundless_and_not_good(page: Path) -> None:
    whole = mutants.report([mutants.try_page(page)], {})
    assert whole["groundless"] == ["eq-typed"]
    assert whole["rests_on"]["eq-more"] == ["eq-square"]
    assert whole["premise_mutants"] > whole["premise_caught"] > 0
    assert not mutants.is_good(whole)
