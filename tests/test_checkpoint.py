"""Checkpoints: what is written is read, what is damaged is told, and nothing that was is lost."""

import errno
import json
import os
import stat
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import apart
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ddpm_lite import checkpoint
from ddpm_lite.checkpoint import (
    FORMAT,
    CheckpointError,
    DamagedError,
    check_writable,
    is_whole,
    load_optimizer,
    new_folder,
    optimizer_tensors,
    read,
    read_tensors,
    write,
    write_whole,
)

TENSORS = {"ema.a": torch.arange(6.0).reshape(2, 3), "rng.b": torch.arange(3, dtype=torch.uint8)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "quite" / "new" / "x.safetensors"
    write(path, TENSORS, {"step": 3, "names": ["a"]})
    tensors, metadata = read(path)
    assert metadata == {"step": 3, "names": ["a"]}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        torch.testing.assert_close(tensor, TENSORS[name], rtol=0, atol=0)


def test_only_a_part_is_read(tmp_path: Path) -> None:
    write(tmp_path / "x", TENSORS, {})
    assert read(tmp_path / "x", only="ema.")[0].keys() == {"ema.a"}


def test_a_foreign_file_is_read_as_it_is(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "x", {"made": "elsewhere"})
    for only, names in (("", {"ema.a", "rng.b"}), ("rng", {"rng.b"})):
        tensors, header = read_tensors(tmp_path / "x", only)
        assert (tensors.keys(), header) == (names, {"made": "elsewhere"})
    assert read_tensors(tmp_path / "x")[0].keys() == TENSORS.keys()


def test_channels_last_weights_keep_their_values(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    write(tmp_path / "x", {"w": weight}, {})
    assert torch.equal(read(tmp_path / "x")[0]["w"], weight)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_file_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.safetensors"
    write(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="truncated or foreign") as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    """But for spaces between the header and the data, and in the header's JSON, that mean nothing.

    What is read then is what was written.
    """
    path, metadata = tmp_path / "x.safetensors", {"step": 3, "name": "abc"}
    write(path, TENSORS, metadata)
    good, harmless = path.read_bytes(), 0
    for place in range(len(good)):
        for bit in (0, 3, 5, 7):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            try:
                tensors, described = read(path)
            except DamagedError:
                continue
            harmless += 1
            assert described == metadata
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert harmless < 40


def test_a_changed_byte_is_noticed_where_only_a_part_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write(path, {"ema.a": torch.zeros(4), "model.a": torch.zeros(4)}, {})
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"\x01")  # in model.a, as tensors lie in the order of their names
    assert read(path, only="ema.")[0].keys() == {"ema.a"}
    for only in ("", "model."):
        with pytest.raises(DamagedError, match="not those that were written"):
            read(path, only)


def test_a_file_without_sums_is_read_as_ever(tmp_path: Path) -> None:
    header = {"format": "ddpm_lite/1", "json": '{"step": 1}'}  # as the first version wrote it
    save_file({"a": torch.ones(2)}, tmp_path / "x", header)
    tensors, metadata = read(tmp_path / "x")
    assert (tensors["a"].tolist(), metadata) == ([1.0, 1.0], {"step": 1})


@pytest.mark.parametrize(
    "header",
    [
        {"sha256": ""},
        {"sha256": "[1]"},
        {"sha256": "{}"},
        {"sha256": '{"json": 1, "tensors": 2}'},
        {"sha256": '{"json": 1, "tensors": {}}'},
        {"sha256": "[" * 100_000},
        {"sha257": "another name"},
    ],
)
def test_damaged_sums_are_noticed(tmp_path: Path, header: dict[str, str]) -> None:
    known = {"format": FORMAT, "json": "{}"}
    save_file({"a": torch.zeros(2)}, tmp_path / "x", known | header)
    with pytest.raises(DamagedError, match="damaged"):
        read(tmp_path / "x")


def test_what_was_there_is_kept_under_another_name(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path / "x", TENSORS, {"step": step}, keep="y")
    assert [read(tmp_path / name)[1]["step"] for name in "xy"] == [3, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"x", "y"}


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign"])
def test_a_damaged_file_does_not_push_out_the_good_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        write(tmp_path / "x", TENSORS, {"step": step}, keep="y")
    good = (tmp_path / "x").read_bytes()
    bad = {"flipped": good[:-1] + bytes([good[-1] ^ 1]), "cut": good[:-1], "empty": b""}
    (tmp_path / "x").write_bytes(bad.get(damage, b""))
    if damage == "foreign":
        save_file({"a": torch.zeros(2)}, tmp_path / "x")
    write(tmp_path / "x", TENSORS, {"step": 3}, keep="y")
    assert [read(tmp_path / name)[1]["step"] for name in "xy"] == [3, 1]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"{tmp_path / 'x'}: was damaged")


