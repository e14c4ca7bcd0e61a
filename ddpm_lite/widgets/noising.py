"""Noising: a picture at every time of the forward process, under every schedule."""

from functools import cache

import numpy as np
import numpy.typing as npt

from ddpm_lite.data import mnist
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import check_schedule

DIGIT = 15
"""Where the digit stands among the test images: a 5."""

HORIZON = 0.62
"""The height where sky and sea meet in the sunset, from the top."""

_Numbers = npt.NDArray[np.float64]


class Noising(Widget):
    """A picture with t steps of noise, walked step by step and reached in one jump.

    `picture` is "digit", an MNIST test image, or "sunset", 32 x 32 pixels of colour. Schedule, T
    and t can be changed in the page, which computes the tables by the formulas of
    `ddpm_lite.schedule` and shows the pixel values beside the density of N(0, 1). Raises ValueError
    for an unknown picture or schedule, for a T that not every schedule can have, and for t outside
    0..T.
    """

    module = "noising"
    height = 663
    narrow_height = 856

    def __init__(
        self, *, picture: str = "digit", schedule: str = "linear", T: int = 1000, t: int = 200
    ):
        """Send both pictures and the first choices."""
        pictures = {"digit": _digit(), "sunset": sunset()}
        if picture not in pictures:
            raise ValueError(f"picture {picture!r} is not one of {', '.join(pictures)}")
        check_schedule(schedule, T)
        if not 0 <= t <= T:
            raise ValueError(f"t must lie in 0..{T}, not at {t}")
        super().__init__(
            f"A picture, a {picture}, after {t} of {T} steps of noise under the {schedule} "
            "schedule: walked step by step beside reached in one jump. The two look equally "
            "noisy. A histogram compares their pixel values with a standard normal density, and "
            "two curves show alpha_bar and the signal-to-noise ratio over t. Picture, schedule, "
            "T and t can be changed.",
            pictures={name: _packed(pixels) for name, pixels in pictures.items()},
            picture=picture,
            schedule=schedule,
            T=T,
            t=t,
        )


def sunset(side: int = 32) -> npt.NDArray[np.uint8]:
    """A picture made of gradients and discs: a low sun over the sea; (3, side, side)."""
    y, x = np.mgrid[:side, :side] / (side - 1)
    night, glow, sun = np.array([[0.17, 0.13, 0.42], [1.0, 0.62, 0.3], [1.0, 0.93, 0.6]])
    hill, sea, light = np.array([[0.16, 0.09, 0.25], [0.05, 0.16, 0.33], [1.0, 0.72, 0.38]])

    def disc(across: float, down: float, radius: float, stretch: float = 1) -> _Numbers:
        """1 inside, 0 outside, soft over one pixel."""
        distance: _Numbers = np.hypot((x - across) / stretch, y - down)
        return np.clip((radius - distance) * side + 0.5, 0, 1)

    sky = _blend(_plain(night), glow, np.clip(y / HORIZON, 0, 1) ** 1.3)
    sky = _blend(sky, sun, disc(0.6, 0.48, 0.17))
    sky = _blend(sky, hill, disc(0.1, 0.74, 0.24, stretch=1.8))
    glitter = np.exp(-(((x - 0.6) / 0.14) ** 2)) * (0.55 + 0.45 * np.sin(70 * y))
    water = _blend(_plain(sea), light, glitter)
    picture = np.where(y < HORIZON, sky, water)
    return (255 * picture).round().astype(np.uint8)


def _plain(colour: _Numbers) -> _Numbers:
    return colour[:, None, None]


def _blend(picture: _Numbers, colour: _Numbers, share: _Numbers) -> _Numbers:
    """A picture (3, H, W) with a colour laid over it; share (H, W) is how thick."""
    mixed: _Numbers = picture * (1 - share) + _plain(colour) * share
    return mixed


@cache
def _digit() -> npt.NDArray[np.uint8]:
    return mnist(train=False).pixels[DIGIT].numpy()


def _packed(pixels: npt.NDArray[np.uint8]) -> dict[str, int | list[int]]:
    """Grey levels channel by channel, row by row."""
    channels, side, _ = pixels.shape
    return {"channels": channels, "side": side, "pixels": pixels.ravel().tolist()}
