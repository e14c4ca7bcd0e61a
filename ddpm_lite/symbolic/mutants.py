"""Do the checks catch slips? `python -m ddpm_lite.symbolic.mutants book/*.md` counts.

Each page's proof cells are run once. Then every derived equation is changed, one small slip at a
time, read again and compared with the very results that its check was given. A mutant that still
passes is a survivor: a hole, unless it says the same as the original. A result never rests on the
equation that it checks (see `checks.proved`), so a changed page cannot change what it is compared
with. This tells whether page and cell agree, and nothing about how the cell came to its result.

So the premises are changed too, and the cells run again (see `trials`): that tells which equations
rest on what. A derived equation that rests on nothing must be an identity of algebra.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import time
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from ddpm_lite.symbolic import checks
from ddpm_lite.symbolic.cells import proof_cells, run_page
from ddpm_lite.symbolic.page import Equation, Page, PageError
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import Slip, slips
from ddpm_lite.symbolic.tokens import ReadError
from ddpm_lite.symbolic.trials import in_child, try_premises

MUTANT_SECONDS = 60
"""A mutant that is not decided by then counts as not caught."""


@dataclass(frozen=True)
class Survivor:
    """A slip that the check did not catch."""

    page: str
    label: str
    slip: str
    formula: str
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one page's mutants."""

    page: str
    digest: str
    by_slip: dict[str, int]
    caught: int
    survivors: list[Survivor]
    premise_caught: int = 0
    premise_survivors: list[Survivor] = field(default_factory=list)
    rests_on: dict[str, list[str]] = field(default_factory=dict)
    """Premises of each derived equation, in their order on the page; empty for an identity."""
    groundless: list[str] = field(default_factory=list)
    """Derived equations that rest on nothing and are no identities: they are not derived."""

    @property
    def mutants(self) -> int:
        """How many were made."""
        return self.caught + len(self.survivors)


