"""Two Gaussian explorers: one on a line, with areas; one in the plane, with its covariance."""

import math
from typing import ClassVar

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked


class GaussianExplorer(Widget):
    """A normal density with its mean, its standard deviation and the area from a to b.

    The area, the two tails and both ends in standard deviations are computed in the page; an end
    can be dragged, and dragging elsewhere sweeps out a new area. Raises ValueError for numbers
    outside `LIMITS`, or for a > b.
    """

    module = "gaussian"
    height = 421
    narrow_height = 493
    LIMITS: ClassVar[Limits] = {"mu": (-2, 2), "sigma": (0.6, 2), "a": (-8, 8), "b": (-8, 8)}

    def __init__(self, *, mu: float = 1.0, sigma: float = 0.8, a: float = 0.2, b: float = 1.8):
        """Keep the four numbers; at first a and b lie one standard deviation from the mean."""
        state = checked(self.LIMITS, mu=mu, sigma=sigma, a=a, b=b)
        if a > b:
            raise ValueError(f"a must not lie right of b; they are {a:g} and {b:g}")
        low, high = (math.erf((end - mu) / sigma / math.sqrt(2)) for end in (a, b))
        super().__init__(
            f"A bell curve with mean {mu:g} and standard deviation {sigma:g}, both on sliders. "
            f"The area under it from {a:g} to {b:g} is shaded: {(high - low) / 2:.4f}. "
            "The ends of the area can be moved, and the area follows.",
            limits=self.LIMITS,
            **state,
        )


class GaussianPlane(Widget):
    """A normal density in the plane: ellipse, samples, marginals, for five numbers on sliders.

    The samples are one fixed cloud of standard normal pairs, drawn in the page from `seed`, that
    a matrix with the chosen covariance moves; "draw again" takes the next seed. The mean can be
    dragged. Raises ValueError for numbers outside `LIMITS`.
    """

    module = "gaussian_plane"
    height = 403
    narrow_height = 673
    LIMITS: ClassVar[Limits] = {
        "mu_x": (-2, 2),
        "mu_y": (-2, 2),
        "sigma_x": (0.6, 2),
        "sigma_y": (0.6, 2),
        "rho": (-0.99, 0.99),
        "samples": (10, 2000),
    }

    def __init__(
        self,
        *,
        mu_x: float = 0.5,
        mu_y: float = -0.5,
        sigma_x: float = 1.6,
        sigma_y: float = 1.0,
        rho: float = 0.7,
        samples: int = 400,
        seed: int = 1,
    ):
        """Keep the numbers; rho is the correlation."""
        values = {"mu_x": mu_x, "mu_y": mu_y, "sigma_x": sigma_x, "sigma_y": sigma_y, "rho": rho}
        state = checked(self.LIMITS, **values)
        checked(self.LIMITS, samples=samples)
        super().__init__(
            f"{samples} points from a normal law in the plane, with mean ({mu_x:g}, {mu_y:g}), "
            f"standard deviations {sigma_x:g} and {sigma_y:g} and correlation {rho:g}, each on "
            "a slider. Ellipses at one and two standard deviations show the covariance, bell "
            "curves at the top and at the right the law of each coordinate alone.",
            limits=self.LIMITS,
            samples=int(samples),
            seed=int(seed),
            **state,
        )
