"""Two clouds in Chromium: their distance against the package's own, of the same points."""

from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
import torch
from playwright.sync_api import Page
from scipy import stats
from torch import Tensor

from ddpm_lite.frechet import frechet_distance
from ddpm_lite.widgets.frechet import DRAWS, SIZES, Frechet

from .hands import Show, control, drag, move, normal, number, pictures, tab_to

MOST = max(SIZES)
MEANS_SEED = 7
"""Of the draws behind the means, as frechet_law.js has it."""


def many_normal(seed: int, count: int) -> npt.NDArray[np.float64]:
    """The page's standard normal numbers as `hands.normal` gives them, all at once."""
    whole = np.uint64(0xFFFFFFFF)
    a = (
        np.uint64(seed) + np.arange(1, 2 * count + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)
    ) & whole
    z = ((a ^ (a >> np.uint64(15))) * (np.uint64(1) | a)) & whole
    more = ((z ^ (z >> np.uint64(7))) * (np.uint64(61) | z)) & whole
    z ^= (z + more) & whole
    uniform = (z ^ (z >> np.uint64(14))) / 4294967296
    return np.sqrt(-2 * np.log1p(-uniform[::2])) * np.cos(2 * np.pi * uniform[1::2])


def pairs(d: int, draws: int, seed: int) -> Tensor:
    """Standard normal points, (draws, 2 clouds, MOST, d), in the order in which the page draws."""
    numbers = torch.from_numpy(many_normal(seed, draws * 2 * d * MOST))
    return numbers.view(draws, d, 2, MOST).permute(0, 2, 3, 1)


def apart(pair: Tensor, n: int, shift: float, width: float) -> float:
    one, other = pair[0, :n], pair[1, :n].clone()
    other[:, 0] = shift + width * other[:, 0]
    return frechet_distance(one, other)


def least_pairing(shift: float, width: float) -> float:
    """Of N(0, 1) and N(shift, width^2): the mean squared distance of equal quantiles."""
    share = (np.arange(100_000) + 0.5) / 100_000
    gap = stats.norm.ppf(share) - stats.norm.ppf(share, shift, width)
    return float(np.square(gap).mean())


def agrees(page: Page, n: int, d: int, shift: float, width: float, seed: int = 1) -> None:
    (pair,) = pairs(d, 1, seed)
    assert number(page, "measured") == pytest.approx(apart(pair, n, shift, width), rel=1e-6)
    assert number(page, "truth") == pytest.approx(least_pairing(shift, width), rel=1e-3, abs=1e-9)


def test_the_numbers_at_once_are_those_one_by_one() -> None:
    assert many_normal(3, 50).tolist() == pytest.approx(list(islice(normal(3), 50)), rel=1e-12)


def test_the_distance_is_that_of_the_package(widget_page: Show) -> None:
    page = widget_page(Frechet())
    agrees(page, 50, 8, 0.5, 1.2)
    for n, d, shift, width in (
        (10, 32, -2.0, 0.25),  # fewer points than features
        (30, 32, 0.13, 1.0),
        (3000, 32, 2.0, 2.0),
        (10, 2, -0.5, 0.6),
        (300, 8, 0.0, 1.0),
    ):
        control(page, "d").select_option(str(d))
        move(page, n=SIZES.index(n), shift=shift, width=width)
        agrees(page, n, d, shift, width)
    control(page, "again").click()
    agrees(page, 300, 8, 0.0, 1.0, seed=2)


@pytest.mark.parametrize("d", DRAWS)
def test_the_means_are_those_of_as_many_draws(widget_page: Show, d: int) -> None:
    page = widget_page(Frechet(d=d, shift=-0.4, width=1.5))
    drawn = pairs(d, DRAWS[d], MEANS_SEED)
    for n in (10, 100, 3000):
        move(page, n=SIZES.index(n))
        for name, law in (("mean", (-0.4, 1.5)), ("floor", (0.0, 1.0))):
            expected = np.mean([apart(pair, n, *law) for pair in drawn])
            assert number(page, name) == pytest.approx(expected, rel=1e-6), (name, n)
    move(page, shift=0, width=1)
    assert number(page, "mean") == pytest.approx(number(page, "floor"), rel=1e-9)


def test_the_distance_is_too_large_by_about_the_floor_and_more_so_with_more_features(
    widget_page: Show,
) -> None:
    page = widget_page(Frechet(shift=0.5, width=1.2))
    surplus = {}
    for d in DRAWS:
        control(page, "d").select_option(str(d))
        for n in (100, 1000):
            move(page, n=SIZES.index(n))
            surplus[d, n] = number(page, "mean") - number(page, "truth")
            assert surplus[d, n] > 0
            assert surplus[d, n] == pytest.approx(number(page, "floor"), rel=0.25, abs=0.01)
    assert surplus[2, 100] < surplus[8, 100] / 4 < surplus[32, 100] / 16
    assert surplus[32, 1000] == pytest.approx(surplus[32, 100] / 10, rel=0.25)


@pytest.mark.parametrize(("d", "few", "enough"), [(8, 100, 200), (32, 2000, 3000)])
def test_so_many_points_as_the_chapter_says_bring_the_mean_below_twice_the_truth(
    widget_page: Show, d: int, few: int, enough: int
) -> None:
    page = widget_page(Frechet(shift=0.5, width=1.2, n=few, d=d))
    assert number(page, "mean") > 2 * number(page, "truth")
    move(page, n=SIZES.index(enough))
    assert number(page, "mean") < 2 * number(page, "truth")


def test_every_control_changes_the_pictures_that_it_should(widget_page: Show) -> None:
    page = widget_page(Frechet())
    before = pictures(page)
    for act, changes in (
        (lambda: move(page, n=7), [True, True]),
        (lambda: control(page, "d").select_option("32"), [False, True]),  # further features only
        (lambda: move(page, shift=-1), [True, True]),
        (lambda: move(page, width=0.5), [True, True]),
        (lambda: control(page, "again").click(), [True, True]),
    ):
        act()
        after = pictures(page)
        assert [new != old for new, old in zip(after, before, strict=True)] == changes
        before = after


def test_a_hand_moves_the_second_cloud(widget_page: Show) -> None:
    page = widget_page(Frechet(), width=900)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    unit = box["height"] / 2 / 4.2
    drag(page, (30, 30), (box["width"] / 2 - 1.5 * unit, 60))
    shift = float(control(page, "shift").input_value())
    assert shift == pytest.approx(-1.5, abs=0.05)
    agrees(page, 50, 8, shift, 1.2)
    drag(page, (30, 30), (box["width"] - 5, 60))
    agrees(page, 50, 8, 2, 1.2)


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(Frechet(), calm=True)
    tab_to(page, "n")
    page.keyboard.press("ArrowRight")
    tab_to(page, "d")
    page.keyboard.press("ArrowUp")
    tab_to(page, "again")
    page.keyboard.press("Enter")
    tab_to(page, "shift")
    page.keyboard.press("Home")
    tab_to(page, "width")
    page.keyboard.press("ArrowLeft")
    agrees(page, 100, 2, -2, 1.15, seed=2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_has_room_for_it(widget_page: Show, theme: str) -> None:
    page = widget_page(Frechet(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
