"""A few hundred hostile inputs for each reader; `make fuzz` has 100,000."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="this system bounds neither memory nor time")

import fuzz
from targets import TARGETS, Target


@pytest.mark.slow
@pytest.mark.parametrize("make", TARGETS)
def test_a_reader_raises_nothing_but_what_it_documents(
    tmp_path: Path, make: Callable[[Path], Target]
) -> None:
    assert fuzz.feed(make(tmp_path), 300, seed=0) >= 300


def _nothing(_: object) -> None:
    return


def _other_error(_: object) -> None:
    raise KeyError("undocumented")


def _too_much(_: object) -> None:
    bytearray(2**33)


def _too_long(_: object) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("feed", "raised"),
    [(_other_error, KeyError), (_too_much, MemoryError), (_too_long, fuzz.TooSlow)],
)
def test_what_must_not_be_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: Callable[[object], None], raised: type
) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    target = TARGETS[1](tmp_path)
    assert fuzz.feed(Target(target.draw, _nothing, (ValueError,)), 5, seed=0) == 5
    with pytest.raises(raised):
        fuzz.feed(Target(target.draw, feed, (ValueError,)), 5, seed=0)
