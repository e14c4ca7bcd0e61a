"""A hundred hostile inputs for each reader; `make fuzz` has 100,000."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="this system bounds neither memory nor time")

import fuzz
import targets
from targets import TARGETS, Target


@pytest.mark.slow
@pytest.mark.parametrize("make", TARGETS)
def test_a_reader_raises_nothing_but_what_it_documents(
    tmp_path: Path, make: Callable[[Path], Target]
) -> None:
    assert fuzz.feed(make(tmp_path), 100, seed=0) >= 100


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
    target = targets.idx(tmp_path)
    assert fuzz.feed(Target(target.draw, _nothing, (ValueError,)), 5, seed=0) == 5
    with pytest.raises(raised):
        fuzz.feed(Target(target.draw, feed, (ValueError,)), 5, seed=0)


@pytest.mark.slow
def test_the_command_feeds_a_reader_and_ends_with_a_line_of_json() -> None:
    here = Path(__file__).parent
    words = [sys.executable, str(here), "--only", "idx", "--inputs", "5", "--processes", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["inputs"], told["failures"]) == ({"idx": 5}, [])
