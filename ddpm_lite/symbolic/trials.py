"""What rests on what: each premise of a page is changed, and the page's cells run again.

A premise is a definition, a rule of the machine, or a proved equation that cells read. A changed
premise is caught when something fails: the page no longer says what the machine's rules are, a
check finds a difference, or a cell raises. Which checks fail is kept: their equations rest on it.

The cells run once, unchanged. Before the first cell that reads a premise the process forks for each
change; the child puts the change in and runs that cell and those that depend on it.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from ddpm_lite.symbolic import checks, rules
from ddpm_lite.symbolic.cells import Cell, after, proof_cells
from ddpm_lite.symbolic.page import Page, PageError
from ddpm_lite.symbolic.premises import hold, rule_claims
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import Slip, slips, stronger
from ddpm_lite.symbolic.tokens import ReadError

SECONDS = 60
"""A child that has not failed by then counts as one that has noticed nothing."""
MOST = 6
"""Changes of one premise, first one of each kind, then the second of each, and so on."""
WHOLE = 2
"""So many changes of each premise are followed to the end of the page, to see all that fails; the
others stop at the first failure."""


@dataclass(frozen=True)
class Change:
    """A premise with one change."""

    label: str
    slip: str
    latex: str


@dataclass
class Trials:
    """What became of all changes of a page's premises."""

    caught: int = 0
    survivors: list[Change] = field(default_factory=list)
    rests_on: dict[str, set[str]] = field(default_factory=dict)
    """For each derived equation the premises whose change makes its check fail."""
    derived: list[str] = field(default_factory=list)
    """The equations that the cells check, in order."""
    identities: set[str] = field(default_factory=set)
    """Those of them whose members the machine finds equal by itself."""

    def note(self, change: Change, failed: list[str] | None) -> None:
        """Counts a change; `failed` is None if nothing failed."""
        if failed is None:
            self.survivors.append(change)
            return
        self.caught += 1
        for label in failed:
            self.rests_on.setdefault(label, set()).add(change.label)


def changes_of(page: Page, label: str) -> list[Change]:
    """Changes of a premise that do not read as the very same formula: at most MOST, all kinds."""
    latex, original = page[label].latex, read_claims(page[label].latex)
    made = [s for s in (*stronger(latex), *slips(latex)) if _claims(s) != original]
    kinds: dict[str, list[Slip]] = {}
    for slip in made:
        kinds.setdefault(slip.name, []).append(slip)
    rounds = (slip for row in zip_longest(*kinds.values()) for slip in row if slip is not None)
    return [Change(label, slip.name, slip.latex) for slip in islice(rounds, MOST)]


def _claims(slip: Slip) -> Any:
    try:
        return read_claims(slip.latex)
    except ReadError:
        return None


@dataclass
class _Run:
    """The cells of one page, the namespace they run in, and what the first run has seen."""

    path: Path
    cells: list[Cell]
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    reads: dict[int, set[str]] = field(default_factory=dict)
    """Premises that each cell reads, rules included."""
    checked: dict[int, list[str]] = field(default_factory=dict)

    def observe(self) -> None:
        """Runs all cells once and notes what each reads and checks."""
        for place, cell in enumerate(self.cells):
            rules.used.clear()
            before = len(_read()), set(checks.ledger.results)
            cell.run(self.path.name, self.names)
            read = _read()[before[0] :] if place else _read()
            self.reads[place] = set(read) | rules.used
            self.checked[place] = [x for x in checks.ledger.results if x not in before[1]]

    def again(self, start: int, premise: str, stop: bool) -> list[str] | None:
        """The checks that fail when the cells from `start` on run with the premise changed.

        None if nothing fails. With `stop`, the first failure ends it.
        """
        trial = checks.ledger.trial = checks.Trial(premise, [])
        readers = [p for p in range(start, len(self.cells)) if premise in self.reads[p]]
        trouble = False
        for place in after(self.cells, readers):
            if "except CheckError" in self.cells[place].source:
                continue  # it shows a refusal on purpose, and proves nothing
            for label in self.checked[place]:
                checks.ledger.results.pop(label, None)
            try:
                self.cells[place].run(self.path.name, self.names)
            except Exception:  # whatever a cell raises fails the build
                trouble = True
                missing = [x for x in self.checked[place] if x not in checks.ledger.results]
                trial.failed += [x for x in missing if x != premise]
                for label in missing:
                    checks.ledger.entries.pop(label, None)
            if stop and (trouble or trial.failed):
                break
        return trial.failed if trouble or trial.failed else None


