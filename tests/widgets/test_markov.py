"""The weather chain's first state, and what it says to those who cannot see it."""

import re
from math import inf, nan
from typing import Any

import pytest

from ddpm_lite.widgets.markov import WEATHER, WeatherChain


def test_it_says_its_odds() -> None:
    widget = WeatherChain()
    assert "from sunny 0.8 to sunny, 0.1 to cloudy, 0.1 to rainy" in widget.description
    assert "All start rainy" in widget.description
    assert widget.state["matrix"] == [list(row) for row in WEATHER]
    assert "A third of them" in WeatherChain(start="any").description


def test_zeros_and_other_names_are_allowed() -> None:
    names = ("red", "red again", "green")
    widget = WeatherChain(matrix=[[0, 1, 0], [0, 0, 1], [1, 0, 0]], names=names, start="green")
    assert widget.state["names"] == list(names)
    assert widget.state["matrix"][0] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"matrix": [[1, 0], [0, 1]]}, "three rows"),
        ({"matrix": [[0.5, 0.4, 0.2], *WEATHER[1:]]}, "add up to 1"),
        ({"matrix": [[1.1, -0.1, 0], *WEATHER[1:]]}, "add up to 1"),
        ({"matrix": [[nan, 0.5, 0.5], *WEATHER[1:]]}, "add up to 1"),
        ({"matrix": [[0.5, nan, 0.5], *WEATHER[1:]]}, "add up to 1"),
        ({"matrix": [[inf, 0.5, 0.5], *WEATHER[1:]]}, "add up to 1"),
        ({"start": "snowy"}, "snowy"),
        ({"day": 21}, "day"),
        ({"walkers": 10_000}, "walkers"),
    ],
)
def test_it_refuses_what_is_no_chain(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeatherChain(**values)


def test_the_html_stands_by_itself() -> None:
    widget = WeatherChain()
    html = widget._repr_html_()
    assert f'aria-label="{widget.description}"' in html
    assert f"min-height:{widget.height}px" in html
    assert "export default" in html
    assert not re.search(r"https?://|\bfetch\(|\bimport \{|localStorage|cookie", html)
