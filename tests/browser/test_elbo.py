"""The bound widget in Chromium, against torch.distributions and plain sums."""

import pytest
import torch
from playwright.sync_api import Page
from torch.distributions import Normal, kl_divergence

from ddpm_lite.diffusion import Gaussian, gaussian_kl
from ddpm_lite.widgets.elbo import BoundExplorer, BoundTerms

from .hands import Show, control, drag, move, number, numbers, pictures, tab_to, until

SPANS = [(1, 1), (2, 2), (3, 10), (11, 100), (101, 1000)]
TERMS = [0.8, 0.2, 0.05, 0.004, 0.0002]


def agrees(page: Page, mean: float, deviation: float, x: float = 1.5, noise: float = 0.5) -> None:
    m, s, x_, v, zero, one = torch.tensor([mean, deviation, x, noise, 0, 1], dtype=torch.float64)
    q, prior = Normal(m, s), Normal(zero, one)
    exact = Gaussian(x_ / (1 + v), v / (1 + v))
    gap = gaussian_kl(Gaussian(m, s**2), exact)
    reconstruction = Normal(m, v.sqrt()).log_prob(x_) - s**2 / v / 2
    expected = {
        "log_p": Normal(zero, (1 + v).sqrt()).log_prob(x_),
        "kl": gap,
        "elbo": Normal(zero, (1 + v).sqrt()).log_prob(x_) - gap,
        "reconstruction": reconstruction,
        "kl_prior": kl_divergence(q, prior),
    }
    found = numbers(page)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), abs=1e-9), name
    assert number(page, "log_p") == pytest.approx(number(page, "elbo") + number(page, "kl"))


def test_numbers_are_those_of_the_formulas(widget_page: Show) -> None:
    page = widget_page(BoundExplorer())
    agrees(page, -0.5, 1.0)
    for mean, deviation in ((-3, 0.1), (3, 2.5), (1, 0.58), (0, 1), (0.37, 0.42)):
        before = pictures(page)
        move(page, mean=mean, deviation=deviation)
        agrees(page, mean, deviation)
        assert pictures(page) != before


def test_another_model_has_another_evidence(widget_page: Show) -> None:
    page = widget_page(BoundExplorer(x=-2, noise=1.7))
    agrees(page, -0.5, 1.0, x=-2, noise=1.7)


def test_it_climbs_to_the_top(widget_page: Show) -> None:
    page = widget_page(BoundExplorer(mean=-2, deviation=2.4))
    before = number(page, "elbo")
    control(page, "climb").click()
    assert control(page, "climb").inner_text() == "Stop"
    until(page, "document.querySelector('[data-name=climb]').textContent === 'Climb'")
    assert before < number(page, "elbo") <= number(page, "log_p")
    assert number(page, "kl") < 1e-6
    assert float(control(page, "mean").input_value()) == 1
    assert float(control(page, "deviation").input_value()) == pytest.approx(3**-0.5, abs=0.01)


def test_where_motion_is_not_wanted_a_press_is_a_step(widget_page: Show) -> None:
    page = widget_page(BoundExplorer(), calm=True)
    climb = control(page, "climb")
    assert climb.inner_text() == "One step up"
    for _ in range(3):
        before = number(page, "elbo")
        climb.click()
        after = number(page, "elbo")
        assert after > before
        page.wait_for_timeout(150)
        assert number(page, "elbo") == after


def test_bell_and_map_can_be_dragged(widget_page: Show) -> None:
    page = widget_page(BoundExplorer())
    width = page.locator("canvas").nth(0).bounding_box()["width"]  # type: ignore[index]

    def at(z: float) -> float:
        return 6 + (z + 4) / 8 * (width - 12)

    drag(page, (at(-0.5), 218), (at(1), 218))
    assert float(control(page, "mean").input_value()) == pytest.approx(1, abs=0.03)
    drag(page, (at(2), 218), (at(1.6), 218))
    assert float(control(page, "deviation").input_value()) == pytest.approx(0.6, abs=0.05)
    before = number(page, "elbo")
    drag(page, (60, 60), (50, 40), nth=2)
    assert number(page, "elbo") < before
    values = (float(control(page, name).input_value()) for name in ("mean", "deviation"))
    agrees(page, *values)


def test_the_keyboard_is_enough(widget_page: Show) -> None:
    page = widget_page(BoundExplorer(), calm=True)
    tab_to(page, "mean")
    page.keyboard.press("ArrowRight")
    tab_to(page, "deviation")
    page.keyboard.press("ArrowLeft")
    agrees(page, -0.49, 0.99)
    tab_to(page, "climb")
    page.keyboard.press("Enter")
    assert number(page, "elbo") > -5.6


def test_the_terms_add_up(widget_page: Show) -> None:
    page = widget_page(BoundTerms(spans=SPANS, per_step=TERMS, prior=0.01, stretch=4))
    sums = [0.8, 1.0, 1.4, 1.76, 1.94]
    for k, (term, so_far) in enumerate(zip(TERMS, sums, strict=True)):
        before = pictures(page)
        move(page, stretch=k)
        found = numbers(page)
        assert found["term"] == term
        assert found["so_far"] == pytest.approx(so_far)
        assert found["share"] == pytest.approx(so_far / 1.95)
        assert found["total"] == pytest.approx(1.95)
        first, last = SPANS[k]
        told = f"t = {first}" if k < 2 else f"t = {first} to {last}"
        assert control(page, "stretch").get_attribute("aria-valuetext") == told
        assert pictures(page) != before


def test_the_terms_can_be_dragged_and_stepped_through(widget_page: Show) -> None:
    page = widget_page(BoundTerms(spans=SPANS, per_step=TERMS))
    drag(page, (60, 60), (400, 60), nth=0)
    assert control(page, "stretch").input_value() == "4"
    drag(page, (300, 60), (50, 60), nth=1)
    assert control(page, "stretch").input_value() == "0"
    tab_to(page, "stretch")
    page.keyboard.press("ArrowRight")
    assert number(page, "term") == 0.2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_fit_a_phone(widget_page: Show, theme: str) -> None:
    for widget in (BoundExplorer(), BoundTerms(spans=SPANS, per_step=TERMS)):
        page = widget_page(widget, theme=theme, width=400)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
