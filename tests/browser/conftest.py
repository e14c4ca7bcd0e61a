"""Chromium, the built book served to it, and bare pages with one widget each."""

import html
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import book_policy
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from .chromium import MISSING, Log, find_chromium, serve

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 400, "height": 800}
FONTS = SITE / "_static" / "vendor" / "fonts" / "fonts.css"
"""The book's own letters, where it is built."""
SLOW = 120_000
"""Milliseconds to wait for a page at most: machines that run tests may be busy."""

ARGUMENTS = [
    "--no-sandbox",
    # the network is cut: only this machine answers
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
BARE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{fonts}
body {{ font: 16px "Book Sans", sans-serif; margin: 16px; background: #fff; color: #323232; }}
[data-theme="dark"] body {{ background: #14181e; color: #ced6dd; }}
</style>
</head>
<body><main><h1>{title}</h1>
{body}
</main></body>
</html>
"""


def missing(reason: str) -> NoReturn:
    """What a test needs is not there: it is skipped, but fails where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window and without a network."""
    program = find_chromium() or missing(MISSING)
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def site_url() -> Iterator[str]:
    """The address of the built book."""
    if not (SITE / "book" / "index.html").exists():
        missing("the book is not built; `make book` builds it")
    if not (SITE / "_static" / "vendor" / "mathjax").exists():
        missing("the book was built without npm or network; `make book` builds it")
    with serve(SITE) as url:
        yield url


@pytest.fixture(scope="session")
def _log() -> Log:
    return Log()


@pytest.fixture
def log(_log: Log) -> Log:
    """What the pages of a test ask for and complain about."""
    _log.clear()
    return _log


@pytest.fixture
def page(browser: Browser, log: Log) -> Iterator[Page]:
    """An empty page of a fresh visitor, 1280 pixels wide, that writes the log."""
    context = browser.new_context(viewport=WIDE, locale="en-GB", color_scheme="light")
    context.set_default_timeout(SLOW)
    log.watch(context)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def bare_page(browser: Browser, _log: Log) -> Iterator[Page]:
    """One page for all widgets: a fresh visitor takes Chromium half a second."""
    context = browser.new_context(viewport=WIDE, locale="en-GB")
    context.set_default_timeout(SLOW)
    _log.watch(context)
    yield context.new_page()
    context.close()


@pytest.fixture
def blank_page(bare_page: Page, log: Log) -> Iterator[Page]:
    """The same page, empty again: for tests that take no notice of an earlier visitor.

    A module whose tests are all so calls it `page`. Whoever counts requests, has the page keep
    something, or gives it a script for good needs a fresh visitor.
    """
    page = bare_page
    page.goto("about:blank")
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    page.mouse.move(0, 0)
    log.clear()  # of what the page before said as it went
    yield page
    page.unroute_all()
    page.goto("about:blank")


@pytest.fixture
def widget_page(bare_page: Page, log: Log, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a widget alone on a page: `widget_page(widget, theme="dark", width=400, calm=True)`.

    `first` is a script that runs before all others. What a page keeps is kept for its server, and
    each test has one of its own. The test fails if the page asks another host for something, or
    complains, even later on.
    """
    page = bare_page
    names = count()
    fonts = FONTS.read_text(encoding="ascii") if FONTS.exists() else ""
    with serve(tmp_path) as url:

        def show(
            widget: Any,
            theme: str = "light",
            width: int = 1280,
            calm: bool = False,
            first: str = "",
        ) -> Page:
            title = html.escape(type(widget).__name__)
            body = f"<script>{first}</script>{widget._repr_html_()}"
            text = BARE.format(title=title, theme=theme, fonts=fonts, body=body)
            name = f"{next(names)}.html"  # a new name each time: browsers keep what they know
            guarded, _ = book_policy.guarded(text)  # as on the pages of the book
            (tmp_path / name).write_text(guarded, encoding="utf-8")
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(
                color_scheme="dark" if theme == "dark" else "light",
                reduced_motion="reduce" if calm else "no-preference",
            )
            page.mouse.move(0, 0)
            page.goto(f"{url}/{name}")
            page.wait_for_selector(".book-widget[data-ready]")
            return page

        yield show
        elsewhere, faults = log.elsewhere, log.faults[:]
        page.goto("about:blank")
    assert elsewhere == []
    assert faults == []
