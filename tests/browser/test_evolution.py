"""Densities over time in Chromium, against torch's mixtures and the package's chain."""

from collections.abc import Sequence
from itertools import islice

import pytest
import torch
from playwright.sync_api import Page
from torch.distributions import Categorical, MixtureSameFamily, Normal

from ddpm_lite.diffusion import q_marginal, q_step
from ddpm_lite.schedule import SCHEDULES
from ddpm_lite.widgets.evolution import DensityEvolution

from .hands import Show, control, drag, move, normal, number, numbers, pictures, tab_to

T, PATHS = 200, 6
TOP, BOTTOM, REACH = 18, 260 - 36, 3.2
"""Where the line lies in the picture, in pixels, and how far it is shown."""


def height(x: float) -> float:
    return BOTTOM - (x + REACH) / (2 * REACH) * (BOTTOM - TOP)


def first_path(points: Sequence[float], schedule: str, seed: int, t: int) -> float:
    """The chain step by step: in each step one noise for each path."""
    noise = torch.tensor(list(islice(normal(seed), PATHS * T)), dtype=torch.float64)
    x = torch.tensor([[points[0]]], dtype=torch.float64)
    for s in range(1, t + 1):
        step = q_step(SCHEDULES[schedule](T), x, s)
        x = step.mean + step.variance.sqrt() * noise[PATHS * (s - 1)]
    return x.item()


def agrees(
    page: Page, points: Sequence[float], schedule: str, t: int, x: float, seed: int = 1
) -> None:
    table = SCHEDULES[schedule](T)
    bells = q_marginal(table, torch.tensor(points, dtype=torch.float64)[:, None], t)
    each = Normal(bells.mean[:, 0], bells.variance.sqrt().flatten())
    law = MixtureSameFamily(Categorical(torch.ones(len(points))), each)
    grid = torch.linspace(-9, 9, 180_001, dtype=torch.float64)
    apart = (law.log_prob(grid).exp() - Normal(0, 1).log_prob(grid).exp()).abs()
    expected = {
        "count": len(points),
        "alpha_bar": table.alpha_bar[t - 1].item(),
        "mean": law.mean.item(),
        "variance": law.variance.item(),
        "density": law.log_prob(torch.tensor(x, dtype=torch.float64)).exp().item(),
        "distance": torch.trapezoid(apart, grid).item() / 2,
        "path": first_path(points, schedule, seed, t),
    }
    found = numbers(page)
    for name, value in expected.items():
        tolerance = 1e-4 if name == "distance" else 1e-6
        assert found[name] == pytest.approx(value, rel=1e-6, abs=tolerance), name


def test_numbers_are_those_of_the_mixture(widget_page: Show) -> None:
    page = widget_page(DensityEvolution(points=[-2, 0.3, 1.1]))
    agrees(page, [-2, 0.3, 1.1], "linear", 40, 0)
    for schedule, t, x in (("cosine", 1, 0.31), ("sigmoid", 90, -1.5), ("quadratic", 200, 3.0)):
        before = pictures(page)
        control(page, "schedule").select_option(schedule)
        move(page, t=t, x=x)
        agrees(page, [-2, 0.3, 1.1], schedule, t, x)
        assert all(new != old for new, old in zip(pictures(page), before, strict=True))


def test_new_paths_are_other_paths_of_the_same_law(widget_page: Show) -> None:
    page = widget_page(DensityEvolution())
    before = pictures(page)
    control(page, "again").click()
    agrees(page, [-1, 1], "linear", 40, 0, seed=2)
    assert pictures(page)[0] != before[0]
    assert pictures(page)[1] == before[1]


def test_a_click_puts_a_point_and_a_hand_moves_it(widget_page: Show) -> None:
    page = widget_page(DensityEvolution(points=[-1]), width=900)
    drag(page, (200, height(2)), (200, height(2)))
    new = float(control(page, "x").input_value())
    assert new == pytest.approx(2, abs=0.03)
    agrees(page, [-1, new], "linear", 40, new)
    drag(page, (30, height(-1)), (90, height(0.5)))
    moved = float(control(page, "x").input_value())
    assert moved == pytest.approx(0.5, abs=0.03)
    agrees(page, [moved, new], "linear", 40, moved)


def test_the_shades_are_dark_where_the_density_is_high(widget_page: Show) -> None:
    page = widget_page(DensityEvolution(points=[2], seed=3, t=1), width=900)
    read = """(heights) => {
      const map = document.querySelector("canvas");
      const ratio = map.height / 260;
      const column = map.getContext("2d").getImageData(45 * ratio, 0, 1, map.height).data;
      return heights.map((y) => column[4 * Math.round(y * ratio) + 3]);
    }"""
    near, above, below = page.evaluate(read, [height(1.8), height(2.9), height(-2)])
    assert near > 100 > 20 > max(above, below)


def test_points_end_at_one_and_at_twelve(widget_page: Show) -> None:
    page = widget_page(DensityEvolution(points=[-1, 1]))
    move(page, x=0.9)
    control(page, "remove").click()
    agrees(page, [-1], "linear", 40, 0.9)
    assert control(page, "remove").is_disabled()
    control(page, "add").click()
    control(page, "add").click()  # there is one already
    assert number(page, "count") == 2
    for k in range(10):
        move(page, x=-3 + 0.1 * k)
        control(page, "add").click()
    assert number(page, "count") == 12
    assert control(page, "add").is_disabled()


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(DensityEvolution(), calm=True)
    tab_to(page, "schedule")
    page.keyboard.press("ArrowDown")
    tab_to(page, "t")
    page.keyboard.press("ArrowRight")
    tab_to(page, "x")
    page.keyboard.press("Home")
    tab_to(page, "add")
    page.keyboard.press("Enter")
    agrees(page, [-1, 1, -3], "cosine", 41, -3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_has_room_for_it(widget_page: Show, theme: str) -> None:
    page = widget_page(DensityEvolution(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
