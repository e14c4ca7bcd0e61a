"""How long readers wait for a picture that is drawn in their page: the built site in Chromium.

    python benchmarks/page_sampler.py                # after `make book`, on an idle machine

It serves `_build/html` as any static server would, opens each page that has a sampler, loads its
network with the first picture, and draws some more. The last line is JSON: for each page the steps,
and the seconds of the drawings after the first one, median and range.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from tests.browser.chromium import find_chromium, serve  # noqa: E402

SITE = ROOT / "_build" / "html"
SAMPLER = ".book-widget[data-widget=sampler]"
LONGEST = 120_000
"""Milliseconds for one picture, with the network's loading."""
PRESS = """(widget) => new Promise((done) => {
  document.addEventListener("drawn", () => {
    const number = (name) => +widget.querySelector(`output[data-name=${name}]`).dataset.number;
    setTimeout(() => done([number("done"), number("seconds")]));
  }, { once: true });
  widget.querySelector("[data-name=draw]").click();
})"""


def with_samplers(site: Path) -> list[str]:
    """The pages that have one, as addresses below the site."""
    pages = sorted(site.rglob("*.html"))
    held = [p for p in pages if 'data-widget="sampler"' in p.read_text(encoding="utf-8")]
    return [page.relative_to(site).as_posix() for page in held]


def summary(drawn: list[tuple[float, float]]) -> dict[str, Any]:
    """Of (steps, seconds) of each drawing; the first one does not count."""
    seconds = [took for _, took in drawn[1:]]
    return {
        "steps": int(drawn[0][0]),
        "drawings": len(seconds),
        "median_s": round(median(seconds), 2),
        "range_s": [round(min(seconds), 2), round(max(seconds), 2)],
    }


def measure(page: Page, drawings: int) -> dict[str, Any]:
    """What the page's first sampler takes."""
    widget = page.locator(SAMPLER).first
    widget.locator("[data-name=draw]").wait_for()
    handle = widget.element_handle()
    return summary([tuple(page.evaluate(PRESS, handle)) for _ in range(drawings + 1)])


def main() -> None:
    """Prints a line for each page, and one of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drawings", type=int, default=7)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with serve(SITE) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium())
        for name in with_samplers(SITE):
            page = browser.new_page()
            page.set_default_timeout(LONGEST)
            page.goto(f"{url}/{name}")
            found[name] = measure(page, options.drawings)
            print(name, found[name], flush=True)
            page.close()
        cores = browser.new_page().evaluate("navigator.hardwareConcurrency")
        browser.close()
    print(json.dumps({"cores": cores, "pages": found}))


if __name__ == "__main__":
    main()
