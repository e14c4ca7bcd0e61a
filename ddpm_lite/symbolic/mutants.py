"""Do the checks catch slips? `python -m ddpm_lite.symbolic.mutants book/*.md` counts.

Each page's cells are run once. Then every derived equation is changed, one small slip at a time,
read again and compared with the very results that its check was given. A mutant that still passes
is a survivor: a hole, unless it says the same as the original. A result never rests on the equation
that it checks (see `checks.proved`), so a changed page cannot change what it is compared with.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from ddpm_lite.symbolic import checks
from ddpm_lite.symbolic.page import Equation, Page
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.slips import Slip, slips
from ddpm_lite.symbolic.tokens import ReadError

CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)^```$", re.M | re.S
)
SECONDS = 60
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

    @property
    def mutants(self) -> int:
        """How many were made."""
        return self.caught + len(self.survivors)


def run_cells(path: Path) -> None:
    """Run a chapter's cells in one namespace, in the chapter's folder, silently."""
    os.chdir(path.parent)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, match in enumerate(CELL.finditer(path.read_text(encoding="utf-8")), 1):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(match[1], f"{path.name}, cell {number}", "exec"), names)


def digest(path: Path) -> str:
    """A fingerprint of a page's equations: tells whether an outcome still belongs to the page."""
    text = json.dumps([(e.label, e.kind, e.latex) for e in Page(path).equations.values()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
        with _limit(SECONDS):
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
    """Run one page, and all mutants of its derived equations."""
    path = path.resolve()
    run_cells(path)
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


def report(outcomes: list[Outcome], reasons: dict[str, str]) -> dict[str, Any]:
    """All pages together, each survivor with its reason."""
    by_slip: Counter[str] = Counter()
    for outcome in outcomes:
        by_slip.update(outcome.by_slip)
    survivors = [asdict(s) for o in outcomes for s in o.survivors]
    for survivor in survivors:
        survivor["reason"] = reasons.get(f"{survivor['label']}: {survivor['formula']}", "")
    return {
        "mutants": sum(o.mutants for o in outcomes),
        "caught": sum(o.caught for o in outcomes),
        "by_slip": dict(by_slip.most_common()),
        "pages": {
            o.page: {"mutants": o.mutants, "caught": o.caught, "equations": o.digest}
            for o in outcomes
        },
        "survivors": survivors,
    }


def show(whole: dict[str, Any], seconds: float) -> None:
    """The tables, the survivors, and one JSON line."""
    for page, row in whole["pages"].items():
        print(f"{page:28} {row['mutants']:5} mutants {row['caught']:5} caught")
    for slip, number in whole["by_slip"].items():
        print(f"  {slip:40} {number:5}")
    for s in whole["survivors"]:
        print(f"survivor: {s['label']}: {s['slip']}: {s['formula']}")
        print(f"  {s['reason'] or 'NO REASON'}")
    print(f"{seconds:.0f} s")
    print(json.dumps({"mutants": whole["mutants"], "caught": whole["caught"]}))


def main(arguments: list[str] | None = None) -> int:
    """0 if at least 98 % are caught and each survivor has a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, help="write everything here, as JSON")
    parser.add_argument("--reasons", type=Path, help="JSON: why a survivor is an equal formula")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    pages = [p for p in options.pages if "\n% derived" in p.read_text(encoding="utf-8")]
    reasons = json.loads(options.reasons.read_text()) if options.reasons else {}
    with Pool(min(len(pages), os.cpu_count() or 1), maxtasksperchild=1) as pool:
        outcomes = pool.map(try_page, pages, chunksize=1)
    whole = report(outcomes, reasons)
    if options.output:
        options.output.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    show(whole, time.perf_counter() - start)
    unexplained = any(not s["reason"] for s in whole["survivors"])
    return int(unexplained or whole["caught"] < 0.98 * whole["mutants"])


if __name__ == "__main__":
    sys.exit(main())
