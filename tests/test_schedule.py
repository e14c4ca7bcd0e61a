"""The noise schedule, against 50-digit arithmetic and other forms of the same formulas."""

import math
from collections.abc import Callable

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import default
from torch import Tensor

from ddpm_lite.schedule import (
    MAX_STEPS,
    SCHEDULES,
    NoiseSchedule,
    check_steps,
    cosine,
    from_alpha_bar,
    linear,
    shifted,
)

mp.mp.dps = 50

CASES = [(name, T) for name in SCHEDULES for T in (1000, 100)] + [("cosine", 1), ("sigmoid", 2)]


def table(values: list[mp.mpf]) -> Tensor:
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def close(actual: Tensor, expected: list[mp.mpf], rtol: float = 1e-12) -> None:
    torch.testing.assert_close(actual, table(expected), rtol=rtol, atol=0)


def exact_beta(name: str, T: int) -> list[mp.mpf]:
    """beta_1..beta_T from the papers' formulas."""
    first, last, times = mp.mpf("1e-4"), mp.mpf("0.02"), range(1, T + 1)
    share = [mp.mpf(t - 1) / max(T - 1, 1) for t in times]
    if name == "linear":
        return [(first + s * (last - first)) * 1000 / T for s in share]
    if name == "quadratic":
        roots = [mp.sqrt(first) + s * (mp.sqrt(last) - mp.sqrt(first)) for s in share]
        return [root**2 * 1000 / T for root in roots]
    alpha_bar: Callable[[mp.mpf], mp.mpf]
    if name.startswith("cosine"):
        offset = mp.mpf("0.008" if name == "cosine" else "0.002")

        def alpha_bar(u: mp.mpf) -> mp.mpf:
            return mp.cos((u + offset) / (1 + offset) * mp.pi / 2) ** 2
    else:  # the logistic curve is half a hyperbolic tangent; it is rescaled to run from 1 to 0

        def alpha_bar(u: mp.mpf) -> mp.mpf:
            return (mp.tanh(1.5) - mp.tanh((6 * u - 3) / 2)) / (2 * mp.tanh(1.5))

    ratio = [alpha_bar(mp.mpf(t) / T) / alpha_bar(mp.mpf(t - 1) / T) for t in times]
    return [min(1 - r, mp.mpf("0.999")) for r in ratio]


@pytest.mark.parametrize(("name", "T"), CASES)
def test_betas_are_those_of_the_papers(name: str, T: int) -> None:
    schedule = SCHEDULES[name](T)
    assert schedule.T == T
    close(schedule.beta, exact_beta(name, T), rtol=1e-10)  # 1 - 0.99996 keeps 11 digits


def products(beta: Tensor) -> tuple[list[mp.mpf], list[mp.mpf], list[mp.mpf]]:
    """beta_t, alpha_bar_t and alpha_bar_{t-1}, exactly, of these float64 betas."""
    betas = [mp.mpf(b) for b in beta.tolist()]
    alpha_bar = [mp.mpf(1)]
    for b in betas:
        alpha_bar.append(alpha_bar[-1] * (1 - b))
    return betas, alpha_bar[1:], alpha_bar[:-1]


def assert_tables_are_exact(schedule: NoiseSchedule) -> None:
    beta, bar, prev = products(schedule.beta)
    close(schedule.alpha, [1 - b for b in beta])
    close(schedule.alpha_bar, bar)
    close(schedule.alpha_bar_prev, prev)
    close(schedule.one_minus_alpha_bar, [1 - a for a in bar])
    close(schedule.snr, [a / (1 - a) for a in bar])
    # Bayes: precisions add, and so do means weighted by them. At t = 1 x_{t-1} is x_0 itself.
    likelihood = [(1 - b) / b for b in beta]
    variance = [mp.mpf(0)]
    of_x_0, of_x_t = [mp.mpf(1)], [mp.mpf(0)]
    for b, a, precision in zip(beta[1:], prev[1:], likelihood[1:], strict=True):
        variance.append(1 / (precision + 1 / (1 - a)))
        of_x_0.append(variance[-1] * mp.sqrt(a) / (1 - a))
        of_x_t.append(variance[-1] * mp.sqrt(1 - b) / b)
    close(schedule.posterior_variance, variance)
    close(schedule.posterior_mean_x_0, of_x_0)
    close(schedule.posterior_mean_x_t, of_x_t)


@pytest.mark.parametrize(("name", "T"), CASES)
def test_every_table_is_exact_for_every_t(name: str, T: int) -> None:
    assert_tables_are_exact(SCHEDULES[name](T))


