"""The weather chain in Chromium, against matrix powers and eigenvalues from torch."""

import math

import pytest
import torch
from playwright.sync_api import Page, expect
from torch import Tensor

from ddpm_lite.widgets.markov import WEATHER, WeatherChain

from .hands import Show, control, number, pictures, shown, tab_to, uniform, until

NAMES = ["sunny", "cloudy", "rainy"]
APART: list[list[float]] = [[0.7, 0.3, 0], [0.4, 0.6, 0], [0, 0, 1]]

WATCH = """async () => {
  const seen = [];
  document.querySelector("[data-name=step]").click();
  for (const begin = performance.now(); seen.length < 3 && performance.now() < begin + 20_000; ) {
    await new Promise(requestAnimationFrame);
    const shown = document.querySelector("canvas").toDataURL();
    if (shown !== seen.at(-1)) seen.push(shown);
  }
  return seen;
}"""
"""Press "step", and what the crowd's canvas shows, until it has shown three different pictures."""


def three(page: Page, key: str) -> Tensor:
    return torch.tensor([number(page, f"{key}_{i}") for i in range(3)], dtype=torch.float64)


def matrix_of(page: Page) -> Tensor:
    """The odds in the fields, in full."""
    fields = [control(page, f"odds_{i}_{j}") for i in range(3) for j in range(3)]
    values = [float(field.get_attribute("data-number") or "nan") for field in fields]
    return torch.tensor(values, dtype=torch.float64).reshape(3, 3)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def crowd(matrix: Tensor, start: int, day: int, seed: int, walkers: int = 300) -> Tensor:
    """The shares of the walkers, one by one with the page's random numbers."""
    random = uniform(seed)
    states = [k % 3 if start < 0 else start for k in range(walkers)]
    levels = matrix.cumsum(1).tolist()
    for _ in range(day):
        states = [
            sum(u >= level for level in levels[s][:2]) for s in states for u in [next(random)]
        ]
    return torch.tensor([states.count(i) / walkers for i in range(3)], dtype=torch.float64)


def check(page: Page, matrix: Tensor, start: int, day: int, seed: int = 1) -> None:
    """All numbers of the page for a chain with one law of the long run."""
    begin = torch.full((3,), 1 / 3, dtype=torch.float64)
    if start >= 0:
        begin = torch.eye(3, dtype=torch.float64)[start]
    exact = begin @ torch.linalg.matrix_power(matrix, day)
    assert number(page, "day") == day
    close(three(page, "exact"), exact)
    close(three(page, "crowd"), crowd(matrix, start, day, seed))
    rows = torch.cat([matrix.T - torch.eye(3), torch.ones(1, 3)]).double()
    settled = torch.linalg.lstsq(rows, torch.tensor([[0.0, 0, 0, 1]]).double().T).solution[:, 0]
    close(three(page, "settled"), settled)
    assert number(page, "distance") == pytest.approx(
        (exact - settled).abs().sum().item() / 2, abs=1e-9
    )
    sizes = torch.linalg.eigvals(matrix).abs().sort().values
    assert number(page, "rate") == pytest.approx(sizes[1].item(), abs=1e-6)


def test_two_days_after_rain(widget_page: Show) -> None:
    page = widget_page(WeatherChain())
    check(page, torch.tensor(WEATHER, dtype=torch.float64), 2, 2)
    close(three(page, "exact"), torch.tensor([0.38, 0.29, 0.33], dtype=torch.float64))
    close(three(page, "settled"), torch.tensor([0.6, 0.2, 0.2], dtype=torch.float64))
    assert float(shown(page, "second")) == pytest.approx(0.5)


@pytest.mark.parametrize("preset", ["given", "slow", "round", "ever", "trap"])
def test_every_day_is_a_power_of_the_matrix(widget_page: Show, preset: str) -> None:
    page = widget_page(WeatherChain(), calm=True)
    control(page, "preset").select_option(preset)
    control(page, "start").select_option("cloudy")
    matrix = matrix_of(page)
    for day in range(7):
        check(page, matrix, 1, day)
        before = pictures(page)
        control(page, "step").click()
        assert pictures(page) != before
    control(page, "ten").click()
    check(page, matrix, 1, 17)
    control(page, "ten").click()
    check(page, matrix, 1, 20)
    assert control(page, "step").is_disabled()


def test_a_complex_pair_and_a_chain_that_never_settles(widget_page: Show) -> None:
    page = widget_page(WeatherChain())
    control(page, "preset").select_option("round")
    assert "i" in shown(page, "second")
    assert number(page, "rate") == pytest.approx(0.7)
    control(page, "preset").select_option("ever")
    assert number(page, "rate") == pytest.approx(1)
    control(page, "ten").click()
    assert number(page, "distance") == pytest.approx(2 / 3)


