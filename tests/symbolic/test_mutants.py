"""The slips, and whether a hole in a page's checks is seen."""

import contextlib
import dataclasses
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ddpm_lite.symbolic import mutants
from ddpm_lite.symbolic.page import Equation
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import slips
from ddpm_lite.symbolic.tokens import ReadError

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


def test_a_hole_in_the_comparison_names_each_slip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = page_with(tmp_path, "Eq(x_t, sqrt(a) * x_prev + 2 * eps)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutants, "is_caught", lambda label, slip, results: slip.name != "a sign")
    found = mutants._try_equations(path)
    signs = [one for one in found.survivors if one.slip == "a sign"]
    assert len(found.survivors) == len(signs) == found.by_slip["a sign"] == 1
    assert signs[0] == mutants.Survivor(
        "page", "eq-one", "a sign", r"x_t = \sqrt{\alpha_t}\, x_{t-1} - 2\epsilon_t"
    )
    assert found.caught == sum(found.by_slip.values()) - 1
    assert (found.page, found.digest) == ("page", mutants.digest(path))


WITH_PREMISES = r"""
% definition
$$
a = 2 b
$$ (eq-read)

% definition
$$
c = \rho
$$ (eq-idle)

% derived
$$
x = 2 b + 1
$$ (eq-rests)

% derived
$$
y = 5 b
$$ (eq-typed)

```{code-cell} ipython3
from sympy import Eq
from ddpm_lite.symbolic import check, definition, symbols, use_page

use_page("page.md")
(read,) = definition("eq-read")
definition("eq-idle")
x, y, b = symbols("x, y, b")
check("eq-rests", Eq(x, read.rhs + 1), method="one more")
check("eq-typed", Eq(y, 5 * b), method="typed")
```
"""


def test_what_rests_on_a_premise_and_what_on_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(WITH_PREMISES)
    found = mutants.try_page(tmp_path / "page.md")
    assert found.rests_on == {"eq-rests": ["eq-read"], "eq-typed": []}
    assert found.groundless == ["eq-typed"]
    assert found.premise_caught > 0
    assert {(one.page, one.label) for one in found.premise_survivors} == {("page", "eq-idle")}
    assert all(one.slip and "=" in one.formula for one in found.premise_survivors)
    assert found.survivors == []


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


def test_the_fingerprint_changes_with_the_code_of_a_cell_and_not_with_its_comments(
    tmp_path: Path,
) -> None:
    one = page_with(tmp_path, "1")
    before, text = mutants.digest(one), one.read_text()
    assert "check(" in text
    one.write_text(text.replace("check(", "# why '#' stands here\n\ncheck(", 1))
    assert mutants.digest(one) == before
    one.write_text(text.replace("check(", "name = '# no comment'\ncheck(", 1))
    assert mutants.digest(one) != before


def outcome(page: str, caught: int, survivors: list[mutants.Survivor], **more: Any) -> Any:
    return mutants.Outcome(page, f"digest of {page}", {"a sign": caught}, caught, survivors, **more)


def test_a_summary_adds_the_pages_up() -> None:
    one = mutants.Survivor("p", "eq-a", "a sign", "x = y")
    two = mutants.Survivor("q", "eq-b", "a factor 2", "x = z")
    whole = mutants.summary_of(
        [
            outcome("p", 3, [one], premise_caught=5, rests_on={"eq-a": ["eq-d"]}),
            outcome("q", 4, [], premise_survivors=[two], groundless=["eq-g"]),
        ],
        {"eq-b: a factor 2": "of this kind", "eq-b: x = z": "this very one"},
    )
    assert (whole["mutants"], whole["caught"], whole["by_slip"]) == (8, 7, {"a sign": 7})
    assert (whole["premise_mutants"], whole["premise_caught"]) == (6, 5)
    assert whole["pages"]["p"] == {"mutants": 4, "caught": 3, "equations": "digest of p"}
    assert [s["reason"] for s in whole["survivors"]] == [""]
    assert [s["reason"] for s in whole["premise_survivors"]] == ["this very one"]
    assert (whole["rests_on"], whole["groundless"]) == ({"eq-a": ["eq-d"]}, ["eq-g"])


def whole_of(caught: int = 98, survivors: int = 2, **changes: Any) -> dict[str, Any]:
    rows = [{"reason": "the same"}] * survivors
    return {
        "mutants": caught + survivors, "caught": caught, "survivors": rows, "groundless": [],
        "premise_mutants": 100, "premise_caught": 98, "premise_survivors": rows,
    } | changes  # fmt: skip


def test_a_survivor_has_no_reason_yet_and_stays_as_it_is() -> None:
    one = mutants.Survivor("p", "eq-a", "a sign", "x = y")
    assert one.reason == ""
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.reason = "none"  # type: ignore[misc]


def test_what_is_good() -> None:
    assert mutants.is_good(whole_of())
    for worse in (
        whole_of(97, 3),
        whole_of(premise_caught=97),
        whole_of(groundless=["eq-a"]),
        whole_of(survivors=1) | {"survivors": [{"reason": ""}]},
        whole_of(premise_survivors=[{"reason": ""}]),
    ):
        assert not mutants.is_good(worse)


def test_a_slip_that_reads_the_same_is_no_mutant() -> None:
    latex = r"a - b = \frac{1}{1}"
    made = [slip.latex for slip in mutants.mutants_of(Equation("eq-a", "derived", latex, 1))]
    assert any("a + b" in "".join(one) for one in made)
    original = read_claims(latex)
    for one in made:
        with contextlib.suppress(ReadError):
            assert read_claims(one) != original


def test_a_mutant_that_is_not_decided_in_time_is_not_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slip = next(iter(slips("a = b")))

    def slow(*_: object) -> None:
        raise TimeoutError

    def wrong(*_: object) -> None:
        raise ZeroDivisionError

    for comparison, caught in ((slow, False), (wrong, True), (lambda *_: None, False)):
        monkeypatch.setattr(mutants.checks, "compare", comparison)
        assert mutants.is_caught("eq-a", slip, ()) is caught


def test_the_limit_stops_what_takes_longer_and_nothing_else() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with mutants._limit(1), pytest.raises(TimeoutError):
        time.sleep(5)
    with mutants._limit(1):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.alarm(0) == 0


def test_the_command_writes_all_of_it_and_says_whether_it_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = page_with(tmp_path, "Eq(x_t, sqrt(a) * x_prev + 2 * eps)")
    text = page.read_text()  # the longer one is tried first, and told in the order of names
    (tmp_path / "another.md").write_text(text.replace("page.md", "another.md"))
    page.write_text(text + "\nMuch more text.\n")
    (tmp_path / "prose.md").write_text("Nothing is derived here.")
    pages = [str(tmp_path / name) for name in ("page.md", "another.md", "prose.md")]
    status = mutants.main([*pages, "--output", "out.json"])
    whole = json.loads((tmp_path / "out.json").read_text())
    assert list(whole["pages"]) == ["another", "page"]
    assert status == int(not mutants.is_good(whole))
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1]) == {
        key: whole[key] for key in ("mutants", "caught", "premise_mutants", "premise_caught")
    }
    rows = [line.split() for line in printed[:2]]
    assert [(row[0], row[2], row[4]) for row in rows] == [
        (name, "mutants", "caught") for name in ("another", "page")
    ]
    assert sum(int(row[1]) for row in rows) == whole["mutants"]
    assert ("eq-one rests on no premise and is no identity: it is not derived" in printed) == (
        "eq-one" in whole["groundless"]
    )
