"""What counts as a fault of a page, and what is only a visitor who leaves."""

import socket
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler

import pytest
from playwright.sync_api import Page

from .chromium import Log, Server, serve

REVOKED = """async () => {
    const address = URL.createObjectURL(new Blob(["a"]));
    URL.revokeObjectURL(address);
    await fetch(address).catch(() => null);
}"""
CUT = """address => {
    const stop = new AbortController();
    const asked = fetch(address, { signal: stop.signal }).catch(() => null);
    stop.abort();
    return asked;
}"""


@pytest.fixture
def address(tmp_path: Path, page: Page) -> Iterator[str]:
    (tmp_path / "index.html").write_text('<!doctype html><link rel="icon" href="data:,"><p>A')
    with serve(tmp_path) as url:
        page.goto(url)
        yield url


def test_what_is_not_there_is_a_fault(address: str, page: Page, log: Log) -> None:
    page.evaluate("address => fetch(address)", f"{address}/none.js")
    assert log.faults[0] == f"404 {address}/none.js"


def test_a_blob_that_was_given_up_too_early_is_a_fault(address: str, page: Page, log: Log) -> None:
    page.evaluate(REVOKED)
    assert log.faults[0].startswith("net::ERR_FILE_NOT_FOUND blob:")


def test_a_blob_whose_reader_leaves_is_none(address: str, page: Page, log: Log) -> None:
    blob = page.evaluate("() => URL.createObjectURL(new Blob([new Uint8Array(1e8)]))")
    with page.expect_event("requestfailed"):
        page.evaluate(CUT, blob)
    assert log.faults == []


def test_a_file_that_was_broken_off_is_a_fault(address: str, page: Page, log: Log) -> None:
    with page.expect_event("requestfailed"):
        page.evaluate(CUT, f"{address}/index.html")
    assert log.faults == [f"net::ERR_ABORTED {address}/index.html"]


def test_forty_connections_at_once_wait_for_a_busy_server() -> None:
    """The system drops those that are too many, and a browser tries again for two minutes."""
    with Server(("127.0.0.1", 0), BaseRequestHandler) as server:  # takes none as yet
        waiting = [socket.create_connection(server.server_address, timeout=0.9) for _ in range(40)]
        for connection in waiting:
            connection.close()
