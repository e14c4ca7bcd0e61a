"""The samplers, against diffusers in float64 and against laws whose every moment is known."""

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers import scheduling_ddpm
from hypothesis import given
from hypothesis import strategies as st
from small import default
from torch import Tensor

from ddpm_lite.diffusion import Target, Variance, q_sample, target_of
from ddpm_lite.sample import (
    Denoiser,
    State,
    ancestral,
    ancestral_step,
    consistency,
    ddim,
    ddim_step,
    denoiser,
    dpm_solver,
    initial_noise,
    last,
    timesteps,
)
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule, cosine, linear, quadratic, sigmoid

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ALL = [linear(1000), cosine(1000), quadratic(1000), sigmoid(1000)]
TARGETS: list[Target] = ["eps", "x_0", "v", "flow"]
VARIANCES: list[Variance] = ["posterior", "beta"]


def start(n: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, 3, 3, generator=generator, dtype=torch.float64)


def denoise(x: Tensor, t: int) -> Tensor:
    """Some smooth function of x and t that is no identity of either."""
    return 0.8 * torch.sin(x + t / 300) - 0.1


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


# --- Times ---------------------------------------------------------------------------------------


@given(st.integers(1, 2000).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))))
def test_times_fall_evenly_from_T_to_0(case: tuple[int, int]) -> None:
    T, steps = case
    times = timesteps(T, steps)
    assert (times[0], times[-1], len(times)) == (T, 0, steps + 1)
    assert all(abs(t - T * (1 - i / steps)) <= 0.5 + 1e-9 for i, t in enumerate(times))
    assert all(a > b for a, b in pairwise(times))


@pytest.mark.parametrize("steps", [0, -1, 11])
def test_more_steps_than_T_or_none_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=rf"must lie in 1\.\.10, not {steps}"):
        timesteps(10, steps)


# --- Against diffusers ---------------------------------------------------------------------------
# Its index is t - 1, and it keeps float32 tables: they are replaced by float64 ones, computed from
# the betas alone.


def exact(peer: DDIMScheduler, schedule: NoiseSchedule) -> None:
    peer.alphas_cumprod = torch.cumprod(1 - schedule.beta, 0)
    peer.one = peer.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)


def settings_of(schedule: NoiseSchedule) -> dict[str, object]:
    return {
        "num_train_timesteps": schedule.T,
        "trained_betas": schedule.beta.numpy(),
        "clip_sample": False,
        "prediction_type": "sample",
    }


def peer_ddpm(schedule: NoiseSchedule, variance: Variance) -> DDPMScheduler:
    kind = {"posterior": "fixed_small", "beta": "fixed_large"}[variance]
    peer = DDPMScheduler(**settings_of(schedule), variance_type=kind)
    exact(peer, schedule)
    return peer


