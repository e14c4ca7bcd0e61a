"""Recall against guidance: the committed file, recomputed in part, says what chapter 10 reads."""

import json
import math
import shlex
from functools import cache
from statistics import stdev
from typing import Any

import guidance_recall as script
import pytest
import torch
from torch import Tensor

from ddpm_lite.judges import digits
from ddpm_lite.model import DiffusionModel


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    return found


def row(scale: float) -> dict[str, Any]:
    return next(r for r in committed()["rows"] if r["scale"] == scale)


def lower(name: str, low: float, high: float) -> float:
    """By how many standard errors a share is lower at the first scale than at the second."""
    error = math.hypot(row(low)[f"{name}_se"], row(high)[f"{name}_se"])
    return float((row(high)[name] - row(low)[name]) / error)


# --- The file ------------------------------------------------------------------------------------


def test_the_command_gives_the_settings_in_the_file() -> None:
    python, file, *words = shlex.split(committed()["command"])
    assert (python, file) == ("python", "benchmarks/guidance_recall.py")
    assert script.parse(words).n == committed()["n"]
    assert (committed()["sampler"], committed()["steps"]) == (script.SAMPLER, script.STEPS)
    assert [r["scale"] for r in committed()["rows"]] == list(script.SCALES)
    assert {len(r["grey"]) for r in committed()["rows"]} == {committed()["n"] // script.BATCH}


@pytest.mark.slow
def test_the_first_batch_comes_out_again() -> None:
    (first,) = script.draw_batches(DiffusionModel.load(), 6.0, script.BATCH)
    grey = float(first.float().mean())
    assert grey == pytest.approx(row(6.0)["grey"][0], abs=0.3)
    assert abs(grey - row(1.0)["grey"][0]) > 5


def test_each_share_has_its_own_error() -> None:
    for found in committed()["rows"]:
        for name in ("precision", "recall"):
            share, n = found[name], committed()["n"]
            assert found[f"{name}_se"] == pytest.approx((share * (1 - share) / n) ** 0.5, abs=2e-3)


def among(points: Tensor, others: Tensor) -> float:
    """The share of points in a ball around one of the others, up to its third neighbour."""
    reach = [(others - ball).norm(dim=1).sort().values[3] for ball in others]
    inside = [bool(((others - p).norm(dim=1) <= torch.stack(reach)).any()) for p in points]
    return sum(inside) / len(inside)


def test_what_real_digits_reach_is_a_mean_over_sets_beside_the_first() -> None:
    rows = torch.randn(170, 5, generator=torch.Generator().manual_seed(4))
    first, one, other, _ = rows[
        torch.randperm(170, generator=torch.Generator().manual_seed(0))
    ].split(50)
    found = script.real_marks(rows, 50)
    assert found["draws"] == 2
    for name, pair in (
        ("precision", [among(one, first), among(other, first)]),
        ("recall", [among(first, one), among(first, other)]),
    ):
        assert found[name] == pytest.approx(sum(pair) / 2, abs=1e-4), name
        assert found[f"{name}_spread"] == pytest.approx(stdev(pair), abs=1e-4), name


@pytest.mark.slow
def test_what_real_digits_reach_comes_out_again() -> None:
    found = script.real_marks(digits().reference, committed()["n"])
    assert found == pytest.approx(committed()["real"], abs=0.003)


# --- What the chapter reads from it --------------------------------------------------------------


def test_without_guidance_both_shares_are_those_of_real_digits() -> None:
    mark = committed()["real"]
    for name in ("precision", "recall"):
        error = math.hypot(row(1)[f"{name}_se"], mark[f"{name}_spread"])
        assert abs(row(1)[name] - mark[name]) < 2 * error


def test_from_a_scale_of_1_on_recall_falls() -> None:
    scales = [scale for scale in script.SCALES if scale >= 1]
    recalls = [row(scale)["recall"] for scale in scales]
    assert recalls == sorted(recalls, reverse=True)
    assert lower("recall", 2, 1) > 3
    assert lower("recall", 6, 4) > 3
    assert 0.7 < row(2)["recall"] < 0.78  # "one real digit in four lies among no drawn ones"
    assert 0.5 < row(6)["recall"] < 0.6  # "nearly every second one"


def test_precision_rises_above_that_of_real_digits_and_falls_again() -> None:
    mark = committed()["real"]
    assert lower("precision", 0, 1) > 3
    assert lower("precision", 1, 2) > 3
    assert row(2)["precision"] > mark["precision"] + 2 * mark["precision_spread"]
    assert row(6)["precision"] < row(3)["precision"] - 0.02


def test_what_else_the_text_says() -> None:
    assert [row(w)["label_accuracy"] for w in (2, 3, 4, 6)] == [1, 1, 1, 1]
    best = min(committed()["rows"], key=lambda r: float(r["frechet"]))
    assert best["scale"] == 1.3
    grey = [sum(row(w)["grey"]) for w in (1, 1.3, 2, 3, 4, 6)]
    assert grey == sorted(grey)
    mark = committed()["real"]
    told = [row(0)["precision"], row(2)["precision"], row(6)["recall"], mark["precision"]]
    assert told == pytest.approx([0.73, 0.93, 0.55, 0.89], abs=0.005)
    assert mark["recall"] == pytest.approx(0.89, abs=0.01)
    assert row(1)["recall"] == pytest.approx(0.9, abs=0.01)


def test_a_second_network_trades_the_same_from_a_lower_start() -> None:
    short = json.loads(script.OUT.with_stem("guidance_recall_short").read_text())
    rows, real = {r["scale"]: r for r in short["rows"]}, short["real"]
    assert [short["rows"][k]["scale"] for k in (1, 3)] == [1, 2]  # those that the text names
    assert short["n"] == committed()["n"]
    for name, sign in (("precision", 1), ("recall", -1)):
        error = math.hypot(rows[1][f"{name}_se"], rows[2][f"{name}_se"])
        assert sign * (rows[2][name] - rows[1][name]) > 3 * error
        error = math.hypot(rows[1][f"{name}_se"], real[f"{name}_spread"])
        assert real[name] - rows[1][name] > 2 * error  # "short of real digits in both"
