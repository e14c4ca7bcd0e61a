"""Downloads from a real server on this machine, that goes wrong in the ways that servers do."""

import hashlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import requests

from ddpm_lite import downloads
from ddpm_lite.data import DataError
from ddpm_lite.lock import alone

GOOD = bytes(range(256)) * 4096
"""A megabyte: more than what a socket takes at once."""
PROXY = b"<html><body>Please log in to this network</body></html>"
TOGETHER = 2
"""How many ask for /together before any of them is answered."""


PART = 300_001
"""Bytes of the file that have come already, in some tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the first word of the path says."""

    server: "Server"

    def do_GET(self) -> None:
        kind, asked = self.path.strip("/").split("/")[0], self.headers["Range"]
        self.server.note(kind, asked)
        if kind == "missing":
            self.send_error(404)
        elif kind == "together":
            self.server.meeting.wait(60)
            self.whole(kind)
        elif asked and kind in PARTS:
            self.part(kind, int(asked.removeprefix("bytes=").removesuffix("-")))
        else:
            self.whole(kind)

    def whole(self, kind: str) -> None:
        """The file from its start, or what comes in its place."""
        body = {"wrong": GOOD[:-1] + b"!", "html": PROXY, "longer": GOOD + b"!"}.get(kind, GOOD)
        self.send_response(200)
        if kind == "html":
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if kind not in ("open-end", "endless"):  # without a length only the sum can tell
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = kind in ("cut", "reset", "stalled", "open-end")
        self.wfile.write(body[: len(body) // 2] if cut else self.some(kind, body))
        self.wfile.flush()
        while kind == "endless":  # until nobody listens
            self.wfile.write(body)
        if kind == "stalled":
            self.server.over.wait(60)
        if kind == "reset":  # the connection is not closed but torn
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def part(self, kind: str, begin: int) -> None:
        """The rest of the file, or what comes in its place."""
        if kind == "unsatisfied":
            self.send_error(416)
            return
        file = GOOD + b"!" if kind == "changed" else GOOD
        told = {"earlier": begin - 7, "later": begin + 7}.get(kind, begin)
        body = file[:-begin] if kind == "lying" else file[told:]
        self.send_response(206)
        if kind != "silent":
            self.send_header("Content-Range", f"bytes {told}-{len(file) - 1}/{len(file)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(self.some(kind, body))

    def some(self, kind: str, body: bytes) -> bytes:
        """No more than a quarter of the file, where the connection breaks again and again."""
        return body[: len(GOOD) // 4] if kind == "flaky" else body

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


PARTS = (
    "good", "flaky", "unsatisfied", "earlier", "later", "silent", "lying", "changed",
)  # fmt: skip
"""Kinds that give a part of the file when they are asked for it; the others ignore that."""


class Server(ThreadingHTTPServer):
    """Counts what it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.meeting, self.over = threading.Barrier(TOGETHER), threading.Event()

    def note(self, kind: str, part: str | None) -> None:
        """Notes a request."""
        self.asked.append((kind, part))

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no news."""

    def source(self, *kinds: str) -> downloads.Source:
        """The file, to be had at an address of each kind."""
        host = f"http://127.0.0.1:{self.server_address[1]}"
        addresses = tuple(f"{host}/{kind}/file.bin" for kind in kinds)
        return downloads.Source("file.bin", len(GOOD), hashlib.sha256(GOOD).hexdigest(), addresses)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    get = requests.get

    def impatient(address: str, **options: Any) -> requests.Response:
        """Waits less where nothing will come; elsewhere the machine may be busy."""
        silence = 0.5 if "/stalled/" in address else options.pop("timeout")
        return get(address, **options | {"timeout": silence})

    monkeypatch.setattr(requests, "get", impatient)
    return tmp_path / "cache"


def held(cache: Path) -> dict[str, bytes]:
    """What lies in the cache."""
    return {path.name: path.read_bytes() for path in cache.iterdir()}


def rest(begin: int) -> str:
    """What asks for all but the first bytes."""
    return f"bytes={begin}-"


BROKEN_OFF = {"cut": 2, "stalled": 2, "open-end": 2, "reset": 1}
"""Kinds that end in the middle, and how often they are asked at the least: again, if some came."""
REFUSED = ["wrong", "longer", "html", "missing", "endless"]
BAD = [*BROKEN_OFF, *REFUSED]
SAID = {
    "wrong": "wrong SHA-256", "endless": "wrong SHA-256", "missing": "HTTPError",
    "html": "a login", "longer": "1048577 bytes come in place of 1048576", "stalled": "Connection",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_one_line_and_gives_no_file(server: Server, cache: Path, kind: str) -> None:
    with pytest.raises(DataError, match="could not be downloaded") as error:
        downloads.fetch(server.source(kind))
    text = str(error.value)
    assert "\n" not in text
    assert f"/{kind}/file.bin" in text
    assert SAID.get(kind, "Error") in text
    kept = held(cache)
    assert "file.bin" not in kept
    assert ("are here and are kept" in text) == bool(kept)
    if kind != "reset":  # which tears away what has come, too
        assert bool(kept) == (kind in BROKEN_OFF)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_sends_on_to_the_next_address(server: Server, cache: Path, kind: str) -> None:
    assert downloads.fetch(server.source(kind, "good")).read_bytes() == GOOD
    assert held(cache) == {"file.bin": GOOD}
    asked = [name for name, _ in server.asked]
    assert asked.count(kind) >= BROKEN_OFF.get(kind, 1)
    assert asked.count(kind) == BROKEN_OFF.get(kind, 1) or kind == "reset"
    if kind in ("cut", "open-end"):  # all that came of one address need not come of another
        assert server.asked[-1] == ("good", rest(len(GOOD) // 2))


def test_a_connection_that_breaks_again_and_again_gives_the_whole_file(
    server: Server, cache: Path
) -> None:
    assert downloads.fetch(server.source("flaky")).read_bytes() == GOOD
    quarter = len(GOOD) // 4
    assert server.asked == [
        ("flaky", None), *(("flaky", rest(n * quarter)) for n in (1, 2, 3)),
    ]  # fmt: skip
    assert held(cache) == {"file.bin": GOOD}


def test_a_host_is_not_asked_for_ever(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TRIES", 3)
    with pytest.raises(DataError, match="TimeoutError"):
        downloads.fetch(server.source("flaky"))
    assert len(server.asked) == 3
    assert held(cache) == {".file.bin.part": GOOD[: len(GOOD) * 3 // 4]}


@pytest.fixture
def begun(cache: Path) -> Path:
    """A cache in which a part of the file lies."""
    cache.mkdir()
    (cache / ".file.bin.part").write_bytes(GOOD[:PART])
    return cache


GOING_ON: dict[str, list[str | None]] = {
    "good": [rest(PART)],  # asked for the rest, it gives it
    "ignores": [rest(PART)],  # and begins anew
    "unsatisfied": [rest(PART), None],
    "earlier": [rest(PART), None],
    "later": [rest(PART), None],
    "silent": [rest(PART), None],
    "lying": [rest(PART), None],
}


@pytest.mark.parametrize("kind", GOING_ON)
def test_what_was_interrupted_goes_on_as_far_as_the_host_lets_it(
    server: Server, begun: Path, kind: str
) -> None:
    assert downloads.fetch(server.source(kind)).read_bytes() == GOOD
    assert server.asked == [(kind, part) for part in GOING_ON[kind]]
    assert held(begun) == {"file.bin": GOOD}
    assert downloads.fetch(server.source(kind)).read_bytes() == GOOD
    assert len(server.asked) == len(GOING_ON[kind])  # this time it was in the cache


@pytest.mark.parametrize("kind", ["html", "missing", "longer", "changed"])
def test_what_has_come_is_not_lost_to_another_answer(
    server: Server, begun: Path, kind: str
) -> None:
    with pytest.raises(DataError, match=r"300,001 of 1,048,576 bytes are here"):
        downloads.fetch(server.source(kind))
    assert held(begun) == {".file.bin.part": GOOD[:PART]}
    assert downloads.fetch(server.source("good")).read_bytes() == GOOD
    assert server.asked[-1] == ("good", rest(PART))


@pytest.mark.parametrize("length", [PART, len(GOOD), len(GOOD) + 1])
def test_a_part_that_is_wrong_is_given_up(server: Server, cache: Path, length: int) -> None:
    cache.mkdir()
    (cache / ".file.bin.part").write_bytes(b"?" * length)
    assert downloads.fetch(server.source("good")).read_bytes() == GOOD
    assert server.asked == [("good", rest(PART))] * (length == PART) + [("good", None)]
    assert held(cache) == {"file.bin": GOOD}


def test_a_part_that_is_whole_already_needs_no_network(server: Server, cache: Path) -> None:
    """As a kill between its last byte and its name leaves it."""
    cache.mkdir()
    (cache / ".file.bin.part").write_bytes(GOOD)
    assert downloads.fetch(server.source("missing")).read_bytes() == GOOD
    assert server.asked == []


def test_a_part_that_another_process_has_completed_just_now_is_left_alone(
    server: Server, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(file: BinaryIO) -> bool:
        """The lock, that is had after the other one has given the file its name."""
        (begun / ".file.bin.part").rename(begun / "other")
        return True

    monkeypatch.setattr(downloads, "alone", late)
    assert downloads.fetch(server.source("good")).read_bytes() == GOOD
    assert held(begun) == {"file.bin": GOOD, "other": GOOD[:PART]}


@pytest.mark.parametrize("system", [True, False])
def test_a_part_that_cannot_be_had_alone_is_left_alone(
    server: Server, begun: Path, monkeypatch: pytest.MonkeyPatch, system: bool
) -> None:
    """Another process is at it, or the system has no locks."""
    with (begun / ".file.bin.part").open("rb") as other:
        if system:
            assert alone(other)
        else:
            monkeypatch.setattr("ddpm_lite.lock.fcntl", None)
        with pytest.raises(DataError):
            downloads.fetch(server.source("cut"))
        assert held(begun) == {".file.bin.part": GOOD[:PART]}
        assert downloads.fetch(server.source("good")).read_bytes() == GOOD
    assert server.asked[-1] == ("good", None)
    assert held(begun) == {"file.bin": GOOD, ".file.bin.part": GOOD[:PART]}


def test_a_damaged_file_stays_where_nothing_better_is_to_be_had(
    server: Server, cache: Path
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"damaged")
    with pytest.raises(DataError, match="the one in the cache is damaged"):
        downloads.fetch(server.source("html"))
    assert held(cache) == {"file.bin": b"damaged"}
    downloads.fetch(server.source("good"))
    assert held(cache) == {"file.bin": GOOD}


FETCH = """
import sys
from ddpm_lite import downloads
source = downloads.Source("file.bin", int(sys.argv[3]), sys.argv[2], (sys.argv[1],))
print(downloads.fetch(source))
"""


def fetching(source: downloads.Source) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, source.addresses[0], source.sha256, str(source.size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_fetch_at_once_and_both_have_it(server: Server, cache: Path) -> None:
    """The server answers neither before both have asked."""
    both = [fetching(server.source("together")) for _ in range(TOGETHER)]
    for process in both:
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        assert out.strip() == str(cache / "file.bin")
    assert server.asked == [("together", None)] * TOGETHER
    assert held(cache) == {"file.bin": GOOD}


@pytest.mark.slow
def test_a_killed_download_goes_on(server: Server, cache: Path) -> None:
    process, part = fetching(server.source("stalled")), cache / ".file.bin.part"
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    (come,) = held(cache).values()
    assert GOOD.startswith(come)
    assert downloads.fetch(server.source("good")).read_bytes() == GOOD
    assert server.asked == [("stalled", None), ("good", rest(len(come)))]
