"""Every widget as an anywidget: the same module, the same state, and it hears what is set."""

import anywidget
import pytest

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.elbo import BoundExplorer, BoundTerms
from ddpm_lite.widgets.evolution import DensityEvolution
from ddpm_lite.widgets.frechet import Frechet
from ddpm_lite.widgets.gaussian import GaussianExplorer, GaussianPlane
from ddpm_lite.widgets.guidance import GuidancePlane
from ddpm_lite.widgets.markov import WeatherChain
from ddpm_lite.widgets.modules import module_text
from ddpm_lite.widgets.noising import Noising
from ddpm_lite.widgets.posterior import PosteriorExplorer
from ddpm_lite.widgets.reparam import Reparameterization
from ddpm_lite.widgets.sampler import Sampler
from ddpm_lite.widgets.schedule_editor import ScheduleEditor
from ddpm_lite.widgets.toy import ToyDiffusion
from ddpm_lite.widgets.unet_map import UNetMap

ALL = [
    *(BoundExplorer, GaussianExplorer, GaussianPlane, GuidancePlane, Noising),
    *(DensityEvolution, Frechet, PosteriorExplorer),
    *(Reparameterization, Sampler, ScheduleEditor, ToyDiffusion, UNetMap, WeatherChain),
]


def make(kind: type[Widget]) -> Widget:
    if kind is BoundTerms:
        return BoundTerms(spans=[(1, 1), (2, 5)], per_step=[0.8, 0.1])
    return kind()  # type: ignore[call-arg]


def test_all_widgets_are_here() -> None:
    assert {*ALL, BoundTerms} == set(Widget.__subclasses__())


@pytest.mark.parametrize("kind", [*ALL, BoundTerms])
def test_the_live_one_has_the_module_and_the_state(kind: type[Widget]) -> None:
    widget = make(kind)
    live = widget.live()
    assert str(live._esm) == module_text(kind.module)
    taken = set(anywidget.AnyWidget.class_traits())
    assert taken.isdisjoint(widget.state)  # or a value would be the widget manager's
    sent = live.get_state()
    known = widget.state | ({"kernel": True} if kind is Sampler else {})
    assert {name: sent[name] for name in known} == known


def test_two_live_ones_do_not_share_their_state() -> None:
    one, other = WeatherChain(day=1).live(), WeatherChain(day=2).live()
    one.day = 9
    assert (one.day, other.day) == (9, 2)


def test_what_the_page_sends_is_heard_in_python() -> None:
    live, heard = GaussianExplorer().live(), []
    live.observe(lambda change: heard.append(change["new"]), "mu")
    live.set_state({"mu": 0.25})
    assert heard == [0.25]