@pytest.mark.parametrize("factor", [2.0, 3.0, 0.5])
@pytest.mark.parametrize(("name", "T"), CASES)
def test_a_shift_divides_the_signal_to_noise_ratio(name: str, T: int, factor: float) -> None:
    schedule = SCHEDULES[name](T)
    _, bar, _ = products(schedule.beta)
    if factor < 1 and bar[-1] / (factor**2) > 0.01:  # half the side keeps more signal
        with pytest.raises(ValueError, match="alpha_bar_T"):
            shifted(schedule, factor)
        return
    moved = shifted(schedule, factor)
    assert_tables_are_exact(moved)
    # chapter 11's exercise: y / (1 - y) = bar / (1 - bar) / factor^2, solved for y
    square = mp.mpf(factor) ** 2
    close(moved.alpha_bar, [a / (square - (square - 1) * a) for a in bar], rtol=1e-11)


def test_a_shifted_large_image_averaged_is_the_small_one() -> None:
    """Squares of 2x2 points, averaged, have the small image's ratio of signal to noise."""
    t, n = 300, 200_000
    small, large = linear(), shifted(linear(), 2.0)
    noise = torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = large.alpha_bar[t - 1].sqrt()  # of a pixel that is 1 in all four places
    mean = (kept + large.one_minus_alpha_bar[t - 1].sqrt() * noise).mean(1)
    assert float(mean.mean() / mean.std()) == pytest.approx(
        float(small.snr[t - 1].sqrt()), rel=4 * 2 / math.sqrt(n)
    )


def test_no_shift_changes_no_bit_and_wrong_ones_are_refused() -> None:
    assert torch.equal(shifted(cosine(), 1.0).beta, cosine().beta)
    for factor in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            shifted(cosine(), factor)


@pytest.mark.parametrize("factor", [1e100, 1e160, 10**400])
def test_a_shift_that_overflows_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="below 1e100"):
        shifted(cosine(), factor)


betas = st.lists(st.floats(1e-9, 0.99), max_size=30).map(lambda values: [*values, 0.995])


@given(betas)
@settings(max_examples=50, deadline=None)
def test_every_table_is_exact_for_any_betas(values: list[float]) -> None:
    assert_tables_are_exact(NoiseSchedule(torch.tensor(values, dtype=torch.float64)))


@given(betas)
@settings(max_examples=50, deadline=None)
def test_a_posterior_step_keeps_the_marginal(values: list[float]) -> None:
    """x_{t-1} drawn from q(x_{t-1} | x_t, x_0) with x_t ~ q(x_t | x_0) has q(x_{t-1} | x_0)."""
    s = NoiseSchedule(torch.tensor(values, dtype=torch.float64))
    mean = s.posterior_mean_x_0 + s.posterior_mean_x_t * s.alpha_bar.sqrt()
    torch.testing.assert_close(mean, s.alpha_bar_prev.sqrt(), rtol=1e-12, atol=0)
    variance = s.posterior_variance + s.posterior_mean_x_t**2 * s.one_minus_alpha_bar
    expected = torch.cat([torch.zeros(1, dtype=torch.float64), s.one_minus_alpha_bar[:-1]])
    torch.testing.assert_close(variance, expected, rtol=1e-12, atol=0)
    assert bool((s.posterior_variance <= s.beta).all())


def test_tiny_betas_keep_their_digits() -> None:
    """1 - alpha_bar taken as it stands would be wrong in the fourth digit here."""
    schedule = NoiseSchedule(torch.tensor([1e-12] * 50 + [0.999], dtype=torch.float64))
    _, bar, _ = products(schedule.beta)
    close(schedule.one_minus_alpha_bar, [1 - a for a in bar], rtol=1e-14)


@pytest.mark.parametrize("T", [1, 2, 3, 20])
def test_linear_refuses_too_few_steps(T: int) -> None:
    with pytest.raises(ValueError, match=r"take .*more steps T"):
        linear(T)


@pytest.mark.parametrize("T", range(21, 60))
def test_linear_ends_in_noise_with_few_steps(T: int) -> None:
    assert linear(T).alpha_bar[-1] < 1e-2


@pytest.mark.parametrize("name", ["cosine", "sigmoid"])
@pytest.mark.parametrize("T", [1, 2, 5, 4000])
def test_others_end_in_noise_with_any_number_of_steps(name: str, T: int) -> None:
    assert SCHEDULES[name](T).alpha_bar[-1] < 1e-2


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("T", [0, -3, MAX_STEPS + 1, 10**11, 10**30])
def test_numbers_of_steps_beyond_all_use_are_refused(name: str, T: int) -> None:
    with pytest.raises(ValueError, match=rf"T must lie in 1\.\.100000, not {T}$"):
        SCHEDULES[name](T)


def test_the_first_and_the_last_number_of_steps_are_taken() -> None:
    check_steps(1)
    check_steps(MAX_STEPS)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_thousand_steps_are_taken_unless_told(name: str) -> None:
    """As all four papers do."""
    assert torch.equal(SCHEDULES[name]().beta, SCHEDULES[name](1000).beta)  # type: ignore[call-arg]


