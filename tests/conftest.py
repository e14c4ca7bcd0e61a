"""What holds for all tests."""

import os
import signal
from collections.abc import Iterator

import pytest

NEEDS = {"browser": "browser", "site": "site", "site_url": "site", "training_pictures": "slow"}
"""Fixtures, and what they mark a test with, so that `make check` can leave it out."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are marked with what they need.

    What takes long begins first in each process, so that none is left alone with it at the end:
    xdist gives each an equal piece of the list, of which the others take the end when they have
    done their own.
    """
    for item in items:
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(NEEDS[fixture])
    long = [item for item in items if "slow" in item.keywords]
    short = [item for item in items if "slow" not in item.keywords]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [
        item
        for k in range(processes)
        for part in (long, short)
        for item in _share(part, k, processes)
    ]


def _share(items: list[pytest.Item], k: int, n: int) -> list[pytest.Item]:
    return items[len(items) * k // n : len(items) * (k + 1) // n]


@pytest.fixture(autouse=True)
def _signals_act() -> Iterator[None]:
    """Tests send signals; a shell may have had them ignored (`nohup`, or `&` in a script)."""
    ignored = {
        number: acts
        for number, acts in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGHUP, signal.SIG_DFL),
        )
        if signal.getsignal(number) is signal.SIG_IGN
    }
    for number, acts in ignored.items():
        signal.signal(number, acts)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
