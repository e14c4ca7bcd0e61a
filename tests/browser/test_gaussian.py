"""The Gaussian explorers in Chromium, against torch.special.ndtr and torch.linalg."""

import math
from itertools import islice

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.widgets.gaussian import GaussianExplorer, GaussianPlane

from .hands import Show, control, drag, move, normal, number, pictures, tab_to


def area(mu: float, sigma: float, a: float, b: float) -> dict[str, float]:
    ends = (torch.tensor([a, b], dtype=torch.float64) - mu) / sigma
    left, to_b = torch.special.ndtr(ends).tolist()
    right = torch.special.ndtr(-ends[1]).item()
    z_a, z_b = ends.tolist()
    return {"area": to_b - left, "left": left, "right": right, "z_a": z_a, "z_b": z_b}


def agrees(page: Page, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert number(page, name) == pytest.approx(value, abs=1e-9), name


def test_the_area_is_that_of_the_distribution_function(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer())
    agrees(page, area(1.0, 0.8, 0.2, 1.8))
    for mu, sigma, a, b in [
        *((-0.4, 1.7, -3.1, 0.6), (0, 1, 0, 0), (2, 0.6, -8, 8), (-2, 0.6, 4.1, 4.2)),
        *((0.3, 2, -7.5, -6.5), (1.11, 0.61, 1.1, 1.12), (0, 1, -3.01, 3.02)),
    ]:
        before = pictures(page)
        move(page, a=-8, b=8)
        move(page, mu=mu, sigma=sigma, a=a, b=b)
        agrees(page, area(mu, sigma, a, b))
        assert pictures(page) != before


def test_small_tails_keep_their_digits(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer(mu=0, sigma=1, a=7, b=8))
    for mu in (-1, 0, 1.5, 2):
        move(page, mu=mu)
        tails = torch.special.ndtr(torch.tensor([mu - 7, mu - 8], dtype=torch.float64))
        assert number(page, "area") == pytest.approx((tails[0] - tails[1]).item(), rel=1e-9)
        assert number(page, "right") == pytest.approx(tails[1].item(), rel=1e-9)


def test_no_end_passes_the_other(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer())
    move(page, a=3)
    assert [control(page, end).input_value() for end in "ab"] == ["3", "3"]
    assert number(page, "area") == 0
    move(page, b=-2.5)
    assert [control(page, end).input_value() for end in "ab"] == ["-2.5", "-2.5"]


def test_buttons_span_one_two_and_three_standard_deviations(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer())
    for k in (1, 2, 3):
        control(page, f"within_{k}").click()
        agrees(page, {"area": math.erf(k / math.sqrt(2)), "z_a": -k, "z_b": k})


def test_the_mouse_sweeps_an_area_and_moves_an_end(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer(), width=732)
    wide = page.locator("canvas").bounding_box()
    assert wide is not None
    unit = (wide["width"] - 28) / 16

    def at(x: float, y: float = 60) -> tuple[float, float]:
        return wide["width"] / 2 + x * unit, y

    drag(page, at(-5), at(-2))
    found = [float(control(page, end).input_value()) for end in "ab"]
    assert found == pytest.approx([-5, -2], abs=0.05)
    agrees(page, area(1.0, 0.8, *found))
    drag(page, at(-2), at(-7))  # the right end goes over to the left of the other
    found = [float(control(page, end).input_value()) for end in "ab"]
    assert found == pytest.approx([-7, -5], abs=0.05)
    agrees(page, area(1.0, 0.8, *found))
    page.locator("canvas").click(position={"x": 400, "y": 60})  # a click alone changes nothing
    agrees(page, area(1.0, 0.8, *found))


def test_the_explorer_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(GaussianExplorer())
    for name in ("mu", "sigma", "a", "b"):
        tab_to(page, name)
        page.keyboard.press("ArrowRight")
    agrees(page, area(1.01, 0.81, 0.21, 1.81))
    tab_to(page, "within_2")
    page.keyboard.press("Enter")
    agrees(page, area(1.01, 0.81, -0.61, 2.63))


def cloud(seed: int, samples: int, mean: Tensor, lower: Tensor) -> Tensor:
    numbers = list(islice(normal(seed), 2 * samples))
    return mean + torch.tensor(numbers, dtype=torch.float64).reshape(-1, 2) @ lower.mT


@pytest.mark.parametrize(
    ("mu_x", "mu_y", "sigma_x", "sigma_y", "rho"),
    [
        (0.5, -0.5, 1.6, 1.0, 0.7),
        (0, 0, 1, 1, 0),
        (-2, 2, 0.6, 2, -0.99),
        (1.3, 0.2, 1.1, 1.1, -0.4),
    ],
)
def test_the_ellipse_and_the_samples(
    widget_page: Show, mu_x: float, mu_y: float, sigma_x: float, sigma_y: float, rho: float
) -> None:
    page = widget_page(GaussianPlane(samples=300))
    before = pictures(page)
    move(page, mu_x=mu_x, mu_y=mu_y, sigma_x=sigma_x, sigma_y=sigma_y, rho=rho)
    control(page, "again").click()
    assert pictures(page) != before
    xy = rho * sigma_x * sigma_y
    covariance = torch.tensor([[sigma_x**2, xy], [xy, sigma_y**2]], dtype=torch.float64)
    short, long = torch.linalg.eigvalsh(covariance).sqrt().tolist()
    mean = torch.tensor([mu_x, mu_y], dtype=torch.float64)
    points = cloud(2, 300, mean, torch.linalg.cholesky(covariance))
    distance = ((points - mean) @ covariance.inverse() * (points - mean)).sum(1)
    inside = (distance <= 4).double().mean().item()
    agrees(page, {"covariance": xy, "sampled": points.mT.cov()[0, 1].item()})
    agrees(page, {"long": long, "short": short})
    agrees(page, {"within": inside, "expected": 1 - math.exp(-2)})
    if xy:  # a round cloud has no longer axis
        turn = math.radians(number(page, "turn"))
        axis = torch.tensor([math.cos(turn), math.sin(turn)], dtype=torch.float64)
        torch.testing.assert_close(covariance @ axis, long**2 * axis, atol=1e-9, rtol=0)


def test_the_mean_can_be_dragged(widget_page: Show) -> None:
    page = widget_page(GaussianPlane(mu_x=0, mu_y=0))
    side = 366 - 30 - 66
    middle = (30 + side / 2, 66 + side / 2)
    drag(page, middle, (middle[0] + side / 10, middle[1] - 2 * side / 10))
    assert float(control(page, "mu_x").input_value()) == pytest.approx(1, abs=0.05)
    assert float(control(page, "mu_y").input_value()) == pytest.approx(2, abs=0.05)
    drag(page, (40, 80), (100, 100))  # nothing lies there
    assert float(control(page, "mu_x").input_value()) == pytest.approx(1, abs=0.05)


def test_the_plane_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(GaussianPlane(samples=50))
    first = number(page, "sampled")
    for name in ("mu_x", "mu_y", "sigma_x", "sigma_y", "rho"):
        tab_to(page, name)
        before = pictures(page)
        page.keyboard.press("ArrowLeft")
        assert pictures(page) != before
    agrees(page, {"covariance": 1.59 * 0.99 * 0.69})
    tab_to(page, "again")
    page.keyboard.press("Space")
    assert number(page, "sampled") != first


@pytest.mark.parametrize("widget", [GaussianExplorer, GaussianPlane])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(widget_page: Show, widget: type[GaussianPlane], theme: str) -> None:
    page = widget_page(widget(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert len(set(pictures(page))) == page.locator("canvas").count()
