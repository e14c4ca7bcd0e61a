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
from collections.abc import Callable, Iterator
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

CHILD_SECONDS: float = 300
"""So much of its own computing time a child has to fail, or to come to the end. A machine that is
busy with something else takes nothing from it. A child that needs more stops the run."""
AFTER = 30
"""So much of it to go on once something has failed, to see what else does."""
MOST_CHANGES = 6
"""Changes of one premise, first one of each kind, then the second of each, and so on."""
WHOLE = 2
"""So many changes of each premise are followed to the end of the page, to see all that fails, and
with them the first that changes another side of an equation; the others stop at the first failure.
"""


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
    """Those of them that the machine finds true by itself: its verdict needs no premise."""

    def note(self, change: Change, failed: list[str] | None) -> None:
        """Counts a change; `failed` is None if nothing failed."""
        if failed is None:
            self.survivors.append(change)
            return
        self.caught += 1
        self.rest(failed, change.label)

    def rest(self, failed: list[str] | None, premise: str) -> None:
        """Notes that these equations rest on the premise."""
        for label in failed or []:
            self.rests_on.setdefault(label, set()).add(premise)


def changes_of(page: Page, label: str) -> list[Change]:
    """At most MOST_CHANGES of a premise, of all kinds, that do not read as the same formula."""
    latex, original = page[label].latex, read_claims(page[label].latex)
    made = [s for s in (*stronger(latex), *slips(latex)) if _claims(s) != original]
    kinds: dict[str, list[Slip]] = {}
    for slip in made:
        kinds.setdefault(slip.name, []).append(slip)
    rounds = (slip for row in zip_longest(*kinds.values()) for slip in row if slip is not None)
    return [Change(label, slip.name, slip.latex) for slip in islice(rounds, MOST_CHANGES)]


def _claims(slip: Slip | Change) -> Any:
    """What the changed formula says; None if it cannot be read."""
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
    """Premises whose formulas each cell reads."""
    uses: dict[int, set[str]] = field(default_factory=dict)
    """Rules of the machine that each cell uses."""
    checked: dict[int, list[str]] = field(default_factory=dict)

    def observe(self) -> None:
        """Runs all cells once and notes what each reads and checks."""
        for place, cell in enumerate(self.cells):
            rules.used.clear()
            before = len(_read()), set(checks.ledger.results)
            cell.run(self.path.name, self.names)
            read = _read()[before[0] :] if place else _read()
            self.reads[place], self.uses[place] = set(read), set(rules.used)
            self.checked[place] = [x for x in checks.ledger.results if x not in before[1]]

    def again(self, places: list[int], premise: str, stop: bool) -> list[str] | None:
        """The checks that fail when these cells and their dependants run with the premise changed.

        None if nothing fails. With `stop`, the first failure ends it; so does the end of the time,
        once something has failed, and then there are AFTER seconds more.
        """
        trial = checks.ledger.trial = checks.Trial(premise, [])
        trouble = False
        try:
            for place in after(self.cells, places):
                before = trouble or bool(trial.failed)
                trouble = not self._passes(place, trial) or trouble
                failed = trouble or bool(trial.failed)
                if stop and failed:
                    break
                if failed and not before:
                    signal.setitimer(signal.ITIMER_PROF, AFTER)
        except OutOfTime:
            if not trouble and not trial.failed:
                raise
        return trial.failed if trouble or trial.failed else None

    def _passes(self, place: int, trial: checks.Trial) -> bool:
        """Runs one cell; False if it raises, and then what it had still to check has failed."""
        if "except CheckError" in self.cells[place].source:
            return True  # it shows a refusal on purpose, and proves nothing
        for label in self.checked[place]:
            checks.ledger.results.pop(label, None)
        try:
            self.cells[place].run(self.path.name, self.names)
        except Exception:  # whatever a cell raises fails the build
            missing = [x for x in self.checked[place] if x not in checks.ledger.results]
            trial.failed += [x for x in missing if x != trial.premise]
            for label in missing:
                checks.ledger.entries.pop(label, None)
            return False
        return True


def _read() -> list[str]:
    return checks.ledger.read


