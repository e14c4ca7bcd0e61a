"""The book's pages are set in its own letters, from a server and from a file."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from unicodedata import name

import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Page

from .chromium import Log
from .conftest import FONTS, SITE, missing

FALL_BACK = set("ₜ★")
"""Drawn with another font's letter: these stand in pictures, in descriptions and at the end of the
titles of exercises, where nothing moves if they are wider. Titles in Chinese are the reader's own
letters, too."""

USED = """(selector) => {
  const style = getComputedStyle(document.querySelector(selector));
  const at = `${style.fontStyle} ${style.fontWeight} 16px ${style.fontFamily.split(",")[0]}`;
  return [style.fontFamily.split(",")[0], document.fonts.check(at)];
}"""

FIRST = """() => {
  const width = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect().width;
  };
  const widths = () => [...document.querySelectorAll("nav a, article h1, article h2")].map(width);
  addEventListener("DOMContentLoaded", () => {
    window.first = widths();
    window.loaded = document.fonts.check('16px "Book Sans"');
  });
  window.widths = widths;
}"""


class Words(HTMLParser):
    """The characters of a page's article that are no formula and no script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "article" in self.inside and not {"script", "style", "svg"} & set(self.inside):
            self.found |= set(data)


def test_the_fonts_have_every_letter_of_the_pages(site_url: str) -> None:
    sheet = FONTS.read_text(encoding="ascii")
    fonts = [TTFont(BytesIO(b64decode(d))) for d in re.findall(r"base64,([^)]*)", sheet)]
    known = {chr(code) for font in fonts for code in font.getBestCmap()}
    words = Words()
    for page in (SITE / "book").glob("*.html"):
        words.feed(page.read_text(encoding="utf-8"))
    assert {"a", "7"} <= words.found
    strange = words.found - known - set("\n\t") - FALL_BACK
    assert {c for c in strange if not name(c).startswith("CJK")} == set()


@pytest.mark.parametrize("where", ["server", "file"])
def test_text_code_and_widgets_are_set_in_them(
    site_url: str, page: Page, log: Log, where: str
) -> None:
    root = site_url if where == "server" else SITE.as_uri()
    page.goto(f"{root}/book/09_sampling.html")
    page.wait_for_selector(".book-widget[data-ready]")
    for selector in ("article p", "article h1", "nav.bd-links a", ".book-widget label"):
        assert page.evaluate(USED, selector) == ['"Book Sans"', True]
    for selector in (".cell_input pre", "article code"):
        assert page.evaluate(USED, selector) == ['"Book Mono"', True]
    assert [url for url in log.requests if "fonts.css" in url]


def test_no_line_moves_when_the_letters_come(site_url: str, page: Page) -> None:
    """They are there with the style sheets, before any font file, and the first layout has them.

    Headings and links are read, because formulas are set later.
    """
    page.route("**/*.woff*", lambda route: route.abort())
    page.add_init_script(f"({FIRST})()")
    page.goto(f"{site_url}/book/glossary.html", wait_until="load")
    page.evaluate("document.fonts.ready.then(() => {})")
    assert page.evaluate("loaded")
    assert len(page.evaluate("first")) > 10
    assert page.evaluate("first") == page.evaluate("widths()")


def test_their_licences_are_there(site_url: str) -> None:
    for font in ("source-sans", "source-code-pro"):
        licence = FONTS.parent / f"{font}-LICENSE.md"
        if not licence.exists():
            missing(f"{licence.name} is not there")
        assert "SIL OPEN FONT LICENSE" in licence.read_text(encoding="utf-8").upper()
