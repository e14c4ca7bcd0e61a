"""Formulas that are too wide for a phone are broken into lines, anew when the width changes."""

import pytest
from playwright.sync_api import Page

from .conftest import PHONE, WIDE
from .hands import until

LINES = """() => [...document.querySelectorAll("div.math")].filter((box) => box.checkVisibility())
  .map((box) => Math.max(1, box.querySelectorAll("mjx-linebox").length))"""
SAME = f"(before) => String(({LINES})()) === String(before)"
OTHER = f"(before) => String(({LINES})()) !== String(before)"
CUT = """() => [...document.querySelectorAll('mjx-container[display="true"]')]
  .filter((node) => node.scrollWidth > node.clientWidth + 1).length"""


@pytest.mark.slow
def test_a_turned_phone_breaks_them_anew(site_url: str, page: Page) -> None:
    page.set_viewport_size(WIDE)
    page.goto(f"{site_url}/book/06_elbo.html", wait_until="load")
    page.evaluate("async () => await MathJax.startup.promise")
    wide = page.evaluate(LINES)
    page.set_viewport_size(PHONE)
    until(page, OTHER, wide)
    assert page.evaluate(CUT) == 0
    narrow = page.evaluate(LINES)
    assert sum(narrow) > 1.2 * sum(wide)
    page.set_viewport_size(WIDE)
    until(page, SAME, wide)


def test_no_full_stop_stands_alone_on_a_line(site_url: str, page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{site_url}/book/01_gaussians.html", wait_until="load")
    page.evaluate("async () => await MathJax.startup.promise")
    lines = page.evaluate(
        "() => [...document.querySelectorAll('div.math mjx-linebox')].map((n) => n.textContent)"
    )
    assert len(lines) > 20
    assert [line for line in lines if line.strip() in (".", ",")] == []