def _read() -> list[str]:
    return checks.ledger.read


def try_premises(path: Path) -> Trials:
    """Changes each premise of a page in each way, and withdraws each rule that its cells use."""
    path = path.resolve()
    os.chdir(path.parent)
    cells = proof_cells(path.read_text(encoding="utf-8"))
    seen = in_child(lambda: _observed(path, cells), seconds=600)
    if isinstance(seen, str):
        raise PageError(f"{path.name}: {seen}")
    run, page = _Run(path, cells), Page(path)
    found = Trials(derived=seen["derived"], identities=set(seen["identities"]))
    run.reads = {int(k): set(v) for k, v in seen["reads"].items()}
    run.checked = {int(k): v for k, v in seen["checked"].items()}
    tried: set[str] = set()
    for label in rules.RULES.keys() & page.equations.keys():
        _try_held(found, page, label)
    for place, cell in enumerate(cells):
        for label in sorted(run.reads[place] - tried):
            _try(found, run, page, place, label)
            tried.add(label)
        cell.run(path.name, run.names)
    for label in _definitions(page) - tried - rules.RULES.keys():
        found.survivors += changes_of(page, label)
    return found


def _observed(path: Path, cells: list[Cell]) -> dict[str, Any]:
    run = _Run(path, cells)
    run.observe()
    entries = checks.ledger.entries
    derived = list(checks.ledger.results)
    return {
        "reads": {k: sorted(v) for k, v in run.reads.items()},
        "checked": run.checked,
        "derived": derived,
        "identities": [label for label in derived if entries[label].verdict == "identity"],
    }


def _definitions(page: Page) -> set[str]:
    return {label for label, e in page.equations.items() if e.kind != "derived"}


def _try_held(found: Trials, page: Page, label: str) -> None:
    """Changes of a rule's definition that the page may not have: `hold` refuses them."""
    wanted = rule_claims(label, page[label].latex)
    for change in changes_of(page, label):
        try:
            held = rule_claims(label, change.latex) == wanted
        except ReadError:
            held = False
        if not held:
            found.note(change, [] if _refused(page, change) else None)


def _refused(page: Page, change: Change) -> bool:
    equation = page.equations[change.label]
    page.equations[change.label] = replace(equation, latex=change.latex)
    try:
        hold(page)
    except PageError:
        return True
    finally:
        page.equations[change.label] = equation
    return False


def _try(found: Trials, run: _Run, page: Page, place: int, label: str) -> None:
    """All changes of one premise, each in a child, before the cell at `place` has run."""
    if label in rules.RULES:
        failed = in_child(lambda: _without(run, place, label), SECONDS * 3)
        for one in failed if isinstance(failed, list) else []:
            found.rests_on.setdefault(one, set()).add(label)
    if label not in page.equations:
        return
    for number, change in enumerate(_left_to_cells(page, label)):
        stop = number >= WHOLE
        failed = in_child(lambda c=change, s=stop: _changed(run, place, c, s), SECONDS)  # type: ignore[misc]
        found.note(change, failed if isinstance(failed, list) else None)


def _left_to_cells(page: Page, label: str) -> list[Change]:
    """The changes that are not refused already because the formula is a rule."""
    changes = changes_of(page, label)
    return [c for c in changes if label not in rules.RULES or not _refused(page, c)]


def _changed(run: _Run, place: int, change: Change, stop: bool) -> list[str] | None:
    Page.changed[change.label] = change.latex  # for a cell that names the page and reads it anew
    if checks.ledger.has_page:
        equations = checks.ledger.page.equations
        equations[change.label] = replace(equations[change.label], latex=change.latex)
    return run.again(place, change.label, stop)


def _without(run: _Run, place: int, label: str) -> list[str] | None:
    rules.withdrawn.add(label)
    return run.again(place, label, stop=False)


def in_child(work: Callable[[], Any], seconds: int) -> Any:
    """What `work` returns in a forked child, by JSON; a text where the child came to grief."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        try:
            answer = json.dumps(work())
        except BaseException as error:  # the child must not run on in the parent's code
            answer = json.dumps(f"{type(error).__name__}: {error}")
        os.write(into, answer.encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "it took too long"
