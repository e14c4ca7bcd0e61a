"""The sampler widget in a notebook: the page asks, the kernel evaluates; or there is no kernel."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from ddpm_lite.classifier import load_classifier
from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import last
from ddpm_lite.widgets.modules import module_text
from ddpm_lite.widgets.sampler import Sampler, page_noise, page_states, reply

from .chromium import Log
from .hands import until

NOTEBOOK = """async ({ module, state }) => {
  const toBase64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  const hear = [];
  const reply = (content, raw) => {
    // one byte further on than numbers may begin: what comes through a wire is not aligned
    const bytes = Uint8Array.from("." + atob(raw ?? ""), (c) => c.charCodeAt(0));
    for (const f of hear) f(content, raw === null ? [] : [new DataView(bytes.buffer, 1)]);
  };
  const model = {
    get: (name) => state[name],
    set: (name, value) => (state[name] = value),
    save_changes() {},
    on: (name, f) => name === "msg:custom" && hear.push(f),
    off() {},
    send: (content, callbacks, buffers) =>
      window.kernel(content, toBase64(buffers[0])).then(([content, raw]) => reply(content, raw)),
  };
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const widget = (await import(url)).default;
  for (const id of ["first", "second"]) {
    const el = document.createElement("section");
    el.id = id;
    el.className = "book-widget";
    document.body.append(el);
    el.addEventListener("drawn", ({ detail }) => (el.drawn = Array.from(detail.at(-1).x)));
    await widget.render({ model, el });
  }
}"""


class Kernel:
    """What the widget manager has in Python: it keeps what `reply` sends."""

    def __init__(self) -> None:
        self.model = DiffusionModel.load().without_variance()
        self.loses = False
        self.questions: list[dict[str, Any]] = []
        self.sent: tuple[dict[str, Any], str | None] = ({}, None)

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """As an anywidget's."""
        self.sent = content, base64.b64encode(buffers[0]).decode() if buffers else None

    def ask(self, question: dict[str, Any], raw: str) -> tuple[dict[str, Any], str | None]:
        """One question and its answer; on a wire that loses bytes, an error."""
        self.questions.append(question)
        image = b"lost" if self.loses else base64.b64decode(raw)
        reply(self.model, self, question, [image])  # type: ignore[arg-type]
        return self.sent


@pytest.fixture
def kernel(page: Page, log: Log) -> Kernel:
    """A page that shows one live widget twice, as a notebook may, and the kernel behind it."""
    made = Kernel()
    page.expose_function("kernel", made.ask)
    page.goto("about:blank")
    state = Sampler(steps=5).state | {"kernel": True, "description": "A digit."}
    page.evaluate(NOTEBOOK, {"module": module_text("sampler"), "state": state})
    return made


def drawn(page: Page, where: str = "#first") -> Any:
    """Presses draw and waits for the picture."""
    page.click(f"{where} [data-name=draw]")
    page.wait_for_selector(f"{where} .w-note:has-text('steps in')")
    return torch.tensor(page.evaluate("where => document.querySelector(where).drawn", where))


def test_the_kernels_picture_is_the_packages(page: Page, kernel: Kernel) -> None:
    assert page.inner_text("#first [data-name=draw]") == "Draw"
    assert "kernel draws another" in page.inner_text("#first .w-note")
    picture = drawn(page).reshape(1, 1, 28, 28)
    config = DrawConfig(guidance_scale=1.3, precision="float32")
    denoise = make_denoiser(kernel.model, torch.tensor([3]), config)
    noise = page_noise(0, (1, 28, 28))
    wanted = last(page_states(denoise, kernel.model.schedule, noise, "dpm_solver", 5))
    assert (picture - wanted).abs().max() < 1e-3
    assert [q["labels"] for q in kernel.questions] == [[3, 10]] * 5
    assert "Drawn by the notebook's kernel" in page.inner_text("#first .w-note")


def test_both_views_draw_their_own(page: Page, kernel: Kernel) -> None:
    page.select_option("#second [data-name=label]", "8")
    page.select_option("#second [data-name=steps]", "20")
    page.click("#first [data-name=draw]")
    eight = drawn(page, "#second").reshape(1, 1, 28, 28)
    page.wait_for_selector("#first .w-note:has-text('steps in')")
    assert int(load_classifier()(eight).argmax()) == 8
    three = page.evaluate("document.querySelector('#first').drawn")
    assert int(load_classifier()(torch.tensor(three).reshape(1, 1, 28, 28)).argmax()) == 3


def test_an_error_of_the_kernel_is_told(page: Page, kernel: Kernel) -> None:
    kernel.loses = True
    page.click("#first [data-name=draw]")
    page.wait_for_selector("#first .w-note:has-text('The model stopped')")
    assert "shape" in page.inner_text("#first .w-note")
    assert page.inner_text("#first [data-name=draw]") == "Draw"


LATE = """() => {
  const kernel = window.kernel;
  window.kernel = (question) => {
    window.kernel = kernel;
    const answer = [{ id: question.id, error: "too late" }, null];
    return new Promise((send) => (window.fail = () => send(answer)));
  };
}"""
"""The first question is answered by an error, when the test says so."""


def test_a_stopped_run_says_nothing_more(page: Page, kernel: Kernel) -> None:
    page.evaluate(LATE)
    page.click("#first [data-name=draw]")
    until(page, "typeof window.fail === 'function'")
    page.click("#first [data-name=draw]")  # it reads "Stop"
    drawn(page)
    page.evaluate("fail()")
    page.wait_for_timeout(200)
    assert "steps in" in page.inner_text("#first .w-note")
    assert page.inner_text("#first [data-name=draw]") == "Draw"


def test_no_file_is_asked_for(page: Page, kernel: Kernel, log: Log) -> None:
    drawn(page)
    assert log.elsewhere == []
    assert log.faults == []


def test_without_a_kernel_it_says_what_is_missing(widget_page: Callable[..., Page]) -> None:
    page = widget_page(Sampler(steps=1))
    assert "needs the package anywidget" in page.inner_text(".w-note")
    assert "recorded run" in page.inner_text(".w-note")
    assert page.is_disabled("[data-name=draw]")
