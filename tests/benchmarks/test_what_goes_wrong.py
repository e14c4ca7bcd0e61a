"""The faults of chapter 8: what the committed file says follows from its pictures and its code."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import what_goes_wrong as script
from packing import unpack

from ddpm_lite.data import mnist

ROOT = Path(__file__).parents[2]
NAMES = ["right", "slow", "fast", "unit", "unscaled"]


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    return found


def row(name: str) -> dict[str, Any]:
    return next(row for row in committed()["rows"] if row["run"]["name"] == name)


def test_the_file_tells_how_it_was_made() -> None:
    assert committed()["command"] == "python benchmarks/what_goes_wrong.py"
    assert [row["run"]["name"] for row in committed()["rows"]] == NAMES
    settings = committed()["settings"]
    assert (settings["T"], settings["steps"]) == (script.T, script.STEPS)
    assert (settings["batch_size"], settings["seed"]) == (script.BATCH, 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_the_pictures(name: str) -> None:
    pictures = unpack(row(name)["pictures"], 1, 28, 28)
    assert pictures.shape == (30, 1, 28, 28)
    again = script.measured(pictures)
    assert row(name)["n"] == again["n"] == 30
    for key in ("brightness", "confidence"):
        assert row(name)[key]["mean"] == pytest.approx(again[key]["mean"], abs=2e-3)
        assert row(name)[key]["se"] == pytest.approx(again[key]["se"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["right", "unit", "unscaled"])
def test_the_first_updates_have_the_same_losses(name: str) -> None:
    run = next(run for run in script.RUNS if run.name == name)
    again = list(script.training(run, script.new_network(), steps=3))
    assert row(name)["losses"][:3] == pytest.approx(again, rel=5e-3)
    # the network says 0 at first, so its loss is the mean square of the velocity
    pixels = mnist().pixels[:1000].double() / 255
    square = (pixels if run.unit else 2 * pixels - 1).square().mean()
    alpha_bar = script.schedule_of(run).alpha_bar
    expected = float((alpha_bar + (1 - alpha_bar) * square).mean())
    assert again[0] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_are_those_of_all_updates(name: str) -> None:
    losses = row(name)["losses"]
    assert len(losses) == script.STEPS
    assert row(name)["last_loss"] == pytest.approx(sum(losses[-50:]) / 50, abs=1e-3)


def test_pictures_in_0_to_1_are_mapped_back() -> None:
    """Byte b shows b / 127.5 - 1. Kept within [0, 1] and stretched to [-1, 1] that is 2b - 255."""
    as_it_is = unpack(row("unit")["pictures"], 1, 28, 28).double()
    mapped = unpack(row("unit")["mapped_back"]["pictures"], 1, 28, 28).double()
    assert float((mapped - (2 * as_it_is - 255).clamp(0, 255)).abs().max()) <= 2
    again = script.measured(mapped.to(torch.uint8))
    assert row("unit")["mapped_back"]["confidence"]["mean"] == pytest.approx(
        again["confidence"]["mean"], abs=2e-3
    )


def test_the_learning_rates_can_be_told_apart_by_their_losses() -> None:
    def mean(name: str, first: int, last: int) -> float:
        return float(sum(row(name)["losses"][first:last])) / (last - first)

    # too low: still falling at the end; too high: level for the second half
    assert mean("slow", 450, 500) < 0.95 * mean("slow", 200, 250)
    assert mean("fast", 450, 500) > 0.9 * mean("fast", 200, 250)


def test_pictures_on_the_wrong_scale_are_fine_on_their_own() -> None:
    right, mapped = row("right"), row("unit")["mapped_back"]
    gap = abs(right["confidence"]["mean"] - mapped["confidence"]["mean"])
    assert gap < 3 * math.hypot(right["confidence"]["se"], mapped["confidence"]["se"])
    one, other = (unpack(r["pictures"], 1, 28, 28).flatten(1).double() for r in (right, mapped))
    pairs = zip(one, other, strict=True)
    alike = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs]
    assert sum(alike) / len(alike) > 0.8


def test_each_fault_shows() -> None:
    def sure(name: str) -> float:
        return float(row(name)["confidence"]["mean"])

    assert row("right")["last_loss"] < row("slow")["last_loss"]
    assert row("right")["last_loss"] < row("fast")["last_loss"]
    for name in ("slow", "fast", "unit", "unscaled"):
        assert sure(name) < sure("right")
