"""The room that a page keeps free for a widget is the room that it takes: nothing jumps."""

import pytest

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.elbo import BoundExplorer, BoundTerms
from ddpm_lite.widgets.gaussian import GaussianExplorer, GaussianPlane
from ddpm_lite.widgets.markov import WeatherChain
from ddpm_lite.widgets.noising import Noising
from ddpm_lite.widgets.posterior import PosteriorExplorer
from ddpm_lite.widgets.reparam import Reparameterization
from ddpm_lite.widgets.sampler import Sampler
from ddpm_lite.widgets.toy import ToyDiffusion
from ddpm_lite.widgets.unet_map import UNetMap

from .hands import Show

ALL = [
    *(BoundExplorer, GaussianExplorer, GaussianPlane, Noising, PosteriorExplorer),
    *(Reparameterization, Sampler, ToyDiffusion, UNetMap, WeatherChain),
    lambda: BoundTerms(spans=[(1, 1), (2, 9)], per_step=[0.8, 0.01]),
]
COLUMN = 690
"""The width of the book's text on a wide screen, in pixels."""

HEIGHTS = """() => {
  const node = document.querySelector(".book-widget");
  const kept = parseFloat(getComputedStyle(node).minHeight);
  node.style.setProperty("min-height", "0", "important");
  return [kept, node.offsetHeight];
}"""


@pytest.mark.parametrize("width", [COLUMN, 400])
@pytest.mark.parametrize("make", ALL)
def test_a_widget_takes_the_room_that_is_kept(
    widget_page: Show, make: type[Widget], width: int
) -> None:
    page = widget_page(make(), width=width + (32 if width == COLUMN else 0))  # type: ignore[call-arg]
    kept, taken = page.evaluate(HEIGHTS)
    assert taken <= kept + 24, f"{taken} pixels, {kept} kept"
    assert taken >= 0.8 * kept, f"{taken} pixels, {kept} kept"
