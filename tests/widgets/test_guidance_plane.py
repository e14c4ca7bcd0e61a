"""The two classes of the guidance widget, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from ddpm_lite.widgets.guidance import BELLS, GuidancePlane, classes


def test_both_classes_together_have_the_scale_of_the_noise() -> None:
    centres, deviation = classes()
    both = np.concatenate([centres["upper"], centres["lower"]])
    assert both.shape == (2 * BELLS, 2)
    assert both.mean(0) == pytest.approx([0, 0], abs=1e-12)
    assert np.square(both).mean() + deviation**2 == pytest.approx(1)
    assert centres["upper"][:, 1].mean() > centres["lower"][:, 1].mean() + 0.5


def test_it_says_what_it_shows() -> None:
    widget = GuidancePlane(asked="lower", w=3.5, t=40)
    assert "at time 40 of 200" in widget.description
    assert "lower class" in widget.description
    assert "w = 3.5" in widget.description
    assert "http" not in widget._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"asked": "left"}, "left"),
        ({"w": 8.5}, "w must"),
        ({"t": 0}, r"1\.\.200"),
        ({"steps": 300}, "steps"),
        ({"x": -4}, "x must"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        GuidancePlane(**arguments)
