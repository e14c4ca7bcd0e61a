"""What the benchmark of the page's sampler adds up, and what it draws with."""

import os
from pathlib import Path

import page_sampler
import pytest

from ddpm_lite.model import DiffusionModel


def test_the_first_drawing_loads_and_does_not_count() -> None:
    assert page_sampler.summary([9.0, 0.5, 0.8, 0.6]) == {
        "drawings": 3,
        "median_s": 0.6,
        "range_s": [0.5, 0.8],
    }


def test_a_network_that_always_has_a_label_is_not_guided() -> None:
    assert page_sampler.scales(labelled=False) == (1.3, 1.0)
    assert page_sampler.scales(labelled=True) == (1.0,)


def test_a_model_is_told_by_its_weights_and_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sampler, "model_file", lambda name: __file__)
    found = page_sampler.described("mnist")
    model = DiffusionModel.load("mnist").without_variance()
    assert found["shape"] == [1, 28, 28]
    assert found["parameters"] == sum(p.numel() for p in model.net.parameters())
    assert found["bytes"] == Path(__file__).stat().st_size


def test_it_takes_two_cores_and_no_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: taken.append(cores))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {7, 3, 5})
    page_sampler.take_cores()
    assert taken == [[3, 5]]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {4})
    with pytest.raises(SystemExit, match="needs 2 cores, and may use 1"):
        page_sampler.take_cores()
