"""How long readers wait for the proof machine, and what they load: the built site in Chromium.

    python benchmarks/proof_machine.py                     # after `make book`, on an idle machine
    python benchmarks/proof_machine.py --pages 04 05       # of two chapters

It serves `_build/html` as any static server would, opens each chapter as a new visitor, and clicks:
every derived formula is checked as the book has it, then with a slip in it. A time is that from the
opening of the editor to the verdict. The first verdict on a formula waits for its derivation too,
the very first of a visit for the whole machine. The last line is JSON: seconds, and megabytes as
gzip has them.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from tests.browser.chromium import find_chromium, serve  # noqa: E402

SITE = ROOT / "_build" / "html"
LONGEST = 120_000
"""Milliseconds for one answer."""
LABELS = """() => [...document.querySelectorAll(".proof-derived:has(.try-open)")]
  .map((line) => line.dataset.label)"""
CHECK = """async ([label, formula]) => {
  const began = performance.now();
  const found = (choice) => new Promise((done) => {
    const look = () => {
      const node = document.querySelector(choice);
      if (!node) return;
      watcher.disconnect();
      done(node);
    };
    const watcher = new MutationObserver(look);
    watcher.observe(document.body, { subtree: true, childList: true, attributes: true });
    look();
  });
  const editor = `section.try[data-label="${label}"]`;
  const open = document.querySelector(`[data-label="${label}"] .try-open`);
  if (!document.querySelector(editor)) open.click();
  const field = await found(`${editor} textarea`);
  if (formula) field.value = formula;
  document.querySelector(`${editor} .try-check`).click();
  const said = await found(`${editor} [role=status][data-verdict]`);
  const seconds = (performance.now() - began) / 1000;
  open.click(); // closes it
  return [said.dataset.verdict, seconds];
}"""
"""A reader's clicks in one go, until the verdict: playwright's own clicks take a second each."""
START = """(label) => new Promise((done) => {
  document.querySelector(`[data-label="${label}"] .try-open`).click();
  const look = setInterval(() => {
    if (!globalThis.bookMachine) return;
    clearInterval(look);
    bookMachine.watch(({ state }) => state === "ready" && done());
  }, 100);
})"""
SLIP = "(label) => bookMachine.ask('slip', [label, 1], { seconds: 60 })"


# --- Bytes ---------------------------------------------------------------------------------------


def weight(addresses: Iterable[str], site: Path) -> float:
    """Megabytes of files of the site, each as the smaller of itself and its gzip."""
    paths = {unquote(urlsplit(address).path).lstrip("/") for address in addresses}
    files = [site / path for path in paths if path and (site / path).is_file()]
    return sum(min(f.stat().st_size, len(gzip.compress(f.read_bytes()))) for f in files) / 1e6


@contextmanager
def visitor(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """The page of somebody who has never been here, and what it asks the server for."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LONGEST)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    try:
        yield context.new_page(), asked
    finally:
        context.close()


# --- Seconds -------------------------------------------------------------------------------------


def arrive(page: Page, address: str) -> list[str]:
    """Open a page; when all has come, the labels of its derived formulas."""
    page.goto(address, wait_until="networkidle")
    page.locator(".proof-derived .try-open").first.wait_for(state="attached")
    labels: list[str] = page.evaluate(LABELS)
    return labels


def first_use(browser: Browser, address: str, site: Path) -> dict[str, float]:
    """What one page loads before any click, and then until the first verdict."""
    with visitor(browser) as (page, asked):
        labels = arrive(page, address)
        before = weight(asked, site)
        asked.clear()
        _, seconds = page.evaluate(CHECK, [labels[0], ""])
        return {"page_mb": before, "first_use_mb": weight(asked, site), "first_verdict_s": seconds}


def verdicts(browser: Browser, address: str) -> Iterator[tuple[str, str, str, float]]:
    """Of the derived formulas of a chapter: label, with a slip or not, the verdict, seconds."""
    with visitor(browser) as (page, _):
        labels = arrive(page, address)
        page.evaluate(START, labels[0])
        for label in labels:
            yield (label, "as it is", *page.evaluate(CHECK, [label, ""]))
            slip = page.evaluate(SLIP, label)
            yield (label, "with a slip", *page.evaluate(CHECK, [label, slip.get("latex", "1 = 2")]))


# --- All of it -----------------------------------------------------------------------------------


def summary(found: list[tuple[str, str, str, float]]) -> dict[str, Any]:
    """How many formulas, the middle and the longest wait, and which was the longest."""
    slowest = max(found, key=lambda one: one[3])
    return {
        "formulas": len({label for label, *_ in found}),
        "verdicts": len(found),
        "median_s": round(median(seconds for *_, seconds in found), 3),
        "maximum_s": round(slowest[3], 3),
        "slowest": slowest[0],
    }


def chapters(site: Path, wanted: list[str]) -> list[str]:
    """Names of the pages with proofs, all or those that begin so."""
    told = json.loads((site / "_static" / "machine" / "machine.json").read_text())
    names = [Path(name).stem for name in told["pages"]]
    return [name for name in names if not wanted or name.startswith(tuple(wanted))]


def measure(site: Path, wanted: list[str], rounds: int) -> dict[str, Any]:
    """All numbers, with a line for each verdict."""
    found = []
    with sync_playwright() as playwright, serve(site) as url:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        names = chapters(site, wanted)
        pages = {name: f"{url}/book/{name}.html" for name in names}
        first = [first_use(browser, pages[names[0]], site) for _ in range(rounds)]
        for name, address in pages.items():
            for one in verdicts(browser, address):
                found.append(one)
                print(f"{name:24} {one[0]:24} {one[1]:12} {one[2]:10} {one[3]:7.3f} s", flush=True)
    middle = {key: round(median(one[key] for one in first), 2) for key in first[0]}
    return {**middle, **summary(found)}


def main() -> None:
    """Prints everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--site", type=Path, default=SITE, help="the built book")
    parser.add_argument("--pages", nargs="*", default=[], help="beginnings of names")
    parser.add_argument("--rounds", type=int, default=3, help="first visits; the median counts")
    options = parser.parse_args()
    print(json.dumps(measure(options.site, options.pages, options.rounds)))


if __name__ == "__main__":
    main()
