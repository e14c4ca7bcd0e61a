"""The schedule editor's handles and what it refuses."""

import math
from itertools import pairwise
from typing import Any

import pytest

from ddpm_lite.schedule import cosine, linear
from ddpm_lite.widgets.schedule_editor import GAP, TIMES, ScheduleEditor, presets


@pytest.mark.parametrize(("name", "make"), [("linear", linear), ("cosine", cosine)])
def test_known_schedules_are_met_at_the_inner_handles(name: str, make: Any) -> None:
    snr = make(1000).snr
    for t, value in zip(TIMES[1:-1], presets()[name][1:-1], strict=True):
        # the cosine's own small offset is left out, as in the chapter
        assert value == pytest.approx(snr[round(1000 * t) - 1].log().item(), abs=0.05)


def test_the_flow_s_signal_and_noise_are_1_minus_t_and_t() -> None:
    for t, value in zip(TIMES[1:-1], presets()["flow"][1:-1], strict=True):
        bar = 1 / (1 + math.exp(-value))
        assert math.sqrt((1 - bar) / bar) == pytest.approx(t / (1 - t), rel=0.01)


def test_every_known_curve_falls() -> None:
    for curve in presets().values():
        assert len(curve) == len(TIMES)
        assert ScheduleEditor(handles=curve).state["handles"] == curve
        assert min(a - b for a, b in pairwise(curve)) >= GAP


def test_it_says_what_it_shows() -> None:
    widget = ScheduleEditor(handles=[8, 4, 1, -4, -9], density="late", t=0.7)
    for word in ("from 8 at t = 0", "to -9 at t = 1", "t = 0.7", "late"):
        assert word in widget.description
    assert "http" not in widget._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"handles": [3, 2, 1]}, "5 handles"),
        ({"handles": [3, 2, 2, 1, 0]}, "must fall"),
        ({"handles": [13, 2, 1, 0, -1]}, "log_snr"),
        ({"density": "bell"}, "bell"),
        ({"t": 0}, "t must"),
        ({"handle": 5}, r"0\.\.4"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ScheduleEditor(**arguments)
