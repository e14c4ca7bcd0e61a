"""Downloads from a real server on this machine, that goes wrong in the ways that servers do."""

import hashlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ddpm_lite import downloads
from ddpm_lite.data import DataError

GOOD = bytes(range(256)) * 4096
"""A megabyte: more than what a socket takes at once."""
PROXY = b"<html><body>Please log in to this network</body></html>"
TOGETHER = 2
"""How many ask for /together before any of them is answered."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the first word of the path says."""

    server: "Server"

    def do_GET(self) -> None:
        kind = self.path.strip("/").split("/")[0]
        first = self.server.note(kind)
        body = {"wrong": GOOD[:-1] + b"!", "html": PROXY, "longer": GOOD + b"!"}.get(kind, GOOD)
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "together":
            self.server.meeting.wait(60)
        self.send_response(200)
        if kind not in ("open-end", "endless"):  # without a length only the sum can tell
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = kind in ("cut", "reset", "stalled", "open-end") or (kind == "cut-once" and first)
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        while kind == "endless":  # until nobody listens
            self.wfile.write(body)
        if kind == "stalled":
            self.server.over.wait(60)
        if kind == "reset":  # the connection is not closed but torn
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class Server(ThreadingHTTPServer):
    """Counts what it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.counting = Counter[str](), threading.Lock()
        self.meeting, self.over = threading.Barrier(TOGETHER), threading.Event()

    def note(self, kind: str) -> bool:
        """Counts a request; True for the first one of its kind."""
        with self.counting:
            self.asked[kind] += 1
            return self.asked[kind] == 1

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
    monkeypatch.setattr(downloads, "SILENCE", 0.5)
    return tmp_path / "cache"


def held(cache: Path) -> dict[str, bytes]:
    """What lies in the cache."""
    return {path.name: path.read_bytes() for path in cache.iterdir()}


BAD = ["cut", "reset", "stalled", "open-end", "wrong", "longer", "html", "missing", "endless"]


UNLIKE = ["open-end", "wrong", "longer", "html", "endless"]
"""What only the sum can tell."""


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_one_line_and_leaves_nothing(
    server: Server, cache: Path, kind: str
) -> None:
    with pytest.raises(DataError, match="could not be downloaded") as error:
        downloads.fetch(server.source(kind))
    text = str(error.value)
    assert "\n" not in text
    assert f"/{kind}/file.bin" in text
    assert ("wrong SHA-256" in text) == (kind in UNLIKE)
    assert not cache.exists()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_sends_on_to_the_next_address(server: Server, cache: Path, kind: str) -> None:
    assert downloads.fetch(server.source(kind, "good")).read_bytes() == GOOD
    assert held(cache) == {"file.bin": GOOD}
    assert server.asked == {kind: 1, "good": 1}


def test_what_was_interrupted_begins_anew_and_is_whole(server: Server, cache: Path) -> None:
    """Nothing is kept of a part: it is fetched from the start."""
    with pytest.raises(DataError):
        downloads.fetch(server.source("cut-once"))
    assert not cache.exists()
    assert downloads.fetch(server.source("cut-once")).read_bytes() == GOOD
    assert downloads.fetch(server.source("cut-once")).read_bytes() == GOOD
    assert server.asked == {"cut-once": 2}  # the third time it was in the cache


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
    assert server.asked == {"together": TOGETHER}
    assert held(cache) == {"file.bin": GOOD}


@pytest.mark.slow
def test_a_killed_download_is_not_taken_for_the_file(server: Server, cache: Path) -> None:
    process = fetching(server.source("stalled"))
    while not server.asked["stalled"]:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)  # half of the file has come
    process.kill()
    process.communicate()
    assert not cache.exists()
    assert downloads.fetch(server.source("good")).read_bytes() == GOOD
