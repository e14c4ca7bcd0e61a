"""The faults of chapter 8: what the committed file says follows from its pictures and its code."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
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
    assert (settings["batch_size"], settings["seed"]) == (script.BATCH, script.SEED)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_the_pictures(name: str) -> None:
    pictures = unpack(row(name)["pictures"], 1, 28, 28)
    assert pictures.shape == (30, 1, 28, 28)
    again = script.measured(pictures)
    assert row(name)["n"] == again["n"] == 30
    for key in ("brightness", "confidence"):
        assert row(name)[key]["mean"] == pytest.approx(again[key]["mean"], abs=2e-3)
        assert row(name)[key]["se"] == pytest.approx(again[key]["se"], abs=2e-3)


@pytest.mark.parametrize("name", ["right", "unit", "unscaled"])
def test_the_first_updates_have_the_same_losses(name: str) -> None:
    run = next(run for run in script.RUNS if run.name == name)
    again = list(script.training(run, script.new_network(), steps=3))
    assert row(name)["first_losses"] == pytest.approx(again, rel=5e-3)
    # the network says 0 at first, so its loss is the mean square of the velocity
    pixels = mnist().pixels[:1000].double() / 255
    square = (pixels if run.unit else 2 * pixels - 1).square().mean()
    alpha_bar = script.schedule_of(run).alpha_bar
    expected = float((alpha_bar + (1 - alpha_bar) * square).mean())
    assert again[0] == pytest.approx(expected, abs=0.1)


def test_each_fault_shows() -> None:
    def sure(name: str) -> float:
        return float(row(name)["confidence"]["mean"])

    assert row("right")["last_loss"] < row("slow")["last_loss"]
    assert row("right")["last_loss"] < row("fast")["last_loss"]
    for name in ("slow", "fast", "unit", "unscaled"):
        assert sure(name) < sure("right")