def try_premises(path: Path) -> Trials:
    """Changes each premise of a page in each way, and withdraws each rule that its cells use.

    Raises PageError where a trial comes to no answer.
    """
    path = path.resolve()
    os.chdir(path.parent)
    checks.ledger.__init__()  # type: ignore[misc]  # no page is in use yet
    cells = proof_cells(path.read_text(encoding="utf-8"))
    seen = _answer(path.name, lambda: _observed(path, cells), times=3)
    run, page = _Run(path, cells), Page(path)
    found = Trials(derived=seen["derived"], identities=set(seen["identities"]))
    run.reads = {int(k): set(v) for k, v in seen["reads"].items()}
    run.uses = {int(k): set(v) for k, v in seen["uses"].items()}
    run.checked = {int(k): v for k, v in seen["checked"].items()}
    tried: set[str] = set()
    for label in rules.RULES.keys() & page.equations.keys():
        _try_held(found, page, label)
    for place, cell in enumerate(cells):
        for label in sorted((run.reads[place] | run.uses[place]) - tried):
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
        "uses": {k: sorted(v) for k, v in run.uses.items()},
        "checked": run.checked,
        "derived": derived,
        "identities": [x for x in derived if entries[x].verdict in ("identity", "witnessed")],
    }


def _definitions(page: Page) -> set[str]:
    return {label for label, e in page.equations.items() if e.kind != "derived"}


def _try_held(found: Trials, page: Page, label: str) -> None:
    """Changes of a rule's definition that are another rule: `hold` must refuse such a page."""
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
    """All changes of one premise, each in a child, before the cell at `place` has run.

    Changes of a rule's definition that `hold` refuses are counted already. The first of them run
    through the cells that read the definition all the same, to see what has been derived from it.
    """
    if label in rules.RULES:
        without = _answer(f"{page.name}, {label}", lambda: _without(run, place, label), times=3)
        found.rest(without, label)
    if label not in page.equations:
        return
    for change, whole in _followed(page, label):
        refused = label in rules.RULES and _refused(page, change)
        if refused and not whole:
            continue
        if _claims(change) is None:  # the cell that reads it fails, whatever rests on what
            found.note(change, [])
            continue
        failed = _answer(
            f"{page.name}, {label} with {change.slip}",
            lambda c=change, w=whole: _changed(run, place, c, stop=not w),  # type: ignore[misc]
        )
        if refused:
            found.rest(failed, label)
        else:
            found.note(change, failed)


def _followed(page: Page, label: str) -> Iterator[tuple[Change, bool]]:
    """Each change of a premise, and whether its trial is followed to the end of the page."""
    original, seen, number = read_claims(page[label].latex), set[Any](), 0
    for change in changes_of(page, label):
        claims = _claims(change)
        if claims is None:
            yield change, False
            continue
        sides = [c.lhs for c in claims] == [c.lhs for c in original], len(claims)
        yield change, number < WHOLE or sides not in seen
        seen.add(sides)
        number += 1


def _changed(run: _Run, start: int, change: Change, stop: bool) -> list[str] | None:
    Page.changed[change.label] = change.latex  # for a cell that names the page and reads it anew
    if checks.ledger.has_page:
        equations = checks.ledger.page.equations
        equations[change.label] = replace(equations[change.label], latex=change.latex)
    places = [p for p in range(start, len(run.cells)) if change.label in run.reads[p]]
    return run.again(places, change.label, stop)


def _without(run: _Run, start: int, label: str) -> list[str] | None:
    rules.withdrawn.add(label)
    places = [p for p in range(start, len(run.cells)) if label in run.uses[p]]
    return run.again(places, label, stop=False)


def _answer(what: str, work: Callable[[], Any], times: int = 1) -> Any:
    """What a child returns within so many times CHILD_SECONDS.

    Raises PageError, which stops the run, where there is no answer.
    """
    answer = in_child(work, times * CHILD_SECONDS)
    if isinstance(answer, str):
        raise PageError(f"{what}: {answer}")
    return answer


class OutOfTime(BaseException):
    """A child has used up its computing time; no cell may catch this as an error of its own."""


def _stop(*_: Any) -> None:
    raise OutOfTime("it takes too long")


def in_child(work: Callable[[], Any], seconds: float) -> Any:
    """What `work` returns in a forked child, by JSON; a text where the child came to grief.

    The child may take so many seconds of computing time, whatever else the machine does.
    """
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        signal.signal(signal.SIGPROF, _stop)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            answer = json.dumps(work())
        except BaseException as error:  # the child must not run on in the parent's code
            answer = json.dumps(f"{type(error).__name__}: {error}")
        signal.setitimer(signal.ITIMER_PROF, 0)
        with os.fdopen(into, "wb") as pipe:
            pipe.write(answer.encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "the child has died"
