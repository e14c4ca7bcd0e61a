"""The colour run of chapter 11: its file says how it was made, and agrees with the recipe."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import colour_run as script
import pytest
from packing import unpack

from ddpm_lite.measured import ASSETS
from ddpm_lite.options import parse_train


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((script.OUT / "coloured_mnist_run.json").read_text())
    return found


def test_the_run_is_the_recipes() -> None:
    config = parse_train(committed()["commands"][0].split()[2:])
    told = committed()["settings"]
    for name in ("steps", "batch_size", "learning_rate", "ema_decay", "flip", "seed"):
        assert told[name] == getattr(config.train, name)
    assert committed()["metrics"][-1]["step"] == config.train.steps


def test_the_loss_fell_from_that_of_a_network_that_says_nothing() -> None:
    losses = [line["loss"] for line in committed()["metrics"]]
    assert losses[0] > 2 * losses[-1]
    assert 0 < losses[-1] < 0.5


def test_the_pictures_are_forty_in_colour() -> None:
    pictures = unpack(committed()["pictures"], 3, 28, 28)
    assert pictures.shape == (40, 3, 28, 28)
    channels = pictures.float().mean((0, 2, 3)) / 255
    assert channels.min() > 0.2  # neither black nor white as a whole
    assert channels.max() < 0.8
    assert (pictures[:, 0] != pictures[:, 1]).float().mean() > 0.5


def test_seconds_are_images_over_speed() -> None:
    lines = [{"step": 50, "images_per_second": 100.0}, {"step": 80, "images_per_second": 50.0}]
    assert script.seconds_of(lines, 10) == pytest.approx(50 * 10 / 100 + 30 * 10 / 50)


def test_a_line_without_a_speed_took_no_time(tmp_path: Path) -> None:
    """As `Log` writes it where the clock has not moved."""
    speeds = (100.0, None, 50.0)
    lines = [{"step": 50 * k, "images_per_second": v} for k, v in enumerate(speeds, 1)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    seconds = script.seconds_of(script.lines_of(tmp_path / "m.jsonl"), 10)
    assert seconds == pytest.approx(50 * 10 / 100 + 50 * 10 / 50)


def test_every_line_of_the_shipped_metrics_has_a_speed() -> None:
    """Chapter 8 adds up how long they took."""
    lines = script.lines_of(ASSETS / "mnist_metrics.jsonl")
    assert all(line["images_per_second"] > 0 for line in lines)