def peer_mean_and_deviation(
    peer: DDPMScheduler, monkeypatch: pytest.MonkeyPatch, x_0: Tensor, x_t: Tensor, index: int
) -> tuple[Tensor, Tensor]:
    """A step of the peer's with noise 0, and the difference that noise 1 makes to it."""
    found = []
    for value in (0.0, 1.0):
        constant = torch.full_like(x_t, value)
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, c=constant, **__: c)
        found.append(peer.step(x_0, index, x_t).prev_sample)
    return found[0], found[1] - found[0]


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("variance", VARIANCES)
def test_ancestral_step_is_that_of_diffusers(
    schedule: NoiseSchedule, variance: Variance, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, x_t = peer_ddpm(schedule, variance), start()
    for t in [1, 2, 3, 10, 77, 500, 998, 999, 1000]:
        x_0 = denoise(x_t, t)
        mean, deviation = peer_mean_and_deviation(peer, monkeypatch, x_0, x_t, t - 1)
        p = ancestral_step(schedule, x_0, x_t, t, variance)
        close(p.mean, mean)
        if t > 1:  # neither adds noise in the last step
            close(p.variance.sqrt().expand_as(x_t), deviation)


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50, 200])
def test_ddim_is_that_of_diffusers(schedule: NoiseSchedule, steps: int) -> None:
    peer = DDIMScheduler(**settings_of(schedule))
    exact(peer, schedule)
    peer.num_inference_steps = steps
    x, t = start(), 1000
    for state in ddim(denoise, schedule, start(), steps):
        x = peer.step(denoise(x, t), t - 1, x).prev_sample
        t -= 1000 // steps
        assert state.t == t
        close(state.x_t, x, 1e-9)
    assert t == 0


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("steps", [2, 10, 50, 1000])
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_noise_is_that_of_diffusers(
    schedule: NoiseSchedule, steps: int, eta: float
) -> None:
    peer, x_t = DDIMScheduler(**settings_of(schedule)), start()
    exact(peer, schedule)
    peer.num_inference_steps = steps
    gap = 1000 // steps
    for t in {1000, 500, 2 * gap}:
        x_0 = denoise(x_t, t)
        mean, one = (
            peer.step(x_0, t - 1, x_t, eta=eta, variance_noise=torch.full_like(x_t, c)).prev_sample
            for c in (0.0, 1.0)
        )
        law = ddim_step(schedule, x_0, x_t, t, t - gap, eta)
        close(law.mean, mean)
        close(law.variance.sqrt().expand_as(x_t), one - mean)


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("steps", [3, 7, 30, 333])
def test_ddim_with_eta_1_and_uneven_times_is_the_ancestral_step_of_diffusers(
    schedule: NoiseSchedule, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, x_t, times = peer_ddpm(schedule, "posterior"), start(), timesteps(1000, steps)
    peer.set_timesteps(timesteps=[t - 1 for t in times[:-1]])
    for i in {0, 1, steps // 2, steps - 2}:
        t, before = times[i], times[i + 1]
        x_0 = denoise(x_t, t)
        mean, deviation = peer_mean_and_deviation(peer, monkeypatch, x_0, x_t, t - 1)
        law = ddim_step(schedule, x_0, x_t, t, before, 1.0)
        close(law.mean, mean)
        close(law.variance.sqrt().expand_as(x_t), deviation)


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 50, 111])
def test_dpm_solver_is_that_of_diffusers(schedule: NoiseSchedule, steps: int) -> None:
    options = settings_of(schedule)
    del options["clip_sample"]
    peer = DPMSolverMultistepScheduler(**options, final_sigmas_type="zero")
    assert peer.config.algorithm_type == "dpmsolver++"
    assert (peer.config.solver_order, peer.config.solver_type) == (2, "midpoint")
    times = timesteps(1000, steps)
    index = torch.tensor([t - 1 for t in times[:-1]])
    peer.set_timesteps(timesteps=index.tolist())
    bar = torch.cumprod(1 - schedule.beta, 0)
    sigmas = ((1 - bar) / bar).sqrt()[index]
    peer.sigmas = torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
    x, seen = start(), []
    for i, state in enumerate(dpm_solver(denoise, schedule, start(), steps)):
        seen.append(denoise(x, times[i]))
        peer._step_index = i  # `step` itself rounds to float32
        if i == 0 or i == steps - 1:
            x = peer.dpm_solver_first_order_update(seen[-1], sample=x)
        else:
            x = peer.multistep_dpm_solver_second_order_update(seen[-2:], sample=x)
        assert state.t == times[i + 1]
        close(state.x_t, x, 1e-7)  # 1 - alpha_bar_T is near 1: sigma_T has lost nine digits there


# --- Identities between samplers -----------------------------------------------------------------


@pytest.mark.parametrize("schedule", [linear(100), cosine(100), cosine(2)])
def test_ddim_with_eta_1_and_all_steps_is_ancestral(schedule: NoiseSchedule) -> None:
    x_t = start()
    for t in range(1, schedule.T + 1):
        x_0 = denoise(x_t, t)
        of_ddim = ddim_step(schedule, x_0, x_t, t, t - 1, 1.0)
        p = ancestral_step(schedule, x_0, x_t, t, "posterior")
        close(of_ddim.mean, p.mean)
        close(of_ddim.variance.reshape(-1)[:1], p.variance.reshape(-1), 1e-13)
    noisy = ddim(denoise, schedule, start(), schedule.T, eta=1.0, seed=3)
    close(last(noisy), last(ancestral(denoise, schedule, start(), seed=3)), 1e-8)


