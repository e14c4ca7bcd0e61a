"""Diffusion in the plane, where the score and the best denoiser of a point cloud are formulas."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from ddpm_lite.diffusion import check_name
from ddpm_lite.schedule import SCHEDULES
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.limits import Limits, checked

Cloud = Literal["moons", "ring", "letters", "clover"]
"""The point clouds to choose from."""
Points = npt.NDArray[np.float64]
"""Points in the plane, (N, 2)."""

Way = Literal["ancestral", "ddim", "heun", "two_m"]
"""The samplers to choose from; the last is DPM-Solver++(2M)."""

COUNT = 240
"""Points in each cloud."""


class ToyDiffusion(Widget):
    """A point cloud that noise dissolves, its score, and walkers that come back from noise.

    x_0 is one of N points x_i, each as likely as the others, so that q(x_t) is a mixture of N
    Gaussians N(sqrt(alpha_bar_t) x_i, (1 - alpha_bar_t) I). Its score and E[x_0 | x_t] are closed
    forms, computed in the page: the reverse trajectories follow the exact denoiser, and nothing is
    trained. The reader can also draw a cloud.

    `schedule` may be one of the package's or "flow", the straight lines of flow matching between a
    point and a noise, shrunk so that the squares of both shares add up to 1. There DDIM is Euler's
    method. `probe` is where the numbers are taken; `steps` those of the samplers without fresh
    noise, while the ancestral one takes all T. The error of the former is their walkers' root mean
    square distance at t = 0 from the same walkers in T of Heun's steps.

    Raises ValueError for a name or a number that the page cannot show.
    """

    module = "toy"
    height = 652
    narrow_height = 1235
    LIMITS: ClassVar[Limits] = {"probe_x": (-3, 3), "probe_y": (-3, 3)}
    STEPS: ClassVar[tuple[int, ...]] = (1, 2, 5, 10, 20, 50)

    def __init__(
        self,
        *,
        cloud: Cloud = "moons",
        schedule: str = "cosine",
        T: int = 200,
        t: int = 60,
        sampler: Way = "ancestral",
        steps: int = 20,
        probe: Sequence[float] = (1.1, 1.2),
        seed: int = 1,
    ):
        """Make the clouds and the schedules; at first the page stands at time t."""
        check_name(Cloud, cloud)
        check_name(Way, sampler)
        choices = [*(n for n in self.STEPS if n < T), T]
        schedules = {name: SCHEDULES[name](T).beta.tolist() for name in SCHEDULES}
        schedules["flow"] = flow_betas(T)
        if schedule not in schedules:
            raise ValueError(f"schedule {schedule!r} is not one of {', '.join(schedules)}")
        if not 0 <= t <= T or steps not in choices:
            raise ValueError(f"t must lie in 0..{T}, and steps must be one of {choices}")
        x, y = probe
        state = checked(self.LIMITS, probe_x=x, probe_y=y)
        super().__init__(
            f"Left: {COUNT} points in the plane ({cloud}) with the noise of time {t} of {T}, and "
            "arrows for the score, which point to where the noisy points are dense. Right: walkers "
            "that begin as pure noise and follow the exact denoiser back to the points, step by "
            "step. The time, the cloud, the noise schedule and the sampler can be chosen.",
            clouds={name: np.round(points(name), 4).tolist() for name in get_args(Cloud)},
            schedules=schedules,
            step_choices=choices,
            limits=self.LIMITS,
            cloud=cloud,
            drawn=[],
            schedule=schedule,
            T=T,
            t=t,
            sampler=sampler,
            steps=steps,
            seed=seed,
            **state,
        )


def flow_betas(T: int) -> list[float]:
    """The betas whose signal and noise are as (1 - u) to u at u = t / T.

    The last would be 1, which `NoiseSchedule` refuses; 0.9999 leaves next to nothing of the signal.
    """
    u = np.arange(T + 1) / T
    alpha_bar = (1 - u) ** 2 / ((1 - u) ** 2 + u**2)
    betas: list[float] = np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.9999).tolist()
    return betas


# --- The clouds -----------------------------------------------------------------------------------


def points(name: Cloud) -> Points:
    """A cloud by its name, (COUNT, 2): mean 0, mean square 1 a coordinate, as the noise has."""
    raw = _CLOUDS[name](np.random.default_rng(0))
    centred = raw - raw.mean(0)
    scaled: Points = centred / np.sqrt(np.square(centred).mean())
    return scaled


def _moons(random: np.random.Generator) -> Points:
    angle = np.linspace(0, np.pi, COUNT // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    return np.concatenate([upper, lower]) + 0.06 * random.standard_normal((COUNT, 2))


def _ring(random: np.random.Generator) -> Points:
    angle = np.linspace(0, 2 * np.pi, COUNT, endpoint=False)
    radius = 1 + 0.05 * random.standard_normal(COUNT)
    return _polar(radius, angle)


def _clover(random: np.random.Generator) -> Points:
    """Four leaves: the radius is cos(2 angle)."""
    angle = np.linspace(0, 2 * np.pi, COUNT, endpoint=False)
    radius = np.cos(2 * angle) + 0.03 * random.standard_normal(COUNT)
    return _polar(radius, angle + np.pi / 4)


def _polar(radius: Points, angle: Points) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


_D = [(0, 0), (0, 1), (0.35, 1), (0.6, 0.75), (0.6, 0.25), (0.35, 0), (0, 0)]
_P = [(0, 0), (0, 1), (0.45, 1), (0.6, 0.87), (0.6, 0.6), (0.45, 0.47), (0, 0.47)]
_M = [(0, 0), (0, 1), (0.35, 0.4), (0.7, 1), (0.7, 0)]
_LETTERS = ((_D, 0.05, 1.3), (_D, 1.05, 1.3), (_P, 0.05, 0.0), (_M, 1.0, 0.0))


def _letters(random: np.random.Generator) -> Points:
    """D, D, P and M, two above two: points at equal distances along the strokes."""
    each = [
        _along(strokes, COUNT // len(_LETTERS)) + np.array([x, y]) for strokes, x, y in _LETTERS
    ]
    return np.concatenate(each) + 0.01 * random.standard_normal((COUNT, 2))


def _along(corners: Sequence[tuple[float, float]], count: int) -> Points:
    ends = np.array(corners, dtype=np.float64)
    way = np.concatenate([[0], np.linalg.norm(np.diff(ends, axis=0), axis=1).cumsum()])
    places = (np.arange(count) + 0.5) / count * way[-1]
    return np.stack([np.interp(places, way, ends[:, k]) for k in range(2)], 1)


_CLOUDS: Mapping[Cloud, Callable[[np.random.Generator], Points]] = {
    "moons": _moons,
    "ring": _ring,
    "letters": _letters,
    "clover": _clover,
}
