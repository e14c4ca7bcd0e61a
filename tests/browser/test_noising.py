"""The noising widget in Chromium, against ddpm_lite.schedule and ddpm_lite.diffusion."""

import math
from itertools import islice

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.data import mnist, to_float
from ddpm_lite.diffusion import q_marginal, q_sample, q_step
from ddpm_lite.schedule import SCHEDULES, linear
from ddpm_lite.widgets.noising import DIGIT, Noising, sunset

from .hands import Show, control, drag, move, normal, number, numbers, pictures, tab_to, until

CLEAN = {
    "digit": to_float(mnist(train=False).pixels[DIGIT]).double(),
    "sunset": to_float(torch.from_numpy(sunset())).double(),
}


def agrees(page: Page, picture: str, schedule: str, T: int, t: int) -> None:
    """Every number of the formula."""
    table, x_0 = SCHEDULES[schedule](T), CLEAN[picture][None]
    q = q_marginal(table, x_0, t)
    variance = table.alpha_bar[t - 1] * x_0.var(correction=0) + q.variance
    expected = {
        "alpha_bar": table.alpha_bar[t - 1],
        "snr": table.snr[t - 1],
        "signal": table.alpha_bar[t - 1].sqrt(),
        "noise": q.variance.sqrt(),
        "mean_formula": q.mean.mean(),
        "sd_formula": variance.sqrt(),
    }
    found = numbers(page)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), rel=1e-6, abs=1e-12), name


def choose(page: Page, **values: object) -> None:
    for name, value in values.items():
        control(page, name).select_option(str(value))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_numbers_are_those_of_the_schedule(widget_page: Show, schedule: str) -> None:
    page = widget_page(Noising())
    choose(page, schedule=schedule)
    for T in (1000, 250, 100, 50, 25):
        choose(page, T=T)
        for t in (1, 2, T // 3, T - 1, T):
            move(page, t=t)
            agrees(page, "digit", schedule, T, t)
    choose(page, picture="sunset")
    agrees(page, "sunset", schedule, 25, 25)


def test_at_zero_the_picture_is_clean(widget_page: Show) -> None:
    page = widget_page(Noising(t=0))
    assert number(page, "alpha_bar") == 1
    assert number(page, "snr") == math.inf
    clean, steps, jump = pictures(page)[:3]
    assert clean == steps == jump
    for kind in ("steps", "jump", "formula"):
        assert number(page, f"mean_{kind}") == pytest.approx(CLEAN["digit"].mean().item(), abs=1e-6)


def drawn(seed: int, n: int) -> Tensor:
    return torch.tensor(list(islice(normal(seed), n)), dtype=torch.float64)


def test_both_ways_follow_the_package(widget_page: Show) -> None:
    schedule, x_0 = linear(25), CLEAN["digit"][None]
    page = widget_page(Noising(T=25, t=6))
    jump = q_sample(schedule, x_0, 6, drawn(1001, 784).reshape(x_0.shape))
    noises, x = drawn(1, 6 * 784).reshape(6, *x_0.shape), x_0
    for t, eps in enumerate(noises, start=1):
        step = q_step(schedule, x, t)
        x = step.mean + step.variance.sqrt() * eps
    for kind, values in (("jump", jump), ("steps", x)):
        assert number(page, f"mean_{kind}") == pytest.approx(values.mean().item(), abs=1e-6)
        deviation = values.std(correction=0).item()
        assert number(page, f"sd_{kind}") == pytest.approx(deviation, abs=1e-6)


def test_both_ways_end_in_the_same_law(widget_page: Show) -> None:
    page = widget_page(Noising(picture="sunset", T=1000, t=1000))
    for kind in ("steps", "jump"):
        assert abs(number(page, f"mean_{kind}") - number(page, "mean_formula")) < 5 / 3072**0.5
        assert abs(number(page, f"sd_{kind}") - 1) < 5 / (2 * 3072) ** 0.5
    _, steps, jump = pictures(page)[:3]
    assert steps != jump


def test_every_control_changes_the_picture(widget_page: Show) -> None:
    page = widget_page(Noising())
    before = pictures(page)
    for act in (
        lambda: move(page, t=420),
        lambda: choose(page, schedule="cosine"),
        lambda: choose(page, picture="sunset"),
        lambda: choose(page, T=50),
        lambda: control(page, "noise").click(),
    ):
        act()
        after = pictures(page)
        assert after != before
        before = after
    assert control(page, "t").input_value() == "21"  # the share of the way stays


def test_a_curve_can_be_dragged(widget_page: Show) -> None:
    page = widget_page(Noising())
    box = page.locator("canvas").nth(4).bounding_box()
    assert box is not None
    right = box["width"] - 18
    drag(page, (100, 80), (right, 80), nth=4)
    assert control(page, "t").input_value() == "1000"
    agrees(page, "digit", "linear", 1000, 1000)


def test_the_keyboard_is_enough(widget_page: Show) -> None:
    page = widget_page(Noising())
    tab_to(page, "picture")
    page.keyboard.press("ArrowDown")
    tab_to(page, "schedule")
    page.keyboard.press("ArrowDown")
    tab_to(page, "T")
    page.keyboard.press("ArrowUp")
    tab_to(page, "t")
    page.keyboard.press("ArrowRight")
    agrees(page, "sunset", "cosine", 250, 51)
    before = number(page, "mean_steps")
    tab_to(page, "noise")
    page.keyboard.press("Enter")
    assert number(page, "mean_steps") != before


def test_it_plays_and_stops(widget_page: Show) -> None:
    page = widget_page(Noising(T=25, t=0))
    play = control(page, "play")
    assert play.inner_text() == "Play"
    play.click()
    until(page, "+document.querySelector('input[data-name=t]').value > 2")
    assert play.inner_text() == "Stop"
    play.click()
    assert play.inner_text() == "Play"
    stopped = control(page, "t").input_value()
    page.wait_for_timeout(800)
    assert control(page, "t").input_value() == stopped


def test_where_motion_is_not_wanted_a_press_is_a_step(widget_page: Show) -> None:
    page = widget_page(Noising(T=25, t=24), calm=True)
    play = control(page, "play")
    assert play.inner_text() == "One step"
    play.click()
    page.wait_for_timeout(500)
    assert control(page, "t").input_value() == "25"
    play.click()
    assert control(page, "t").input_value() == "0"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_a_phone(widget_page: Show, theme: str) -> None:
    page = widget_page(Noising(), theme=theme, width=400)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
