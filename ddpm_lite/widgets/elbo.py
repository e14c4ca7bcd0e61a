"""The evidence lower bound: as a bar that fills, and as the terms of a trained model."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from ddpm_lite.diffusion import Gaussian, gaussian_kl
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked


class BoundExplorer(Widget):
    """log p(x) = ELBO + KL for a guess q of one hidden number: a bar that fills.

    The hidden z is N(0, 1), and x given z is N(z, `noise`), so that the posterior p(z | x) is a
    known Gaussian. `mean` and `deviation` are those of the guess q(z); it can be dragged, or climb
    by itself. Raises ValueError for numbers outside `LIMITS`.
    """

    module = "elbo"
    height = 430
    narrow_height = 756
    LIMITS: ClassVar[Limits] = {
        "mean": (-3, 3),
        "deviation": (0.1, 2.5),
        "x": (-3, 3),
        "noise": (0.1, 4),
    }

    def __init__(
        self, *, mean: float = -0.5, deviation: float = 1.0, x: float = 1.5, noise: float = 0.5
    ):
        """Keep the numbers; the text for the blind tells the first bound."""
        state = checked(self.LIMITS, mean=mean, deviation=deviation, x=x, noise=noise)
        divergence = _divergence(**state)
        evidence = -(math.log(2 * math.pi * (1 + noise)) + x**2 / (1 + noise)) / 2
        super().__init__(
            f"A bar that fills up to log p(x) = {evidence:.4f}. The guess q with mean {mean:g} and "
            f"standard deviation {deviation:g} reaches ELBO {evidence - divergence:.4f}; its "
            f"divergence {divergence:.4f} from the true posterior is what is missing. Both numbers "
            "of the guess can be moved, and a button climbs to the top.",
            limits=self.LIMITS,
            **state,
        )


def _divergence(mean: float, deviation: float, x: float, noise: float) -> float:
    """KL(q || p(z | x)) in nats."""
    guess = Gaussian(torch.tensor(mean).double(), torch.tensor(deviation**2).double())
    exact = torch.tensor([x, noise]).double() / (1 + noise)
    return float(gaussian_kl(guess, Gaussian(exact[0], exact[1])))


class BoundTerms(Widget):
    """The terms of a trained model's bound: how large each is, and how their sum grows with t.

    `spans`, `per_step` and `prior` are those of `ddpm_lite.evaluate.Likelihood`: first and last t
    of each stretch of times, the mean of one step's term in it, and L_T, in bits/dim. `stretch` is
    the index of the one that is marked first. Raises ValueError for stretches that do not begin at
    1, leave gaps, or are not as many as `per_step`, for terms that are not above 0, and for numbers
    that are not finite.
    """

    module = "elbo_terms"
    height = 343
    narrow_height = 597

    def __init__(
        self,
        *,
        spans: Sequence[tuple[int, int]],
        per_step: Sequence[float],
        prior: float = 0.0,
        stretch: int = 0,
    ):
        """Keep the numbers; the text for the blind tells the ends and the sum."""
        _check(spans, per_step, prior)
        if not 0 <= stretch < len(spans):
            raise ValueError(f"stretch must lie in 0..{len(spans) - 1}, not at {stretch}")
        lengths = (last - first + 1 for first, last in spans)
        total = sum(n * term for n, term in zip(lengths, per_step, strict=True)) + prior
        super().__init__(
            f"The terms of a trained model's bound for t = 1 to {spans[-1][1]}: {per_step[0]:.4f} "
            f"bits a pixel at t = 1, falling to {per_step[-1]:.1e} at the end, {total:.4f} "
            "together. A slider walks through the times and tells the sum up to each.",
            spans=[list(span) for span in spans],
            per_step=list(per_step),
            prior=float(prior),
            stretch=stretch,
        )


def _check(spans: Sequence[tuple[int, int]], per_step: Sequence[float], prior: float) -> None:
    if not spans or len(spans) != len(per_step):
        raise ValueError(f"{len(spans)} stretches of times do not fit {len(per_step)} terms")
    following = 1
    for first, last in spans:
        if first != following or last < first:
            raise ValueError(f"a stretch of times should begin at {following}, not {first}..{last}")
        following = last + 1
    if wrong := [term for term in per_step if not 0 < term < math.inf]:
        raise ValueError(f"a term of the bound is above 0 and finite, not {wrong[0]:g}")
    if not math.isfinite(prior):
        raise ValueError(f"the prior's term is finite, not {prior:g}")
