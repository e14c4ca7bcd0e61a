"""The diffusion process: the densities q, the ways to say what the network predicts, the losses.

x_0 is a clean image in [-1, 1]; x_t the same after t steps of noise; eps the noise, N(0, I). All
images are (B, C, H, W) floats, t is an integer or a tensor of integers (B,) in 1..T. The formulas
are those of DDPM (Ho, Jain, Abbeel, arXiv:2006.11239); v is that of Salimans and Ho
(arXiv:2202.00512, appendix D).
"""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ddpm_lite.devices import to_device
from ddpm_lite.schedule import NoiseSchedule

__all__ = [
    "Gaussian",
    "Prediction",
    "bits_per_dim",
    "bound_term",
    "elbo",
    "loss_weight",
    "p_step",
    "predict",
    "prior_term",
    "q_marginal",
    "q_posterior",
    "q_sample",
    "q_step",
    "target_of",
    "training_loss",
]

Target = Literal["eps", "x_0", "v", "flow"]
"""What the network is trained to predict; `flow` is the direction eps - x_0 of flow matching."""
Weighting = Literal["simple", "min_snr", "bound"]
"""How the loss weighs the times."""
Variance = Literal["posterior", "beta"]
"""The variance of p(x_{t-1} | x_t): beta_tilde_t or beta_t."""
BoundVariance = Literal["posterior", "beta", "learned"]
"""The same where the network may say it itself."""
Model = Callable[[Tensor, Tensor], Tensor]
"""A network with its labels filled in: (x_t, t) to its prediction of the target (B, C, H, W).

Twice as many channels may come, the second half being its `learned_variance`.
"""

VARIANCE_WEIGHT = 1e-3
"""How much the bound counts beside the squared error where the variance is learned (Nichol and
Dhariwal, arXiv:2102.09672, section 3.1)."""


def check_name(kind: Any, name: str) -> None:
    """Raises ValueError for a name that is not one of a Literal's, such as `Target`."""
    if name not in get_args(kind):
        raise ValueError(f"{name!r} is not one of {', '.join(get_args(kind))}")


def check_numbers(options: Any) -> None:
    """Raises ValueError if a number among a dataclass's options is NaN, infinite or beyond 2^62.

    Whole numbers above that fit in no tensor, nor in a random generator as its seed.
    """
    for option in fields(options):
        value = getattr(options, option.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{option.name} must be a finite number, not {value}")
        if isinstance(value, int) and abs(value) >= 2**62:
            raise ValueError(f"{option.name} must lie between -2^62 and 2^62")


class Gaussian(NamedTuple):
    """A normal law with independent coordinates: mean (B, C, H, W), variance broadcast to it."""

    mean: Tensor
    """Of each coordinate, (B, C, H, W)."""
    variance: Tensor
    """Of each coordinate, or one number for an image or for all: (B, 1, 1, 1), (1, 1, 1, 1)."""


class Prediction(NamedTuple):
    """What the network says, in both languages, each of x_t's shape."""

    x_0: Tensor
    """The clean image."""
    eps: Tensor
    """The noise in it."""


def q_step(schedule: NoiseSchedule, x_prev: Tensor, t: Tensor | int) -> Gaussian:
    """q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I); DDPM equation 2."""
    # a table (T,) becomes (B, 1, 1, 1) for the times of the batch, so that it multiplies x_prev
    mean = schedule.at(schedule.alpha.sqrt(), t, x_prev) * x_prev
    return Gaussian(mean, schedule.at(schedule.beta, t, x_prev))


def q_marginal(schedule: NoiseSchedule, x_0: Tensor, t: Tensor | int) -> Gaussian:
    """q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I); DDPM equation 4."""
    # t steps in one: no need to go through them, for a sum of normal noises is normal noise
    mean = schedule.at(schedule.alpha_bar.sqrt(), t, x_0) * x_0
    return Gaussian(mean, schedule.at(schedule.one_minus_alpha_bar, t, x_0))


def q_sample(schedule: NoiseSchedule, x_0: Tensor, t: Tensor | int, eps: Tensor) -> Tensor:
    """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, in one jump from x_0."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_0)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_0)
    # two (B, 1, 1, 1) whose squares add up to 1: the variance of the pixels stays what it was
    return signal * x_0 + noise * eps


def q_posterior(schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: Tensor | int) -> Gaussian:
    """q(x_{t-1} | x_t, x_0) = N(mu_tilde_t, beta_tilde_t I); DDPM equations 6 and 7."""
    # the mean lies between what x_0 and what x_t say of x_{t-1}; three (B, 1, 1, 1)
    of_x_0 = schedule.at(schedule.posterior_mean_x_0, t, x_t)
    of_x_t = schedule.at(schedule.posterior_mean_x_t, t, x_t)
    variance = schedule.at(schedule.posterior_variance, t, x_t)  # known without either of them
    return Gaussian(of_x_0 * x_0 + of_x_t * x_t, variance)


def x_0_from_eps(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, eps: Tensor) -> Tensor:
    """x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return (x_t - noise * eps) / signal  # signal is near 0 at T: errors of eps grow large there


def eps_from_x_0(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, x_0: Tensor) -> Tensor:
    """The noise eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t)."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return (x_t - signal * x_0) / noise  # noise is near 0 at t = 1: errors of x_0 grow there


def velocity(schedule: NoiseSchedule, x_0: Tensor, t: Tensor | int, eps: Tensor) -> Tensor:
    """The velocity v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_0)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_0)
    return signal * eps - noise * x_0  # x_t turned by a right angle, in the plane of x_0 and eps