@pytest.mark.parametrize("steps", [1, 2])
def test_dpm_solver_without_a_middle_step_is_ddim(steps: int) -> None:
    schedule = cosine(10)
    close(
        last(dpm_solver(denoise, schedule, start(), steps)),
        last(ddim(denoise, schedule, start(), steps)),
    )


@pytest.mark.parametrize("T", [1, 2])
def test_samplers_take_very_few_steps(T: int) -> None:
    schedule, x = cosine(T), start()
    for states in (
        ancestral(denoise, schedule, x),
        ancestral(denoise, schedule, x, "beta"),  # which is not 0 at t = 1: no noise is added there
        ddim(denoise, schedule, x, T, eta=1.0),
        dpm_solver(denoise, schedule, x, T),
        consistency(denoise, schedule, x, T),
    ):
        seen = list(states)
        assert [state.t for state in seen] == list(range(T - 1, -1, -1))
        # the last step goes to the predicted image; with one step that is a function of x_T alone
        close(seen[-1].x_t, seen[-1].x_0, 1e-13)
        close(seen[0].x_0, denoise(x, T), 0)


# --- A Gaussian data law: everything is known ----------------------------------------------------

MEAN, DEVIATION = 0.4, 0.25


def exact_denoiser(schedule: NoiseSchedule, mean: float, deviation: float) -> Denoiser:
    """E[x_0 | x_t] for x_0 ~ N(mean, deviation^2), from the joint normal law of the two."""
    bars = torch.cumprod(1 - schedule.beta, 0).tolist()

    def best(x: Tensor, t: int) -> Tensor:
        bar = bars[t - 1]
        covariance, variance = deviation**2 * math.sqrt(bar), bar * deviation**2 + 1 - bar
        return mean + covariance / variance * (x - math.sqrt(bar) * mean)

    return best


def slope_and_offset(states: Iterator[State]) -> tuple[float, float]:
    """A sampler without noise is affine here: what it makes of x_T = 0 and x_T = 1."""
    zero, one = last(states).flatten().tolist()
    return one - zero, zero


PROBE = torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(2, 1, 1, 1)


def error_at_200(states: Iterator[State], schedule: NoiseSchedule) -> float:
    """In the slope. The exact flow of the ODE takes each quantile of x_T to the same of x_200."""
    bar = torch.cumprod(1 - schedule.beta, 0)[[199, 999]]
    there, begin = (bar * DEVIATION**2 + 1 - bar).sqrt().tolist()
    zero, one = next(state.x_t for state in states if state.t == 200).flatten().tolist()
    return abs(one - zero - there / begin)


@pytest.mark.parametrize("schedule", ALL)
def test_ddim_and_dpm_solver_end_with_the_datas_moments(schedule: NoiseSchedule) -> None:
    best = exact_denoiser(schedule, MEAN, DEVIATION)
    for states in (ddim(best, schedule, PROBE, 250), dpm_solver(best, schedule, PROBE, 100)):
        slope, offset = slope_and_offset(states)  # x_T ~ N(0, 1): these are deviation and mean
        assert slope == pytest.approx(DEVIATION, rel=0.03)
        assert offset == pytest.approx(MEAN, abs=0.005)


@pytest.mark.parametrize("schedule", [linear(1000), cosine(1000), quadratic(1000)])
def test_twice_the_steps_halve_ddims_error_and_quarter_dpm_solvers(schedule: NoiseSchedule) -> None:
    best = exact_denoiser(schedule, MEAN, DEVIATION)
    few, many = (error_at_200(ddim(best, schedule, PROBE, n), schedule) for n in (50, 100))
    assert few / many == pytest.approx(2, rel=0.05)
    few, many = (error_at_200(dpm_solver(best, schedule, PROBE, n), schedule) for n in (50, 100))
    assert few / many == pytest.approx(4, rel=0.05)


