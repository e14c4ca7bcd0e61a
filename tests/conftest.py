"""What holds for all tests."""

import os
import signal
from collections.abc import Iterator

import pytest
from turns import in_turns

NEEDS = {"browser": "browser", "site": "site", "site_url": "site", "training_pictures": "slow"}
"""Fixtures, and what they mark a test with, so that `make check` can leave it out."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are marked with what they need.

    What takes long begins first in each process, so that none is left alone with it at the end.
    """
    for item in items:
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(NEEDS[fixture])
    long = [item for item in items if "slow" in item.keywords]
    short = [item for item in items if "slow" not in item.keywords]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = in_turns(long, short, processes)


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
