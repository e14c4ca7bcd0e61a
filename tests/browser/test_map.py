"""The map of proof, walked by a reader: by click, by key, by finger and by address."""

import json

import pytest
from playwright.sync_api import Browser, Page, expect

from .chromium import Log
from .conftest import PHONE, ROOT
from .hands import until

START = "eq-posterior-mean"
RESTS_ON = json.loads((ROOT / "book" / "mutants.json").read_text())["rests_on"]

CENTRE = """async (label) => {
  const canvas = document.querySelector(".book-map-graph");
  const graph = canvas.querySelector(".book-map-drawing")._cyreg.cy;
  let before = "";
  for (;;) { // until the page stands still: it scrolls to its map by itself, and letters arrive
    canvas.scrollIntoView({ behavior: "instant" });
    await new Promise((go) => setTimeout(go, 150));
    await new Promise(requestAnimationFrame);
    const { x, y } = graph.getElementById(label).renderedPosition();
    const box = canvas.getBoundingClientRect();
    const now = [box.x + x, box.y + y];
    if (String(now) === before) return now;
    before = String(now);
  }
}"""


def open_map(page: Page, site_url: str, label: str = START) -> None:
    page.goto(f"{site_url}/book/map_of_proof.html#{label}")
    page.wait_for_selector(".book-map-caption mjx-container")


def becomes_chosen(page: Page, label: str) -> None:
    """A click or a tap reaches the page a moment after it was sent."""
    expect(page.locator("#book-map-select")).to_have_value(label)
    assert chosen(page) == label


def chosen(page: Page) -> str:
    """The formula that is told of; the address has to name the same."""
    value = page.locator("#book-map-select").input_value()
    assert page.evaluate("location.hash") in (f"#{value}", "")
    return value


LINKED = """(panel, title) => {
  const heading = [...panel.querySelectorAll("h2")].find((h) => h.textContent === title);
  const found = [];
  for (let node = heading.nextElementSibling; node && node.tagName !== "H2"; ) {
    found.push(...[...node.querySelectorAll("a")].map((link) => link.hash.slice(1)));
    node = node.nextElementSibling;
  }
  return found;
}"""


def linked_under(page: Page, title: str) -> list[str]:
    """The labels that are linked below a heading, in alphabetical order."""
    found: list[str] = page.locator(".book-map-panel").evaluate(LINKED, title)
    return sorted(found)


def all_below(label: str) -> set[str]:
    seen: set[str] = set()
    waiting = [label]
    while waiting:
        new = set(RESTS_ON.get(waiting.pop(), [])) - seen
        seen |= new
        waiting += new
    return seen


def test_a_formula_tells_what_it_rests_on_and_what_falls_with_it(
    site_url: str, page: Page, log: Log
) -> None:
    open_map(page, site_url)
    assert linked_under(page, "What it rests on") == sorted(all_below(START))
    open_map(page, site_url, "eq-markov-property")
    falls = [label for label in RESTS_ON if "eq-markov-property" in all_below(label)]
    assert len(falls) > 10
    assert linked_under(page, "What would fall with it") == sorted(falls)
    assert log.faults == []
    assert log.elsewhere == []


def test_a_click_a_key_and_a_link_choose(site_url: str, page: Page, log: Log) -> None:
    open_map(page, site_url)
    x, y = page.evaluate(CENTRE, "eq-posterior-variance")
    page.mouse.click(x, y)
    becomes_chosen(page, "eq-posterior-variance")
    page.focus(".book-map-graph")
    page.keyboard.press("ArrowRight")
    assert chosen(page) == START
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    assert chosen(page) == START
    page.get_by_role("button", name="Next formula").press("Enter")
    after = chosen(page)
    assert after != START
    page.locator(".book-map-panel a").first.click()
    assert chosen(page) in RESTS_ON[after]
    page.go_back()
    until(page, "(label) => location.hash === '#' + label", after)
    assert chosen(page) == after
    page.select_option("#book-map-select", "eq-elbo-terms")
    assert chosen(page) == "eq-elbo-terms"
    assert log.faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_finger_chooses(site_url: str, browser: Browser, log: Log, theme: str) -> None:
    context = browser.new_context(
        viewport=PHONE, has_touch=True, color_scheme="dark" if theme == "dark" else "light"
    )
    log.watch(context)
    page = context.new_page()
    open_map(page, site_url)
    x, y = page.evaluate(CENTRE, "eq-gauss-norm")
    page.touchscreen.tap(x, y)
    becomes_chosen(page, "eq-gauss-norm")
    told = page.locator(".book-map-caption").bounding_box()
    assert told is not None
    assert told["y"] + told["height"] <= PHONE["height"] + 1  # in sight, below the map
    under = page.evaluate("([x, y]) => document.elementFromPoint(x, y).className", [x, y])
    assert under == "book-map-graph"  # the library, which would stop a scrolling finger, gets none
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= PHONE["width"]
    assert log.faults == []
    context.close()
