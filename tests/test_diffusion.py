"""The process and its losses, against integrals, hand-written sums and scipy's normal law."""

import math
from dataclasses import dataclass

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import default
from torch import Tensor

from ddpm_lite.data import to_float
from ddpm_lite.diffusion import (
    Gaussian,
    Model,
    Target,
    Variance,
    Weighting,
    bits_per_dim,
    bound_term,
    check_numbers,
    discretised_log_likelihood,
    elbo,
    eps_from_x_0,
    gaussian_kl,
    learned_variance,
    log_normal_mass,
    loss_weight,
    p_step,
    predict,
    prior_term,
    q_marginal,
    q_posterior,
    q_sample,
    q_step,
    target_of,
    training_loss,
    velocity,
)
from ddpm_lite.schedule import NoiseSchedule, cosine, linear

TARGETS: list[Target] = ["eps", "x_0", "v", "flow"]
VARIANCES: list[Variance] = ["posterior", "beta"]
BETAS = [0.1, 0.3, 0.5, 0.7, 0.95]
"""Few and uneven, so that no two coefficients are nearly alike."""
FIVE = NoiseSchedule(torch.tensor(BETAS, dtype=torch.float64))


def alpha_bar(t: int) -> float:
    """Of FIVE; alpha_bar_0 = 1."""
    return math.prod(1 - b for b in BETAS[:t])


def images(n: int = 3, seed: int = 0) -> Tensor:
    shape, generator = (n, 2, 3, 2), torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1


def noise(n: int = 3, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, 3, 2, generator=generator, dtype=torch.float64)


def close(actual: Tensor, expected: Tensor | float, rtol: float = 1e-12) -> None:
    wanted = torch.as_tensor(expected, dtype=torch.float64).broadcast_to(actual.shape)
    torch.testing.assert_close(actual, wanted, rtol=rtol, atol=1e-14)


# --- The densities q -----------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [FIVE, linear(100), cosine(50)])
def test_the_chain_of_steps_has_the_closed_form(schedule: NoiseSchedule) -> None:
    """Mean and variance carried through every single step, against one jump from x_0."""
    x_0 = images(1)
    mean, variance = x_0, torch.zeros(1, dtype=torch.float64)
    for t in range(1, schedule.T + 1):
        step = q_step(schedule, mean, t)
        shrink = q_step(schedule, torch.ones_like(x_0), t).mean  # the factor of x_{t-1}
        mean, variance = step.mean, shrink**2 * variance + step.variance
        marginal = q_marginal(schedule, x_0, t)
        torch.testing.assert_close(mean, marginal.mean, rtol=1e-11, atol=0)
        torch.testing.assert_close(
            variance, marginal.variance.expand_as(variance), rtol=1e-11, atol=0
        )
        close(q_sample(schedule, x_0, t, torch.zeros_like(x_0)), marginal.mean)
        deviation = q_sample(schedule, torch.zeros_like(x_0), t, torch.ones_like(x_0))
        close(deviation**2, marginal.variance)


def test_one_step_is_equation_2() -> None:
    x = images()
    for t, beta in enumerate(BETAS, 1):
        mean, variance = q_step(FIVE, x, t)
        close(mean, math.sqrt(1 - beta) * x)
        close(variance, beta)


def test_the_jump_is_equation_4() -> None:
    x, eps = images(5), noise(5)
    x_t = q_sample(FIVE, x, torch.arange(1, 6), eps)
    for t in range(1, 6):
        bar = alpha_bar(t)
        close(x_t[t - 1], math.sqrt(bar) * x[t - 1] + math.sqrt(1 - bar) * eps[t - 1])


@pytest.mark.parametrize("t", [2, 3, 4, 5])
@pytest.mark.parametrize(("x_0", "x_t"), [(0.7, -1.3), (-1.0, 0.2), (0.1, 2.0)])
def test_the_posterior_is_bayes_rule_on_a_grid(t: int, x_0: float, x_t: float) -> None:
    x = np.linspace(-12, 12, 24_001)
    beta, prev = BETAS[t - 1], alpha_bar(t - 1)
    density = np.exp(-((x_t - math.sqrt(1 - beta) * x) ** 2) / (2 * beta))
    density *= np.exp(-((x - math.sqrt(prev) * x_0) ** 2) / (2 * (1 - prev)))
    density /= density.sum()
    mean = (density * x).sum()
    variance = (density * (x - mean) ** 2).sum()
    at = torch.full((1, 1, 1, 1), 1.0, dtype=torch.float64)
    posterior = q_posterior(FIVE, x_0 * at, x_t * at, t)
    close(posterior.mean, mean, rtol=1e-9)
    close(posterior.variance, variance, rtol=1e-9)


