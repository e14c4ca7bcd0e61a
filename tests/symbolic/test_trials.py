"""What rests on what, measured on small pages."""

import signal
import time
from pathlib import Path

import pytest

from ddpm_lite.symbolic import PageError, checks, mutants, rules, trials
from ddpm_lite.symbolic.cells import proof_cells
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.trials import in_child, try_premises

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


def test_what_a_cell_needs_from_between_is_run_too(page: Path) -> None:
    """The last cell reads the premise and proves nothing with it; `mu` is made between them."""
    cells = r"""
```{code-cell} ipython3
from ddpm_lite.symbolic import check, definition, use_page

use_page("page.md")
(one,) = definition("eq-one")
```

```{code-cell} ipython3
from ddpm_lite.symbolic import symbols

mu, sigma = symbols(r"\mu, \sigma")
```

```{code-cell} ipython3
check("eq-identity", (mu + sigma) ** 2 + 0 * one.lhs, method="multiplied out")
```
"""
    page.write_text(PAGE[: PAGE.index("```")] + cells)
    found = try_premises(page)
    assert not found.rests_on
    assert found.caught == 0


def test_a_definition_that_nothing_reads_survives(page: Path) -> None:
    found = try_premises(page)
    assert {change.label for change in found.survivors} == {"eq-idle"}
    premises = ("eq-one", "eq-square", "eq-idle")  # none of their changes is passed over
    changes = [len(list(trials.changes_of(Page(page), label))) for label in premises]
    assert found.caught + len(found.survivors) == sum(changes) > 10


