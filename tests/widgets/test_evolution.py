"""What the widget of densities over time sends, says and refuses."""

from typing import Any

import pytest

from ddpm_lite.widgets.evolution import DensityEvolution


def test_it_says_what_it_shows() -> None:
    widget = DensityEvolution(points=[-2, 0.5, 1], schedule="cosine", T=100, t=30)
    assert widget.state["points"] == [-2, 0.5, 1]
    for word in ("at -2, 0.5, 1", "up to 100", "time 30", "cosine"):
        assert word in widget.description
    assert "http" not in widget._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"points": []}, "not 0"),
        ({"points": [0.1 * k for k in range(13)]}, "not 13"),
        ({"points": [0, 3.5]}, r"3\.5"),
        ({"schedule": "steep"}, "steep"),
        ({"T": 20, "t": 5}, "above 20"),
        ({"t": 0}, r"1\.\.200"),
        ({"x": -4}, "x must"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        DensityEvolution(**arguments)
