"""What holds for all tests."""

import signal
from collections.abc import Iterator

import pytest

NEEDS = {"browser": "browser", "site": "site", "site_url": "site"}
"""Fixtures, and what they mark a test with, so that `make check` can leave it out."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are marked with what they need.

    What takes long begins first, so that no process is left alone with it at the end.
    """
    for item in items:
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(NEEDS[fixture])
    items.sort(key=lambda item: "slow" not in item.keywords)


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
