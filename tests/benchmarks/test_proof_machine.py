"""What the benchmark of the proof machine adds up."""

import gzip
import json
from pathlib import Path

import proof_machine
import pytest


def test_each_file_weighs_what_gzip_leaves_and_once(tmp_path: Path) -> None:
    text, packed = b"x" * 10_000, gzip.compress(bytes(range(256)))
    (tmp_path / "a b.txt").write_bytes(text)
    (tmp_path / "c.zip").write_bytes(packed)
    asked = ["http://host:1/a%20b.txt", "http://host:1/a%20b.txt?v=2", "http://host:1/c.zip"]
    others = ["blob:null/1", "http://host:1/", "http://host:1/none"]
    expected = (len(gzip.compress(text)) + len(packed)) / 1e6
    assert proof_machine.weight([*asked, *others], tmp_path) == pytest.approx(expected)


def test_the_longest_wait_is_named() -> None:
    found = [("a", "as it is", "equal", 0.1), ("a", "with a slip", "different", 0.3)]
    found.append(("b", "as it is", "equal", 2.0))
    assert proof_machine.summary(found) == {
        "formulas": 2,
        "verdicts": 3,
        "median_s": 0.3,
        "maximum_s": 2.0,
        "slowest": "b",
    }


def test_pages_are_those_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "_static" / "machine"
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text(json.dumps({"pages": ["01_a.md", "02_b.md"]}))
    assert proof_machine.chapters(tmp_path, []) == ["01_a", "02_b"]
    assert proof_machine.chapters(tmp_path, ["02"]) == ["02_b"]
