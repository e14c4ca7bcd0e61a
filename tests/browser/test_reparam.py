"""Reparameterisation in Chromium, against torch on the same cloud."""

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.widgets.reparam import ARROWS, Reparameterization

from .hands import Show, control, drag, move, number, pictures, tab_to


def slopes(eps: Tensor, mu: float, sigma: float) -> tuple[Tensor, Tensor]:
    """Both estimates of the slope in mu, by automatic differentiation."""
    knob = torch.full_like(eps, mu).requires_grad_()
    (path,) = torch.autograd.grad(((knob + sigma * eps) ** 2).sum(), knob)
    x = (knob + sigma * eps).detach()
    log_p = torch.distributions.Normal(knob, sigma).log_prob(x)
    (score,) = torch.autograd.grad((x**2 * log_p).sum(), knob)
    return path, score


def check(page: Page, widget: Reparameterization, mu: float, sigma: float) -> None:
    eps = torch.tensor(widget.state["eps"], dtype=torch.float64)
    exact = (4 * sigma**2, mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2)
    for key, values, variance in zip(("path", "score"), slopes(eps, mu, sigma), exact, strict=True):
        assert number(page, f"mean_{key}") == pytest.approx(values.mean().item(), rel=1e-9)
        assert number(page, f"var_{key}") == pytest.approx(values.var().item(), rel=1e-9)
        assert number(page, f"exact_{key}") == pytest.approx(variance, rel=1e-9)
    assert number(page, "slope") == pytest.approx(2 * mu, abs=1e-12)
    assert number(page, "ratio") == pytest.approx(exact[1] / exact[0], rel=1e-9)


def test_the_variances_on_the_cloud_and_the_exact_ones(widget_page: Show) -> None:
    widget = Reparameterization()
    page = widget_page(widget)
    check(page, widget, 1.0, 0.5)
    for mu, sigma in [(0, 1), (-2.5, 0.25), (2.5, 1.5), (0.31, 0.77)]:
        before = pictures(page)
        move(page, mu=mu, sigma=sigma)
        check(page, widget, mu, sigma)
        assert all(a != b for a, b in zip(before, pictures(page), strict=True))


def test_a_large_cloud_comes_near_the_exact_variances(widget_page: Show) -> None:
    page = widget_page(Reparameterization(draws=2000, mu=0.7, sigma=1.0))
    assert number(page, "mean_path") == pytest.approx(1.4, abs=0.2)
    assert number(page, "var_path") == pytest.approx(number(page, "exact_path"), rel=0.15)
    assert number(page, "var_score") == pytest.approx(number(page, "exact_score"), rel=0.4)


def test_arrows(widget_page: Show) -> None:
    widget = Reparameterization()
    page = widget_page(widget)
    seen = set()
    for arrows in ARROWS:
        control(page, "arrows").select_option(arrows)
        seen.add(pictures(page)[0])
        check(page, widget, 1.0, 0.5)
    assert len(seen) == len(ARROWS)
    assert pictures(widget_page(Reparameterization(arrows="sigma")))[0] in seen


def test_both_knobs_can_be_dragged(widget_page: Show) -> None:
    widget = Reparameterization(mu=-1.0, sigma=0.75)
    page = widget_page(widget, width=732)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    middle, unit, low = box["width"] / 2, (box["width"] - 16) / 12, box["height"] - 40
    drag(page, (middle - unit, low), (middle + 2 * unit, low - 30))
    drag(page, (middle + 2.75 * unit, low), (middle + 3.25 * unit, low))
    found = [float(control(page, name).input_value()) for name in ("mu", "sigma")]
    assert found == pytest.approx([2, 1.25], abs=0.05)
    check(page, widget, *found)
    drag(page, (20, 20), (200, 20))  # nothing lies there
    assert float(control(page, "mu").input_value()) == found[0]


def test_by_keyboard_alone(widget_page: Show) -> None:
    widget = Reparameterization()
    page = widget_page(widget)
    for name, key in (("mu", "End"), ("sigma", "ArrowRight"), ("arrows", "ArrowDown")):
        tab_to(page, name)
        before = pictures(page)
        page.keyboard.press(key)
        assert pictures(page)[0] != before[0]
    check(page, widget, 2.5, 0.51)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(widget_page: Show, theme: str) -> None:
    page = widget_page(Reparameterization(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert len(set(pictures(page))) == 2
