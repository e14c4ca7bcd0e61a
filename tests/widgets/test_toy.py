"""The toy's clouds and its first state."""

from typing import Any, get_args

import numpy as np
import pytest
import torch

from ddpm_lite.schedule import SCHEDULES, NoiseSchedule
from ddpm_lite.widgets.toy import COUNT, Cloud, ToyDiffusion, flow_betas, points


@pytest.mark.parametrize("name", get_args(Cloud))
def test_clouds_have_the_scale_of_the_noise(name: Cloud) -> None:
    cloud = points(name)
    assert cloud.shape == (COUNT, 2)
    assert cloud.mean(0) == pytest.approx([0, 0], abs=1e-12)
    assert np.square(cloud).mean() == pytest.approx(1)
    assert np.abs(cloud).max() < 3
    assert np.array_equal(cloud, points(name))
    assert np.allclose(ToyDiffusion().state["clouds"][name], cloud, atol=1e-4)


def test_the_schedules_are_the_package_s() -> None:
    state = ToyDiffusion(T=150).state
    assert state["schedules"].keys() == {*SCHEDULES, "flow"}
    for name in SCHEDULES:
        assert state["schedules"][name] == SCHEDULES[name](150).beta.tolist()


def test_the_flow_s_clock_runs_along_straight_lines() -> None:
    schedule = NoiseSchedule(torch.tensor(flow_betas(40), dtype=torch.float64))
    signal, noise = schedule.alpha_bar.sqrt(), schedule.one_minus_alpha_bar.sqrt()
    expected = torch.arange(1, 41, dtype=torch.float64) / 40
    assert torch.allclose((noise / (signal + noise))[:-1], expected[:-1], rtol=1e-9)
    assert (noise / (signal + noise))[-1] > 0.999


def test_it_says_what_it_shows() -> None:
    widget = ToyDiffusion(cloud="clover", t=30, probe=(1, -0.5))
    assert "240 points in the plane (clover) with the noise of time 30 of 200" in widget.description
    assert widget.state["probe_y"] == -0.5
    html = widget._repr_html_()
    assert "http" not in html
    assert len(html) < 100_000


def test_every_step_count_leads_through_the_schedule() -> None:
    assert ToyDiffusion().state["step_choices"] == [1, 2, 5, 10, 20, 50, 200]
    assert ToyDiffusion(T=40, t=10).state["step_choices"] == [1, 2, 5, 10, 20, 40]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"cloud": "spiral"}, "spiral"),
        ({"schedule": "steep"}, "steep"),
        ({"sampler": "euler"}, "euler"),
        ({"t": 201}, "0..200"),
        ({"steps": 3}, "steps"),
        ({"probe": (4, 0)}, "probe_x"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ToyDiffusion(**arguments)
