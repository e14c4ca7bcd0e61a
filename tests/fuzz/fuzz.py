"""Feeds a reader with many inputs, each within bounds of time and memory."""

import contextlib
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from targets import Target

SECONDS = 10
"""Time of the processor that one input may take."""
MEMORY = 2**31
"""Bytes that a process may take beyond those that it has when it begins."""


class TooSlow(BaseException):
    """An input that takes too long; no reader may take this for an error of its own."""


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS} s")


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """What wants more memory than it should gets a MemoryError in the body (on Linux)."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextlib.contextmanager
def bounded_time() -> Iterator[None]:
    """TooSlow in the body once it has computed too long; waiting does not count."""
    before = signal.signal(signal.SIGVTALRM, _too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def ignore(part: int, number: int) -> None:
    """Does nothing with an input's number."""


def feed(
    target: Target,
    inputs: int,
    seed: int,
    part: int = 0,
    note: Callable[[int, int], None] = ignore,
) -> int:
    """Feeds as many inputs; returns how many were fed. Raises what the target does not document.

    Hypothesis draws a number for each input, none twice, and names the one that failed. What
    follows from seed, part and number is drawn by `random`, which is ten times as fast; so another
    seed or part has other inputs, though hypothesis likes small numbers. `note` is told first.
    """
    fed = 0

    @hypothesis.seed(seed + part)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @hypothesis.given(st.integers(0, 2**64 - 1))
    def one(number: int) -> None:
        nonlocal fed
        fed += 1
        note(part, number)
        value = target.draw(random.Random(f"{seed} {part} {number}"))
        with bounded_time(), contextlib.suppress(*target.documented):
            target.feed(value)

    with bounded_memory():
        one()
    return fed


def feed_many(
    make: Callable[[Path], Target],
    inputs: int,
    seed: int,
    minutes: float,
    note: Callable[[int, int], None] = ignore,
    chunk: int = 2000,
) -> int:
    """As `feed`, in parts, so that little is remembered; ends early when the time is over."""
    fed, end = 0, time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as around:
        target = make(Path(around))
        while fed < inputs and time.monotonic() < end:
            fed += feed(target, min(chunk, inputs - fed), seed, fed, note)
    return fed
