"""The Gaussian explorers' first states, and what they say to those who cannot see them."""

import math
import re
from typing import Any

import pytest

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.gaussian import GaussianExplorer, GaussianPlane


def test_the_explorer_says_its_area() -> None:
    widget = GaussianExplorer(mu=0.5, sigma=2, a=-1.5, b=2.5)
    assert f"{math.erf(1 / math.sqrt(2)):.4f}" in widget.description
    assert {k: widget.state[k] for k in ("mu", "sigma", "a", "b")} == {
        **{"mu": 0.5, "sigma": 2.0, "a": -1.5, "b": 2.5}
    }


def test_the_plane_says_its_numbers() -> None:
    widget = GaussianPlane(mu_x=1, mu_y=-2, sigma_x=0.75, sigma_y=1.25, rho=-0.5, samples=123)
    for text in ("123 points", "(1, -2)", "0.75 and 1.25", "correlation -0.5"):
        assert text in widget.description
    assert widget.state["samples"] == 123


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"sigma": 0}, "sigma"),
        ({"mu": 2.1}, "mu"),
        ({"a": -9}, "a"),
        ({"mu": math.nan}, "mu"),
        ({"a": 2, "b": 1}, "a must not lie right of b"),
    ],
)
def test_the_explorer_refuses_what_it_cannot_show(values: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        GaussianExplorer(**values)


@pytest.mark.parametrize("values", [{"rho": 1}, {"sigma_x": 0}, {"mu_y": 3}, {"samples": 1}])
def test_the_plane_refuses_what_it_cannot_show(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        GaussianPlane(**values)


@pytest.mark.parametrize("widget", [GaussianExplorer(), GaussianPlane()])
def test_the_html_stands_by_itself(widget: Widget) -> None:
    html = widget._repr_html_()
    assert f'aria-label="{widget.description}"' in html
    assert f"min-height:{widget.height}px" in html
    assert "export default" in html
    assert not re.search(r"https?://|\bfetch\(|\bimport \{|localStorage|cookie", html)