def test_the_posterior_of_t_1_is_x_0_itself() -> None:
    posterior = q_posterior(FIVE, images(), noise(), 1)
    close(posterior.mean, images())
    assert posterior.variance.item() == 0


# --- The languages a network may speak -----------------------------------------------------------


def test_velocity_is_the_derivative_along_the_circle() -> None:
    """x_t = cos(phi) x_0 + sin(phi) eps; v is its derivative by phi."""
    x_0, eps, h = images(), noise(), 1e-6
    for t in range(1, 6):
        phi = math.acos(math.sqrt(alpha_bar(t)))
        ahead = math.cos(phi + h) * x_0 + math.sin(phi + h) * eps
        behind = math.cos(phi - h) * x_0 + math.sin(phi - h) * eps
        torch.testing.assert_close(
            velocity(FIVE, x_0, t, eps), (ahead - behind) / (2 * h), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", [FIVE, linear(1000)])
def test_a_true_prediction_gives_back_x_0_and_eps(schedule: NoiseSchedule, target: Target) -> None:
    x_0, eps = images(), noise()
    for t in {1, 2, schedule.T // 2, schedule.T}:
        x_t = q_sample(schedule, x_0, t, eps)
        told = predict(schedule, target_of(schedule, x_0, t, eps, target), x_t, t, target)
        # dividing by sqrt(alpha_bar_T) = 0.006 or sqrt(beta_1) = 0.01 costs two digits
        torch.testing.assert_close(told.x_0, x_0, rtol=0, atol=1e-12)
        torch.testing.assert_close(told.eps, eps, rtol=0, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_any_prediction_is_consistent_with_x_t(target: Target) -> None:
    """Whatever the network says, sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps is x_t."""
    x_t, output, t = noise(5, 2), noise(5, 3), torch.arange(1, 6)
    told = predict(FIVE, output, x_t, t, target)
    for i in range(5):
        bar = alpha_bar(i + 1)
        close(math.sqrt(bar) * told.x_0[i] + math.sqrt(1 - bar) * told.eps[i], x_t[i], rtol=1e-11)
    close(eps_from_x_0(FIVE, x_t, t, told.x_0), told.eps, rtol=1e-9)


def test_targets_are_what_their_names_say() -> None:
    x_0, eps = images(), noise()
    assert target_of(FIVE, x_0, 2, eps, "x_0") is x_0
    assert target_of(FIVE, x_0, 2, eps, "eps") is eps
    close(target_of(FIVE, x_0, 2, eps, "flow"), eps - x_0)
    assert predict(FIVE, x_0, noise(), 2, "x_0").x_0 is x_0
    assert predict(FIVE, eps, noise(), 2, "eps").eps is eps


def test_unknown_names_are_refused() -> None:
    x = images()
    with pytest.raises(ValueError, match="'epsilon' is not one of eps, x_0, v, flow"):
        predict(FIVE, x, x, 1, "epsilon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'velocity' is not one of"):
        target_of(FIVE, x, 1, x, "velocity")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'epsilon' is not one of"):
        loss_weight(FIVE, "epsilon", "simple")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'snr' is not one of simple, min_snr, bound"):
        loss_weight(FIVE, "v", "snr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'small' is not one of posterior, beta"):
        p_step(FIVE, x, x, 1, "small")  # type: ignore[arg-type]


@dataclass
class Options:
    share: float = 0.5
    seed: int = 3
    name: str = "x"


@pytest.mark.parametrize("value", [2**62, -(2**62), 10**30])
def test_whole_numbers_that_fit_nowhere_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=r"seed must lie between -2\^62 and 2\^62"):
        check_numbers(Options(seed=value))
    check_numbers(Options(seed=2**62 - 1))
    check_numbers(Options(seed=1 - 2**62))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=f"share must be a finite number, not {value}"):
        check_numbers(Options(share=value))
    check_numbers(Options(share=1e300, name="inf"))


# --- Losses --------------------------------------------------------------------------------------


def exact_tables(schedule: NoiseSchedule) -> list[tuple[mp.mpf, mp.mpf, mp.mpf]]:
    """(beta_t, alpha_bar_t, alpha_bar_{t-1}) for t = 1..T in 50 digits."""
    rows, bar = [], mp.mpf(1)
    with mp.workdps(50):
        for beta in map(mp.mpf, schedule.beta.tolist()):
            rows.append((beta, bar * (1 - beta), bar))
            bar *= 1 - beta
    return rows


@pytest.mark.parametrize("schedule", [FIVE, linear(1000), cosine(1000)])
def test_bound_weight_of_eps_is_ddpm_equation_12(schedule: NoiseSchedule) -> None:
    """beta^2 / (2 sigma^2 alpha (1 - alpha_bar)), sigma^2 = beta_tilde; at t = 1 beta."""
    expected = []
    for beta, bar, prev in exact_tables(schedule):
        sigma_2 = beta * (1 - prev) / (1 - bar) if prev < 1 else beta
        expected.append(float(beta**2 / (2 * sigma_2 * (1 - beta) * (1 - bar))))
    weight = loss_weight(schedule, "eps", "bound")
    torch.testing.assert_close(
        weight, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("target", TARGETS)
def test_bound_weight_times_squared_error_is_the_kl(target: Target) -> None:
    """An error made in the target's language, carried to the means of the two posteriors."""
    x_0, eps, error = images(1), noise(1), 0.1 * noise(1, 5)
    for t in range(2, 6):
        beta, bar, prev = BETAS[t - 1], alpha_bar(t), alpha_bar(t - 1)
        x_t = q_sample(FIVE, x_0, t, eps)
        output = target_of(FIVE, x_0, t, eps, target) + error
        x_0_hat = predict(FIVE, output, x_t, t, target).x_0
        gap = math.sqrt(prev) * beta / (1 - bar) * (x_0_hat - x_0)
        kl = gap**2 / (2 * beta * (1 - prev) / (1 - bar))
        close(loss_weight(FIVE, target, "bound")[t - 1] * error**2, kl, rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan, math.inf])
def test_gamma_that_caps_nothing_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma must be"):
        loss_weight(linear(50), "v", "min_snr", gamma)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_min_snr_weight_is_that_of_its_paper(target: Target, gamma: float) -> None:
    for schedule in (FIVE, linear(1000)):
        expected = []
        for _, bar, _ in exact_tables(schedule):
            snr = bar / (1 - bar)
            direction = 1 + 2 * mp.sqrt(snr) + snr
            share = {"x_0": mp.mpf(1), "eps": snr, "v": snr + 1, "flow": direction}[target]
            expected.append(float(min(snr, gamma) / share))
        weight = loss_weight(schedule, target, "min_snr", gamma)
        close(weight, torch.tensor(expected, dtype=torch.float64))


def test_min_snr_caps_at_5_unless_told() -> None:
    """The paper's choice."""
    assert loss_weight(linear(1000), "x_0", "min_snr").max() == 5


def test_simple_weight_is_one() -> None:
    for target in TARGETS:
        assert loss_weight(FIVE, target, "simple").tolist() == [1.0] * 5


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("weighting", ["simple", "min_snr", "bound"])
def test_training_loss_is_the_weighted_mean_square(target: Target, weighting: Weighting) -> None:
    x_0, eps, t = images(4), noise(4), torch.tensor([1, 5, 2, 5])
    seen = []

    def model(x_t: Tensor, times: Tensor) -> Tensor:
        seen.append((x_t, times))
        return 0.3 * x_t + times[:, None, None, None]

    loss = training_loss(FIVE, model, x_0, t, eps, target, weighting)
    assert loss.shape == (4,)
    assert torch.equal(seen[0][1], t)
    for i, time in enumerate(t.tolist()):
        signal, spread = math.sqrt(alpha_bar(time)), math.sqrt(1 - alpha_bar(time))
        x_t = signal * x_0[i] + spread * eps[i]
        close(seen[0][0][i], x_t)
        wanted = {
            "x_0": x_0[i], "eps": eps[i], "v": signal * eps[i] - spread * x_0[i],
            "flow": eps[i] - x_0[i],
        }[target]  # fmt: skip
        error = ((0.3 * x_t + time - wanted) ** 2).sum() / 12
        close(loss[i], error * loss_weight(FIVE, target, weighting)[time - 1])


def test_training_loss_keeps_dtype_and_lets_gradients_through() -> None:
    scale = torch.tensor(0.5, requires_grad=True)
    x_0, eps = images().float(), noise().float()
    t = torch.tensor([1, 2, 3])
    loss = training_loss(FIVE, lambda x, _: (scale * x).bfloat16(), x_0, t, eps)
    assert loss.dtype == torch.float32
    loss.mean().backward()
    assert scale.grad is not None
    assert scale.grad.item() != 0


# --- KL and the discretised decoder --------------------------------------------------------------

means = st.floats(-2, 2)
deviations = st.floats(0.2, 3)


@given(means, deviations, means, deviations)
@settings(max_examples=50, deadline=None)
def test_kl_is_the_integral(m: float, s: float, other_m: float, other_s: float) -> None:
    x = np.linspace(m - 12 * s, m + 12 * s, 4001)  # the trapezoidal rule is exact for bell curves
    log_q = -(((x - m) / s) ** 2) / 2 - math.log(s)
    log_p = -(((x - other_m) / other_s) ** 2) / 2 - math.log(other_s)
    q = np.exp(log_q) / math.sqrt(2 * math.pi)
    integral = (q * (log_q - log_p)).sum() * (x[1] - x[0])
    one = torch.ones(1, dtype=torch.float64)
    kl = gaussian_kl(Gaussian(m * one, s**2 * one), Gaussian(other_m * one, other_s**2 * one))
    assert kl.item() == pytest.approx(integral, rel=1e-10, abs=1e-11)


def test_kl_of_a_law_from_itself_is_zero() -> None:
    law = Gaussian(noise(), torch.rand(3, 2, 3, 2, dtype=torch.float64) + 0.1)
    assert gaussian_kl(law, law).abs().max() == 0


LEVELS = to_float(torch.arange(256, dtype=torch.uint8)).double().reshape(-1, 1, 1, 1)


def decoder(mean: float, deviation: float, x_0: Tensor = LEVELS) -> Tensor:
    law = Gaussian(torch.full_like(x_0, mean), torch.full_like(x_0, deviation**2))
    return discretised_log_likelihood(x_0, law).flatten()


LAWS = [(0.0, 0.1), (0.3, 0.01), (-0.98, 0.05), (0.999, 0.2), (0.0, 3.0), (1.4, 0.3), (-2.0, 1.0)]


def exact_log_mass(lower: mp.mpf, upper: mp.mpf) -> float:
    """log(Phi(upper) - Phi(lower)) in 40 digits, from the tail in which both are small."""
    with mp.workdps(40):
        root = mp.sqrt(2)
        if lower > 0:
            lower, upper = -upper, -lower
        return float(mp.log((mp.erfc(-upper / root) - mp.erfc(-lower / root)) / 2))


@pytest.mark.parametrize(("mean", "deviation"), LAWS)
def test_decoder_is_the_difference_of_normal_cdfs(mean: float, deviation: float) -> None:
    expected = []
    with mp.workdps(40):
        for k in range(256):
            lower = mp.mpf(2 * k - 1) / 255 - 1 if k > 0 else -mp.inf
            upper = mp.mpf(2 * k + 1) / 255 - 1 if k < 255 else mp.inf
            expected.append(exact_log_mass((lower - mean) / deviation, (upper - mean) / deviation))
    levels = (2 * torch.arange(256, dtype=torch.float64) / 255 - 1).reshape(-1, 1, 1, 1)
    actual = decoder(mean, deviation, levels)
    # where the deviation is 3 only 1e-3 of Phi is left of the difference: three digits go
    torch.testing.assert_close(
        actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("mean", "deviation"), LAWS)
def test_the_256_levels_sum_to_one(mean: float, deviation: float) -> None:
    # the levels are float32: neighbouring ones overlap or gape by 1e-8 at most
    assert decoder(mean, deviation).exp().sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("mean", "deviation"), LAWS)
