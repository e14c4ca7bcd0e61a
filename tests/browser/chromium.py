"""Finding Chromium, and what a page asks for and complains about while it is open in it.

`python tests/browser/chromium.py` installs Chromium where it is missing and can be installed.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "Chromium is missing, and the browser tests need it: install it "
    "(Debian: apt-get install chromium), or say where it is in CHROMIUM"
)


def find_chromium() -> str | None:
    """The program: what CHROMIUM names, or else the first in the path."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


def provide_chromium() -> None:
    """Install it where that is allowed and known how; else say in one line what to do."""
    if find_chromium():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing chromium")
        settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        apt = partial(subprocess.run, env=settings, stdout=subprocess.DEVNULL, check=False)
        apt(["apt-get", "update", "-q"])
        apt(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"])
    if not find_chromium():
        print(MISSING)


# --- Serving -------------------------------------------------------------------------------------


class _Host(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Tests see the requests in the browser."""

    def end_headers(self) -> None:
        """Send what the site's `_headers` says of this path, as the usual hosts do."""
        for name, value in headers(Path(self.directory)).get(urlsplit(self.path).path, []):
            self.send_header(name, value)
        super().end_headers()


def headers(site: Path) -> dict[str, list[tuple[str, str]]]:
    """The headers that the file `_headers` gives to each path, if there is such a file."""
    found: dict[str, list[tuple[str, str]]] = {}
    file = site / "_headers"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        if line.startswith("/"):
            given = found.setdefault(line, [])
        else:
            name, value = line.strip().split(": ", 1)
            given.append((name, value))
    return found


class Server(ThreadingHTTPServer):
    """Answers each request in a thread of its own."""

    # A page asks for dozens of files at once. Where more wait than this, the system drops them, and
    # a browser tries again after 1, 2, 4, ... seconds, in all for two minutes.
    request_queue_size = 128

    def handle_error(self, *args: Any) -> None:
        """A browser that has left the page does not read on."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder as the usual static hosts would; gives the address."""
    server = Server(("127.0.0.1", 0), partial(_Host, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=[0.02], daemon=True)  # looks whether to end
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- Watching ------------------------------------------------------------------------------------


@dataclass
class Log:
    """What pages have asked for, and what went wrong."""

    requests: list[str] = field(default_factory=list)
    """Addresses, in order; of every frame and worker."""

    faults: list[str] = field(default_factory=list)
    """Console errors and warnings, uncaught exceptions, failed requests and HTTP errors."""

    def clear(self) -> None:
        """Forget all."""
        self.requests.clear()
        self.faults.clear()

    def watch(self, context: "BrowserContext") -> None:
        """Listen to all pages of a context."""
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        context.on("weberror", lambda raised: self._fault(f"exception: {raised.error}"))
        context.on("console", self._said)

    def _failed(self, request: "Request") -> None:
        # A blob is in memory: only leaving the page that reads it breaks its reading off. One that
        # has been given up too early is "not found".
        if not (request.url.startswith("blob:") and request.failure == "net::ERR_ABORTED"):
            self._fault(f"{request.failure} {request.url}")

    def _fault(self, what: str) -> None:
        self.faults.append(what)

    def _answered(self, reply: "Response") -> None:
        if reply.status >= 400:
            self._fault(f"{reply.status} {reply.url}")

    def _said(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self._fault(f"console {message.type}: {message.text}")

    @property
    def elsewhere(self) -> list[str]:
        """The requests to other hosts."""
        addresses = [(urlsplit(url), url) for url in self.requests]
        return [
            url
            for parts, url in addresses
            if parts.scheme not in ("blob", "data") and parts.hostname != "127.0.0.1"
        ]


if __name__ == "__main__":
    provide_chromium()