def carried(
    schedule: NoiseSchedule, mean_0: float, deviation: float, variance: Variance
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """t, mean and variance of x_t for t = T-1..0, each step being affine with normal noise."""
    best, T = exact_denoiser(schedule, mean_0, deviation), schedule.T
    mean, spread = torch.zeros(1).double(), torch.ones(1).double()
    for t in range(T, 0, -1):
        step = ancestral_step(schedule, best(PROBE, t), PROBE, t, variance)
        zero, one = step.mean.flatten()
        added = step.variance.flatten()[0] if t > 1 else 0
        mean, spread = zero + (one - zero) * mean, (one - zero) ** 2 * spread + added
        yield t - 1, mean, spread


@pytest.mark.parametrize("variance", VARIANCES)
def test_ancestral_steps_follow_the_marginals_of_the_two_extreme_laws(variance: Variance) -> None:
    """beta_tilde is right for data at one point, beta for N(0, 1) data (DDPM, section 3.2)."""
    mean_0, deviation = (MEAN, 0.0) if variance == "posterior" else (0.0, 1.0)
    schedule = cosine(200)  # its x_T is noise to nine digits
    bar = torch.cumprod(1 - schedule.beta, 0)
    for t, mean, spread in carried(schedule, mean_0, deviation, variance):
        if t > 0:
            expected = bar[t - 1] * deviation**2 + 1 - bar[t - 1]
            close(mean, (bar[t - 1].sqrt() * mean_0).reshape(1), 1e-4)
            close(spread, expected.reshape(1), 1e-8)
    if variance == "posterior":
        assert mean.item() == pytest.approx(MEAN, rel=1e-12)
        assert spread.item() < 1e-25


@pytest.mark.parametrize("variance", VARIANCES)
def test_ancestral_steps_end_with_the_datas_moments(variance: Variance) -> None:
    *_, (t, mean, spread) = carried(linear(1000), MEAN, DEVIATION, variance)
    assert t == 0
    assert mean.item() == pytest.approx(MEAN, abs=1e-4)
    assert spread.sqrt().item() == pytest.approx(DEVIATION, rel=0.02)


@pytest.mark.parametrize("variance", VARIANCES)
def test_ancestral_samples_have_the_moments_of_their_steps(variance: Variance) -> None:
    n, schedule = 10_000, linear(50)
    *_, (_, mean, spread) = carried(schedule, MEAN, DEVIATION, variance)
    best, x_T = exact_denoiser(schedule, MEAN, DEVIATION), initial_noise((n, 1, 1, 1)).double()
    x = last(ancestral(best, schedule, x_T, variance))
    deviation = spread.sqrt().item()
    assert x.mean().item() == pytest.approx(mean.item(), abs=4 * deviation / math.sqrt(n))
    assert x.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * n))


def test_ancestral_noise_is_standard_normal_and_fresh_in_each_step() -> None:
    schedule, x = cosine(8), initial_noise((4, 1, 50, 50), seed=5)
    noises = [x.flatten()]
    for state in ancestral(denoise, schedule, x, seed=5):
        p = ancestral_step(schedule, state.x_0, x, state.t + 1, "posterior")
        if state.t == 0:
            close(state.x_t, p.mean, 0)
        else:
            noises.append(((state.x_t - p.mean) / p.variance.sqrt()).flatten())
        x = state.x_t
    independent(noises)


def independent(noises: list[Tensor]) -> None:
    """x_T is drawn from the same seed, and is still independent of the noise that follows."""
    correlation = torch.stack(noises) @ torch.stack(noises).T / len(noises[0])
    assert len(correlation) == 8
    torch.testing.assert_close(correlation, torch.eye(8), rtol=0, atol=0.05)


# --- A network that says where the path ends -----------------------------------------------------


def exact_end(schedule: NoiseSchedule) -> Denoiser:
    """The end of the exact ODE, which keeps each quantile: that of x_t in the data's law."""
    bars = torch.cumprod(1 - schedule.beta, 0).tolist()

    def end(x: Tensor, t: int) -> Tensor:
        bar = bars[t - 1]
        quantile = (x - math.sqrt(bar) * MEAN) / math.sqrt(bar * DEVIATION**2 + 1 - bar)
        return MEAN + DEVIATION * quantile

    return end


