"""The slips, and whether a hole in a page's checks is seen."""

import json
from pathlib import Path

import pytest

from ddpm_lite.symbolic import mutants
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import slips

FORMULA = r"x_1 = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t + \frac{1}{2} x_0"

PAGE = r"""
% derived
$$
x_t = \sqrt{\alpha_t}\, x_{t-1} + 2\epsilon_t
$$ (eq-one)

```{code-cell} ipython3
---
tags: [hide-input]
---
from sympy import Eq, sqrt
from ddpm_lite.symbolic import check, symbols, use_page

use_page("page.md")
x_t, x_prev, a, eps = symbols(r"x_t, x_{t-1}, \alpha_t, \epsilon_t")
check("eq-one", RESULT, method="definition")
```
"""


@pytest.mark.parametrize(
    "wrong",
    [
        r"x_1 = \frac{{\alpha_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{\sqrt{\alpha_t}(1+\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t})}{1-\bar\alpha_t} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})}{1-\alpha_t} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{\sqrt{\beta_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{1-\bar\alpha_t}{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})} x_t + \frac{1}{2} x_0",
        r"x_1 = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t + \frac{2}{1} x_0",
        r"x_1 = \frac{\sqrt{\alpha_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t} x_t - \frac{1}{2} x_0",
    ],
)
def test_the_slips_that_people_make_are_among_them(wrong: str) -> None:
    made = [read_claims(slip.latex) for slip in slips(FORMULA)]
    assert read_claims(wrong) in made


def test_no_slip_twice_and_none_that_changes_nothing() -> None:
    made = ["".join(slip.latex.split()) for slip in slips(FORMULA)]
    assert len(made) == len(set(made)) > 15
    assert "".join(FORMULA.split()) not in made


def page_with(tmp_path: Path, result: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE.replace("RESULT", result))
    return path


def test_a_sound_page_catches_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = mutants.try_page(page_with(tmp_path, "Eq(x_t, sqrt(a) * x_prev + 2 * eps)"))
    assert outcome.mutants > 6
    assert outcome.survivors == []


def test_a_hole_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that looks at nothing lets every readable slip through."""
    monkeypatch.chdir(tmp_path)
    path = page_with(tmp_path, "Eq(x_t, sqrt(a) * x_prev + 2 * eps)")
    monkeypatch.setattr(mutants.checks, "_same", lambda *_: None)
    outcome = mutants.try_page(path)
    assert len(outcome.survivors) > outcome.caught


def test_the_report_counts_and_wants_reasons(tmp_path: Path) -> None:
    survivor = mutants.Survivor("page", "eq-one", "a sign", "x = y")
    outcome = mutants.Outcome("page", "0", {"a sign": 50}, 49, [survivor])
    whole = mutants.summary_of([outcome], {"eq-one: x = y": "the same"})
    assert (whole["mutants"], whole["caught"]) == (50, 49)
    assert whole["survivors"][0]["reason"] == "the same"
    json.dumps(whole)


def test_the_fingerprint_changes_with_an_equation(tmp_path: Path) -> None:
    one = page_with(tmp_path, "1")
    before = mutants.digest(one)
    one.write_text(one.read_text().replace("+ 2", "- 2"))
    assert mutants.digest(one) != before
