"""Guidance in the plane: two classes whose exact denoisers are formulas."""

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ddpm_lite.diffusion import check_name
from ddpm_lite.schedule import cosine
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked

Class = Literal["upper", "lower"]
"""The two classes, by where they lie."""

BELLS = 6
"""Bells in each class."""


class GuidancePlane(Widget):
    """What guidance does to arrows and to samples, where nothing has to be learnt.

    Each class is a mixture of bells of one variance along an arc, and both are equally likely. So
    the scores of q(x_t | c) and of q(x_t) are closed forms, and E[x_0 | x_t, c] with them. The page
    draws the arrows with the label, without it, and guided, the second plus w times the difference
    of the two (Ho and Salimans 2022, equation 6, whose w is one less). Beside them stand points
    that DDIM draws with the guided denoiser, how many of them land where the asked class is the
    likelier one, and how far they spread.

    Raises ValueError for a name or a number that the page cannot show.
    """

    module = "guidance"
    height = 577
    narrow_height = 1102
    LIMITS: ClassVar[Limits] = {"w": (0, 8), "x": (-3, 3), "y": (-3, 3)}

    def __init__(
        self,
        *,
        asked: Class = "upper",
        w: float = 2,
        T: int = 200,
        t: int = 100,
        steps: int = 40,
        x: float = 0.3,
        y: float = -0.4,
        seed: int = 1,
    ):
        """Make the classes; the page begins at time t, with scale w and the probe at (x, y)."""
        check_name(Class, asked)
        if not 1 <= t <= T or not 1 <= steps <= T:
            raise ValueError(f"t and steps must lie in 1..{T}, not at {t} and {steps}")
        state = checked(self.LIMITS, w=w, x=x, y=y)
        centres, deviation = classes()
        super().__init__(
            f"Two classes of points in the plane, an upper and a lower arc. Left: at time {t} of "
            f"{T}, arrows to where the points of the {asked} class are dense, to where any points "
            f"are, and what guidance with w = {w:g} makes of the two. Right: points that are drawn "
            "with the guided arrows. Numbers say how many of them lie in their class and how far "
            "they spread. The class, w, t and the place where the arrows are read can be changed.",
            centres={name: np.round(at, 4).tolist() for name, at in centres.items()},
            deviation=round(deviation, 4),
            betas=cosine(T).beta.tolist(),
            limits=self.LIMITS,
            asked=asked,
            T=T,
            t=t,
            steps=steps,
            seed=seed,
            **state,
        )


def classes() -> tuple[dict[Class, npt.NDArray[np.float64]], float]:
    """The middles of each class's bells, (BELLS, 2), and the deviation of all of them.

    Both classes together have mean 0 and mean square 1 a coordinate, as the noise has.
    """
    angle = np.linspace(0.1, np.pi - 0.1, BELLS)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    both = np.concatenate([upper, lower])
    spread = 0.22
    scale = np.sqrt(np.square(both - both.mean(0)).mean() + spread**2)
    upper, lower = ((part - both.mean(0)) / scale for part in (upper, lower))
    return {"upper": upper, "lower": lower}, float(spread / scale)
