"""The room that a page keeps free for a widget is the room that it takes: nothing jumps."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from small import coloured_model

from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.elbo import BoundExplorer, BoundTerms
from ddpm_lite.widgets.evolution import DensityEvolution
from ddpm_lite.widgets.frechet import Frechet
from ddpm_lite.widgets.gaussian import GaussianExplorer, GaussianPlane
from ddpm_lite.widgets.guidance import GuidancePlane
from ddpm_lite.widgets.markov import WeatherChain
from ddpm_lite.widgets.noising import Noising
from ddpm_lite.widgets.posterior import PosteriorExplorer
from ddpm_lite.widgets.reparam import Reparameterization
from ddpm_lite.widgets.sampler import Sampler
from ddpm_lite.widgets.schedule_editor import ScheduleEditor
from ddpm_lite.widgets.toy import ToyDiffusion
from ddpm_lite.widgets.unet_map import UNetMap

from .conftest import FONTS, PHONE, SITE, WIDE, missing
from .hands import Show, until

MARK = 'class="book-widget"'

ALL = [
    *(BoundExplorer, GaussianExplorer, GaussianPlane, GuidancePlane, Noising),
    *(DensityEvolution, Frechet, PosteriorExplorer),
    *(Reparameterization, Sampler, ScheduleEditor, ToyDiffusion, UNetMap, WeatherChain),
    lambda: BoundTerms(spans=[(1, 1), (2, 9)], per_step=[0.8, 0.01]),
]
COLUMN = 690
"""The width of the book's text on a wide screen, in pixels."""
WITH_WIDGETS = sorted(p.stem for p in (SITE / "book").glob("*.html") if MARK in p.read_text())

HEIGHTS = """() => [...document.querySelectorAll(".book-widget")].map((node) => {
  const kept = parseFloat(getComputedStyle(node).minHeight);
  node.style.setProperty("min-height", "0", "important");
  const taken = node.offsetHeight;
  node.style.removeProperty("min-height");
  return [kept, taken];
})"""


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


@pytest.mark.parametrize("width", [COLUMN, 400])
@pytest.mark.parametrize("make", ALL)
def test_a_widget_takes_the_room_that_is_kept(
    widget_page: Show, make: type[Widget], width: int
) -> None:
    if not FONTS.exists():
        missing("the book's letters are not there; `make book` brings them")
    page = widget_page(make(), width=width + (32 if width == COLUMN else 0))  # type: ignore[call-arg]
    is_kept(page)


def is_kept(page: Page) -> None:
    ((kept, taken),) = page.evaluate(HEIGHTS)
    assert taken <= kept + 24, f"{taken} pixels, {kept} kept"
    assert taken >= 0.8 * kept, f"{taken} pixels, {kept} kept"


@pytest.mark.parametrize("width", [COLUMN, 400])
def test_a_sampler_in_colour_keeps_no_room_for_a_sketch(
    widget_page: Show, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coloured_model(tmp_path / "colours.safetensors", side=32)
    monkeypatch.setitem(MODELS, "colours", tmp_path / "colours.safetensors")
    made = Sampler(model="colours", label="horse", own_t=20)
    is_kept(widget_page(made, width=width + (32 if width == COLUMN else 0)))


@pytest.mark.parametrize("name", WITH_WIDGETS or ["index"])
def test_nothing_jumps_on_the_pages_of_the_book(page: Page, site_url: str, name: str) -> None:
    """Without MathJax, which takes most of a page's time: no widget sets a formula with it."""
    page.route("**/mathjax/**", lambda route: route.abort())
    page.goto(f"{site_url}/book/{name}.html")
    until(
        page, "[...document.querySelectorAll('.book-widget')].every((node) => node.dataset.ready)"
    )
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        found = page.evaluate(HEIGHTS)
        assert found
        assert all(abs(taken - kept) <= 12 for kept, taken in found), (size, found)