@pytest.mark.parametrize("steps", [1, 2, 4, 20])
def test_with_the_exact_end_every_number_of_steps_draws_the_datas_law(steps: int) -> None:
    n, schedule = 10_000, cosine(1000)
    x_T = initial_noise((n, 1, 1, 1), seed=7).double()
    x = last(consistency(exact_end(schedule), schedule, x_T, steps)).flatten()
    assert x.mean().item() == pytest.approx(MEAN, abs=4 * DEVIATION / math.sqrt(n))
    assert x.std().item() == pytest.approx(DEVIATION, rel=4 / math.sqrt(2 * n))


def test_one_guess_goes_with_its_noise_and_a_second_one_less() -> None:
    """One step keeps the quantile. Two have new noise: of x_500 only the picture is old."""
    n, schedule = 10_000, cosine(1000)
    x_T, end = initial_noise((n, 1, 1, 1), seed=7).double(), exact_end(schedule)
    close(last(consistency(end, schedule, x_T, 1)), end(x_T, 1000))
    bar = float(schedule.alpha_bar[499])
    signal, kept = bar * DEVIATION**2, math.sqrt(bar * DEVIATION**2 + 1 - bar)
    found = torch.stack([x_T.flatten(), last(consistency(end, schedule, x_T, 2)).flatten()])
    expected = math.sqrt(signal) / kept
    assert float(torch.corrcoef(found)[0, 1]) == pytest.approx(expected, abs=0.05)


def test_each_guess_is_noised_anew_as_the_forward_process_does() -> None:
    schedule, x = cosine(1000), initial_noise((4, 1, 50, 50), seed=5)
    noises, t = [x.flatten()], 1000
    for state in consistency(denoise, schedule, x, 8, seed=5):
        close(state.x_0, denoise(x, t), 0)
        if state.t > 0:
            bar = float(torch.cumprod(1 - schedule.beta, 0)[state.t - 1])
            noise = (state.x_t - math.sqrt(bar) * state.x_0) / math.sqrt(1 - bar)
            noises.append(noise.flatten())
        x, t = state.x_t, state.t
    assert torch.equal(x, state.x_0)
    independent(noises)
    first = next(consistency(denoise, cosine(2), start(), 2))
    assert first.t == 1
    assert not torch.equal(first.x_t, first.x_0)  # of one step of noise there is some as well


# --- Guidance and clipping -----------------------------------------------------------------------


def labelled(x: Tensor, t: Tensor) -> Tensor:
    return torch.cos(x) + t[:, None, None, None] / 10


def unlabelled(x: Tensor, t: Tensor) -> Tensor:
    return torch.sin(x) - t[:, None, None, None] / 10


@pytest.mark.parametrize("target", TARGETS)
def test_a_denoiser_of_the_truth_gives_the_image_back(target: Target) -> None:
    schedule, x_0, eps = cosine(20), start().clamp(-1, 1), start(seed=1)
    for t in range(1, 20):
        truth = target_of(schedule, x_0, t, eps, target)
        best = denoiser(schedule, lambda x, _, truth=truth: truth, target, clip=False)
        close(best(q_sample(schedule, x_0, t, eps), t), x_0)


@pytest.mark.parametrize("target", TARGETS)
def test_guidance_extrapolates_from_unconditional_to_labelled(target: Target) -> None:
    schedule, x, t = cosine(20), start(), 7
    ends = [denoiser(schedule, m, target, clip=False)(x, t) for m in (unlabelled, labelled)]
    for scale in (0.0, 0.5, 1.0, 3.0, -1.0):
        guided = denoiser(schedule, labelled, target, unlabelled, scale, clip=False)(x, t)
        close(guided, (1 - scale) * ends[0] + scale * ends[1])


def test_guidance_1_asks_the_network_once() -> None:
    def never(x: Tensor, t: Tensor) -> Tensor:
        raise AssertionError

    schedule, x = cosine(20), start()
    one = denoiser(schedule, labelled, "v", never, 1.0)(x, 7)
    close(one, denoiser(schedule, labelled, "v")(x, 7), 0)


def test_guidance_without_an_unconditional_network_is_refused() -> None:
    with pytest.raises(ValueError, match="guidance needs"):
        denoiser(cosine(20), labelled, "v", None, 2.0)


