"""A view that goes leaves nothing behind: a model in a notebook outlives each of its views."""

from typing import Any

import pytest
from playwright.sync_api import Page

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.elbo import BoundExplorer
from ddpm_lite.widgets.gaussian import GaussianExplorer
from ddpm_lite.widgets.markov import WeatherChain
from ddpm_lite.widgets.modules import module_text
from ddpm_lite.widgets.noising import Noising
from ddpm_lite.widgets.sampler import Sampler
from ddpm_lite.widgets.toy import ToyDiffusion

from .chromium import Log
from .hands import until
from .test_heights import ALL

SHOW = """async ({ module, state }) => {
  const watching = new Set();
  for (const kind of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
    window[kind] = class extends window[kind] {
      observe(...what) {
        watching.add(this);
        super.observe(...what);
      }
      disconnect() {
        watching.delete(this);
        super.disconnect();
      }
    };
  }
  window.watching = () => watching.size;
  const listeners = new Map();
  const heard = (name) => listeners.get(name) ?? listeners.set(name, new Set()).get(name);
  window.model = {
    get: (key) => state[key],
    set(key, value) {
      state[key] = value;
      for (const f of [...heard("change:" + key)]) f();
    },
    save_changes() {},
    on: (name, f) => heard(name).add(f),
    off: (name, f) => heard(name).delete(f),
    send() {},
    count: () => [...listeners.values()].reduce((sum, all) => sum + all.size, 0),
  };
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const { render } = (await import(url)).default;
  window.show = async () => {
    const el = document.createElement("section");
    document.body.append(el);
    window.end = await render({ model, el });
    window.away = () => (end(), el.remove());
  };
  await show();
  return model.count();
}"""

MOVED = """async () => {
  const painted = CanvasRenderingContext2D.prototype.clearRect;
  const { set } = model;
  let count = 0;
  model.set = (...what) => ((count += 1), set(...what));
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    count += 1;
    return painted.apply(this, box);
  };
  await new Promise((done) => setTimeout(done, 300));
  CanvasRenderingContext2D.prototype.clearRect = painted;
  model.set = set;
  return count;
}"""
"""How often a canvas is painted or the state is set in a while."""

THEMED = f"""(theme) => {{
  const counted = ({MOVED})();
  document.documentElement.dataset.theme = theme;
  return counted;
}}"""
"""The same while the theme changes."""

WORKERS = """() => {
  window.workers = [];
  window.Worker = class {
    works = true;
    constructor() {
      workers.push(this);
    }
    postMessage() {}
    terminate() {
      this.works = false;
    }
  };
}"""
"""In the place of workers: some that never answer."""


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


def shown(page: Page, widget: Widget, kernel: bool = True) -> int:
    """Render it as a notebook does; gives the number of its listeners."""
    state: dict[str, Any] = widget.state | {"description": widget.description}
    if isinstance(widget, Sampler):
        state["kernel"] = kernel
    page.goto("about:blank")
    count: int = page.evaluate(SHOW, {"module": module_text(widget.module), "state": state})
    return count


@pytest.mark.parametrize("make", ALL)
def test_no_listener_stays(page: Page, log: Log, make: type[Widget]) -> None:
    listeners = shown(page, make())  # type: ignore[call-arg]
    assert listeners > 0
    page.evaluate("away()")
    assert page.evaluate("model.count()") == 0
    page.evaluate("show()")
    assert page.evaluate("model.count()") == listeners
    assert log.faults == []


@pytest.mark.parametrize("make", ALL)
def test_no_observer_stays(page: Page, make: type[Widget]) -> None:
    shown(page, make())  # type: ignore[call-arg]
    assert page.evaluate("watching()") > 0
    page.evaluate("away()")
    assert page.evaluate("watching()") == 0


def test_a_theme_is_nothing_to_a_view_that_is_gone(page: Page) -> None:
    shown(page, GaussianExplorer())
    assert page.evaluate(THEMED, "dark") > 0
    page.evaluate("end()")  # the element still stands: nothing but an observer could paint it
    assert page.evaluate(THEMED, "light") == 0


def test_a_worker_goes_though_it_still_loads(page: Page, log: Log) -> None:
    shown(page, Sampler(steps=5, static_root="http://127.0.0.1/nowhere"), kernel=False)
    page.evaluate(WORKERS)
    page.click("[data-name=draw]")
    until(page, "workers.length === 1")
    assert page.evaluate("workers[0].works")
    page.evaluate("away()")
    assert not page.evaluate("workers[0].works")
    assert log.faults == []


@pytest.mark.parametrize(
    ("make", "press"),
    [
        (BoundExplorer, "climb"),
        (Noising, "play"),
        (Sampler, "play"),
        (ToyDiffusion, "forward"),
        (WeatherChain, "run"),
    ],
)
def test_what_moves_stands_still(page: Page, log: Log, make: type[Widget], press: str) -> None:
    shown(page, make())  # type: ignore[call-arg]
    page.click(f"[data-name={press}]")
    until(page, f"async () => (await ({MOVED})()) > 0")
    page.evaluate("end()")  # the element still stands: only the clock could move it
    page.wait_for_timeout(100)
    assert page.evaluate(MOVED) == 0
    assert log.faults == []


def test_a_question_that_nobody_waits_for_is_dropped(page: Page, log: Log) -> None:
    shown(page, Sampler(steps=5))
    page.click("[data-name=draw]")
    page.evaluate("away()")
    page.wait_for_timeout(100)
    assert log.faults == []  # no promise was rejected unheard
