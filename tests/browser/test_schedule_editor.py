"""The schedule editor in Chromium, against SciPy's splines and its densities."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from playwright.sync_api import Page
from scipy import stats
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from ddpm_lite.widgets.schedule_editor import TIMES, ScheduleEditor, presets

from .hands import Show, control, drag, move, number, numbers, pictures, tab_to

TOP, BOTTOM, LEFT, RIGHT = 20, 250 - 36, 34, 12
"""Where the curve lies in its picture, in pixels; the last from the right."""


def of_t(density: str, t: float) -> float:
    if density == "logit_normal":  # the normal density of the logit, by the change of variables
        return float(stats.norm.pdf(math.log(t / (1 - t))) / (t * (1 - t)))
    shape = {"uniform": (1, 1), "early": (1, 2), "late": (2, 1)}[density]
    return float(stats.beta(*shape).pdf(t))


def quartiles(density: str) -> list[float]:
    if density == "logit_normal":
        return [1 / (1 + math.exp(-stats.norm.ppf(share))) for share in (0.25, 0.75)]
    shape = {"uniform": (1, 1), "early": (1, 2), "late": (2, 1)}[density]
    return [float(stats.beta(*shape).ppf(share)) for share in (0.25, 0.75)]


def monotone(handles: Sequence[float]) -> CubicHermiteSpline:
    """The natural spline, each slope between 0.2 and 2.5 times the flatter chord beside it."""
    slopes = CubicSpline(TIMES, handles, bc_type="natural")(TIMES, 1)
    chords = np.diff(handles) / np.diff(TIMES)
    flatter = np.maximum(np.r_[chords[0], chords], np.r_[chords, chords[-1]])
    return CubicHermiteSpline(TIMES, handles, np.clip(slopes, 2.5 * flatter, 0.2 * flatter))


def agrees(page: Page, handles: Sequence[float], density: str, t: float) -> None:
    curve = monotone(handles)
    slope = float(curve(t, 1))
    early, late = quartiles(density)
    expected = {
        "log_snr": float(curve(t)),
        "alpha_bar": 1 / (1 + math.exp(-float(curve(t)))),
        "slope": slope,
        "density": of_t(density, t),
        "weight": of_t(density, t) / abs(slope),
        "from": float(curve(late)),
        "to": float(curve(early)),
    }
    found = numbers(page)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("handles", [*presets().values(), [12, 1, 0.8, 0.5, -12]])
def test_numbers_are_those_of_the_monotone_spline(widget_page: Show, handles: list[float]) -> None:
    page = widget_page(ScheduleEditor(handles=handles))
    agrees(page, handles, "uniform", 0.4)
    for density, t in (("logit_normal", 0.01), ("early", 0.99), ("late", 0.5), ("uniform", 0.83)):
        control(page, "density").select_option(density)
        move(page, t=t)
        agrees(page, handles, density, t)


def test_every_control_changes_the_pictures_that_it_should(widget_page: Show) -> None:
    page = widget_page(ScheduleEditor())
    before = pictures(page)
    for act, changes in (
        (lambda: move(page, t=0.6), [True, True, True]),
        (lambda: control(page, "density").select_option("late"), [False, False, True]),
        (lambda: control(page, "preset").select_option("linear"), [True, True, True]),
        (lambda: control(page, "again").click(), [False, True, False]),
    ):
        act()
        after = pictures(page)
        assert [new != old for new, old in zip(after, before, strict=True)] == changes
        before = after
    agrees(page, presets()["linear"], "late", 0.6)


def test_a_handle_is_dragged_but_never_past_its_neighbours(widget_page: Show) -> None:
    page = widget_page(ScheduleEditor(handles=[10, 5, 0, -5, -10]), width=900)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None

    def place(k: int, value: float) -> tuple[float, float]:
        x = LEFT + (box["width"] - LEFT - RIGHT) * TIMES[k]
        return x, BOTTOM - (value + 12.5) / 25 * (BOTTOM - TOP)

    drag(page, place(2, 0), place(2, 3))
    value = float(control(page, "log_snr").input_value())
    assert value == pytest.approx(3, abs=0.2)
    assert control(page, "preset").input_value() == "your own"
    drag(page, place(2, 3), place(2, 9))
    agrees(page, [10, 5, 4.9, -5, -10], "uniform", 0.4)
    drag(page, place(4, -10), place(4, 12))
    agrees(page, [10, 5, 4.9, -5, -5.1], "uniform", 0.4)
    drag(page, place(0, 10), place(0, 12.4))
    agrees(page, [12, 5, 4.9, -5, -5.1], "uniform", 0.4)


def test_beside_the_handles_a_hand_moves_the_time(widget_page: Show) -> None:
    page = widget_page(ScheduleEditor(handles=[10, 5, 0, -5, -10]), width=900)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    drag(page, (60, 180), (LEFT + 0.7 * (box["width"] - LEFT - RIGHT), 60))
    t = float(control(page, "t").input_value())
    assert t == pytest.approx(0.7, abs=0.01)
    agrees(page, [10, 5, 0, -5, -10], "uniform", t)


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(ScheduleEditor(handles=[10, 5, 0, -5, -10]), calm=True)
    tab_to(page, "density")
    page.keyboard.press("g")
    tab_to(page, "handle")
    page.keyboard.press("ArrowDown")
    tab_to(page, "log_snr")
    page.keyboard.press("ArrowRight")
    tab_to(page, "t")
    page.keyboard.press("ArrowRight")
    agrees(page, [10, 5, 0, -4.95, -10], "late", 0.41)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_has_room_for_it(widget_page: Show, theme: str) -> None:
    page = widget_page(ScheduleEditor(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert number(page, "alpha_bar") > 0
