"""Every page of the built site, opened by a fresh visitor with the network cut."""

import gzip
import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page

from .chromium import Log
from .conftest import PHONE, ROOT, SITE, WIDE, missing
from .hands import until

LIMIT = 1_500_000
"""Bytes that a page may bring, compressed, before a click."""

AXE = ROOT / "_build" / "vendor" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = sorted(page.relative_to(SITE).as_posix() for page in SITE.glob("**/*.html"))
PAGES = [page for page in PAGES if page != "index.html" and not page.startswith("_static/")]
CODE = [page for page in PAGES if page.startswith("_modules/ddpm_lite/")]
CODE.sort(key=lambda page: (SITE / page).stat().st_size)
PAGES = [page for page in PAGES if page not in CODE[:-1]]
"""Of the pages that show a file of the package the longest speaks for all: only code differs."""

STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
"""Colours are what they will be, at once."""

SETTLED = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
}"""
"""Mathematics is set, and its letters are there."""

PAINT = """async (theme) => {
  document.documentElement.dataset.theme = theme;
  for (let k = 0; k < 2; k++) await new Promise(requestAnimationFrame);
}"""

UNFOLD = """() => {
  document.querySelectorAll("details").forEach((folded) => (folded.open = true));
  document.querySelectorAll(".toggle-button-hidden").forEach((button) => button.click());
}"""

TOO_WIDE = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const scrolls = (node) => getComputedStyle(node).overflowX !== "visible";
  const boxed = (node) => {
    for (let box = node.parentElement; box?.closest("article"); box = box.parentElement)
      if (scrolls(box) && box.getBoundingClientRect().right <= edge) return true;
    return false;
  };
  const wide = [...document.querySelectorAll("article.bd-article *")].filter(
    (node) => node.getBoundingClientRect().right > edge && !boxed(node),
  );
  const page = document.scrollingElement;
  const found = wide.map((node) => node.outerHTML.slice(0, 100));
  return page.scrollWidth > edge ? [`the page is ${page.scrollWidth} wide`, ...found] : found;
}"""
"""Elements beyond the right edge that no box of their own scrolls or cuts."""

CUT = """() =>
  [...document.querySelectorAll('mjx-container[display="true"]')]
    .filter((node) => node.scrollWidth > node.clientWidth + 1)
    .map((node) => node.parentElement.id)"""
"""Displayed formulas of which a part has to be scrolled to."""

CUT_IN_TEXT = """() =>
  [...document.querySelectorAll("article :is(p, li, dd, figcaption) span.math")]
    .filter((node) => !node.closest(".proof-line, .book-formula, .book-claims, .book-erratum"))
    .filter((node) => !node.closest('[class*="book-map"], [id*="book-map"]'))
    .filter((node) => node.scrollWidth > node.clientWidth + 3) // a bar over a letter hangs over
    .map((node) => node.closest("p, li, dd, figcaption").textContent.slice(0, 80))"""
"""The same of formulas in running text, where nobody looks for more of them."""

SPILLED = """() => {
  const beyond = (inner, outer) => Math.max(
    outer.left - inner.left, inner.right - outer.right,
    outer.top - inner.top, inner.bottom - outer.bottom,
  );
  return [...document.querySelectorAll(".book-picture > svg")].flatMap((drawing) => {
    const frame = drawing.getBoundingClientRect();
    return [...drawing.querySelectorAll("text, [id*='-text_']")]
      .map((word) => word.getBoundingClientRect())
      .filter((word) => word.width && frame.width && beyond(word, frame) > 2)
      .map(() => drawing.getAttribute("aria-label"));
  });
}"""
"""Figures of which a title, a label or a legend lies outside, where it is cut off."""

PLAIN = """() => {
  const scrolls = (node) => node.scrollWidth > node.clientWidth + 1;
  const formulas = [...document.querySelectorAll("mjx-container")];
  const spoken = [...formulas.slice(0, 20), formulas.find(scrolls)];
  const others = formulas.filter((node) => !spoken.includes(node));
  const widths = others.map((node) => (scrolls(node) ? node.scrollWidth : 0));
  others.forEach((node, k) => {
    const part = document.createElement("span");
    part.textContent = "x";
    part.style.cssText = `display: inline-block; min-width: ${widths[k]}px`;
    node.replaceChildren(part);
  });
  const seen = {};
  for (const word of document.querySelectorAll("pre span[class]")) {
    seen[word.className] = (seen[word.className] ?? 0) + 1;
    if (seen[word.className] > 5 && !word.childElementCount) word.replaceWith(word.textContent);
  }
  document.querySelectorAll("pre").forEach((code) => code.normalize());
  for (const drawn of document.querySelectorAll('svg[role="img"]'))
    drawn.replaceChildren(...drawn.querySelectorAll(":scope > title, :scope > desc"));
}"""
"""Leaves out what is most of a page and would take axe most of the time: the parts of formulas,
but for the first twenty and the first that scrolls, which speak for all (the others stay as wide as
they were, and so scroll); of the words in code all but five of each colour; and what pictures are
drawn of, which axe does not look at."""

