"""The posterior of one pixel: two Gaussians and their product, which is a third."""

from typing import ClassVar

import torch

from ddpm_lite.diffusion import q_posterior
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, check_schedule, checked


class PosteriorExplorer(Widget):
    """q(x_{t-1} | x_t, x_0) of one pixel as the product of what x_0 and what x_t say.

    The prior is q(x_{t-1} | x_0), the likelihood q(x_t | x_{t-1}) as a function of x_{t-1}. x_0 and
    x_t can be dragged; schedule, T, t and the beta of this one step are chosen beside them. `beta`
    is None for that of the schedule. Raises ValueError for numbers outside `LIMITS`, an unknown
    schedule, a T that not every schedule can have, and t outside 1..T.
    """

    module = "posterior"
    height = 621
    narrow_height = 706
    LIMITS: ClassVar[Limits] = {"x_0": (-2, 2), "x_t": (-3, 3), "beta": (0.001, 0.999)}

    def __init__(
        self,
        *,
        x_0: float = 1.2,
        x_t: float = -0.8,
        t: int = 8,
        schedule: str = "linear",
        T: int = 25,
        beta: float | None = None,
    ):
        """Keep the choices; the text for the blind tells the first posterior."""
        pixels = checked(self.LIMITS, x_0=x_0, x_t=x_t)
        check_schedule(schedule, T)
        law = SCHEDULES[schedule](T)
        if not 1 <= t <= T:
            raise ValueError(f"t must lie in 1..{T}, not at {t}")
        if beta is not None:
            beta = checked(self.LIMITS, beta=beta)["beta"]
            # one more step makes noise of it, whatever beta is; the posterior at t looks no further
            own = torch.tensor([beta, 0.999], dtype=torch.float64)
            law = NoiseSchedule(torch.cat([law.beta[: t - 1], own]))
        start, end = (torch.tensor([[x]], dtype=torch.float64) for x in (x_0, x_t))
        mean, variance = (float(v) for v in q_posterior(law, start, end, t))
        super().__init__(
            "Three bell curves over the value that a pixel had one step earlier. The prior comes "
            f"from x_0 = {x_0:g}, the likelihood from x_t = {x_t:g} at t = {t} of {T} under the "
            f"{schedule} schedule. Their product, scaled, is the posterior: mean {mean:.4f}, "
            f"variance {variance:.4f}. x_0, x_t, t, beta and the schedule can be moved.",
            limits=self.LIMITS,
            **pixels,
            t=t,
            schedule=schedule,
            T=T,
            beta=beta,
            alike=False,
        )
