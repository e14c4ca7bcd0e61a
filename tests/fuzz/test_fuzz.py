"""A hundred hostile inputs for each reader; `make fuzz` has 100,000."""

import argparse
import importlib.util
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="this system bounds neither memory nor time")

import fuzz
import guided
import tally
import targets
from targets import TARGETS, Target


@pytest.mark.slow
@pytest.mark.parametrize("make", TARGETS.values())
def test_a_reader_raises_nothing_but_what_it_documents(
    tmp_path: Path, make: Callable[[Path], Target]
) -> None:
    assert fuzz.feed(make(tmp_path), 100, seed=0) >= 100


command: Any = importlib.util.module_from_spec(
    spec := spec_from_file_location("command", Path(__file__).with_name("__main__.py"))  # type: ignore[arg-type,assignment]
)
spec.loader.exec_module(command)  # type: ignore[union-attr]


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


def test_other_seeds_and_parts_have_other_inputs(tmp_path: Path) -> None:
    seen: list[float] = []
    target = Target(lambda r: r.random(), seen.append, ())
    for seed, part in ((0, 0), (0, 300), (1, 0), (300, 0)):
        fuzz.feed(target, 300, seed, part)
    assert len(set(seen)) == len(seen) == 1200


JOBS = {
    "died \\(SIGSEGV\\) at number 7": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs at number 7": "time.sleep(60)",
    "died \\(3\\) at number 7": "sys.exit(3)",
    "too slow: no more than 4 in 0 minutes": 'print(\'{"inputs": 4, "wrong": ""}\')',
    "KeyError": 'print(\'{"inputs": 5, "wrong": "KeyError"}\')',
}


def out_of_patience(command: list[str], **_: object) -> None:
    """`subprocess.run` that loses its patience once the job has begun."""
    with subprocess.Popen(command) as process:
        while not Path(command[-1]).read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    raise subprocess.TimeoutExpired(command, 0)


@pytest.mark.parametrize("wrong", JOBS)
def test_a_reader_that_kills_its_process_is_named(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "job.py"
    begin = "import os, signal, sys, time\nopen(sys.argv[-1], 'w').write('number 7')\n"
    script.write_text(begin + JOBS[wrong])
    monkeypatch.setattr(command, "JOB", script)
    if "hangs" in wrong:  # a busy machine may need long to begin
        monkeypatch.setattr(subprocess, "run", out_of_patience)
    told = command.fed("idx", argparse.Namespace(inputs=5, seed=0, minutes=0))
    assert re.search(wrong, told["wrong"])


def test_what_became_of_each_reader_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"inputs": 1000, "branches": 20, "wrong": ""}
    assert tally.tell(7, [("idx", good)]) == 0
    assert "1,000 inputs, 20 branches" in capsys.readouterr().out
    assert tally.tell(7, [("idx", good), ("latex", {"inputs": 3, "wrong": "died"})]) == 1
    *_, line, last = capsys.readouterr().out.splitlines()
    assert line.split() == ["latex:", "3", "inputs", "died"]
    told = json.loads(last)
    assert (told["inputs"], told["failures"]) == ({"idx": 1000, "latex": 3}, ["latex"])
    assert told["seed"] == 7


@pytest.mark.slow
def test_the_command_feeds_a_reader_and_ends_with_a_line_of_json() -> None:
    here = Path(__file__).parent
    words = [sys.executable, str(here), "--only", "idx", "--inputs", "5", "--processes", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["inputs"], told["failures"]) == ({"idx": 5}, [])


@pytest.mark.parametrize("name", guided.READERS)
def test_a_guided_fuzzer_begins_with_the_same_inputs(tmp_path: Path, name: str) -> None:
    """What it changes are bytes, and each of them has a part in what the reader is fed."""
    value_of, bytes_of = guided.READERS[name]
    seen = set[bytes]()
    target = targets.TARGETS[name](tmp_path)
    for number in range(50):
        drawn = target.draw(random.Random(number))
        content = bytes_of(drawn)
        assert type(value_of(content)) is type(drawn)
        assert bytes_of(value_of(content)) == content
        seen.add(content)
    assert len(seen) > 25


@pytest.mark.slow
def test_a_guided_fuzzer_finds_its_way() -> None:
    pytest.importorskip("atheris", reason="`make fuzz-guided` installs it")
    words = [sys.executable, guided.__file__, "idx", "--inputs", "500", "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    assert "Done 500 runs" in done.stderr
    assert int(re.findall(r"cov: (\d+)", done.stderr)[-1]) > 3