ON_A_PHONE = ("scrollable-region-focusable", "target-size")
IN_THE_DARK = ("color-contrast", "link-in-text-block")
DARK_AND_WIDE = ("book/index.html", "book/01_gaussians.html", "book/proof_ledger.html")
"""What a phone does not show is the same on all pages: lists of pages and headings, and buttons."""

HEADINGS = """() =>
  [...document.querySelectorAll("article h1, article h2, article h3, article h4, article h5")]
    .map((node) => +node.tagName[1])"""

FINDINGS = """async (rules) => {
  const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const { violations } = await axe.run(document, { ...only, resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map((n) => `${id}: ${n.target} ${n.failureSummary}`));
}"""


@cache
def compressed(path: Path) -> int:
    """The size of a file as a server would send it."""
    return len(gzip.compress(path.read_bytes(), 6))


def size(addresses: list[str]) -> int:
    """All files behind some addresses, each once."""
    paths = {unquote(urlsplit(url).path) for url in addresses if url.startswith("http")}
    files = [SITE / path.lstrip("/") for path in paths]
    return sum(compressed(file / "index.html" if file.is_dir() else file) for file in files)


def visit(page: Page, address: str) -> None:
    """Open a page and let it settle."""
    page.goto(address, wait_until="load")
    page.add_style_tag(content=STILL)
    page.evaluate(SETTLED)
    page.wait_for_load_state("networkidle")


def paint(page: Page, theme: str) -> None:
    """Change the theme, and wait until it is on the screen."""
    page.evaluate(PAINT, theme)


def findings(page: Page, *rules: str) -> list[str]:
    """What axe calls serious or critical; by all its rules, or by some."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(FINDINGS, list(rules))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES or ["book/index.html"])
def test_a_page(site_url: str, page: Page, log: Log, name: str) -> None:
    """One visit answers for everything, because setting mathematics takes most of the time."""
    if not AXE.exists():
        missing("axe-core is not there; `make book` installs it")
    visit(page, f"{site_url}/{name}")
    assert log.elsewhere == []
    assert log.faults == []
    assert size(log.requests) < LIMIT
    levels = page.evaluate(HEADINGS)
    assert levels[:1] in ([1], [])
    assert [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1] == []
    until(page, f"() => !({CUT})().length")  # formulas are made to fit when all are set

    page.evaluate(UNFOLD)
    assert page.evaluate(SPILLED) == []
    page.set_viewport_size(PHONE)
    until(page, f"() => !({CUT})().length")  # and broken anew where they become too wide
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(CUT_IN_TEXT) == []
    paint(page, "dark")
    assert page.evaluate(TOO_WIDE) == []
    page.evaluate(PLAIN)
    assert findings(page, *ON_A_PHONE, *IN_THE_DARK) == []

    page.set_viewport_size(WIDE)
    if name in DARK_AND_WIDE:
        assert findings(page, *IN_THE_DARK) == []
    paint(page, "light")
    assert findings(page) == []
    assert log.faults == []


def test_the_theme_follows_the_system(site_url: str, page: Page, log: Log) -> None:
    themes: list[Literal["light", "dark"]] = ["dark", "light"]
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        visit(page, f"{site_url}/book/index.html")
        assert page.get_attribute("html", "data-theme") == theme
    assert log.faults == []


def test_search_finds_a_word_and_asks_nobody(site_url: str, page: Page, log: Log) -> None:
    visit(page, f"{site_url}/search.html?q=gaussian")
    page.wait_for_selector("#search-results li a")
    assert log.elsewhere == []
    assert log.faults == []


def test_the_root_leads_to_the_book(site_url: str, page: Page, log: Log) -> None:
    page.goto(f"{site_url}/")
    page.wait_for_url("**/book/index.html")
    assert log.elsewhere == []
    assert log.faults == []


def test_what_is_brought_is_what_the_lock_file_names() -> None:
    """The lock file fixes each version exactly, with a checksum, and names no host."""
    packages = json.loads((ROOT / "book" / "vendor" / "package-lock.json").read_text())["packages"]
    asked = packages.pop("")
    for name, version in {**asked["dependencies"], **asked["devDependencies"]}.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_the_size_of_the_zip_is_told() -> None:
    """The first page says how much a reader downloads, in millions of bytes."""
    archive = SITE / "ddpm-lite-book.zip"
    if not archive.exists():
        missing("run `make book` first")
    told = re.search(r"one zip file</a> \((\d+) MB\)", (SITE / "book" / "index.html").read_text())
    assert told is not None
    assert int(told[1]) == pytest.approx(archive.stat().st_size / 1e6, abs=1.5)