def x_0_from_v(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, v: Tensor) -> Tensor:
    """x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return signal * x_t - noise * v  # turned back by the angle of t: no division, no growth


def eps_from_v(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, v: Tensor) -> Tensor:
    """The noise eps = sqrt(1 - alpha_bar_t) x_t + sqrt(alpha_bar_t) v."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return noise * x_t + signal * v


def x_0_from_flow(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, flow: Tensor) -> Tensor:
    """The clean image by the direction eps - x_0: (x_t - noise flow) / (signal + noise).

    signal and noise are sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t). Flow matching (Lipman et al.,
    arXiv:2210.02747) writes it on the straight line x_t / (signal + noise).
    """
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return (x_t - noise * flow) / (signal + noise)  # from 1 to 1.41: errors never grow much


def eps_from_flow(schedule: NoiseSchedule, x_t: Tensor, t: Tensor | int, flow: Tensor) -> Tensor:
    """The noise by the direction eps - x_0: (x_t + signal flow) / (signal + noise)."""
    signal = schedule.at(schedule.alpha_bar.sqrt(), t, x_t)
    noise = schedule.at(schedule.one_minus_alpha_bar.sqrt(), t, x_t)
    return (x_t + signal * flow) / (signal + noise)


def predict(
    schedule: NoiseSchedule, output: Tensor, x_t: Tensor, t: Tensor | int, target: Target
) -> Prediction:
    """x_0 and eps from what a network trained on `target` put out for (x_t, t)."""
    check_name(Target, target)
    output, _ = _halves(output, x_t)
    if target == "v":  # output, x_t and both parts of the answer: all (B, C, H, W)
        return Prediction(
            x_0_from_v(schedule, x_t, t, output), eps_from_v(schedule, x_t, t, output)
        )
    if target == "flow":
        return Prediction(
            x_0_from_flow(schedule, x_t, t, output), eps_from_flow(schedule, x_t, t, output)
        )
    if target == "eps":
        return Prediction(x_0_from_eps(schedule, x_t, t, output), output)
    return Prediction(output, eps_from_x_0(schedule, x_t, t, output))


def target_of(
    schedule: NoiseSchedule, x_0: Tensor, t: Tensor | int, eps: Tensor, target: Target
) -> Tensor:
    """The tensor that a network trained on `target` should put out."""
    check_name(Target, target)
    if target == "v":
        return velocity(schedule, x_0, t, eps)
    if target == "flow":
        return eps - x_0  # the same at every t: the straight line from image to noise
    return eps if target == "eps" else x_0


def loss_weight(
    schedule: NoiseSchedule, target: Target, weighting: Weighting, gamma: float = 5.0
) -> Tensor:
    """What the squared error of the prediction at each t is multiplied with, shape (T,), float64.

    A squared error in eps is SNR times that in x_0; in v it is SNR + 1 times that in x_0, in flow
    (1 + sqrt(SNR))^2 times. So a weight for x_0 is divided by these. The weights for x_0 are:
    `min_snr` min(SNR, gamma) (Hang et al., arXiv:2303.09556); `bound` that of the evidence lower
    bound with variance beta_tilde_t, half of SNR_{t-1} - SNR_t (Kingma et al., arXiv:2107.00630,
    equation 15); t = 1, whose term is the decoder's likelihood and no square, gets there the weight
    of a decoder of variance beta_1. `simple` weighs the network's own target by 1 (DDPM, equation
    14). Raises ValueError for a gamma that is not above 0 and finite.
    """
    check_name(Target, target)
    check_name(Weighting, weighting)
    if not 0 < gamma < math.inf:
        raise ValueError(f"gamma must be a finite number above 0, not {gamma}")
    if weighting == "simple":
        return torch.ones_like(schedule.snr)  # (T,), as every weighting
    # first the weight of an error in x_0, then that of the target's own error
    if weighting == "min_snr":
        of_x_0 = schedule.snr.clamp(max=gamma)
    else:
        # SNR_{t-1} for t = 1..T; SNR_0 would be infinite, so t = 1 gets SNR_1 + 1 / beta_1
        before = torch.cat([schedule.snr[:1] + 1 / schedule.beta[:1], schedule.snr[:-1]])
        of_x_0 = (before - schedule.snr) / 2
    per_x_0 = {"x_0": torch.ones_like(schedule.snr), "eps": schedule.snr, "v": schedule.snr + 1}
    per_x_0["flow"] = (1 + schedule.snr.sqrt()).square()
    return of_x_0 / per_x_0[target]


