"""What the page loads, where it looks for it, and what it says when it cannot."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import RUNTIME_FILES, model_file
from ddpm_lite.widgets.sampler import Sampler

from ..chromium import Log, serve
from ..conftest import BARE
from ..hands import Show, number, until
from .drawing import choose, holding, said

BROKEN = """window.Worker = class {
  postMessage() {
    setTimeout(() => {
      this.onerror({ preventDefault() {}, message: "it broke" });
      this.onmessage({ data: { ready: true } });
    });
  }
  terminate() {}
};"""


@pytest.mark.parametrize("name", MODELS)
def test_the_button_tells_how_much_will_be_loaded(widget_page: Show, name: str) -> None:
    static = holding(RUNTIME_FILES["wasm"], model_file(name))
    size = sum((static / f).stat().st_size for f in (RUNTIME_FILES["wasm"], model_file(name)))
    made = Sampler(model=name, label=0, guidance=1, steps=1)
    told = widget_page(made).inner_text("[data-name=draw]")
    assert told == f"Load the model ({size / 1e6:.0f} MB) and draw"
    assert made.state["sizes"]["total"] == pytest.approx(size, rel=0.01)  # what the bar goes by


def test_a_missing_file_is_named(widget_page: Show, log: Log) -> None:
    page = widget_page(Sampler(steps=1, static_root="nowhere/"))
    page.click("[data-name=draw]")
    until(page, "document.querySelector('.w-note').textContent.includes('could not')")
    assert "nowhere/" in said(page)
    assert "recorded run" in said(page)
    assert number(page, "t") == 0
    assert page.inner_text("[data-name=draw]") == "Load the model (18 MB) and draw"
    log.faults.clear()  # the browser tells of each file that is not there


def test_without_webassembly(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, first="delete window.WebAssembly")
    assert "no WebAssembly" in said(page)
    assert "recorded run" in said(page)
    assert page.is_disabled("[data-name=draw]")
    assert page.is_disabled("[data-name=denoise]")


def test_a_message_after_an_error_is_nobodys(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, first=BROKEN)
    page.click("[data-name=draw]")
    page.wait_for_selector("text=it broke")  # and no exception, as widget_page sees to


def test_from_a_file_without_its_files(page: Page, made: Sampler, tmp_path: Path) -> None:
    path = tmp_path / "opened.html"
    text = BARE.format(fonts="", title="From a file", theme="light", body=made._repr_html_())
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector(".book-widget[data-ready]")
    page.click("[data-name=draw]")
    page.wait_for_selector("text=could not be loaded")
    assert f"{RUNTIME_FILES['runtime']}.js is not there" in said(page)
    choose(page, step=2)
    assert number(page, "t") == 800


def test_sphinx_tells_where_the_files_are(page: Page, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    body = Sampler(steps=1)._repr_html_()
    text = BARE.format(fonts="", title="Deep", theme="light", body=body)
    text = text.replace("<html ", '<html data-content_root="../" ')
    (tmp_path / "deep" / "index.html").write_text(text, encoding="utf-8")
    with serve(tmp_path) as url:
        page.goto(f"{url}/deep/")
        page.wait_for_selector(".book-widget[data-ready]")
        with page.expect_request(f"{url}/_static/{model_file('mnist')}"):
            page.click("[data-name=draw]")