def digest(path: Path) -> str:
    """A fingerprint of a page's equations and proof cells: tells whether an outcome is its own.

    Comments and empty lines do not count.
    """
    parts: list[Any] = [(e.label, e.kind, e.latex) for e in Page(path).equations.values()]
    parts += [_code(cell.source) for cell in proof_cells(path.read_text(encoding="utf-8"))]
    text = json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _code(source: str) -> str:
    """A cell without what nobody runs."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    ends = {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}
    lines = [line[: ends.get(n)].rstrip() for n, line in enumerate(source.splitlines(), 1)]
    return "\n".join(filter(None, lines))


def mutants_of(equation: Equation) -> Iterator[Slip]:
    """The slips of one equation that do not read as the very same formula."""
    original = read_claims(equation.latex)
    for slip in slips(equation.latex):
        try:
            changed = read_claims(slip.latex)
        except ReadError:
            yield slip
            continue
        if changed != original:
            yield slip


def is_caught(label: str, slip: Slip, results: tuple[Any, ...]) -> bool:
    """Whether the build would fail with this formula on the page."""
    try:
        with _limit(MUTANT_SECONDS):
            checks.compare(label, read_claims(slip.latex), results)
    except TimeoutError:
        return False
    except Exception:  # whatever a cell raises fails the build
        return True
    return False


@contextlib.contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def try_page(path: Path) -> Outcome:
    """Run one page, all mutants of its derived equations, and those of its premises."""
    path = path.resolve()
    trials = try_premises(path)
    equations = in_child(lambda: asdict(_try_equations(path)), seconds=3600)
    if isinstance(equations, str):
        raise PageError(f"{path.name}: {equations}")
    equations["survivors"] = [Survivor(**one) for one in equations["survivors"]]
    survivors = [Survivor(path.stem, c.label, c.slip, _flat(c.latex)) for c in trials.survivors]
    order = list(Page(path).equations)
    rests_on = {
        label: sorted(found, key=lambda one: (order.index(one) if one in order else -1, one))
        for label, found in trials.rests_on.items()
    }
    groundless = [x for x in trials.derived if x not in rests_on and x not in trials.identities]
    return replace(
        Outcome(**equations), premise_caught=trials.caught, premise_survivors=survivors,
        rests_on={x: rests_on.get(x, []) for x in order if x in trials.derived},
        groundless=groundless,
    )  # fmt: skip


def _try_equations(path: Path) -> Outcome:
    run_page(path)
    page, by_slip, caught, survivors = Page(path), Counter[str](), 0, []
    for label, results in checks.ledger.results.items():
        for slip in mutants_of(page[label]):
            by_slip[slip.name] += 1
            if is_caught(label, slip, results):
                caught += 1
            else:
                survivors.append(Survivor(path.stem, label, slip.name, _flat(slip.latex)))
    return Outcome(path.stem, digest(path), dict(by_slip), caught, survivors)


def _flat(latex: str) -> str:
    return " ".join(latex.split())


def summary_of(outcomes: list[Outcome], reasons: dict[str, str]) -> dict[str, Any]:
    """All pages together, each survivor with its reason."""
    by_slip: Counter[str] = Counter()
    for outcome in outcomes:
        by_slip.update(outcome.by_slip)
    survivors = _explained((s for o in outcomes for s in o.survivors), reasons)
    premises = _explained((s for o in outcomes for s in o.premise_survivors), reasons)
    premise_caught = sum(o.premise_caught for o in outcomes)
    return {
        "mutants": sum(o.mutants for o in outcomes),
        "caught": sum(o.caught for o in outcomes),
        "by_slip": dict(sorted(by_slip.items(), key=lambda one: (-one[1], one[0]))),
        "pages": {
            o.page: {"mutants": o.mutants, "caught": o.caught, "equations": o.digest}
            for o in outcomes
        },
        "survivors": survivors,
        "premise_mutants": premise_caught + len(premises),
        "premise_caught": premise_caught,
        "premise_survivors": premises,
        "rests_on": {label: on for o in outcomes for label, on in o.rests_on.items()},
        "groundless": [label for o in outcomes for label in o.groundless],
    }


def _explained(survivors: Iterable[Survivor], reasons: dict[str, str]) -> list[dict[str, str]]:
    """Survivors with their reasons: one for the very formula, or one for the premise and slip."""
    rows = [asdict(survivor) for survivor in survivors]
    for row in rows:
        places = (f"{row['label']}: {row['formula']}", f"{row['label']}: {row['slip']}")
        row["reason"] = next((reasons[place] for place in places if place in reasons), "")
    return rows


def print_summary(whole: dict[str, Any], seconds: float) -> None:
    """The tables, the survivors, and one JSON line."""
    for page, row in whole["pages"].items():
        print(f"{page:28} {row['mutants']:5} mutants {row['caught']:5} caught")
    for slip, number in whole["by_slip"].items():
        print(f"  {slip:40} {number:5}")
    for s in (*whole["survivors"], *whole["premise_survivors"]):
        print(f"survivor: {s['label']}: {s['slip']}: {s['formula']}")
        print(f"  {s['reason'] or 'NO REASON'}")
    for label in whole["groundless"]:
        print(f"{label} rests on no premise and is no identity: it is not derived")
    print(f"{seconds:.0f} s")
    keys = ("mutants", "caught", "premise_mutants", "premise_caught")
    print(json.dumps({key: whole[key] for key in keys}))


def is_good(whole: dict[str, Any]) -> bool:
    """At least 98 % of both kinds caught, each survivor explained, nothing without ground."""
    explained = all(s["reason"] for s in (*whole["survivors"], *whole["premise_survivors"]))
    enough = whole["caught"] >= 0.98 * whole["mutants"]
    premises = whole["premise_caught"] >= 0.98 * whole["premise_mutants"]
    return explained and enough and premises and not whole["groundless"]


def main(arguments: list[str] | None = None) -> int:
    """0 if the run `is_good`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, help="write everything here, as JSON")
    parser.add_argument("--reasons", type=Path, help="JSON: why a survivor is an equal formula")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    pages = [p for p in options.pages if "\n% derived" in p.read_text(encoding="utf-8")]
    pages.sort(key=lambda page: page.stat().st_size, reverse=True)  # no long one is left to the end
    reasons = json.loads(options.reasons.read_text()) if options.reasons else {}
    # The cells' PyTorch: a process that is forked from one with OpenMP threads waits for ever.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with Pool(min(len(pages), os.cpu_count() or 1), maxtasksperchild=1) as pool:
        outcomes = sorted(pool.map(try_page, pages, chunksize=1), key=lambda outcome: outcome.page)
    whole = summary_of(outcomes, reasons)
    if options.output:
        options.output.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    print_summary(whole, time.perf_counter() - start)
    return int(not is_good(whole))


if __name__ == "__main__":
    sys.exit(main())