def training_loss(
    schedule: NoiseSchedule,
    model: Model,
    x_0: Tensor,
    t: Tensor,
    eps: Tensor,
    target: Target = "eps",
    weighting: Weighting = "simple",
) -> Tensor:
    """The weighted squared error of each image, shape (B,); the mean of it is what is minimised.

    A network that says its variance too pays its part of the bound besides, in bits a dimension
    times T and VARIANCE_WEIGHT; only what it says of the variance hears of that part. t may stay on
    the CPU, which spares a GPU one stop a step; the model gets it where x_0 is.
    """
    x_t = q_sample(schedule, x_0, t, eps)
    # x_t (B, C, H, W) and t (B,) go in, the network's guess (B, C, H, W) comes out
    output = model(x_t, to_device(t, x_0.device)).to(x_0.dtype)
    output, said = _halves(output, x_t)
    # squares (B, C, H, W), one row for each image (B, C H W), and their mean (B,)
    error = (output - target_of(schedule, x_0, t, eps, target)).square().flatten(1).mean(1)
    # the weight of each image's own t, (B,) as the error
    loss = schedule.at(loss_weight(schedule, target, weighting), t, error) * error
    if said is None:
        return loss
    # a variance that is learned has no square: it pays its part of the bound, in bits a dimension
    heard = torch.cat([output.detach(), said], dim=1)
    nats = bound_term(schedule, lambda x, t: heard, x_0, t, eps, target, "learned")
    return loss + VARIANCE_WEIGHT * schedule.T * bits_per_dim(nats, x_0)


def _halves(output: Tensor, x_t: Tensor) -> tuple[Tensor, Tensor | None]:
    """What a network says of its target, and of its variance if it does, each (B, C, H, W)."""
    if output.shape == x_t.shape:
        return output, None
    guess, said = output.split(x_t.shape[1], dim=1)
    return guess, said


def gaussian_kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) in nats, coordinate by coordinate, shape of the broadcast means.

    Half of log(p.variance / q.variance) + (q.variance + (q.mean - p.mean)^2) / p.variance - 1.
    """
    square = (q.mean - p.mean).square()  # (B, C, H, W)
    ratio = q.variance / p.variance  # 1 where both are equally sure: then only the means count
    return (ratio - 1 - ratio.log() + square / p.variance) / 2


def discretised_log_likelihood(x_0: Tensor, p: Gaussian) -> Tensor:
    """The log of the probability that N(mean, variance) falls into the grey level of x_0, in nats.

    x_0 holds k / 127.5 - 1 for k in 0..255; a level reaches 1/255 to both sides, the outermost two
    reach to infinity. DDPM equation 13.
    """
    # the two edges of the grey level, measured in deviations from the mean: (B, C, H, W) each
    deviation = p.variance.sqrt()
    upper = ((x_0 + 1 / 255 - p.mean) / deviation).masked_fill(x_0 > 0.999, math.inf)
    lower = ((x_0 - 1 / 255 - p.mean) / deviation).masked_fill(x_0 < -0.999, -math.inf)
    return log_normal_mass(lower, upper)


def log_normal_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Phi(upper) - Phi(lower)), accurate in both tails; lower < upper, infinities allowed."""
    flip = lower > 0  # in the right tail both Phi are near 1: use Phi(-x) = 1 - Phi(x)
    lower, upper = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    # log(a - b) = log a + log(1 - b/a), which needs neither a nor b themselves, as they may be 0
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    mass: Tensor = log_upper + torch.log1p(-torch.exp(log_lower - log_upper))
    return mass


def p_step(
    schedule: NoiseSchedule, x_0: Tensor, x_t: Tensor, t: Tensor | int, variance: Variance
) -> Gaussian:
    """p(x_{t-1} | x_t): the posterior with the predicted x_0 in the place of the true one.

    At t = 1 beta_tilde is 0; the posterior variance of t = 2 stands in for it, as in the DDPM
    authors' code, so that the decoder has a density.
    """
    check_name(Variance, variance)
    mean = q_posterior(schedule, x_0, x_t, t).mean  # (B, C, H, W)
    table = schedule.beta  # (T,): one variance for all pixels, and not learnt
    if variance == "posterior":
        table = schedule.posterior_variance.clone()
        table[0] = table[1] if schedule.T > 1 else schedule.beta[0]
    return Gaussian(mean, schedule.at(table, t, x_t))


