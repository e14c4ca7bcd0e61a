"""A noise schedule drawn by hand: log SNR over time, a digit under it, and what training weighs."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ddpm_lite.data import mnist
from ddpm_lite.diffusion import check_name
from ddpm_lite.schedule import linear
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked
from ddpm_lite.widgets.noising import DIGIT

Density = Literal["uniform", "logit_normal", "early", "late"]
"""How training draws t: evenly, mostly in the middle, or with a density that falls or grows."""

TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the handles stand; time runs from 0 to 1 here."""
GAP = 0.1
"""So much must log SNR fall from handle to handle."""
_END = 10.0
"""Where the curves that would run to infinity begin and end."""


class ScheduleEditor(Widget):
    """The curve of log SNR over t by five handles, which the reader drags.

    Between the handles runs the natural cubic spline, its slopes held back where it would turn
    (Hyman 1983), so that log SNR falls everywhere. If t is drawn with the density p(t), then log
    SNR has the density p(t) / |d log SNR / dt|: where the curve is steep, training spends little.
    The page shows it, with a digit at the chosen t, whose alpha_bar is the logistic function of log
    SNR.

    Raises ValueError for handles that do not fall, and for a name or a number that the page cannot
    show.
    """

    module = "schedule_editor"
    height = 438
    narrow_height = 986
    LIMITS: ClassVar[Limits] = {"t": (0.01, 0.99), "log_snr": (-12, 12)}

    def __init__(
        self,
        *,
        handles: Sequence[float] | None = None,
        density: Density = "uniform",
        t: float = 0.4,
        handle: int = 2,
        seed: int = 1,
    ):
        """Keep the handles, those of the cosine schedule if none are given."""
        check_name(Density, density)
        start = presets()
        curve = [float(value) for value in (start["cosine"] if handles is None else handles)]
        if len(curve) != len(TIMES):
            raise ValueError(f"there are {len(TIMES)} handles, not {len(curve)}")
        for value in curve:
            checked(self.LIMITS, log_snr=value)
        if not all(before - after >= GAP for before, after in pairwise(curve)):
            raise ValueError(f"log SNR must fall by {GAP} or more from handle to handle: {curve}")
        if handle not in range(len(TIMES)):
            raise ValueError(f"handle must lie in 0..{len(TIMES) - 1}, not at {handle}")
        state = checked(self.LIMITS, t=t)
        super().__init__(
            "A curve of log SNR over time, from "
            f"{curve[0]:g} at t = 0 to {curve[-1]:g} at t = 1, held by five handles; a digit "
            f"noised at t = {t:g}; and the density of log SNR in training, when t is drawn with a "
            f"density of the kind {density}. Where the curve is steep that density is low. The "
            "handles, the time and the density of t can be changed.",
            presets=start,
            pixels=mnist(train=False).pixels[DIGIT].flatten().tolist(),
            limits=self.LIMITS,
            gap=GAP,
            handles=curve,
            density=density,
            handle=handle,
            seed=seed,
            **state,
        )


def presets() -> dict[str, list[float]]:
    """Log SNR at the five times for schedules that are known."""
    inner = np.array(TIMES[1:-1])
    snr = linear(1000).snr.log().tolist()
    return {
        "cosine": _between(-2 * np.log(np.tan(np.pi * inner / 2))),
        "linear": [round(snr[max(0, round(1000 * t) - 1)], 2) for t in TIMES],
        "flow": _between(2 * np.log((1 - inner) / inner)),
        "straight": _between(_END * (1 - 2 * inner)),
    }


def _between(inner: npt.NDArray[np.float64]) -> list[float]:
    return [_END, *(round(value, 2) + 0.0 for value in inner.tolist()), -_END]