def test_what_was_there_is_looked_through_one_tensor_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would be a second copy of a large checkpoint, in the middle of a training."""
    alive: list[int] = []
    most = 0

    def note(tensors: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        nonlocal most
        for name, tensor in tensors:
            alive.append(1)
            weakref.finalize(tensor, alive.pop)
            most = max(most, len(alive))
            yield name, tensor
            del tensor

    sums = checkpoint._sums
    monkeypatch.setattr(checkpoint, "_sums", lambda tensors: sums(note(tensors)))
    parts = {str(number): torch.zeros(3) for number in range(5)}
    header = {"json": checkpoint._sum(b"{}"), "tensors": sums(parts.items())}
    texts = {"format": FORMAT, "json": "{}", "sha256": json.dumps(header)}
    save_file(parts, tmp_path / "x", texts)
    assert is_whole(tmp_path / "x")
    assert 0 < most <= 2  # the one before is let go when the next one is there


def test_a_write_that_fails_keeps_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2):
        write(tmp_path / "x", TENSORS, {"step": step}, keep="y")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write(tmp_path / "x", TENSORS, {"step": 3}, keep="y")
    assert [read(tmp_path / name)[1]["step"] for name in "xy"] == [2, 1]


def forbidden(path: Path) -> None:
    """Asks for a file that may not be read, in a process that obeys; prints what it is told."""
    from child import obey_permissions

    if not obey_permissions():
        os._exit(3)
    try:
        read(path)
    except DamagedError:
        os._exit(2)
    except CheckpointError as error:
        os._exit(int("Permission denied" not in str(error)))


@pytest.mark.slow
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    """Else a training would go on from the one before, and replace it."""
    write(tmp_path / "x", TENSORS, {})
    (tmp_path / "x").chmod(0o200)
    process = apart.start(forbidden, tmp_path / "x")
    process.join()
    if process.exitcode == 3:
        pytest.skip("this system has no permissions that bind")
    assert process.exitcode == 0


def test_a_disk_that_fails_altogether_is_told_by_its_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary file cannot even be removed then."""

    def broken(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def full(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", broken)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=os.strerror(errno.EIO)):
        write_whole(tmp_path / "x", b"new")


def test_too_little_memory_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x", TENSORS, {})

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(checkpoint, "safe_open", full)
    with pytest.raises(MemoryError):
        read(tmp_path / "x")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04}q\x00.")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="truncated or foreign"):
        read(tmp_path / "pickle.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of ddpm_lite"):
        read(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        read(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError):
        read(tmp_path)


def test_full_disk_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_whole(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=rf"^{path}: cannot be written \(No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    """The limit stands for the disk: the system refuses what goes beyond it."""
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    write(tmp_path / "x", TENSORS, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot be written") as error:
            write(tmp_path / "x", {"a": torch.zeros(1_000_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert read(tmp_path / "x")[1] == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "x", b"old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_weights_are_written_from_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, places = torch.randn(100), []

    def note(tensors: dict[str, torch.Tensor], *rest: object) -> None:
        places.append(tensors["w"].data_ptr())
        save_file(tensors, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save_file", note)
    write(tmp_path / "x", {"w": weight}, {})
    assert places == [weight.data_ptr()]
    assert torch.equal(read(tmp_path / "x")[0]["w"], weight)


@pytest.mark.parametrize("kept", ["", "y"])
def test_the_content_is_on_the_disk_before_the_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """Else a power cut might leave an empty file under the good name."""
    write(tmp_path / "x", TENSORS, {"step": 1})
    done = watch(monkeypatch)
    write(tmp_path / "x", TENSORS, {"step": 2}, **({"keep": kept} if kept else {}))
    moves = ["x -> y", ".x.tmp -> x"] if kept else [".x.tmp -> x"]
    assert done == ["synced .x.tmp", *moves, f"synced {tmp_path.name}"]


def test_a_folder_whose_names_cannot_be_synced_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every system can, and the file is whole without it."""
    sync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """A run that saves for days would come to the end of what one process may open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not tell what is open")
    before = len([*descriptors.iterdir()])
    write(tmp_path / "x", TENSORS, {})
    read(tmp_path / "x")
    assert len([*descriptors.iterdir()]) == before


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is brought to the disk and what is renamed, in this order, from now on."""
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(f"synced {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell a descriptor's file")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return done


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/file/x: cannot be written \(.*file"):
        write_whole(tmp_path / "file" / "x", b"")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SafetensorError("Error\n while  serializing"), r"\(Error while serializing\)"),
        (SafetensorError(), r"\(SafetensorError\)"),
        (OSError("no number"), r"\(no number\)"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), rf"\({os.strerror(errno.EIO)}\)"),
    ],
)
def test_what_the_writer_says_is_told_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(CheckpointError, match=told):
        write(tmp_path / "x", TENSORS, {})