def test_decoder_agrees_with_scipy_where_scipy_has_digits(mean: float, deviation: float) -> None:
    edges = np.concatenate([[-np.inf], (2 * np.arange(1, 256) - 1) / 255 - 1, [np.inf]])
    mass = np.diff(scipy.stats.norm(mean, deviation).cdf(edges))
    mass = np.maximum(mass, -np.diff(scipy.stats.norm(mean, deviation).sf(edges)))
    many = mass > 1e-6
    actual = decoder(mean, deviation).numpy()[many]
    np.testing.assert_allclose(actual, np.log(mass[many]), rtol=1e-5, atol=1e-5)


def test_decoder_in_float32_keeps_its_digits() -> None:
    wide = decoder(0.2, 0.02)
    assert wide.min() < -1000
    narrow = decoder(0.2, 0.02, LEVELS.float())
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-4, atol=1e-4)


@given(st.floats(-40, 40), st.floats(1e-3, 40))
@settings(max_examples=100, deadline=None)
def test_normal_mass_is_even_and_exact(lower: float, width: float) -> None:
    low, high = torch.tensor([lower, lower + width], dtype=torch.float64)
    mass = log_normal_mass(low, high)
    torch.testing.assert_close(mass, log_normal_mass(-high, -low), rtol=1e-12, atol=1e-12)
    exact = exact_log_mass(mp.mpf(low.item()), mp.mpf(high.item()))
    # logarithms near -800 have 1e-13 of rounding, divided by the share 1e-3 that is left of them
    assert mass.item() == pytest.approx(exact, rel=1e-11, abs=1e-10)