def test_two_worlds_have_no_single_long_run(widget_page: Show) -> None:
    page = widget_page(WeatherChain(matrix=APART, start="any", day=0))
    assert [shown(page, f"settled_{i}") for i in range(3)] == ["none"] * 3
    assert shown(page, "distance") == "none"
    assert number(page, "rate") == pytest.approx(1)
    control(page, "ten").click()
    power = torch.linalg.matrix_power(torch.tensor(APART, dtype=torch.float64), 10)
    close(three(page, "exact"), power.mean(0))


def test_a_row_stays_odds_when_one_entry_changes(widget_page: Show) -> None:
    page = widget_page(WeatherChain())
    matrix = matrix_of(page)
    for i, j, value in [
        *((0, 0, 0.5), (1, 2, 0), (2, 1, 1), (2, 0, 0.4), (0, 2, 0), (0, 1, 1), (0, 1, 0.3)),
    ]:
        control(page, f"odds_{i}_{j}").fill(str(value))
        page.keyboard.press("Enter")
        others = [k for k in range(3) if k != j]
        old = matrix[i, others]
        share = old / old.sum() if old.sum() > 0 else torch.full((2,), 0.5, dtype=torch.float64)
        matrix[i, others], matrix[i, j] = (1 - value) * share, value
        close(matrix_of(page), matrix)
        check(page, matrix, 2, 0)
        control(page, "ten").click()
        check(page, matrix, 2, 10)
    assert control(page, "preset").input_value() == "own"


@pytest.mark.parametrize("wrong", ["", "-0.1", "1.2"])
def test_what_are_no_odds_is_put_back(widget_page: Show, wrong: str) -> None:
    page = widget_page(WeatherChain())
    field = control(page, "odds_0_0")
    field.fill(wrong)
    page.keyboard.press("Enter")
    assert field.input_value() == "0.8"
    check(page, torch.tensor(WEATHER, dtype=torch.float64), 2, 2)


def test_random_matrices(widget_page: Show) -> None:
    generator = torch.Generator().manual_seed(0)
    for k in range(6):
        matrix = torch.rand(3, 3, generator=generator, dtype=torch.float64)
        matrix[matrix < 0.3] = 0
        matrix += 1e-3 * torch.eye(3)
        matrix /= matrix.sum(1, keepdim=True)
        page = widget_page(WeatherChain(matrix=matrix.tolist(), start="any", day=k, seed=k))
        if shown(page, "distance") != "none":
            check(page, matrix, -1, k, seed=k)


def test_walkers_walk_and_a_new_crowd_differs(widget_page: Show) -> None:
    page = widget_page(WeatherChain())
    assert len(set(page.evaluate(WATCH))) == 3  # before, and more than one on their way
    check(page, torch.tensor(WEATHER, dtype=torch.float64), 2, 3)
    control(page, "again").click()
    control(page, "ten").click()
    check(page, torch.tensor(WEATHER, dtype=torch.float64), 2, 10, seed=2)


def test_it_runs_and_stops(widget_page: Show) -> None:
    page = widget_page(WeatherChain(day=0))
    run = control(page, "run")
    run.click()
    expect(run).to_have_text("stop")
    until(page, "document.querySelector('[data-name=day]').dataset.number > 1")
    run.click()
    expect(run).to_have_text("run")
    day = number(page, "day")
    page.wait_for_timeout(1300)
    assert number(page, "day") == day
    run.click()
    until(page, "document.querySelector('[data-name=day]').dataset.number == 20")
    expect(run).to_be_disabled()


def test_with_less_motion_each_press_is_one_step(widget_page: Show) -> None:
    page = widget_page(WeatherChain(day=0), calm=True)
    assert control(page, "run").is_disabled()
    control(page, "step").click()
    before = pictures(page)
    page.wait_for_timeout(300)
    assert pictures(page) == before
    assert number(page, "day") == 1


def test_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(WeatherChain())
    tab_to(page, "step")
    page.keyboard.press("Enter")
    assert number(page, "day") == 3
    tab_to(page, "ten")
    page.keyboard.press("Space")
    assert number(page, "day") == 13
    tab_to(page, "start")
    page.keyboard.press("ArrowUp")
    assert three(page, "exact").tolist() == [0, 1, 0]
    tab_to(page, "odds_0_0")
    page.keyboard.press("ArrowDown")
    matrix = matrix_of(page)
    assert matrix[0].tolist() == pytest.approx([0.75, 0.125, 0.125])
    check(page, matrix, 1, 0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(widget_page: Show, theme: str) -> None:
    page = widget_page(WeatherChain(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert len(set(pictures(page))) == 3
    labels = page.locator("input[type=number]").evaluate_all("a => a.map((i) => i.ariaLabel)")
    assert labels == [f"odds from {a} to {b}" for a in NAMES for b in NAMES]
    assert math.isclose(number(page, "rate"), 0.5)
