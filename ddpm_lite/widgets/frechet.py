"""Two clouds whose true distance is known, and what is measured of it from n points."""

from typing import ClassVar

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked

SIZES = (10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000)
"""How many points a cloud may have."""
DRAWS = {2: 40, 8: 16, 32: 4}
"""How many features there may be, and how many draws a mean takes: with many, draws differ less."""


class Frechet(Widget):
    """The Frechet distance of two clouds of points, and how it depends on their number.

    The first cloud is standard normal in d features. So is the second, but its first feature has
    the mean `shift` and the deviation `width`: by the formula of chapter 10 the laws are shift^2 +
    (1 - width)^2 apart, whatever d is. The page shows the first two features of n points of each,
    and their measured distance beside that of the laws. It lies above it on average, and by how
    much the floor tells, the mean distance of two clouds of n points of the first law. Another
    picture shows both means over n. The clouds can be drawn again.

    Raises ValueError for an n or a d that is not in SIZES or DRAWS, and for a number that the page
    cannot show.
    """

    module = "frechet"
    height = 470
    narrow_height = 846
    LIMITS: ClassVar[Limits] = {"shift": (-2, 2), "width": (0.25, 2)}

    def __init__(
        self, *, shift: float = 0.5, width: float = 1.2, n: int = 50, d: int = 8, seed: int = 1
    ):
        """Keep the second cloud's law; the page begins with n points in d features."""
        for name, value, known in (("n", n, SIZES), ("d", d, tuple(DRAWS))):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, not {value}")
        state = checked(self.LIMITS, shift=shift, width=width)
        super().__init__(
            f"Two clouds of {n} points with {d} features each, the second moved by {shift:g} and "
            f"{width:g} times as wide in the first feature. Left: both clouds in their first two "
            "features, with the ellipses of their laws and of their points. Right: the mean "
            f"Frechet distance of such clouds, for n from {SIZES[0]} to {SIZES[-1]}, and that of "
            "two clouds of one law, the floor. Both fall as n grows, the first to the true "
            "distance of the laws, the floor to nothing, and with more features both are higher. "
            "Numbers say what was measured of these clouds, what is true, and the floor. The "
            "second cloud, n and the number of features can be changed, and the clouds drawn "
            "again.",
            limits=self.LIMITS,
            sizes=list(SIZES),
            draws=[[features, count] for features, count in DRAWS.items()],
            n=n,
            d=d,
            seed=seed,
            **state,
        )
