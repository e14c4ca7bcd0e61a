"""What the widget of two clouds sends, says and refuses."""

from typing import Any

import pytest

from ddpm_lite.widgets.frechet import DRAWS, SIZES, Frechet


def test_it_says_what_it_shows() -> None:
    widget = Frechet(shift=-0.75, width=1.5, n=200, d=32)
    for word in ("200 points", "32 features", "moved by -0.75", "1.5 times as wide"):
        assert word in widget.description
    assert "http" not in widget._repr_html_()


def test_sizes_rise_and_every_number_of_features_has_its_draws() -> None:
    state = Frechet().state
    assert state["sizes"] == sorted(set(SIZES))  # the page sums up to one after the other
    assert min(SIZES) >= 2  # a covariance needs two points
    assert dict(state["draws"]) == DRAWS
    assert state["n"] in state["sizes"]
    assert state["d"] in dict(state["draws"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shift": 2.5}, "shift must"),
        ({"width": 0}, "width must"),
        ({"n": 60}, "n must be one of 10, "),
        ({"d": 3}, "d must be one of 2, 8, 32, not 3"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Frechet(**arguments)