def learned_variance(
    schedule: NoiseSchedule, said: Tensor, least: Tensor, t: Tensor | int
) -> Tensor:
    """The variance of p(x_{t-1} | x_t) as a network says it, (B, C, H, W).

    Between the least, the posterior's of `p_step`, which is right where x_0 is certain, and beta_t,
    which is right where it is as uncertain as noise of variance 1:
    exp(u log beta_t + (1 - u) log least) with u = (said + 1) / 2. Nichol and Dhariwal
    (arXiv:2102.09672, equation 15).
    """
    u = (said + 1) / 2  # (B, C, H, W): 1/2 before training
    return (u * schedule.at(schedule.beta, t, said).log() + (1 - u) * least.log()).exp()


def prior_term(schedule: NoiseSchedule, x_0: Tensor) -> Tensor:
    """L_T = KL(q(x_T | x_0) || N(0, I)) of each image in nats, shape (B,); DDPM equation 5."""
    # nearly 0 where the schedule ends in noise; no network can change it
    q = q_marginal(schedule, x_0, schedule.T)
    standard = Gaussian(torch.zeros_like(x_0), torch.ones_like(q.variance))
    return gaussian_kl(q, standard).flatten(1).sum(1)  # pixels are independent: a sum, (B,)


def bound_term(
    schedule: NoiseSchedule,
    model: Model,
    x_0: Tensor,
    t: Tensor,
    eps: Tensor,
    target: Target = "eps",
    variance: BoundVariance = "posterior",
) -> Tensor:
    """L_{t-1} of each image in nats, shape (B,); DDPM equation 5, with one draw x_t.

    For t >= 2 it is KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)); for t = 1, L_0, the negative
    log-likelihood of the discretised decoder. The predicted x_0 is clipped to [-1, 1]. The sum over
    t and `prior_term` is an upper bound of -log p(x_0), x_0 being one of the 256^n images. Raises
    ValueError for the variance "learned" if the network says none.
    """
    check_name(BoundVariance, variance)
    x_t = q_sample(schedule, x_0, t, eps)  # (B, C, H, W), each image at its own time
    output = model(x_t, to_device(t, x_t.device)).to(x_t.dtype)
    # what q says of x_{t-1} knowing x_0, against what p says with the guess in its place
    x_0_hat = predict(schedule, output, x_t, t, target).x_0.clamp(-1, 1)
    p = p_step(schedule, x_0_hat, x_t, t, "beta" if variance == "beta" else "posterior")
    if variance == "learned":
        said = _halves(output, x_t)[1]
        if said is None:
            raise ValueError("the network says nothing of the variance")
        p = p._replace(variance=learned_variance(schedule, said, p.variance, t))
    q = q_posterior(schedule, x_0, x_t, t)
    first = (t == 1).to(x_t.device)
    # At t = 1 q is a point, and its divergence, which is not used, infinite. Any variance keeps it
    # finite: the gradient of what is not used must be 0, and infinity has none.
    q_variance = q.variance.masked_fill(q.variance == 0, 1.0)
    kl = gaussian_kl(Gaussian(q.mean, q_variance), p).flatten(1).sum(1)
    decoder = -discretised_log_likelihood(x_0, p).flatten(1).sum(1)
    return torch.where(first, decoder, kl)  # (B,)


def bits_per_dim(nats: Tensor, x_0: Tensor) -> Tensor:
    """Nats of whole images (B,) as bits for each of their numbers, x_0 (B, C, H, W)."""
    return nats / (math.log(2) * x_0[0].numel())  # C H W numbers in an image


def elbo(
    schedule: NoiseSchedule,
    model: Model,
    x_0: Tensor,
    target: Target = "eps",
    variance: BoundVariance = "posterior",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Every term of the negative bound in bits/dim: shape (T + 1, B), L_0, ..., L_{T-1}, L_T.

    Its sum over the first axis is each image's bound. T evaluations of the network; one noise is
    drawn for every term.
    """
    terms = []
    for step in range(1, schedule.T + 1):
        noise = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device="cpu")
        eps, t = noise.to(x_0.device), torch.full((len(x_0),), step, device="cpu")
        terms.append(bound_term(schedule, model, x_0, t, eps, target, variance))  # L_{t-1}, (B,)
    terms.append(prior_term(schedule, x_0))
    return bits_per_dim(torch.stack(terms), x_0)
