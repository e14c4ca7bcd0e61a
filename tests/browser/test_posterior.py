"""The posterior widget in Chromium, against ddpm_lite.diffusion.q_posterior."""

import math

import pytest
import torch
from playwright.sync_api import Page

from ddpm_lite.diffusion import q_marginal, q_posterior
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule, linear
from ddpm_lite.widgets.posterior import PosteriorExplorer

from .hands import Show, control, drag, move, number, numbers, pictures, tab_to


def agrees(page: Page, schedule: NoiseSchedule, x_0: float, x_t: float, t: int) -> None:
    start, end = (torch.tensor([[x]], dtype=torch.float64) for x in (x_0, x_t))
    posterior = q_posterior(schedule, start, end, t)
    beta, alpha = schedule.beta[t - 1], schedule.alpha[t - 1]
    expected = {
        "beta": beta,
        "alpha_bar_prev": schedule.alpha_bar_prev[t - 1],
        "alpha_bar": schedule.alpha_bar[t - 1],
        "posterior_mean": posterior.mean,
        "posterior_variance": posterior.variance,
        "likelihood_mean": end / alpha.sqrt(),
        "likelihood_variance": beta / alpha,
        "weight_x_0": schedule.posterior_mean_x_0[t - 1],
        "weight_x_t": schedule.posterior_mean_x_t[t - 1],
    }
    if t > 1:
        prior = q_marginal(schedule, start, t - 1)
        expected |= {"prior_mean": prior.mean, "prior_variance": prior.variance}
        expected["posterior_precision"] = 1 / posterior.variance
    found = numbers(page)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("name", SCHEDULES)
def test_numbers_are_those_of_q_posterior(widget_page: Show, name: str) -> None:
    page = widget_page(PosteriorExplorer())
    control(page, "schedule").select_option(name)
    for T in (25, 100, 1000):
        control(page, "T").select_option(str(T))
        schedule = SCHEDULES[name](T)
        for t, x_0, x_t in ((1, 0.3, 1), (2, -2, 2.5), (T // 2, 0.85, -3), (T, 2, 0.01)):
            move(page, t=t, x_0=x_0, x_t=x_t)
            agrees(page, schedule, x_0, x_t, t)


def test_precisions_add(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer())
    for t in (2, 12, 25):
        move(page, t=t)
        parts = number(page, "prior_precision") + number(page, "likelihood_precision")
        assert number(page, "posterior_precision") == pytest.approx(parts, rel=1e-9)


def test_at_the_first_step_the_start_is_known(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer(t=1, x_0=0.7))
    for law in ("prior", "posterior"):
        assert number(page, f"{law}_mean") == pytest.approx(0.7)
        assert number(page, f"{law}_variance") == 0
        assert number(page, f"{law}_precision") == math.inf


def test_a_beta_set_by_hand_is_for_this_step(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer())
    schedule = linear(25)
    for beta in (0.001, 0.5, 0.999):
        own = schedule.beta.clone()
        own[7] = beta
        move(page, beta=beta)
        agrees(page, NoiseSchedule(own), 1.2, -0.8, 8)
        assert control(page, "reset").get_attribute("aria-pressed") == "false"
    control(page, "reset").click()
    agrees(page, schedule, 1.2, -0.8, 8)
    move(page, beta=0.5)
    move(page, t=9)
    agrees(page, schedule, 1.2, -0.8, 9)
    assert control(page, "reset").get_attribute("aria-pressed") == "true"


def test_starts_with_a_beta_of_ones_own(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer(beta=0.6))
    own = linear(25).beta.clone()
    own[7] = 0.6
    agrees(page, NoiseSchedule(own), 1.2, -0.8, 8)


def test_every_control_changes_the_picture(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer())
    before = pictures(page)
    for act in (
        lambda: move(page, x_0=-1),
        lambda: move(page, x_t=2),
        lambda: move(page, t=15),
        lambda: move(page, beta=0.05),
        lambda: control(page, "reset").click(),
        lambda: control(page, "alike").click(),
        lambda: control(page, "schedule").select_option("cosine"),
        lambda: control(page, "T").select_option("100"),
    ):
        act()
        after = pictures(page)
        assert after != before
        before = after


def test_both_ends_can_be_dragged(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer())
    x = [30 + (value + 3.2) / 6.4 * (680 - 42) for value in (-0.8, 1.5, 1.2, -1)]
    drag(page, (x[0], 26), (x[1], 40))
    drag(page, (x[2], 308), (x[3], 300))
    x_t, x_0 = (float(control(page, name).input_value()) for name in ("x_t", "x_0"))
    assert (x_t, x_0) == (pytest.approx(1.5, abs=0.02), pytest.approx(-1, abs=0.02))
    agrees(page, linear(25), x_0, x_t, 8)
    drag(page, (x[1], 26), (900, 26))
    assert control(page, "x_t").input_value() == "3"


def test_the_keyboard_is_enough(widget_page: Show) -> None:
    page = widget_page(PosteriorExplorer())
    tab_to(page, "schedule")
    page.keyboard.press("ArrowDown")
    tab_to(page, "T")
    page.keyboard.press("ArrowDown")
    tab_to(page, "x_0")
    page.keyboard.press("ArrowLeft")
    tab_to(page, "x_t")
    page.keyboard.press("ArrowRight")
    tab_to(page, "t")
    page.keyboard.press("ArrowRight")
    agrees(page, SCHEDULES["cosine"](50), 1.19, -0.79, 17)
    tab_to(page, "beta")
    page.keyboard.press("End")
    assert number(page, "beta") == 0.999
    tab_to(page, "reset")
    page.keyboard.press("Space")
    agrees(page, SCHEDULES["cosine"](50), 1.19, -0.79, 17)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_a_phone(widget_page: Show, theme: str) -> None:
    page = widget_page(PosteriorExplorer(), theme=theme, width=400)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
