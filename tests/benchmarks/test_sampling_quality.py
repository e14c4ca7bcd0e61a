"""The few-step digits of chapter 9: the committed file, recomputed in part, says what is read."""

import json
import math
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sampling_quality as script
import torch

from ddpm_lite.data import to_uint8
from ddpm_lite.draw import DrawConfig
from ddpm_lite.frechet import frechet_distance
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import ancestral, ddim, last
from ddpm_lite.schedule import SCHEDULES

ROOT = Path(__file__).parents[2]


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    return found


def row(sampler: str, steps: int, scale: float = 1.0) -> dict[str, Any]:
    rows = committed()["quality"] + committed()["guidance"]
    key = (sampler, steps, scale)
    return next(r for r in rows if (r["sampler"], r["steps"], r["scale"]) == key)


def apart(a: dict[str, Any], b: dict[str, Any]) -> float:
    """How many standard errors the first distance lies above the second."""
    error = math.hypot(a["frechet_se"], b["frechet_se"])
    return float((a["frechet"] - b["frechet"]) / error)


# --- The file ------------------------------------------------------------------------------------


def test_the_command_gives_the_settings_in_the_file() -> None:
    python, file, *words = shlex.split(committed()["command"])
    assert (python, file) == ("python", "benchmarks/sampling_quality.py")
    options = script.parse(words)
    assert options.n * len(options.seeds) == committed()["n"]
    assert options.seeds == committed()["seeds"]
    assert (options.batch, options.error_images) == (
        committed()["batch"],
        committed()["error_images"],
    )


def test_every_sampler_is_there_at_every_number_of_steps() -> None:
    found = [(r["sampler"], r["steps"]) for r in committed()["quality"]]
    assert found == [(name, n) for name in script.SAMPLERS for n in script.STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ancestral, beta", "DPM-Solver++(2M)"])
def test_the_first_batch_comes_out_again(sampler: str) -> None:
    count, seed = committed()["batch"], script.batch_seeds(script.parse([]))[0]
    precision = committed()["precision"]
    model = DiffusionModel.load()
    images = script.draw_batch(model, sampler, 5, count, seed, 1.0, precision)
    grey = float(to_uint8(images).float().mean())
    assert grey == pytest.approx(row(sampler, 5)["grey"][0], abs=0.1)


@pytest.mark.slow
def test_the_floor_comes_out_again() -> None:
    floor = script.floor(script.labels_of(committed()["n"], committed()["batch"]))
    assert floor == pytest.approx(committed()["floor"], rel=0.01)


# --- What the chapter reads from it --------------------------------------------------------------


def test_too_much_noise_costs_steps() -> None:
    for steps in (5, 10, 20):
        assert apart(row("ancestral, beta", steps), row("ancestral, beta tilde", steps)) > 3
    assert abs(apart(row("ancestral, beta", 20), row("ancestral, beta tilde", 10))) < 1.5
    assert abs(apart(row("ancestral, beta", 50), row("ancestral, beta tilde", 50))) < 1.5


def test_after_fifty_steps_with_beta_tilde_drawn_digits_are_as_near_as_real_ones() -> None:
    floor, drawn = committed()["floor"], row("ancestral, beta tilde", 50)
    error = math.hypot(floor["spread"], drawn["frechet_se"])
    assert abs(drawn["frechet"] - floor["frechet"]) < 1.5 * error


def test_fresh_noise_pays_off() -> None:
    for steps in (20, 50):
        for sampler in ("DDIM", "DPM-Solver++(2M)"):
            assert apart(row(sampler, steps), row("ancestral, beta tilde", steps)) > 2


def test_a_network_that_learned_less_gains_more_by_fresh_noise() -> None:
    short = json.loads(script.OUT.with_stem("sampling_quality_short").read_text())
    assert short["training"]["seed"] != committed()["training"]["seed"]
    assert short["training"]["steps"] < committed()["training"]["steps"] / 4
    pairs = []
    for data in (committed(), short):
        rows = {(r["sampler"], r["steps"]): r for r in data["quality"]}
        pairs.append((rows["DPM-Solver++(2M)", 20], rows["ancestral, beta tilde", 20]))
    long_gain, short_gain = (a["frechet"] - b["frechet"] for a, b in pairs)
    assert short_gain > 2 * long_gain  # "far more"
    errors = [row["frechet_se"] for pair in pairs for row in pair]
    assert short_gain - long_gain > 2 * math.hypot(*errors)


def test_without_noise_more_than_ten_steps_gain_nothing() -> None:
    for sampler in ("DDIM", "DPM-Solver++(2M)"):
        assert abs(apart(row(sampler, 10), row(sampler, 50))) < 1


def test_the_second_order_falls_faster_but_not_in_full() -> None:
    error = {(r["sampler"], r["steps"]): r["rms"] for r in committed()["error"]}
    first, second = (error[name, 20] / error[name, 50] for name in ("DDIM", "DPM-Solver++(2M)"))
    assert first < second < 2.5**2


def test_a_little_guidance_helps_and_more_harms() -> None:
    none, little, more = (row("DPM-Solver++(2M)", 10, w) for w in (1.0, 1.3, 4.0))
    assert abs(apart(none, little)) < 1  # the distance shows no cost
    assert apart(more, none) > 5
    error = math.hypot(none["label_accuracy_se"], little["label_accuracy_se"])
    assert little["label_accuracy"] - none["label_accuracy"] > 3 * error
    assert little["label_accuracy"] <= more["label_accuracy"]


# --- Its parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
def test_on_the_coarse_chain_ancestral_is_ddim_with_eta_1(name: str) -> None:
    schedule = SCHEDULES[name](100)
    chain, times = script.coarse(schedule, 7)
    x_T = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        return torch.sin(x + t / 30)

    mine = last(ancestral(lambda x, k: denoise(x, times[k - 1]), chain, x_T, "posterior", 3))
    theirs = last(ddim(denoise, schedule, x_T, 7, eta=1.0, seed=3))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = torch.randn(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    error = script.jackknife(lambda rows: float(rows.mean()), values, blocks=400)
    assert error == pytest.approx(float(values.std()) / 20, rel=1e-6)


def test_the_jackknife_tells_the_spread_of_the_frechet_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(4000, 3, generator=generator)
    sets = [0.5 + torch.randn(400, 3, generator=generator) for _ in range(60)]
    spread = torch.tensor([frechet_distance(s, reference) for s in sets]).std()
    error = script.jackknife(lambda rows: frechet_distance(rows, reference), sets[0])
    assert error == pytest.approx(float(spread), rel=0.5)


def test_a_share_of_all_still_has_an_error() -> None:
    assert 0 < script.share_error(1.0, 500) < 0.01
    assert script.share_error(0.5, 10_000) == pytest.approx(0.005, rel=0.01)


def test_the_default_scale_is_the_best_by_this_distance() -> None:
    """Chapter 9 says that 1.3 was tuned on the distance that is reported."""
    rows = [*committed()["guidance"], row("DPM-Solver++(2M)", 10)]
    best = min(rows, key=lambda r: float(r["frechet"]))
    assert best["scale"] == DrawConfig().guidance_scale