@pytest.mark.parametrize(("scale", "side"), [(4.0, -1), (-4.0, 1)])
def test_clipping_comes_after_guidance_and_keeps_to_the_range(scale: float, side: int) -> None:
    schedule, x = cosine(20), 3 * start()
    free = denoiser(schedule, labelled, "eps", unlabelled, scale, clip=False)(x, 15)
    clipped = denoiser(schedule, labelled, "eps", unlabelled, scale)(x, 15)
    assert (side * free).max() > 1
    assert torch.equal(clipped, free.clamp(-1, 1))


def test_the_network_is_told_the_time_of_every_image() -> None:
    seen = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return x

    denoiser(cosine(20), model, "v")(start(3), 7)
    assert seen[0].tolist() == [7, 7, 7]
    assert seen[0].dtype == torch.int64


# --- How samplers behave -------------------------------------------------------------------------


def samplers(x: Tensor, seed: int = 0, progress: bool = False) -> list[Iterator[State]]:
    schedule = cosine(12)
    return [
        consistency(denoise, schedule, x, 5, seed, progress),
        ancestral(denoise, schedule, x, "posterior", seed, progress),
        ancestral(denoise, schedule, x, "beta", seed, progress),
        ddim(denoise, schedule, x, 5, 0.5, seed, progress),
        ddim(denoise, schedule, x, 5, progress=progress),
        dpm_solver(denoise, schedule, x, 5, progress),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_of_x_T_is_kept(dtype: torch.dtype) -> None:
    for states in samplers(start().to(dtype)):
        for state in states:
            assert state.x_t.dtype == state.x_0.dtype == dtype


def test_float32_differs_from_float64_by_rounding_only() -> None:
    for single, double in zip(samplers(start().float())[4:], samplers(start())[4:], strict=True):
        torch.testing.assert_close(last(single).double(), last(double), rtol=0, atol=1e-4)


def test_a_seed_says_everything() -> None:
    for i in range(4):
        first, again = (last(samplers(start(), seed=4)[i]) for _ in range(2))
        assert torch.equal(first, again)
        assert not torch.equal(first, last(samplers(start(), seed=5)[i]))


def test_noise_does_not_depend_on_the_global_generator() -> None:
    torch.manual_seed(1)
    first = last(samplers(start())[0])
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, last(samplers(start())[0]))
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


def test_initial_noise_is_float32_and_seeded() -> None:
    x = initial_noise((100, 1, 10, 10), seed=3)
    assert x.dtype == torch.float32
    assert torch.equal(x, initial_noise((100, 1, 10, 10), seed=3))
    assert not torch.equal(x, initial_noise((100, 1, 10, 10), seed=4))
    assert x.mean().abs() < 0.04
    assert (x.std() - 1).abs() < 0.03


def test_everything_is_computed_where_x_T_is() -> None:
    """`meta` is a device like others, but for numbers: it has none."""
    x = initial_noise((2, 1, 3, 3), device="meta")
    assert x.device.type == "meta"
    for states in samplers(x):
        for state in states:
            assert state.x_t.device == state.x_0.device == x.device
    seen = []
    network = denoiser(cosine(20), lambda x, t: seen.append(t.device) or x, "v")  # type: ignore[func-returns-value]
    assert network(x, 7).device == seen[0] == x.device


def test_x_T_is_left_as_it_was() -> None:
    x = start()
    for states in samplers(x):
        last(states)
    assert torch.equal(x, start())


def test_a_sampler_works_only_as_far_as_it_is_asked() -> None:
    calls = []

    def counted(x: Tensor, t: int) -> Tensor:
        calls.append(t)
        return denoise(x, t)

    states = ancestral(counted, cosine(12), start())
    assert calls == []
    assert next(states).t == 11
    assert calls == [12]


def test_progress_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for states in samplers(start()):
        last(states)
    assert capsys.readouterr().err == ""
    for states in samplers(start(), progress=True):
        last(states)
        told = capsys.readouterr().err
        assert "sampling: 100%" in told
        assert "step/s" in told