# --- A new folder --------------------------------------------------------------------------------


def fill(folder: Path) -> None:
    (folder / "a").write_text("1")
    (folder / "deep").mkdir()
    (folder / "deep" / "b").write_text("2")


def test_a_new_folder_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, place = watch(monkeypatch), tmp_path / "not" / "yet" / "there"
    with new_folder(place) as folder:
        fill(folder)
        assert not place.exists()
        assert folder.parent.parent == place.parent  # on the same disk
        assert all(path.name.startswith(".") for path in place.parent.iterdir())  # out of sight
    assert (place / "a").read_text() + (place / "deep" / "b").read_text() == "12"
    assert list(place.parent.iterdir()) == [place]
    assert sorted(done[:2]) == ["synced a", "synced b"]
    assert done[2:] == ["there -> there", "synced yet"]


def test_an_empty_folder_is_filled_and_a_link_to_it_stays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with new_folder(tmp_path / "link") as folder:
        fill(folder)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "empty" / "a").read_text() == "1"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("wrong")])
def test_an_error_in_the_body_leaves_no_folder(tmp_path: Path, error: BaseException) -> None:
    def stopped() -> None:
        with new_folder(tmp_path / "x") as folder:
            fill(folder)
            raise error

    with pytest.raises(type(error)):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(CheckpointError, match=r"x: cannot be written \(No space left"),
        new_folder(tmp_path / "x") as folder,
    ):
        fill(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "full folder", "ring of links"])
