"""The weather chain: a crowd of walkers, the exact odds, and how fast the start is forgotten."""

from collections.abc import Sequence
from typing import ClassVar

from ddpm_lite.widgets.base import Widget

WEATHER = ((0.8, 0.1, 0.1), (0.4, 0.4, 0.2), (0.2, 0.3, 0.5))
"""The odds of the chapter on Markov chains; each row says what follows on one weather."""


class WeatherChain(Widget):
    """A Markov chain with three states: walkers beside the exact law, the matrix open to changes.

    `matrix` has three rows of odds that add up to 1 each; zeros are allowed. The walkers start in
    `start` (one of `names`, or "any" for a third of them each) and the picture opens at `day`.
    Raises ValueError for a matrix that is not stochastic, an unknown start, or a day or number of
    walkers out of range.
    """

    module = "markov"
    height = 657
    narrow_height = 1126
    LAST_DAY: ClassVar[int] = 20

    def __init__(
        self,
        *,
        matrix: Sequence[Sequence[float]] = WEATHER,
        names: tuple[str, str, str] = ("sunny", "cloudy", "rainy"),
        start: str = "rainy",
        day: int = 2,
        walkers: int = 300,
        seed: int = 1,
    ):
        """Check and keep what was given."""
        rows = [[float(p) for p in row] for row in matrix]
        if len(rows) != 3 or any(len(row) != 3 for row in rows):
            raise ValueError("the matrix must have three rows of three numbers")
        for row in rows:
            if not (min(row) >= 0 and abs(sum(row) - 1) <= 1e-9):  # which NaN does not either
                raise ValueError(f"each row must be odds that add up to 1, not {row}")
        if start not in (*names, "any"):
            raise ValueError(f"start must be one of {', '.join(names)} or any, not {start!r}")
        if not 0 <= day <= self.LAST_DAY:
            raise ValueError(f"day must lie between 0 and {self.LAST_DAY}, not at {day}")
        if not 3 <= walkers <= 600:
            raise ValueError(f"3 to 600 walkers can be shown, not {walkers}")
        odds = "; ".join(
            f"from {name} " + ", ".join(f"{p:g} to {n}" for p, n in zip(row, names, strict=True))
            for name, row in zip(names, rows, strict=True)
        )
        begin = f"All start {start}" if start != "any" else "A third of them starts in each state"
        super().__init__(
            f"{walkers} walkers step between three states, {', '.join(names)}, with these odds: "
            f"{odds}. {begin}. Bars show how the walkers and the exact odds are spread after "
            "each day, and a chart how fast that comes close to the law of the long run.",
            matrix=rows,
            names=list(names),
            start=start,
            day=int(day),
            last=self.LAST_DAY,
            walkers=int(walkers),
            seed=int(seed),
        )
