"""The formulas that `ddpm_lite.schedule` runs."""

from functools import partial

import sympy as sp
from book_formulas_given import first, from_2
from book_formulas_reading import factor, side, solved
from book_formulas_row import Row

from ddpm_lite import schedule
from ddpm_lite.schedule import NoiseSchedule


def _from_own_alpha_bar(made: NoiseSchedule) -> NoiseSchedule:
    values = [1.0, *made.alpha_bar.tolist()]
    return schedule.from_alpha_bar(lambda u: values[round(u * made.T)], made.T)


SCHEDULE = [
    Row(
        "schedule.NoiseSchedule.alpha", "return 1 - self.beta", "eq-alpha",
        side, lambda s: s.alpha,
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar", "return self.alpha.cumprod(0)", "eq-alpha",
        partial(side, claim=1), lambda s: s.alpha_bar,
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar_prev", "self.alpha_bar[:-1]", "eq-fwd-falls",
        partial(solved, r"\bar\alpha_{t-1}"), lambda s: s.alpha_bar_prev,
        says=r"solved for $\bar\alpha_{t-1}$",
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar_prev", "torch.ones(1", "eq-alpha",
        partial(side, claim=2), lambda s: s.alpha_bar_prev[:1], says="its beginning", times=first,
    ),
    Row(
        "schedule.NoiseSchedule.one_minus_alpha_bar", "-torch.expm1(", "eq-telescope",
        side, lambda s: s.one_minus_alpha_bar, says="the last member",
    ),
    Row(
        "schedule.NoiseSchedule.one_minus_alpha_bar",
        "torch.log1p(-self.beta).cumsum(0)", "eq-log-alpha-bar",
        lambda found: 1 - sp.exp(side(found, member=2)), lambda s: s.one_minus_alpha_bar,
        says="from the sum of the logarithms",
    ),
    Row(
        "schedule.NoiseSchedule.posterior_variance",
        "return self.beta * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-posterior-variance", side, lambda s: s.posterior_variance[1:], times=from_2,
    ),
    Row(
        "schedule.NoiseSchedule.posterior_variance",
        "return self.beta * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-post-first-step", side, lambda s: s.posterior_variance[:1],
        says="at the first step", times=first,
    ),
    Row(
        "schedule.NoiseSchedule.posterior_mean_x_0",
        "return self.alpha_bar_prev.sqrt() * self.beta / self.one_minus_alpha_bar",
        "eq-posterior-mean", partial(factor, "x_0"), lambda s: s.posterior_mean_x_0,
        says=r"the factor of $x_0$",
    ),
    Row(
        "schedule.NoiseSchedule.posterior_mean_x_t",
        "return self.alpha.sqrt() * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-posterior-mean", partial(factor, "x_t"), lambda s: s.posterior_mean_x_t,
        says=r"the factor of $x_t$",
    ),
    Row(
        "schedule.NoiseSchedule.snr", "return self.alpha_bar / self.one_minus_alpha_bar", "eq-snr",
        side, lambda s: s.snr,
    ),
    Row(
        "schedule.linear", "return NoiseSchedule(_even(scale * first, scale * last, T))",
        "eq-scaled-linear", side, lambda s: schedule.linear(s.T).beta,
    ),
    Row(
        "schedule.from_alpha_bar", "1 - after / before", "eq-fwd-falls",
        partial(solved, r"\beta_t", claim=1), lambda s: _from_own_alpha_bar(s).beta,
        says=r"solved for $\beta_t$",
    ),
    Row(
        "schedule.cosine", "return math.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2",
        "eq-beyond-cosine", side, lambda s: schedule.cosine(s.T, offset=0.0).alpha_bar[:-1],
        says=r"for offset 0 and $t<T$, as the code keeps $\beta_T$ below 1",
        times=lambda T: range(1, T),
    ),
    Row(
        "schedule.shifted", "return NoiseSchedule(square * schedule.beta / whole)",
        "eq-colour-beta", side, lambda s: schedule.shifted(s, 3.0).beta,
        says="for $n = 9$, three times the side", given=lambda s: {"n": 9},
    ),
]  # fmt: skip