def test_what_samplers_do_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Their signatures in the API say so."""
    schedule, x = cosine(60), start()
    for states, told in (
        (ancestral(denoise, schedule, x), ancestral(denoise, schedule, x, "posterior", 0)),
        (ddim(denoise, schedule, x), ddim(denoise, schedule, x, 50, 0.0)),
        (ddim(denoise, schedule, x, eta=1.0), ddim(denoise, schedule, x, 50, 1.0, 0)),
        (dpm_solver(denoise, schedule, x), dpm_solver(denoise, schedule, x, 20)),
        (consistency(denoise, schedule, x), consistency(denoise, schedule, x, 1)),
        (consistency(denoise, schedule, x, 2), consistency(denoise, schedule, x, 2, 0)),
    ):
        for state, same in zip(states, told, strict=True):
            assert torch.equal(state.x_t, same.x_t)
    assert capsys.readouterr().err == ""
    assert torch.equal(initial_noise((3,)), initial_noise((3,), 0))


def test_the_law_of_the_last_step_is_one_point() -> None:
    x_0, x_1 = start(seed=1), start(seed=2)
    law = ddim_step(cosine(12), x_0, x_1, 3, 0, 1.0)
    assert torch.equal(law.mean, x_0)
    assert torch.equal(law.variance.broadcast_to(x_0.shape), torch.zeros_like(x_0))


@pytest.mark.parametrize("eta", [-0.1, 1.5])
def test_an_eta_without_a_law_is_refused(eta: float) -> None:
    with pytest.raises(ValueError, match="eta must lie between 0 and 1"):
        last(ddim(denoise, cosine(1000), start(), 3, eta))


def test_every_eta_is_taken_up_to_where_the_noise_is_all_new() -> None:
    schedule, x = linear(1000), start()
    for t, before in ((1000, 500), (20, 1), (3, 2)):
        most = float(schedule.one_minus_alpha_bar[before - 1])  # the variance of x_before
        of_1 = float(ddim_step(schedule, x, x, t, before, 1.0).variance)
        limit = math.sqrt(most / of_1)
        assert limit > 1
        ddim_step(schedule, x, x, t, before, 0.9999 * limit)
        with pytest.raises(ValueError, match="eta must lie between 0 and 1"):
            ddim_step(schedule, x, x, t, before, 1.0001 * limit)
    # from pure noise to nearly none, both variances are the same to rounding
    ddim_step(cosine(1000), x, x, 1000, 1, 1.0)


@pytest.mark.parametrize(("t", "before"), [(5, 5), (5, 6), (5, -1), (11, 3), (11, 0), (0, 0)])
def test_a_step_that_does_not_fall_within_0_to_T_is_refused(t: int, before: int) -> None:
    with pytest.raises(IndexError, match="times fall from 10 to 0"):
        ddim_step(cosine(10), start(), start(), t, before, 0.0)


def test_an_unknown_variance_is_refused() -> None:
    with pytest.raises(ValueError, match="'small' is not one of posterior, beta"):
        last(ancestral(denoise, cosine(10), start(), "small"))  # type: ignore[arg-type]


def test_every_schedule_ends_at_a_finite_image() -> None:
    for make in SCHEDULES.values():
        for states in (
            dpm_solver(denoise, make(50), start()),
            ancestral(denoise, make(50), start()),
        ):
            assert last(states).isfinite().all()


def test_a_sampler_gives_its_states_once() -> None:
    states = ddim(lambda x, t: 0 * x, linear(50), torch.randn(1, 1, 2, 2), 5)
    last(states)
    with pytest.raises(ValueError, match="no states left"):
        last(states)


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf])
def test_guidance_by_what_is_no_number_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        denoiser(linear(50), lambda x, t: x, "x_0", lambda x, t: x, scale)


@pytest.mark.parametrize("eta", [math.nan, math.inf, -0.1])
def test_eta_that_is_no_number_is_refused(eta: float) -> None:
    x = torch.randn(1, 1, 2, 2)
    with pytest.raises(ValueError, match="eta must lie"):
        ddim_step(linear(50), x, x, 20, 10, eta)


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_image(other: torch.dtype | str) -> None:
    def drawn() -> torch.Tensor:
        x_T = initial_noise((2, 1, 3, 3), seed=4)
        return last(ddim(lambda x, t: 0.5 * x, linear(50), x_T, 5, eta=1.0))

    expected = drawn()
    with default(other):
        assert torch.equal(drawn(), expected)