def test_what_is_there_is_no_new_folder(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("precious")
    elif kind == "full folder":
        path.mkdir()
        (path / "precious").touch()
    else:
        path.symlink_to("x")
    with pytest.raises(CheckpointError, match=rf"^{path}: is there already"), new_folder(path):
        pytest.fail("it was begun")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


# --- What is no plain file -----------------------------------------------------------------------


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(b"old")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("far/file")
    write_whole(tmp_path / "one", b"new")
    assert (tmp_path / "far" / "file").read_bytes() == b"new"
    assert str((tmp_path / "one").readlink()) == "two"
    assert str((tmp_path / "two").readlink()) == "far/file"
    assert {path.name for path in tmp_path.iterdir()} == {"far", "one", "two"}


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("new/file")
    write_whole(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["pipe", "folder", "ring", "link to a pipe"])
def test_what_is_no_file_is_neither_replaced_nor_written_to(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "ring":
        path.symlink_to(path.name)
    else:
        pipe = path if kind == "pipe" else tmp_path / "pipe"
        os.mkfifo(pipe)
        if pipe != path:
            path.symlink_to(pipe)
    before, told = os.lstat(path), "a folder" if kind == "folder" else "a device, a pipe"
    for attempt in (lambda: check_writable(path), lambda: write_whole(path, b"x")):
        with pytest.raises(CheckpointError, match=rf"x\.png: cannot be written \(there is {told}"):
            attempt()
    after = os.lstat(path)
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


def test_a_device_is_refused() -> None:
    with pytest.raises(CheckpointError, match="a device"):
        check_writable(Path("/dev/null"))


def test_asking_changes_nothing(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b" / "c") == tmp_path.resolve() / "a" / "b" / "c"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="is not a folder"):
        check_writable(tmp_path / "file" / "b" / "c")


def test_what_may_not_be_written_to_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is there must be open to us, and its folder always, as the file is replaced.

    The system's answer is a given one, for to root it always says yes.
    """
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    forbidden: set[tuple[Path, int]] = set()
    monkeypatch.setattr(
        os, "access",
        lambda path, mode: not any(place == Path(path) and mode & no for place, no in forbidden),
    )  # fmt: skip
    cases = (
        ((old, os.W_OK), {old}),
        ((old, os.X_OK), set()),
        ((tmp_path, os.W_OK), {old, new}),
        ((tmp_path, os.X_OK), {old, new}),
    )
    for closed, refused in cases:
        forbidden.clear()
        forbidden.add(closed)
        for path in {old, new} - refused:
            assert check_writable(path) == path.resolve()
        for path in refused:
            with pytest.raises(CheckpointError, match=rf"{path}: .*\(permission denied\)"):
                check_writable(path)


@pytest.mark.parametrize("length", [200, 250, 251, 255, 256, 300])
def test_a_name_that_is_too_long_is_told_before(tmp_path: Path, length: int) -> None:
    """While it is written the file has a longer one."""
    path = tmp_path / f"{'a' * (length - 4)}.png"
    if length <= 250:
        write_whole(check_writable(path), b"x")
        assert path.read_bytes() == b"x"
        return
    for refused in (path, tmp_path / path.name / "x.png"):
        if refused == path or length > 255:
            with pytest.raises(CheckpointError, match=r"cannot be written \(File name too long\)"):
                check_writable(refused)
    assert list(tmp_path.iterdir()) == []


def test_a_link_laid_where_the_temporary_file_will_be_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / ".x.tmp").symlink_to("precious")
    write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "x").is_symlink()


def test_who_may_read_a_file_does_not_change(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", b"old")
    (tmp_path / "x").chmod(0o600)
    write_whole(tmp_path / "x", b"new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"]  # the old one is not kept


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_new_file_is_as_open_as_the_system_makes_new_ones(
    tmp_path: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "a", TENSORS, {})
        write_whole(tmp_path / "b", b"x")
        with new_folder(tmp_path / "c") as folder:
            save_file(TENSORS, folder / "d")
    finally:
        os.umask(before)
    for path in (tmp_path / "a", tmp_path / "b", tmp_path / "c" / "d"):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(CheckpointError, match="no file"):
        read(tmp_path / "x")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"json": ""},
        {"json": "{"},
        {"json": "[1, 2]"},
        {"json": "null"},
        {"json": "[" * 100_000},
        {"json": "\x00"},
        {"json": '{"step": 1.0}'},
        {"json": '{"step": true}'},
        {"json": '{"train": null}'},
        {"json": '{"train": {"holdout": "x"}}'},
        {"json": '{"train": {"holdout": null}}'},
        {"json": '{"earlier": {"a": 1}}'},
        {"json": '{"earlier": [1]}'},
        {"json": '{"earlier": [{"train": {}}]}'},
        {"json": '{"earlier": [{"until": "1", "train": {}}]}'},
        {"json": '{"earlier": [{"until": 1, "train": []}]}'},
        {"json": '{"draw": [["steps", 2]]}'},
        {"json": '{"class_names": "ab"}'},
        {"json": '{"imported": []}'},
    ],
)
def test_a_damaged_description_is_one_line_with_the_files_name(
    tmp_path: Path, header: dict[str, str]
) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors", {"format": FORMAT} | header)
    with pytest.raises(CheckpointError, match=r"x\.safetensors: .*missing or damaged") as error:
        read(tmp_path / "x.safetensors")
    assert "\n" not in str(error.value)


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write(tmp_path / "file" / "x.safetensors", TENSORS, {})


def test_optimizer_comes_back_and_takes_the_same_step() -> None:
    def make() -> tuple[torch.nn.Conv2d, torch.optim.AdamW]:
        torch.manual_seed(0)
        net = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        return net, torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)

    def step(net: torch.nn.Conv2d, optimizer: torch.optim.AdamW, scale: float) -> None:
        optimizer.zero_grad()
        (net(torch.ones(1, 3, 5, 5)).square().sum() * scale).backward()
        optimizer.step()

    net, optimizer = make()
    step(net, optimizer, 1.0)
    other, fresh = make()
    # The moments as a file would return them: in plain layout.
    load_optimizer(fresh, {k: v.contiguous() for k, v in optimizer_tensors(optimizer).items()})
    for weight in fresh.param_groups[0]["params"]:
        assert fresh.state[weight]["exp_avg"].stride() == weight.stride()
    other.load_state_dict(net.state_dict())
    step(net, optimizer, 2.0)
    step(other, fresh, 2.0)
    assert torch.equal(net.weight, other.weight)
    assert torch.equal(net.bias, other.bias)
