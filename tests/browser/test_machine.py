"""The proof machine's worker in a browser: it loads from the book's own files, and answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from .chromium import Log, serve
from .conftest import SITE, SLOW, missing

STATIC = SITE / "_static"
BLANK = "<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,>"
STARTS = """
() => {
  window.said = [];
  window.waiting = new Map();
  window.worker = new Worker("/machine_worker.js", { type: "module" });
  window.worker.onmessage = ({ data }) => {
    if (data.id === undefined) window.said.push({ ...data, at: performance.now() });
    else window.waiting.get(data.id)(data.answer);
  };
  window.ask = (call, ...args) => new Promise((resolve) => {
    const id = window.waiting.size;
    window.waiting.set(id, resolve);
    window.worker.postMessage({ id, call, args });
  });
}
"""


@pytest.fixture(scope="module")
def static_url() -> Iterator[str]:
    """The address of the site's static files."""
    if not (STATIC / "machine" / "machine.json").exists():
        missing("the book is not built with its proof machine; `make book` builds it")
    with serve(STATIC) as url:
        yield url


@pytest.fixture
def machine(page: Page, static_url: str) -> Page:
    """A page of that address with a worker."""
    page.set_default_timeout(SLOW)
    page.route("**/page.html", lambda route: route.fulfill(body=BLANK, content_type="text/html"))
    page.goto(f"{static_url}/page.html")
    page.evaluate(STARTS)
    return page


def ask(page: Page, *question: Any) -> dict[str, Any]:
    answer: dict[str, Any] = page.evaluate("(q) => window.ask(...q)", question)
    return answer


def test_it_loads_from_the_books_files_and_answers(machine: Page, log: Log) -> None:
    opened = ask(machine, "open_page", "04_forward_closed_form.md")
    latex = {e["label"]: e["latex"] for e in opened["equations"]}["eq-two-variance"]
    assert ask(machine, "try_formula", "eq-two-variance", latex)["verdict"] == "equal"
    wrong = ask(machine, "try_formula", "eq-two-variance", latex.replace("-", "+", 1))
    assert wrong["verdict"] == "different"
    assert wrong["at"]
    assert (
        ask(machine, "try_answer", "ex-half-noise", "-log(2)/log(1 - beta)")["verdict"] == "equal"
    )
    assert ask(machine, "open_page", "04_forward_closed_form.md") == opened  # once is enough
    assert log.elsewhere == []
    said = machine.evaluate("() => window.said")
    loaded = [one["loaded"] for one in said if "loaded" in one]
    assert loaded == sorted(loaded)
    assert loaded[-1] == said[0]["bytes"]
    assert said[-1]["ready"]
    assert log.faults == []


def test_the_page_goes_on_while_it_works(machine: Page) -> None:
    ask(machine, "open_page", "05_bayes_posterior.md")
    machine.evaluate("() => { window.late = window.ask('run_to', 'eq-post-shrink'); }")
    waited = machine.evaluate(
        "async () => { const t = performance.now();"
        " await new Promise((done) => setTimeout(done, 10)); return performance.now() - t; }"
    )
    assert waited < 1000
    assert machine.evaluate("() => window.late")["mark"] == "✓ proved"


def test_what_is_missing_is_said(machine: Page, static_url: str, log: Log) -> None:
    assert "cannot be loaded" in ask(machine, "open_page", "13_nothing.md")["error"]
    log.faults.clear()  # the browser reports the missing file too
    machine.route("**/libraries.zip", lambda route: route.fulfill(status=500))
    machine.goto(f"{static_url}/page.html")
    machine.evaluate(STARTS)
    machine.wait_for_function("() => window.said.some((one) => one.failed)")
    assert "libraries.zip cannot be loaded (500)" in machine.evaluate(
        "() => window.said.at(-1).failed"
    )
    assert "libraries.zip" in ask(machine, "run_to", "eq-alpha")["error"]
    log.faults.clear()