def test_a_change_that_cannot_be_read_is_caught_and_the_next_is_tried(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, claims = try_premises(page), trials._claims
    first = trials.changes_of(Page(page), "eq-one")[0]
    monkeypatch.setattr(trials, "_claims", lambda one: None if one == first else claims(one))
    found = try_premises(page)
    assert (found.caught, found.survivors) == (before.caught, before.survivors)


def test_two_changes_are_followed_to_the_end_and_the_first_of_another_side(page: Path) -> None:
    followed = list(trials._followed(Page(page), "eq-one"))
    left = {change.latex.split("=")[0].strip() for change, _ in followed}
    wholes = [whole for _, whole in followed]
    assert wholes[:2] == [True, True]
    assert 2 <= sum(wholes) <= 2 + len(left) - 1 < len(wholes)


def test_what_uses_a_rule_rests_on_it(page: Path) -> None:
    using = "from ddpm_lite.symbolic import rules\nrules.use('eq-markov-property')\n(square,)"
    page.write_text(PAGE.replace("(square,)", using))
    assert try_premises(page).rests_on["eq-more"] == {"eq-square", "eq-markov-property"}


def test_what_is_only_typed_is_groundless_and_not_good(page: Path) -> None:
    whole = mutants.summary_of([mutants.try_page(page)], {})
    assert whole["groundless"] == ["eq-typed"]
    assert whole["rests_on"]["eq-more"] == ["eq-square"]
    assert whole["premise_mutants"] > whole["premise_caught"] > 0
    assert not mutants.is_good(whole)


RULE = r"""
% definition
$$
\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}\;
e^{-\frac12\left(\frac{x-\mu}{\sigma}\right)^2}
$$ (eq-gauss-density)

% derived
$$
y = -\frac12\log(2\pi\sigma^2) - \frac{(x-\mu)^2}{2\sigma^2}
$$ (eq-read)

% derived
$$
z = 7 \mu
$$ (eq-typed)

```{code-cell} ipython3
from sympy import Eq, expand_log, log
from ddpm_lite.symbolic import check, definition, symbols, use_page

use_page("page.md")
(density,) = definition("eq-gauss-density")
y, z, mu = symbols(r"y, z, \mu")
check("eq-read", Eq(y, expand_log(log(density.rhs), force=True)), method="logarithm")
check("eq-typed", Eq(z, 7 * mu), method="derived, says the author")
```
"""


def test_what_is_derived_from_the_text_of_a_rule_rests_on_it(page: Path) -> None:
    """The page may not say otherwise, but if it did, the equation would not follow."""
    page.write_text(RULE)
    found = try_premises(page)
    assert found.rests_on == {"eq-read": {"eq-gauss-density"}}
    assert found.survivors == []
    assert found.caught == trials.MOST_CHANGES


WITNESSED = r"""
% definition
$$
y = u - 1
$$ (eq-name)

% derived
$$
\log u \le u - 1
$$ (eq-tangent)

% derived
$$
\log u \le y
$$ (eq-named)

% derived
$$
u - 1 \le u
$$ (eq-compared)

```{code-cell} ipython3
from sympy import log
from ddpm_lite.symbolic import chain, check, definition, symbols, use_page
from ddpm_lite.symbolic.witnesses import Convex, Positive

use_page("page.md")
u, y = symbols("u, y")
bend = Convex(u, 1, u - 1 - log(u))
check("eq-tangent", chain(log(u), "<=", u - 1), method="tangent", witness=bend)
check("eq-compared", chain(u - 1, "<=", u), method="looked at")
```

```{code-cell} ipython3
(name,) = definition("eq-name")
known = Positive((u - 1) ** 2, {y: name.rhs + log(u) + (u - 1) ** 2 - (u - 1)})
check("eq-named", chain(log(u), "<=", name.lhs), method="by its name", witness=known)
```
"""


def test_a_relation_that_its_witness_bears_out_alone_needs_no_premise(page: Path) -> None:
    page.write_text(WITNESSED)
    found = try_premises(page)
    assert found.identities == {"eq-tangent"}
    assert found.rests_on == {"eq-named": {"eq-name"}}
    assert mutants.try_page(page).groundless == ["eq-compared"]


@pytest.mark.slow
def test_only_computing_time_counts() -> None:
    """Another program that keeps the machine busy does not decide a trial."""

    def wait() -> str:
        time.sleep(1.5)
        return "done"

    def work() -> None:
        while True:
            pass

    assert in_child(wait, seconds=1) == "done"
    assert in_child(work, seconds=1) == "OutOfTime: it takes too long"


FIRST = """
% derived
$$
x + 1 = \\mu + 1
$$ (eq-first)
"""
CHECK_FIRST = 'check("eq-first", Eq(one.lhs + 1, one.rhs + 1), method="one added")'
ENDLESS = rf"""
% definition
$$
x = \mu
$$ (eq-one)
{FIRST}
% derived
$$
x + 2 = \mu + 2
$$ (eq-second)

```{{code-cell}} ipython3
from sympy import Eq
from ddpm_lite.symbolic import check, definition, symbols, use_page

use_page("page.md")
(mu,) = symbols(r"\mu")
(one,) = definition("eq-one")
{CHECK_FIRST}
```

```{{code-cell}} ipython3
while one.rhs != mu:
    pass
check("eq-second", Eq(one.lhs + 2, one.rhs + 2), method="two added")
```
"""


def test_a_trial_without_an_answer_stops_the_run(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "CHILD_SECONDS", 1)
    page.write_text(ENDLESS.replace(FIRST, "").replace(CHECK_FIRST, ""))
    with pytest.raises(PageError, match=r"eq-one with .*OutOfTime"):
        try_premises(page)


@pytest.mark.slow
def test_what_has_failed_before_the_time_is_over_is_kept(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "CHILD_SECONDS", 0.4)  # of many trials
    monkeypatch.setattr(trials, "AFTER", 1)
    page.write_text(ENDLESS)
    found = try_premises(page)
    assert found.rests_on == {"eq-first": {"eq-one"}}
    assert found.survivors == []


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of its own in this process, where all else that is tried runs in children."""
    monkeypatch.setattr(checks.ledger, "__dict__", {})
    checks.ledger.__init__()  # type: ignore[misc]
    monkeypatch.setattr(Page, "changed", {})
    monkeypatch.setattr(rules, "withdrawn", set())
    monkeypatch.setattr(signal, "setitimer", lambda *_: None)


def observed(page: Path, text: str) -> trials._Run:
    page.write_text(text)
    run = trials._Run(page, proof_cells(text))
    run.observe()
    return run


NOT = trials.Change("eq-one", "sign", r"x = \mu - \sigma\,\epsilon")


@pytest.mark.usefixtures("fresh")
def test_without_a_rule_fails_what_uses_it_from_there_on(page: Path) -> None:
    using = "from ddpm_lite.symbolic import rules\nrules.use('eq-markov-property')\n(square,)"
    run = observed(page, PAGE.replace("(square,)", using))
    assert trials._without(run, 2, "eq-markov-property") is None
    assert trials._without(run, 0, "eq-alpha") is None
    assert trials._without(run, 0, "eq-markov-property") == ["eq-more"]
    assert "eq-more" not in checks.ledger.entries  # which it still has from the first run


@pytest.mark.usefixtures("fresh")
def test_a_cell_that_shows_a_refusal_proves_nothing(page: Path) -> None:
    shown = "from ddpm_lite.symbolic.checks import CheckError\ntry:\n    assert one.rhs == 1\n"
    shown += "    check('eq-typed', one.rhs, method='wrong')\nexcept CheckError:\n    pass\n"
    tail = f"```{{code-cell}} ipython3\n(one,) = definition('eq-one')\n{shown}```\n"
    text = PAGE.replace('check("eq-square", Eq(one.lhs**2, one.rhs**2), method="squared")\n', "")
    text = text[: text.index("```{code-cell} ipython3\n(square,)")]
    run = observed(page, text + tail.replace("assert one.rhs == 1", "pass"))
    assert trials._changed(run, 0, NOT, stop=False) is None


@pytest.mark.usefixtures("fresh")
def test_a_changed_premise_is_taken_for_true(page: Path) -> None:
    """Its own check fails, and says nothing of what rests on it."""
    both = 'check("eq-square", Eq(one.lhs**2, one.rhs**2), method="squared")'
    run = observed(
        page,
        PAGE.replace(both, f'{both}\n(again,) = proved("eq-square")').replace(
            "import check,", "import proved, check,"
        ),
    )
    change = trials.Change("eq-square", "sign", r"x^2 = (\mu - \sigma\,\epsilon)^2")
    assert trials._changed(run, 0, change, stop=False) == ["eq-more"]


@pytest.mark.usefixtures("fresh")
def test_the_time_to_go_on_is_counted_from_the_first_failure(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells start from the changed equation, and both fail."""
    text = PAGE.replace('(square,) = proved("eq-square")', '(one,) = definition("eq-one")')
    text = text.replace("square.lhs", "one.lhs**2").replace("square.rhs", "one.rhs**2")
    run = observed(page, text)
    timers: list[tuple[int, float]] = []
    monkeypatch.setattr(signal, "setitimer", lambda *timer: timers.append(timer))
    assert trials._changed(run, 2, NOT, stop=False) is None  # these cells have run before it
    assert trials._changed(run, 0, NOT, stop=False) == ["eq-square", "eq-more"]
    assert timers == [(signal.ITIMER_PROF, trials.AFTER)]