def test_normal_mass_reaches_to_infinity() -> None:
    inf, one = torch.tensor(math.inf, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    tail = math.log(math.erfc(1 / math.sqrt(2)) / 2)
    assert log_normal_mass(one, inf).item() == pytest.approx(tail, rel=1e-13)
    assert log_normal_mass(-inf, -one).item() == pytest.approx(tail, rel=1e-13)
    assert log_normal_mass(-inf, inf).item() == 0


# --- The bound -----------------------------------------------------------------------------------


def beta_tilde(t: int) -> float:
    return BETAS[t - 1] * (1 - alpha_bar(t - 1)) / (1 - alpha_bar(t))


@pytest.mark.parametrize("variance", VARIANCES)
def test_p_step_is_the_posterior_of_the_predicted_image(variance: Variance) -> None:
    x_0, x_t = images(), noise()
    for t in range(1, 6):
        p = p_step(FIVE, x_0, x_t, t, variance)
        close(p.mean, q_posterior(FIVE, x_0, x_t, t).mean)
        close(p.variance, BETAS[t - 1] if variance == "beta" else beta_tilde(max(t, 2)))


def test_p_step_with_one_step_has_variance_beta() -> None:
    one = NoiseSchedule(torch.tensor([0.995], dtype=torch.float64))
    for variance in VARIANCES:
        close(p_step(one, images(), noise(), 1, variance).variance, 0.995)


def test_p_step_with_two_steps_has_the_second_variance_in_the_first() -> None:
    two = NoiseSchedule(torch.tensor([0.5, 0.99], dtype=torch.float64))
    tilde = 0.99 * 0.5 / (1 - 0.5 * 0.01)  # beta_2 (1 - alpha_bar_1) / (1 - alpha_bar_2)
    for t in (1, 2):
        close(p_step(two, images(), noise(), t, "posterior").variance, tilde)


@pytest.mark.parametrize("schedule", [FIVE, linear(1000)])
def test_prior_term_is_the_kl_to_the_standard_normal(schedule: NoiseSchedule) -> None:
    x_0 = images()
    _, bar, _ = exact_tables(schedule)[-1]
    for i, term in enumerate(prior_term(schedule, x_0).tolist()):
        kl = sum(
            (bar * mp.mpf(x) ** 2 + (1 - bar) - 1 - mp.log(1 - bar)) / 2
            for x in x_0[i].flatten().tolist()
        )
        # 1 - alpha_bar_T rounds at 1e-16, and the term is near 1e-5
        assert term == pytest.approx(float(kl), rel=1e-9)


def wild(x_t: Tensor, t: Tensor) -> Tensor:
    """A network whose predictions partly leave [-1, 1]."""
    return torch.sin(3 * x_t) + t.double()[:, None, None, None] / 5


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("variance", VARIANCES)
def test_bound_terms_are_the_hand_written_ones(target: Target, variance: Variance) -> None:
    x_0 = to_float(torch.tensor([0, 255, 100, 7, 250, 128] * 10, dtype=torch.uint8))
    x_0 = x_0.double().reshape(5, 2, 3, 2)
    eps, t = noise(5), torch.tensor([3, 1, 5, 2, 4])
    terms = bound_term(FIVE, wild, x_0, t, eps, target, variance)
    assert terms.shape == (5,)
    clipped = 0
    for i, time in enumerate(t.tolist()):
        bar, prev, beta = alpha_bar(time), alpha_bar(time - 1), BETAS[time - 1]
        signal, spread = math.sqrt(bar), math.sqrt(1 - bar)
        x, x_t = x_0[i].numpy(), (signal * x_0[i] + spread * eps[i]).numpy()
        output = np.sin(3 * x_t) + time / 5
        raw = {
            "eps": (x_t - spread * output) / signal,
            "x_0": output,
            "v": signal * x_t - spread * output,
            "flow": (x_t - spread * output) / (signal + spread),
        }[target]
        guess = np.clip(raw, -1, 1)
        clipped += (guess != raw).sum()
        sigma_2 = beta if variance == "beta" else beta_tilde(max(time, 2))
        if time == 1:
            law = scipy.stats.norm(guess, math.sqrt(sigma_2))  # the mean at t = 1 is the guess
            upper = np.where(x > 0.999, 1, law.cdf(x + 1 / 255))
            lower = np.where(x < -0.999, 0, law.cdf(x - 1 / 255))
            expected = -np.log(upper - lower).sum()
        else:
            gap = math.sqrt(prev) * beta / (1 - bar) * (guess - x)
            ratio = beta_tilde(time) / sigma_2
            expected = ((ratio - 1 - math.log(ratio) + gap**2 / sigma_2) / 2).sum()
        assert terms[i].item() == pytest.approx(expected, rel=1e-9)
    assert clipped > 0


def unsure(x_t: Tensor, t: Tensor) -> Tensor:
    """`wild`, and beside it something of the variance: twice the channels."""
    return torch.cat([wild(x_t, t), 1.5 * torch.cos(2 * x_t)], dim=1)


def learned(time: int, said: np.ndarray) -> np.ndarray:
    """Between beta_tilde and beta: the geometric mean with weights."""
    w = (said + 1) / 2
    return np.asarray(BETAS[time - 1] ** w * beta_tilde(max(time, 2)) ** (1 - w))


def test_a_learned_variance_lies_where_the_network_says() -> None:
    x = noise(5)
    for said, wanted in ((-1.0, lambda t: beta_tilde(max(t, 2))), (1.0, lambda t: BETAS[t - 1])):
        t = torch.arange(1, 6)
        least = p_step(FIVE, x, x, t, "posterior").variance
        found = learned_variance(FIVE, torch.full_like(x, said), least, t)
        for time in range(1, 6):
            close(found[time - 1], torch.full_like(x[0], wanted(time)))


@pytest.mark.parametrize("target", TARGETS)
def test_the_bound_with_a_learned_variance(target: Target) -> None:
    """SciPy's laws and PyTorch's divergence, pixel by pixel."""
    x_0 = to_float(torch.tensor([0, 255, 100, 7, 250, 128] * 10, dtype=torch.uint8))
    x_0 = x_0.double().reshape(5, 2, 3, 2)
    eps, t = noise(5), torch.tensor([3, 1, 5, 2, 4])
    terms = bound_term(FIVE, unsure, x_0, t, eps, target, "learned")
    for i, time in enumerate(t.tolist()):
        x_t = q_sample(FIVE, x_0[i : i + 1], time, eps[i : i + 1])
        guess = predict(FIVE, wild(x_t, t[i : i + 1]), x_t, time, target).x_0.clamp(-1, 1)
        mean = p_step(FIVE, guess, x_t, time, "beta").mean
        sigma = np.sqrt(learned(time, 1.5 * np.cos(2 * x_t.numpy())))
        if time == 1:
            x, m = x_0[i : i + 1].numpy(), mean.numpy()
            upper = np.where(x > 0.999, np.inf, (x + 1 / 255 - m) / sigma)
            lower = np.where(x < -0.999, -np.inf, (x - 1 / 255 - m) / sigma)
            turned = lower > 0  # in the upper tail both shares are nearly 1: look at the lower one
            upper, lower = np.where(turned, -lower, upper), np.where(turned, -upper, lower)
            expected = -np.log(scipy.stats.norm.cdf(upper) - scipy.stats.norm.cdf(lower)).sum()
        else:
            q = q_posterior(FIVE, x_0[i : i + 1], x_t, time)
            expected = torch.distributions.kl_divergence(
                torch.distributions.Normal(q.mean, q.variance.sqrt()),
                torch.distributions.Normal(mean, torch.from_numpy(sigma)),
            ).sum()
        assert terms[i].item() == pytest.approx(float(expected), rel=1e-9)


def test_a_network_that_says_no_variance_has_no_learned_one() -> None:
    with pytest.raises(ValueError, match="'wide' is not one of posterior, beta, learned"):
        bound_term(FIVE, wild, images(2), torch.tensor([1, 2]), noise(2), "v", "wide")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing of the variance"):
        bound_term(FIVE, wild, images(2), torch.tensor([1, 2]), noise(2), "v", "learned")


@pytest.mark.parametrize("target", TARGETS)
def test_the_loss_of_a_learned_variance(target: Target) -> None:
    """The square alone teaches the target, the bound alone the variance."""
    x_0, eps, t = images(5), noise(5), torch.arange(1, 6)
    guess = noise(5, 8).requires_grad_()
    said = noise(5, 9).requires_grad_()
    loss = training_loss(FIVE, lambda x, t: torch.cat([guess, said], 1), x_0, t, eps, target)
    plain = training_loss(FIVE, lambda x, t: guess, x_0, t, eps, target)
    both = lambda x, t: torch.cat([guess, said], 1)  # noqa: E731
    bits = bits_per_dim(bound_term(FIVE, both, x_0, t, eps, target, "learned"), x_0)
    torch.testing.assert_close(loss, plain + 1e-3 * 5 * bits, rtol=1e-12, atol=0)
    found = torch.autograd.grad(loss.sum(), [guess, said], retain_graph=True)
    (of_guess,) = torch.autograd.grad(plain.sum(), guess, retain_graph=True)
    (of_said,) = torch.autograd.grad(bits.sum(), said)
    torch.testing.assert_close(found[0], of_guess, rtol=1e-12, atol=0)
    torch.testing.assert_close(found[1], 5e-3 * of_said, rtol=1e-9, atol=1e-15)


def test_drawing_takes_the_target_alone() -> None:
    x_t = noise(5)
    both = predict(FIVE, unsure(x_t, torch.full((5,), 3)), x_t, 3, "v")
    plain = predict(FIVE, wild(x_t, torch.full((5,), 3)), x_t, 3, "v")
    assert torch.equal(both.x_0, plain.x_0)
    assert torch.equal(both.eps, plain.eps)


def test_the_bound_can_be_trained_on_at_every_time() -> None:
    """At t = 1 the divergence of the steps is infinite, and must not reach the gradient."""
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([1, 2, 1])

    def bound(by: Tensor) -> Tensor:
        return bound_term(FIVE, lambda x, _: by * x, images(), t, noise(), "x_0").sum()

    bound(scale).backward()
    h = 1e-6
    slope = (bound(scale.detach() + h) - bound(scale.detach() - h)) / (2 * h)
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(slope.item(), rel=1e-6)


def test_a_perfect_network_pays_only_for_decoder_and_prior() -> None:
    x_0 = to_float(torch.arange(36, dtype=torch.uint8) * 7).double().reshape(3, 2, 3, 2)
    terms = elbo(FIVE, lambda x_t, t: x_0, x_0, "x_0")
    assert terms.shape == (6, 3)
    assert terms[1:5].abs().max() < 1e-15
    nats = terms[-1] * math.log(2) * 12
    torch.testing.assert_close(nats, prior_term(FIVE, x_0), rtol=1e-12, atol=0)
    assert bool((terms[0] > 0).all())


def test_elbo_lists_every_term_in_order_in_bits() -> None:
    x_0 = images(2)
    terms = elbo(FIVE, wild, x_0, "v", "beta", torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    for t in range(1, 6):
        eps = torch.randn(x_0.shape, generator=generator, dtype=torch.float64)
        nats = bound_term(FIVE, wild, x_0, torch.tensor([t, t]), eps, "v", "beta")
        close(terms[t - 1], nats / math.log(2) / 12)
    close(terms[5], prior_term(FIVE, x_0) / math.log(2) / 12)


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_bound(other: torch.dtype | str) -> None:
    x_0 = images(2).float()

    def terms() -> Tensor:
        return elbo(FIVE, lambda x, t: 0.5 * x, x_0, generator=torch.Generator().manual_seed(4))

    expected = terms()
    with default(other):
        assert torch.equal(terms(), expected)


def test_what_is_predicted_and_how_sure_it_is_unless_told() -> None:
    """As the signatures in the API say: the noise, and beta_tilde."""
    x_0, eps, t = images(5), noise(5), torch.arange(1, 6)
    wanted = bound_term(FIVE, wild, x_0, t, eps, "eps", "posterior")
    assert torch.equal(bound_term(FIVE, wild, x_0, t, eps), wanted)
    wanted = training_loss(FIVE, wild, x_0, t, eps, "eps", "simple")
    assert torch.equal(training_loss(FIVE, wild, x_0, t, eps), wanted)
    bounds = [
        elbo(FIVE, wild, x_0, *told, generator=torch.Generator().manual_seed(2))
        for told in ((), ("eps", "posterior"))
    ]
    assert torch.equal(*bounds)


def test_bits_per_dim_counts_every_number_of_an_image() -> None:
    nats = torch.tensor([24 * math.log(2), 0.0])
    assert bits_per_dim(nats, torch.zeros(2, 3, 4, 2)).tolist() == pytest.approx([1.0, 0.0])
    assert bits_per_dim(nats[:1], torch.zeros(1, 3, 4, 2)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_bound_bounds_the_likelihood_of_one_pixel(variance: Variance) -> None:
    """The model's true likelihood by integrating out x_1..x_T; the bound by Gauss and Hermite."""
    schedule = NoiseSchedule(torch.tensor([0.05, 0.4, 0.99], dtype=torch.float64))

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return 0.9 * torch.tanh(x_t / t[:, None, None, None])

    grid = torch.linspace(-8, 8, 3201, dtype=torch.float64).reshape(-1, 1, 1, 1)
    step = 16 / 3200
    density = torch.exp(-(grid.flatten() ** 2) / 2) / math.sqrt(2 * math.pi)
    for t in (3, 2):
        p = p_step(schedule, model(grid, torch.full((3201,), t)), grid, t, variance)
        kernel = torch.exp(
            -((grid.reshape(1, -1) - p.mean.reshape(-1, 1)) ** 2) / (2 * p.variance[0])
        )
        kernel = kernel.reshape(3201, 3201) / (2 * math.pi * p.variance.item()) ** 0.5
        density = density @ kernel * step
    last = p_step(schedule, model(grid, torch.full((3201,), 1)), grid, 1, variance)
    levels = LEVELS.reshape(1, 256)
    law = Gaussian(last.mean.reshape(-1, 1), last.variance.reshape(1, 1))
    likelihood = density @ discretised_log_likelihood(levels, law).exp() * step
    assert likelihood.sum().item() == pytest.approx(1, abs=1e-5)

    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    eps = torch.tensor(nodes).reshape(-1, 1, 1, 1)
    share = torch.tensor(weights / weights.sum())
    gaps = []
    for level in range(0, 256, 15):
        x_0 = LEVELS[level].expand(60, 1, 1, 1)
        bound = prior_term(schedule, x_0[:1]).item()
        for t in (1, 2, 3):
            times = torch.full((60,), t)
            bound += share @ bound_term(schedule, model, x_0, times, eps, "x_0", variance)
        gaps.append(float(bound + likelihood[level].log()))
    assert min(gaps) > 0


def test_nothing_changes_the_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        x, eps, t = images().to(dtype), noise().to(dtype), torch.tensor([1, 2, 5])
        model: Model = lambda x_t, _: x_t  # noqa: E731
        for tensor in (
            *q_step(FIVE, x, t),
            *q_marginal(FIVE, x, t),
            *q_posterior(FIVE, x, eps, t),
            *predict(FIVE, x, eps, t, "v"),
            *p_step(FIVE, x, eps, t, "posterior"),
            training_loss(FIVE, model, x, t, eps),
            elbo(FIVE, model, x),
        ):
            assert tensor.dtype == dtype


def test_everything_is_computed_where_the_images_are() -> None:
    """`meta` is a device like others, but for numbers: it has none. Times may stay on the CPU."""
    x, eps, t = images().to("meta"), noise().to("meta"), torch.tensor([1, 2, 5])
    seen = []

    def model(x_t: Tensor, times: Tensor) -> Tensor:
        seen.append(times.device)
        return x_t

    for tensor in (
        training_loss(FIVE, model, x, t, eps),
        bound_term(FIVE, model, x, t, eps),
        elbo(FIVE, model, x),
    ):
        assert tensor.device == x.device
    assert set(seen) == {x.device}
