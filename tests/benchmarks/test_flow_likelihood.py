"""The exact likelihood of chapter 12: on laws whose density is known, and the committed file."""

import itertools
import json
import math
import shlex
from typing import Any

import flow_likelihood as script
import pytest
import torch
from torch import Tensor

from ddpm_lite.schedule import NoiseSchedule, cosine_fine

SCHEDULE = cosine_fine(1000)


def exact_speed(schedule: NoiseSchedule, mean: float, variance: Tensor) -> script.Speed:
    """The velocity of the exact denoiser of normal data, with a variance for each pixel."""

    def speed(x: Tensor, t: int) -> Tensor:
        kept, noise = schedule.alpha_bar[t - 1], schedule.one_minus_alpha_bar[t - 1]
        spread = kept * variance + noise
        x_0 = mean + kept.sqrt() * variance / spread * (x - kept.sqrt() * mean)
        eps = (x - kept.sqrt() * x_0) / noise.sqrt()
        return kept.sqrt() * eps - noise.sqrt() * x_0

    return speed


def test_the_density_of_normal_data_comes_out() -> None:
    generator = torch.Generator().manual_seed(0)
    variance = torch.tensor([[0.25, 0.0004], [1.0, 4.0]], dtype=torch.float64)
    kept, noise = SCHEDULE.alpha_bar[0], SCHEDULE.one_minus_alpha_bar[0]
    law = torch.distributions.Normal(kept.sqrt() * 0.3, (kept * variance + noise).sqrt())
    x_1 = law.mean + law.stddev * torch.randn(3, 1, 2, 2, generator=generator, dtype=torch.float64)
    speed = exact_speed(SCHEDULE, 0.3, variance)
    found = script.log_density(SCHEDULE, speed, x_1, script.STEP, generator)
    wanted = law.log_prob(x_1).flatten(1).sum(1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=4 * 0.005)


def test_signs_give_the_trace_on_average() -> None:
    jacobian = torch.tensor([[2.0, 5.0], [-3.0, 7.0]], dtype=torch.float64)
    x = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    found = []
    for pair in itertools.product((-1.0, 1.0), repeat=2):
        signs = torch.tensor(pair, dtype=torch.float64).view(1, 1, 1, 2)
        found.append(script.with_divergence(lambda x, t: x @ jacobian.T, x, 1, signs)[1])
    assert float(torch.cat(found).mean()) == pytest.approx(9.0)


def test_times_run_from_1_to_T_in_steps_of_the_clock() -> None:
    times = script.times(SCHEDULE, 0.1)
    assert (times[0], times[-1]) == (1, 1000)
    ticks = script.clock(SCHEDULE)[torch.tensor(times) - 1]
    single = torch.tensor(times).diff() == 1
    assert bool((ticks.diff()[~single] <= 0.1).all())


def test_the_entropy_is_that_of_the_first_noise() -> None:
    law = torch.distributions.Normal(0.0, math.sqrt(float(SCHEDULE.beta[0])))
    assert script.entropy(SCHEDULE, 10) == pytest.approx(10 * float(law.entropy()), rel=1e-5)


# --- The file ------------------------------------------------------------------------------------


def test_the_file_says_how_it_was_made_and_what_the_chapter_reads() -> None:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    assert shlex.split(found["command"])[:2] == ["python", "benchmarks/flow_likelihood.py"]
    assert found["n"] % script.GROUP == 0
    assert found["gain"]["bits"] > 3 * found["gain"]["se"]  # fewer bits by the flow
    assert found["gain"]["bits"] == pytest.approx(0.1, abs=0.02)  # "a tenth of a bit"
    assert abs(found["own_gain"]["bits"]) < 2 * found["own_gain"]["se"]  # "no more than the flow"
    assert abs(found["half_step"]["bits"]) < found["gain"]["bits"] / 10
    for gain, chain in (("gain", "fixed"), ("own_gain", "own")):
        difference = found[chain]["bits"] - found["flow"]["bits"]
        assert found[gain]["bits"] == pytest.approx(difference, abs=2e-4)
