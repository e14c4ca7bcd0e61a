"""The formulas that `ddpm_lite.diffusion` runs."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import sympy as sp
import torch
from book_formulas_bound import FEW, PICTURES, few, summed, terms_by
from book_formulas_given import (
    EPS,
    EPS_HAT,
    FLOW,
    X_0,
    X_0_HAT,
    X_PREV,
    X_T,
    V,
    constant,
    filled,
    first,
    flat,
    from_2,
    last,
    pixel,
    steps,
)
from book_formulas_numbers import Values, as_column, tables, with_function
from book_formulas_reading import factor, mean, put_in, side, solved, variance
from book_formulas_row import Row
from torch import Tensor

from ddpm_lite import diffusion
from ddpm_lite.diffusion import Gaussian
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.objects import Norm
from ddpm_lite.symbolic.reader import read


def _weight(of: str, weighting: diffusion.Weighting, first: int = 2) -> Callable[..., Tensor]:
    target: Any = of
    return lambda s: diffusion.loss_weight(s, target, weighting)[first - 1 :]


def _law(law: Gaussian, part: str) -> Tensor:
    return flat(getattr(law, part))


def _q_step(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_step(s, filled(s, X_PREV), steps(s)), part)


def _q_marginal(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_marginal(s, filled(s, X_0), steps(s)), part)


def _q_posterior(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_posterior(s, filled(s, X_0), filled(s, X_T), steps(s)), part)


def _posterior_by_eps(s: NoiseSchedule) -> Tensor:
    x_t, t = filled(s, X_T), steps(s)
    x_0 = diffusion.x_0_from_eps(s, x_t, t, filled(s, EPS))
    return flat(diffusion.q_posterior(s, x_0, x_t, t).mean)


def _predict(target: diffusion.Target, output: float, part: str, s: NoiseSchedule) -> Tensor:
    told = diffusion.predict(s, filled(s, output), filled(s, X_T), steps(s), target)
    return flat(getattr(told, part))


def _slope(x: Tensor, t: Tensor) -> Tensor:
    """A network that looks at the picture."""
    return 0.5 * x - 0.2


def _with_slope(body: sp.Expr) -> sp.Expr:
    """The same in a formula."""
    return with_function(body, r"\epsilon_\theta", lambda x, t: x / 2 - sp.Rational(1, 5))


def _plain_loss(s: NoiseSchedule) -> Tensor:
    return diffusion.training_loss(s, _slope, filled(s, X_0), steps(s), filled(s, EPS))


def _divergence(s: NoiseSchedule) -> Tensor:
    q = Gaussian(filled(s, X_0), s.beta[:, None])
    p = Gaussian(filled(s, X_T), s.one_minus_alpha_bar[:, None])
    return flat(diffusion.gaussian_kl(q, p))


def _divergence_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        noise = [1 - bar for bar in tables(s)[r"\bar\alpha_t"]]
    return {r"\mu_1": X_0, r"\mu_2": X_T, "v_1": tables(s)[r"\beta_t"], "v_2": noise}


def _level(s: NoiseSchedule) -> Tensor:
    p = Gaussian(filled(s, X_T), s.beta[:, None])
    return flat(diffusion.discretised_log_likelihood(filled(s, X_0), p))


def _level_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        half = mpmath.mpf(1) / 255
        deviation = [mpmath.sqrt(beta) for beta in tables(s)[r"\beta_t"]]
        return {"a": X_0 - half, "b": X_0 + half, r"\mu": X_T, r"\sigma": deviation}


def _mass(s: NoiseSchedule) -> Tensor:
    return diffusion.log_normal_mass(-0.7 / s.beta.sqrt(), -0.3 / s.beta.sqrt())


def _mass_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return _level_numbers(s) | {"a": -0.7, "b": -0.3, r"\mu": 0}


def _p_step(s: NoiseSchedule) -> Gaussian:
    x_t, t = filled(s, X_T), steps(s)
    x_0 = diffusion.x_0_from_eps(s, x_t, t, filled(s, EPS_HAT))
    return diffusion.p_step(s, x_0, x_t, t, "posterior")


SHARE = 0.3
"""Of beta_t in a variance that a network says."""


def _learned_variance(s: NoiseSchedule) -> Tensor:
    said = filled(s, 2 * SHARE - 1)
    return flat(diffusion.learned_variance(s, said, _p_step(s).variance, steps(s)))[1:]


def _bound(s: NoiseSchedule) -> Tensor:
    """Of one pixel, for a network that always predicts the same picture."""
    x_0, eps, model = filled(s, X_0), filled(s, EPS), constant(X_0_HAT)
    return diffusion.bound_term(s, model, x_0, steps(s), eps, "x_0")


def _error_of_eps(found: list[Claim]) -> sp.Expr:
    """The error of the noise by that of the picture, from eq-train-x0-error."""
    return solved(r"\epsilon", found) - read(r"\epsilon_\theta")


def _bound_formula(term: list[Claim], error: list[Claim]) -> sp.Expr:
    divergence = side(term).replace(Norm, lambda _: _error_of_eps(error))
    return put_in(divergence, w_t=side(term, 1))


def _decoder(s: NoiseSchedule) -> Tensor:
    """The first term, for a network that predicts a picture above the true one."""
    x_0, eps, model = pixel(X_0), pixel(EPS), constant(X_T)
    return diffusion.bound_term(s, model, x_0, torch.tensor([1]), eps, "x_0", "beta")


def _decoder_numbers(s: NoiseSchedule) -> dict[str, Values]:
    found = _level_numbers(s)
    return found | {r"\sigma": as_column(found[r"\sigma"], s.T)[:1]}


def _bits(s: NoiseSchedule) -> Tensor:
    nats = torch.arange(1, s.T + 1, dtype=torch.float64)
    return diffusion.bits_per_dim(nats, torch.zeros(s.T, 3))


def _whole_bound(s: NoiseSchedule) -> Tensor:
    terms = diffusion.elbo(few(), constant(X_0_HAT), PICTURES.double(), "x_0")
    return terms.sum(0)[:1] * 2 * math.log(2)


def _only_sum(found: list[Claim]) -> sp.Expr:
    """The formula with its sum as one number."""
    (whole,) = side(found).atoms(sp.Sum)
    return side(found).subs(whole, read("t"))


DIFFUSION = [
    Row(
        "diffusion.q_step", "mean = schedule.at(schedule.alpha.sqrt(), t, x_prev) * x_prev",
        "eq-q-step", mean, partial(_q_step, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_step", "return Gaussian(mean, schedule.at(schedule.beta, t, x_prev))",
        "eq-q-step", variance, partial(_q_step, "variance"), says="the variance",
    ),
    Row(
        "diffusion.q_marginal", "mean = schedule.at(schedule.alpha_bar.sqrt(), t, x_0) * x_0",
        "eq-q-marginal", mean, partial(_q_marginal, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_marginal",
        "return Gaussian(mean, schedule.at(schedule.one_minus_alpha_bar, t, x_0))",
        "eq-q-marginal", variance, partial(_q_marginal, "variance"), says="the variance",
    ),
    Row(
        "diffusion.q_sample", "return signal * x_0 + noise * eps", "eq-closed-form", side,
        lambda s: flat(diffusion.q_sample(s, filled(s, X_0), steps(s), filled(s, EPS))),
    ),
    Row(
        "diffusion.q_posterior", "return Gaussian(of_x_0 * x_0 + of_x_t * x_t, variance)",
        "eq-posterior-mean", side, partial(_q_posterior, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_posterior", "variance = schedule.at(schedule.posterior_variance, t, x_t)",
        "eq-posterior-variance", side, lambda s: _q_posterior("variance", s)[1:],
        says="the variance", times=from_2,
    ),
    Row(
        "diffusion.q_posterior", "return Gaussian(of_x_0 * x_0 + of_x_t * x_t, variance)",
        "eq-posterior-eps", side, _posterior_by_eps,
        says="the mean by the noise, after `x_0_from_eps`",
    ),
    Row(
        "diffusion.x_0_from_eps", "return (x_t - noise * eps) / signal", "eq-post-solved", side,
        lambda s: flat(diffusion.x_0_from_eps(s, filled(s, X_T), steps(s), filled(s, EPS))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_x_0", "return (x_t - signal * x_0) / noise", "eq-post-solved",
        partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_x_0(s, filled(s, X_T), steps(s), filled(s, X_0))),
        says="the second claim",
    ),
    Row(
        "diffusion.velocity", "return signal * eps - noise * x_0", "eq-v", side,
        lambda s: flat(diffusion.velocity(s, filled(s, X_0), steps(s), filled(s, EPS))),
    ),
    Row(
        "diffusion.x_0_from_v", "return signal * x_t - noise * v", "eq-from-v", side,
        lambda s: flat(diffusion.x_0_from_v(s, filled(s, X_T), steps(s), filled(s, V))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_v", "return noise * x_t + signal * v", "eq-from-v",
        partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_v(s, filled(s, X_T), steps(s), filled(s, V))),
        says="the second claim",
    ),
    Row(
        "diffusion.x_0_from_flow", "return (x_t - noise * flow) / (signal + noise)",
        "eq-after-from-flow", side,
        lambda s: flat(diffusion.x_0_from_flow(s, filled(s, X_T), steps(s), filled(s, FLOW))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_flow", "return (x_t + signal * flow) / (signal + noise)",
        "eq-after-from-flow", partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_flow(s, filled(s, X_T), steps(s), filled(s, FLOW))),
        says="the second claim",
    ),
    Row(
        "diffusion.predict", "return Prediction(x_0_from_eps(schedule, x_t, t, output), output)",
        "eq-x0-from-eps", side, partial(_predict, "eps", EPS_HAT, "x_0"), says="target `eps`",
    ),
    Row(
        "diffusion.predict", "return Prediction(output, eps_from_x_0(schedule, x_t, t, output))",
        "eq-post-solved", partial(side, claim=1), partial(_predict, "x_0", X_0, "eps"),
        says="target `x_0`",
    ),
    Row(
        "diffusion.predict",
        "x_0_from_v(schedule, x_t, t, output), eps_from_v(schedule, x_t, t, output)",
        "eq-from-v", side, partial(_predict, "v", V, "x_0"), says="target `v`",
    ),
    Row(
        "diffusion.predict",
        "x_0_from_flow(schedule, x_t, t, output), eps_from_flow(schedule, x_t, t, output)",
        "eq-after-from-flow", side, partial(_predict, "flow", FLOW, "x_0"), says="target `flow`",
    ),
    Row(
        "diffusion.target_of", "return eps - x_0", "eq-after-flow", side,
        lambda s: flat(diffusion.target_of(s, filled(s, X_0), steps(s), filled(s, EPS), "flow")),
        says="target `flow`",
    ),
    Row(
        "diffusion.target_of", "return velocity(schedule, x_0, t, eps)", "eq-v", side,
        lambda s: flat(diffusion.target_of(s, filled(s, X_0), steps(s), filled(s, EPS), "v")),
        says="target `v`",
    ),
    Row(
        "diffusion.loss_weight", "of_x_0 = (before - schedule.snr) / 2", "eq-elbo-weight",
        side, _weight("eps", "bound"), says="weighting `bound`, target `eps`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", 'per_x_0 = {"x_0": torch.ones_like(schedule.snr)',
        "eq-train-x0-error eq-elbo-weight",
        lambda error, weight: side(weight) / factor(r"\epsilon", error) ** 2,
        _weight("x_0", "bound"), says="weighting `bound`, target `x_0`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", "return of_x_0 / per_x_0[target]", "eq-errors eq-elbo-weight",
        lambda errors, weight: side(weight) * side(errors).subs(side(errors).atoms(Norm).pop(), 1),
        _weight("v", "bound"), says="weighting `bound`, target `v`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", "before = torch.cat(", "eq-gauss-log",
        lambda found: -side(found).diff(read("x"), 2) / 2,
        lambda s: diffusion.loss_weight(s, "x_0", "bound")[:1],
        says="weighting `bound`, target `x_0`, first step", times=first,
        given=lambda s: {r"\sigma": mpmath.sqrt(tables(s)[r"\beta_t"][0])},
    ),
    Row(
        "diffusion.loss_weight", "of_x_0 = schedule.snr.clamp(max=gamma)", "eq-beyond-factors",
        partial(side, claim=1), lambda s: diffusion.loss_weight(s, "v", "min_snr", gamma=1e300),
        says=r"weighting `min_snr`, target `v`, below $\gamma$",
    ),
    Row(
        "diffusion.training_loss",
        "error = (output - target_of(schedule, x_0, t, eps, target)).square().flatten(1).mean(1)",
        "eq-elbo-simple", lambda found: _with_slope(side(found).body), _plain_loss,
        says="what is averaged, for a network that is a straight line",
    ),
    Row(
        "diffusion.gaussian_kl", "return (ratio - 1 - ratio.log() + square / p.variance) / 2",
        "eq-elbo-gauss", partial(side, member=1), _divergence, says="one pixel, $d=1$",
        given=_divergence_numbers,
    ),
    Row(
        "diffusion.discretised_log_likelihood",
        "lower = ((x_0 - 1 / 255 - p.mean) / deviation)", "eq-gauss-interval",
        lambda found: sp.log(side(found)), _level, says="the logarithm, for one grey level",
        given=_level_numbers,
    ),
    Row(
        "diffusion.log_normal_mass", "mass: Tensor = log_upper +", "eq-gauss-interval",
        lambda found: sp.log(side(found)), _mass, says="the logarithm", given=_mass_numbers,
    ),
    Row(
        "diffusion.p_step", "mean = q_posterior(schedule, x_0, x_t, t).mean", "eq-elbo-mean",
        side, lambda s: flat(_p_step(s).mean), says="the mean, after `x_0_from_eps`",
    ),
    Row(
        "diffusion.p_step", "table = schedule.posterior_variance.clone()", "eq-elbo-posterior",
        partial(side, claim=1), lambda s: flat(_p_step(s).variance)[1:],
        says="the posterior variance", times=from_2,
    ),
    Row(
        "diffusion.learned_variance", "return (u * schedule.at(schedule.beta, t, said).log() +",
        "eq-eval-learned", side, _learned_variance, says="one pixel", times=from_2,
        given=lambda s: {"u": SHARE},
    ),
    Row(
        "diffusion.prior_term", "return gaussian_kl(q, standard).flatten(1).sum(1)", "eq-kl-end",
        side, lambda s: diffusion.prior_term(s, pixel(X_0)), says="one pixel", times=last,
        given=lambda s: {"x_T": X_T, r"\bar\alpha_T": tables(s)[r"\bar\alpha_t"][-1:]},
    ),
    Row(
        "diffusion.bound_term",
        "kl = gaussian_kl(Gaussian(q.mean, q_variance), p).flatten(1).sum(1)",
        "eq-train-term eq-train-x0-error", _bound_formula, lambda s: _bound(s)[1:],
        says="from the second step, one pixel", times=from_2,
    ),
    Row(
        "diffusion.bound_term", "decoder = -discretised_log_likelihood(x_0, p).flatten(1).sum(1)",
        "eq-gauss-interval", lambda found: -sp.log(side(found)), _decoder,
        says="the first step, minus its logarithm", times=first, given=_decoder_numbers,
    ),
    Row(
        "diffusion.elbo", "terms.append(prior_term(schedule, x_0))", "eq-elbo-total",
        lambda found: summed(side(found)), _whole_bound, says=f"summed for $T={FEW}$",
        times=first, given=lambda s: terms_by(r"\mathcal{L}"),
    ),
    Row(
        "diffusion.bits_per_dim", "return nats / (math.log(2) * x_0[0].numel())", "eq-eval-bits",
        _only_sum, _bits, given=lambda s: {"d": 3},
    ),
]  # fmt: skip
