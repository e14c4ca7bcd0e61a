"""Sections for those who want it all: closed at first, opened by a click, a link and on paper."""

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from .hands import until

FOLDED = "details.more-section"
PAGES = ("book/01_gaussians.html", "book/05_bayes_posterior.html")
DEEP = f"""() => {{
  const folds = [...document.querySelectorAll("{FOLDED}")];
  const inside = (fold) => fold.querySelector("[id^='equation-'], [id^='eq-']");
  const at = folds.findLastIndex(inside);
  return [at, inside(folds[at]).id];
}}"""
"""The last fold that holds a formula, and the formula."""
SEEN = """(id) => {
  const { top, height } = document.getElementById(id).getBoundingClientRect();
  return height > 0 && top >= 0 && top < innerHeight / 4;
}"""
"""It stands in the upper part of the window, where a link leads to."""
PARTS = "**/mathjax/*/*.js"
"""What MathJax loads besides its beginning."""
STILL = """async () => {
  await window.MathJax.startup.promise;
  await new Promise((done) => setTimeout(done, 500));
}"""
"""All formulas are set, and what follows is done."""


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


@pytest.mark.parametrize("name", PAGES)
def test_a_link_to_what_is_folded_opens_it(site_url: str, page: Page, name: str) -> None:
    page.goto(f"{site_url}/{name}")
    folds: Locator = page.locator(FOLDED)
    assert folds.count() > 1
    for k in range(folds.count()):
        expect(folds.nth(k)).not_to_have_attribute("open", "")
    at, target = page.evaluate(DEEP)
    page.evaluate("(id) => (location.hash = id)", target)
    expect(folds.nth(at)).to_have_attribute("open", "")
    expect(folds.first).not_to_have_attribute("open", "")
    until(page, SEEN, target)

    page.goto("about:blank")
    page.goto(f"{site_url}/{name}#{target}")
    expect(folds.nth(at)).to_have_attribute("open", "")
    page.evaluate(STILL)
    until(page, SEEN, target)


def test_a_reader_who_went_elsewhere_is_left_there(site_url: str, page: Page) -> None:
    page.goto(f"{site_url}/{PAGES[0]}", wait_until="commit")
    page.wait_for_selector(FOLDED, state="attached")
    _, target = page.evaluate(DEEP)
    page.goto("about:blank")
    held: list[Route] = []
    page.route(PARTS, lambda route: held.append(route))  # no formula is set yet
    page.goto(f"{site_url}/{PAGES[0]}#{target}", wait_until="domcontentloaded")
    until(page, "() => scrollY > 0")
    page.keyboard.press("Home")
    until(page, "() => scrollY === 0")
    assert held
    page.unroute(PARTS)  # lets them go
    page.wait_for_load_state()
    page.evaluate(STILL)
    assert page.evaluate("() => scrollY") == 0


def test_headings_of_folds_are_seen_and_a_click_opens_them(site_url: str, page: Page) -> None:
    page.goto(f"{site_url}/{PAGES[0]}")
    fold = page.locator(FOLDED).first
    expect(fold.locator("xpath=preceding-sibling::*[self::h2 or self::h3]")).to_be_visible()
    inside = fold.locator("p").first
    expect(inside).not_to_be_visible()
    fold.locator("> summary").click()
    expect(inside).to_be_visible()


def test_on_paper_all_folds_are_open(site_url: str, page: Page) -> None:
    page.goto(f"{site_url}/{PAGES[0]}")
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(f"{FOLDED}:not([open])")).to_have_count(0)
