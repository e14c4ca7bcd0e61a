"""A folder's lock: who asks for it, who has it, and what is written in it."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from ddpm_lite.checkpoint import CheckpointError
from ddpm_lite.lock import LOCK, in_use, locked, sign, signature

fcntl = pytest.importorskip("fcntl", reason="this system has no locks")


def test_two_that_ask_at_once_do_not_take_each_other_for_a_run(tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as `in_use` has it for a moment
        assert not in_use(tmp_path)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert in_use(tmp_path)


def test_who_does_not_get_the_lock_leaves_the_name_of_who_has_it(tmp_path: Path) -> None:
    with locked(tmp_path) as first:
        sign(tmp_path, "the first")
        with locked(tmp_path) as second:
            assert (first, second) == (True, False)
    assert signature(tmp_path) == "the first"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_what_nobody_has_signed_has_no_signature(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / LOCK).write_bytes(content)
    assert signature(tmp_path) == ""


def test_a_lock_that_may_not_be_read_holds_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with locked(tmp_path):
        monkeypatch.setattr(Path, "open", denied)
        assert not in_use(tmp_path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    """A link would have what it leads to overwritten, and a pipe would be waited for."""
    run, victim = tmp_path / "run", tmp_path / "victim"
    run.mkdir()
    victim.write_text("precious")
    if kind == "link":
        (run / LOCK).symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(run / LOCK)
    else:
        (run / LOCK).mkdir()
    for hold in (locked(run), nullcontext()):
        with pytest.raises(CheckpointError, match="is no plain file"), hold:
            sign(run, "me")
    assert victim.read_text() == "precious"
