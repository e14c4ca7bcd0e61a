"""What the page shows to a reader, by mouse and by keyboard, before, while and after it draws."""

import pytest

from ddpm_lite.model import DiffusionModel
from ddpm_lite.widgets.sampler import Sampler

from ..chromium import Log
from ..hands import Show, number, pictures, until
from .drawing import choose, press, said

AT_ONCE = """
  window.Worker = class {
    postMessage({ load, id, x, labels }) {
      const output = load ? null : new Float32Array(x.length * labels.length);
      const data = load ? { files: {} } : { id, output };
      setTimeout(() => this.onmessage({ data }));
    }
    terminate() {}
  };"""
"""A worker that answers at once, with zeros."""


def test_a_recorded_run_shows_before_anything_is_loaded(
    widget_page: Show, widget: Sampler, log: Log
) -> None:
    page = widget_page(widget)
    assert "recorded run" in said(page)
    assert not [url for url in log.requests if "_static" in url]
    assert number(page, "t") == 0
    assert number(page, "alpha_bar") == 1
    before, schedule = pictures(page), DiffusionModel.load().schedule
    choose(page, step=4)
    t = int(number(page, "t"))
    assert t == widget.state["frames"][4]["t"]
    assert abs(number(page, "alpha_bar") - float(schedule.alpha_bar[t - 1])) < 1e-6
    assert pictures(page)[0] != before[0]


def test_a_finger_sketches_and_clear_wipes(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    choose(page, own_t=1)
    page.click("[data-name=clear]")
    *_, pad, noisy = pictures(page)
    box = page.locator(".book-widget .w-own canvas").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 120, steps=6)
    page.mouse.up()
    *_, drawn, drawn_noisy = pictures(page)
    assert drawn != pad
    assert drawn_noisy != noisy
    page.mouse.move(box["x"] + 40, box["y"] + 120, steps=3)  # the button is up: no line
    assert pictures(page)[-2] == drawn
    page.click("[data-name=clear]")
    assert pictures(page)[-2] == pad


@pytest.mark.slow
def test_by_keyboard_alone(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.dataset.name")
        if name in reached:
            break
        reached.append(name)
    wanted = (
        "label sampler steps guidance seed draw another step play test_digit clear own_t denoise"
    )
    assert [name for name in reached if name] == wanted.split()
    page.focus("[data-name=step]")
    page.keyboard.press("Home")
    assert number(page, "t") == 1000
    page.keyboard.press("ArrowRight")
    assert number(page, "t") == 900
    page.focus("[data-name=own_t]")
    before = pictures(page)[-1]
    page.keyboard.press("ArrowLeft")
    assert pictures(page)[-1] != before
    page.focus("[data-name=draw]")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.w-note').textContent.includes('20 steps in')")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-name=seed]').value === '1'")


@pytest.mark.slow
def test_a_run_can_be_stopped(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    choose(page, steps=1000)
    page.click("[data-name=draw]")
    until(page, "+document.querySelector('output[data-name=done]').dataset.number < 20")
    until(page, "+document.querySelector('output[data-name=done]').dataset.number > 2")
    assert page.inner_text("[data-name=draw]") == "Stop"
    page.click("[data-name=draw]")
    assert said(page) == "Stopped."
    assert page.inner_text("[data-name=denoise]") == "Denoise it"
    assert page.inner_text("[data-name=draw]") == "Draw"
    choose(page, steps=4)
    assert len(press(page)) == 5


def test_play_goes_one_step_where_motion_is_not_wanted(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, calm=True)
    page.click("[data-name=play]")
    assert number(page, "t") == 1000
    page.wait_for_timeout(400)
    assert number(page, "t") == 1000
    page.click("[data-name=play]")
    assert number(page, "t") == 900
    page = widget_page(widget)
    page.click("[data-name=play]")
    until(page, "document.querySelector('output[data-name=t]').dataset.number === '0'")


@pytest.mark.slow
def test_the_page_stays_alive_while_it_loads_and_draws(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    page.evaluate(
        """() => { window.ticks = 0; window.longest = 0;
          let last = window.began = performance.now();
          setInterval(() => { const now = performance.now();
            window.longest = Math.max(window.longest, now - last); last = now; ticks++; }, 20); }"""
    )
    press(page)
    assert page.evaluate("window.ticks") > 20
    # a share of all of it, so that a busy machine, where all takes longer, passes as well
    assert page.evaluate("window.longest / (performance.now() - window.began)") < 0.3


def test_the_network_does_not_wait_for_the_screen(widget_page: Show, made: Sampler) -> None:
    """Where no frame of the screen comes, only the first and the last pictures are painted."""
    count = """window.requestAnimationFrame = () => 0;
      const { fillText } = CanvasRenderingContext2D.prototype;
      window.written = new Set();
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        if (text.includes("at t =")) window.written.add(text.split("=")[1]);
        fillText.call(this, text, ...place);
      };"""
    page = widget_page(made, first=AT_ONCE + count)
    page.evaluate("document.querySelector('.book-widget [data-name=draw]').click()")
    until(page, "document.querySelector('.w-note').textContent.includes('20 steps in')")
    assert sorted(map(int, page.evaluate("[...window.written]"))) == [0, 1000]
    assert number(page, "t") == 0


def test_a_late_frame_does_not_take_the_reader_back(widget_page: Show, made: Sampler) -> None:
    page = widget_page(made, first=AT_ONCE)
    page.evaluate(
        """() => document.addEventListener("drawn", () => {
          const slider = document.querySelector("[data-name=step]");
          slider.value = 0;
          slider.dispatchEvent(new Event("input"));
          requestAnimationFrame(() => requestAnimationFrame(() => (window.later = true)));
        })"""
    )
    page.click("[data-name=draw]")
    until(page, "window.later")
    assert number(page, "t") == 1000
