"""What a reader does with a widget and what is read from it, for the tests of several widgets."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from playwright.sync_api import Locator, Page

Show = Callable[..., Page]
"""The fixture `widget_page`."""


def until(page: Page, expression: str, argument: Any = None, seconds: float = 120) -> None:
    """Wait until an expression, or a function of the argument, is true on the page.

    Playwright's own `wait_for_function` uses `eval`, which the pages' policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"still not so after {seconds} s: {expression}"
        page.wait_for_timeout(20)


def shown(page: Page, name: str) -> str:
    """What stands, in full, behind a number of the widget."""
    text = page.locator(f"output[data-name='{name}']").get_attribute("data-number")
    assert text is not None
    return text


def number(page: Page, name: str) -> float:
    return float(shown(page, name))


def numbers(page: Page) -> dict[str, float]:
    """All of them at once, which is faster."""
    read = "all => all.map((o) => [o.dataset.name, o.dataset.number])"
    pairs = page.eval_on_selector_all("output[data-number]", read)
    return {name: float(text) for name, text in pairs}


def control(page: Page, name: str) -> Locator:
    """A slider, a choice, a button or a field."""
    return page.locator(f":is(input, select, button)[data-name='{name}']")


SLIDE = """(slider, value) => {
  slider.value = value;
  for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind, { bubbles: true }));
}"""


def move(page: Page, **values: float) -> None:
    """Each slider to its value, at once: `fill` first looks for two frames whether it moves."""
    for name, value in values.items():
        control(page, name).evaluate(SLIDE, str(value))


def pictures(page: Page) -> list[str]:
    """All canvases as they are painted now."""
    painted = page.eval_on_selector_all("canvas", "all => all.map((c) => c.toDataURL())")
    return list(painted)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.name") == name:
            return
    raise AssertionError(f"Tab never comes to {name}")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], nth: int = 0) -> None:
    """With the mouse over the nth canvas, in its pixels."""
    box = page.locator("canvas").nth(nth).bounding_box()
    assert box is not None
    for k, (x, y) in enumerate((start, end)):
        page.mouse.move(box["x"] + x, box["y"] + y, steps=1 + 4 * k)
        page.mouse.down() if k == 0 else page.mouse.up()


def uniform(seed: int) -> Iterator[float]:
    """The page's random numbers (mulberry32)."""
    a, whole = seed, 0xFFFFFFFF
    for _ in count():
        a = (a + 0x6D2B79F5) & whole
        z = ((a ^ (a >> 15)) * (1 | a)) & whole
        z ^= (z + (((z ^ (z >> 7)) * (61 | z)) & whole)) & whole
        yield (z ^ (z >> 14)) / 4294967296


def normal(seed: int) -> Iterator[float]:
    """The page's standard normal numbers (Box and Muller)."""
    random = uniform(seed)
    while True:
        radius = math.sqrt(-2 * math.log(1 - next(random)))
        yield radius * math.cos(2 * math.pi * next(random))
