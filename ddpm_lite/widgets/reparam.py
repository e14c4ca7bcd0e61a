"""Reparameterisation: one fixed cloud of noise, moved by two knobs, and two slopes from it."""

from typing import ClassVar

import torch

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked

ARROWS = ("path", "score", "mu", "sigma")
"""What the arrows can show: both estimates of the slope, or the move as a knob turns by 1/2."""


class Reparameterization(Widget):
    """x = mu + sigma eps for a fixed cloud of eps, and two estimates of the slope of E[x^2] in mu.

    The noise is drawn once, here, from `seed`, and rounded to three decimals; the page measures
    the variances of the pathwise estimate 2x and of the score-function estimate x^2 eps / sigma on
    it, beside the exact 4 sigma^2 and mu^4/sigma^2 + 14 mu^2 + 15 sigma^2. mu and mu + sigma can
    be dragged. Raises ValueError for numbers outside `LIMITS`, or unknown `arrows`.
    """

    module = "reparam"
    height = 623
    narrow_height = 723
    LIMITS: ClassVar[Limits] = {"mu": (-2.5, 2.5), "sigma": (0.25, 1.5), "draws": (50, 2000)}

    def __init__(
        self,
        *,
        mu: float = 1.0,
        sigma: float = 0.5,
        draws: int = 400,
        arrows: str = "path",
        seed: int = 1,
    ):
        """Draw the cloud and keep it with the two knobs."""
        state = checked(self.LIMITS, mu=mu, sigma=sigma)
        checked(self.LIMITS, draws=draws)
        if arrows not in ARROWS:
            raise ValueError(f"arrows must be one of {', '.join(ARROWS)}, not {arrows!r}")
        generator = torch.Generator().manual_seed(seed)
        eps = torch.randn(draws, generator=generator, dtype=torch.float64).tolist()
        path = 4 * sigma**2
        score = mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2
        super().__init__(
            f"A fixed cloud of {draws} draws of noise above, and below it the same points moved "
            f"by mu = {mu:g} and stretched by sigma = {sigma:g}, both on sliders. Each point "
            "gives two estimates of the slope of the mean of x squared in mu. At these settings "
            f"the pathwise ones have the variance {path:g}, those of the score function "
            f"{score:g}.",
            eps=[round(e, 3) for e in eps],
            arrows=arrows,
            limits=self.LIMITS,
            **state,
        )
