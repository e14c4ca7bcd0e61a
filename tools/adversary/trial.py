"""One pair of formulas, put to the engine and to the judge.

A module of its own, because processes that begin afresh import what they are to do by its name.
"""

import contextlib
import signal
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import judge
import laws
import scalars
from formulas import Node, latex

from ddpm_lite.symbolic.equality import ComparisonError, difference
from ddpm_lite.symbolic.reader import read
from ddpm_lite.symbolic.tokens import ReadError

SECONDS = 5
"""A pair that the engine has not decided by then counts as not proved."""
CHUNK = 50


class Outcome(NamedTuple):
    """What the judge and the engine said of one pair."""

    number: int
    true: bool | None
    verdict: str
    one: str
    other: str


def made(seed: int, number: int) -> tuple[Node, Node, bool]:
    """The pair of that seed and number, and whether it is of laws."""
    r = Random(f"{seed} {number}")
    of_laws = r.random() < 0.25
    return *(laws.pair(r) if of_laws else scalars.pair(r)), of_laws


def tried(seed: int, number: int) -> Outcome:
    """What becomes of one pair."""
    one, other, of_laws = made(seed, number)
    a, b = latex(one), latex(other)
    true = judge.agree(one, other, f"{seed} {number}", 9 if of_laws or _is_calculus(one) else 22)
    if true is None:
        return Outcome(number, None, "no value", a, b)
    return Outcome(number, true, verdict(a, b), a, b)


def _is_calculus(node: Node) -> bool:
    return node[0] in ("der", "int", "lim")


def verdict(a: str, b: str) -> str:
    """Equal, different, refused or late, as the engine says."""
    try:
        with _limit(SECONDS):
            return "equal" if difference(read(a), read(b)) == 0 else "different"
    except ReadError:
        return "unreadable"
    except ComparisonError:
        return "refused"
    except TimeoutError:
        return "late"


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def chunk(job: tuple[int, int]) -> list[Outcome]:
    """The outcomes of CHUNK pairs from the number `first` on; the job is (seed, first)."""
    warnings.simplefilter("ignore")
    seed, first = job
    return [tried(seed, number) for number in range(first, first + CHUNK)]
