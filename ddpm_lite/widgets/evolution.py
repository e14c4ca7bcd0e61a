"""The law of x_t for data on a line that the reader puts there, over all t at once."""

from collections.abc import Sequence
from typing import ClassVar

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, check_schedule, checked


class DensityEvolution(Widget):
    """Data points on a line, and how noise turns their law into a bell.

    x_0 is one of the points, each as likely as the others, so that q(x_t) is a mixture of bells
    N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t). The page shows it over t and x as shades, with single
    paths that are walked step by step, and at one t as a curve beside N(0, 1). The reader adds
    points, moves them and takes them away.

    `x` is where the density is read, and where the buttons work. Raises ValueError for no point or
    too many of them, and for a number that the page cannot show.
    """

    module = "evolution"
    height = 467
    narrow_height = 866
    LIMITS: ClassVar[Limits] = {"x": (-3, 3)}
    MOST: ClassVar[int] = 12
    """So many points at most."""

    def __init__(
        self,
        *,
        points: Sequence[float] = (-1, 1),
        schedule: str = "linear",
        T: int = 200,
        t: int = 40,
        x: float = 0,
        seed: int = 1,
    ):
        """Keep the points; at first the page stands at time t."""
        check_schedule(schedule, T)
        if not 1 <= len(points) <= self.MOST:
            raise ValueError(f"from 1 to {self.MOST} points can be shown, not {len(points)}")
        if not 1 <= t <= T:
            raise ValueError(f"t must lie in 1..{T}, not at {t}")
        low, high = self.LIMITS["x"]
        if outside := [point for point in points if not low <= point <= high]:
            raise ValueError(f"points must lie between {low:g} and {high:g}, not at {outside[0]:g}")
        state = checked(self.LIMITS, x=x)
        placed = ", ".join(f"{point:g}" for point in points)
        super().__init__(
            f"Data points on a line, at {placed}, and the density of what noise makes of them: in "
            f"shades over all times up to {T}, with six single paths, and as a curve at time {t} "
            f"beside the standard normal density. The schedule is {schedule}. Sharp bands widen, "
            "bend to the middle and melt into one bell. Points can be added, moved and taken "
            "away, and the schedule and the time be changed.",
            points=[float(point) for point in points],
            limits=self.LIMITS,
            most=self.MOST,
            schedule=schedule,
            T=T,
            t=t,
            seed=seed,
            **state,
        )