def test_single_precision_resolves_the_steps_of_every_schedule() -> None:
    """With twice as many it would not: that is where the bound comes from."""
    for make in SCHEDULES.values():
        factors = make(MAX_STEPS).alpha.sqrt().float()
        assert bool((factors < 1).all())
    twice = 1 - SCHEDULES["cosine_fine"](MAX_STEPS).beta / 2
    assert bool(twice.sqrt().float().max() == 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.1, 1.0], r"from 0\.1 to 1: lower the largest, or take more steps"),
        ([0.5, 1.5], "lower the largest"),
        ([0.0, 0.999], "adds no noise"),
        ([-0.1, 0.999], "adds no noise"),
        ([math.nan, 0.999], "strictly between 0 and 1"),
        ([0.01] * 10, r"alpha_bar_T is 0\.904, above 0\.01: .* take larger betas .* or more steps"),
        ([], "at least one number"),
        ([[0.999]], "at least one number"),
    ],
)
def test_unusable_betas_are_refused(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoiseSchedule(torch.tensor(values))


def test_the_limit_on_what_is_left_at_T_is_one_hundredth() -> None:
    NoiseSchedule(torch.tensor([0.9, 0.9000001], dtype=torch.float64))
    with pytest.raises(ValueError, match="still show the image"):
        NoiseSchedule(torch.tensor([0.9, 0.8999999], dtype=torch.float64))


def test_a_schedule_is_float64_and_its_own() -> None:
    given_beta = torch.tensor([0.5, 0.99])
    schedule = NoiseSchedule(given_beta)
    assert schedule.beta.dtype == schedule.alpha_bar.dtype == torch.float64
    double = torch.tensor([0.5, 0.99], dtype=torch.float64)
    kept = NoiseSchedule(double)
    double.fill_(0.25)
    assert kept.beta.tolist() == [0.5, 0.99]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_table(name: str, other: torch.dtype | str) -> None:
    like = torch.zeros(1, 1, dtype=torch.float64)

    def made() -> list[Tensor]:
        s = SCHEDULES[name](100)
        assert s.at(s.beta, 7, like).tolist() == [[float(s.beta[6])]]
        return [s.beta, s.alpha_bar_prev, s.posterior_variance, s.posterior_mean_x_t]

    expected = made()
    with default(other):
        for table, known in zip(made(), expected, strict=True):
            assert torch.equal(table, known)


def test_a_schedule_equals_itself_alone_and_may_be_a_key() -> None:
    one, other = cosine(5), cosine(5)
    assert one == one
    assert one != other
    assert {one: 1, other: 2}[one] == 1
    with pytest.raises(AttributeError):
        one.beta = other.beta  # type: ignore[misc]


def test_max_beta_is_a_ceiling() -> None:
    schedule = from_alpha_bar(lambda u: 1 - u, 4, max_beta=0.995)
    close(schedule.beta, [mp.mpf(1) / 4, mp.mpf(1) / 3, mp.mpf(1) / 2, mp.mpf("0.995")])


# --- Looking up a time ---------------------------------------------------------------------------


def test_time_t_lies_at_index_t_minus_1() -> None:
    schedule = cosine(7)
    like = torch.zeros(7, 3, 2, 2, dtype=torch.float64)
    values = schedule.at(schedule.beta, torch.arange(1, 8), like)
    assert values.shape == (7, 1, 1, 1)
    assert values.flatten().tolist() == schedule.beta.tolist()
    for t in range(1, 8):
        one = schedule.at(schedule.beta, t, like)
        assert one.shape == (1, 1, 1, 1)
        assert one.item() == schedule.beta[t - 1].item()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_any_kind_of_integer_is_a_time(kind: torch.dtype) -> None:
    schedule = cosine(5)
    values = schedule.at(schedule.beta, torch.tensor([5, 1, 2], dtype=kind), torch.zeros(3, 1))
    assert values.flatten().tolist() == schedule.beta[[4, 0, 1]].float().tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_come_in_the_images_dtype(dtype: torch.dtype) -> None:
    schedule = cosine(5)
    assert schedule.at(schedule.beta, 3, torch.zeros(2, 1, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("t", [0, -1, 11, torch.tensor([1, 11]), torch.tensor([0, 5])])
def test_times_outside_are_refused(t: Tensor | int) -> None:
    schedule = cosine(10)
    with pytest.raises(IndexError, match=r"t must lie in 1\.\.10"):
        schedule.at(schedule.beta, t, torch.zeros(2, 1))


@pytest.mark.parametrize(
    "t", [1.0, True, torch.tensor([1.0, 2.0]), torch.tensor([True, False]), torch.tensor(1j)]
)
def test_times_that_are_no_integers_are_refused(t: Tensor | int) -> None:
    schedule = cosine(10)
    with pytest.raises(TypeError, match="t must be an integer"):
        schedule.at(schedule.beta, t, torch.zeros(2, 1))
