"""Downloads with a stand-in for the net: which address is asked, what is kept, what is said."""

import hashlib
from dataclasses import FrozenInstanceError
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


class Internet:
    """Stands in for pooch's downloader: serves a few addresses, and refuses the others."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def __call__(self, address: str, output_file: str, *_: object, **__: object) -> None:
        self.asked.append(address)
        if address not in self.pages:
            raise requests.exceptions.ConnectionError("no route\nto host")
        Path(output_file).write_bytes(self.pages[address])


def connect(monkeypatch: pytest.MonkeyPatch, pages: dict[str, bytes]) -> Internet:
    internet = Internet(pages)
    monkeypatch.setattr(
        pooch.HTTPDownloader, "__call__", lambda _, *args, **kw: internet(*args, **kw)
    )
    return internet


def source(content: bytes) -> downloads.Source:
    addresses = ("http://first.example/file", "http://second.example/file")
    return downloads.Source("file.bin", hashlib.sha256(content).hexdigest(), addresses)


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
    monkeypatch.delenv("DDPM_LITE_CACHE")
    assert downloads.cache_folder() == Path(pooch.os_cache("ddpm_lite"))


def test_a_download_shows_how_far_it_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []

    def get(loader: pooch.HTTPDownloader, address: str, output_file: str, *_: object) -> None:
        shown.append(loader.progressbar)
        Path(output_file).write_bytes(b"good")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", get)
    downloads.fetch(source(b"good"))
    assert shown == [True]


def test_the_second_host_is_asked_when_the_first_fails(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, {"http://second.example/file": b"good"})
    assert downloads.fetch(source(b"good")).read_bytes() == b"good"
    assert [file.name for file in cache.iterdir()] == ["file.bin"]


def test_a_short_download_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, {"http://first.example/file": b"goo"})
    with pytest.raises(DataError, match="wrong SHA-256"):
        downloads.fetch(source(b"good"))
    assert list(cache.iterdir()) == []


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
