"""Downloads with a stand-in for the net: which address is asked, what is kept, what is said."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from itertools import count
from pathlib import Path

import pooch
import pytest
import requests
from small_data import one_line

from ddpm_lite import archives, data, downloads
from ddpm_lite.data import DataError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Answer:
    """What a host says; `left` is what has not been read of it."""

    status_code = 200

    def __init__(self, content: bytes) -> None:
        self.left, self.headers = content, dict[str, str]()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def raise_for_status(self) -> None:
        """All is well."""

    def iter_content(self, size: int) -> Iterator[bytes]:
        while self.left:
            part, self.left = self.left[:size], self.left[size:]
            yield part


class Internet:
    """Stands in for requests: serves a few addresses, and refuses the others."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.answers = {address: Answer(content) for address, content in pages.items()}
        self.asked: list[str] = []

    def __call__(self, address: str, **_: object) -> Answer:
        self.asked.append(address)
        if address not in self.answers:
            raise requests.exceptions.ConnectionError("no route\nto host")
        return self.answers[address]


def connect(monkeypatch: pytest.MonkeyPatch, pages: dict[str, bytes]) -> Internet:
    internet = Internet(pages)
    monkeypatch.setattr(requests, "get", internet)
    return internet


ADDRESSES = ("http://first.example/file", "http://second.example/file")


def source(content: bytes) -> downloads.Source:
    digest = hashlib.sha256(content).hexdigest()
    return downloads.Source("file.bin", len(content), digest, ADDRESSES)


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    internet = connect(monkeypatch, {})
    with pytest.raises(DataError) as error:
        data.cifar10()
    text = one_line(error)
    assert all(address in text for address in archives.CIFAR10_FILE.addresses)
    assert str(cache) in text
    assert "by hand" in text
    assert ": it could not be downloaded from" in text
    assert internet.asked == list(archives.CIFAR10_FILE.addresses)


def test_downloads_are_kept_in_the_systems_cache_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DDPM_LITE_CACHE", "~/kept")
    assert downloads.cache_folder() == Path.home() / "kept"
    monkeypatch.setenv("DDPM_LITE_CACHE", "~nobody-of-this-name/kept")
    assert downloads.cache_folder() == Path("~nobody-of-this-name/kept")
    monkeypatch.delenv("DDPM_LITE_CACHE")
    assert downloads.cache_folder() == Path(pooch.os_cache("ddpm_lite"))


def test_a_download_shows_how_far_it_is(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytes(5000)
    connect(monkeypatch, {ADDRESSES[0]: content})
    downloads.fetch(source(content))
    shown = capsys.readouterr().err
    assert "file.bin: " in shown
    assert "/5.00k" in shown


def test_no_more_is_read_than_the_file_has(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    internet = connect(monkeypatch, {ADDRESSES[0]: bytes(100_000)})
    with pytest.raises(DataError, match="wrong SHA-256"):
        downloads.fetch(source(b"ten bytes!"))
    assert len(internet.answers[ADDRESSES[0]].left) >= 98_000
    assert list(cache.iterdir()) == []


def test_a_host_that_takes_for_ever_is_left(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(100_000)
    connect(monkeypatch, dict.fromkeys(ADDRESSES, content))
    monkeypatch.setattr("time.monotonic", count(0, 60).__next__)  # a minute for each part
    with pytest.raises(DataError, match=r"first.*\(TimeoutError\).*second.*\(TimeoutError\)"):
        downloads.fetch(source(content))


def test_others_may_read_what_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, {ADDRESSES[0]: b"good"})
    before = os.umask(0o022)
    try:
        path = downloads.fetch(source(b"good"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_second_host_is_asked_when_the_first_fails(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, {"http://second.example/file": b"good"})
    assert downloads.fetch(source(b"good")).read_bytes() == b"good"
    assert [file.name for file in cache.iterdir()] == ["file.bin"]


def test_a_short_download_is_not_taken_for_the_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, {"http://first.example/file": b"goo"})
    with pytest.raises(DataError, match=r"3 of 4 bytes are here and are kept"):
        downloads.fetch(source(b"good"))
    assert {file.name: file.read_bytes() for file in cache.iterdir()} == {".file.bin.part": b"goo"}


def test_a_short_download_sends_on_to_the_second_host(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"http://first.example/file": b"goo", "http://second.example/file": b"good"}
    connect(monkeypatch, pages)
    assert downloads.fetch(source(b"good")).read_bytes() == b"good"


def test_a_damaged_file_in_the_cache_is_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"go")
    connect(monkeypatch, {"http://first.example/file": b"good"})
    assert downloads.fetch(source(b"good")).read_bytes() == b"good"


def test_a_damaged_file_in_the_cache_is_reported_without_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"go")
    connect(monkeypatch, {})
    told = "the one in the cache is damaged and it could not be downloaded"
    with pytest.raises(DataError, match=told) as error:
        downloads.fetch(source(b"good"))
    assert "ConnectionError" in one_line(error)


def test_a_file_put_there_by_hand_needs_no_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"good")
    assert downloads.fetch(source(b"good")) == cache / "file.bin"
    assert connect(monkeypatch, {}).asked == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "file" / "cache"))
    connect(monkeypatch, {"http://first.example/file": b"good"})
    with pytest.raises(DataError, match="DDPM_LITE_CACHE"):
        downloads.fetch(source(b"good"))


def test_a_source_is_not_replaced() -> None:
    with pytest.raises(FrozenInstanceError):
        source(b"good").sha256 = ""  # type: ignore[misc]
