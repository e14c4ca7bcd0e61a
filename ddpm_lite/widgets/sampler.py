"""A shipped model, drawing in the reader's browser; before it is loaded, a run by PyTorch."""

import base64
import json
import os
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddpm_lite.checkpoint import read
from ddpm_lite.data import mnist, to_float, to_uint8
from ddpm_lite.diffusion import q_sample
from ddpm_lite.draw import DrawConfig, SamplerName, make_denoiser
from ddpm_lite.labels import class_names, class_number, needs_label, with_article
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import Denoiser, State, ddim, ddim_step, dpm_solver, timesteps
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.files import PAGES, RUNTIME_BYTES, RUNTIME_FILES, model_file
from ddpm_lite.widgets.limits import checked
from ddpm_lite.widgets.modules import source

if TYPE_CHECKING:
    import anywidget

FRAMES = 10
"""Pictures of the recorded run, besides its first noise."""


class Sampler(Widget):
    """A model draws in the page: any class, any sampler; digits also from the reader's own sketch.

    The page fetches the model and onnxruntime from its own `_static/` when the reader asks for
    them. Until then, and where they cannot be had, it shows the run that these arguments describe,
    drawn by PyTorch when the widget was made; the browser draws the same picture from the same
    seed. In a notebook with anywidget (`ddpm-lite[live]`) the kernel's model draws.

    `model` is a name among MODELS, `label` a class by its name or number; None lets the model
    choose, if it has been trained without labels as well. `own_digit` is the test digit that
    stands on the sketching pad at first, `own_t` the time it is noised to. `static_root` is the
    address of the folder that holds the files, for pages that Sphinx has not made.
    """

    module = "sampler"
    height = 780
    narrow_height = 1190

    def __init__(
        self,
        *,
        model: str = "mnist",
        label: int | str | None = 3,
        guidance: float = 1.3,
        sampler: SamplerName = "dpm_solver",
        steps: int = 20,
        seed: int = 0,
        own_digit: int = 7,
        own_t: int = 500,
        static_root: str | None = None,
    ):
        """Draws the recorded run, in `steps` steps. Raises ValueError for a choice out of range."""
        net, names, labelled = shipped(model), *shipped_names(model)
        if labelled and (label is None or guidance != 1):
            raise ValueError(f"{model} draws nothing without a label: give one, and guidance=1")
        number = None if label is None else class_number(str(label), names)
        T, grey = net.schedule.T, net.config.unet.image_channels == 1
        if not 1 <= own_t <= T:
            raise ValueError(f"own_t must lie in 1..{T}, not {own_t}")
        config = DrawConfig(sampler, steps, guidance_scale=guidance, precision="float32")
        checked({"guidance": (0, 5), "own_digit": (0, 9)}, guidance=guidance, own_digit=own_digit)
        x_T = page_noise(seed, net.config.image_shape)
        denoise = make_denoiser(net, None if number is None else torch.tensor([number]), config)
        run = list(page_states(denoise, net.schedule, x_T, sampler, steps, seed))
        picks = dict.fromkeys(round((k + 1) * len(run) / FRAMES) - 1 for k in range(FRAMES))
        frames = [run[k] for k in picks if k >= 0]
        drawn = subjects(names, grey)
        what = drawn[-1 if number is None else number]
        super().__init__(
            f"A diffusion model draws {what} from noise in {steps} step{'s' if steps > 1 else ''}: "
            "at every step the noisy picture, and the clean one that the model predicts.",
            betas=net.schedule.beta.tolist(),
            target=net.config.target,
            side=net.config.side,
            channels=net.config.unet.image_channels,
            names=list(names),
            subjects=drawn,
            label=number,
            labelled=labelled,
            guidance=guidance,
            sampler=sampler,
            steps=steps,
            seed=seed,
            own_digit=own_digit,
            own_t=own_t,
            frames=[
                {"t": T, "x": _bytes(x_T), "x0": None},
                *({"t": s.t, "x": _bytes(s.x_t), "x0": _bytes(s.x_0)} for s in frames),
            ],
            digits=[_bytes(to_float(image)) for image in _test_digits()] if grey else [],
            static_root=static_root,
            kernel=False,
            files={**RUNTIME_FILES, "model": model_file(model)},
            sizes={"total": RUNTIME_BYTES + MODELS[model].stat().st_size},
            worker=source("sampler_worker"),
        )
        if labelled:  # there is no knob for guidance
            self.height, self.narrow_height = 750, 1060
        if not grey:  # nor anything to sketch on
            self.height, self.narrow_height = 560, 805
        self.model = model

    def live(self) -> "anywidget.AnyWidget":
        """As an anywidget whose network is the kernel's: it asks, and `answer` answers."""
        made = super().live()
        made.kernel = True
        made.on_msg(partial(reply, shipped(self.model)))
        return made

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """HTML for pages; the live widget, with what Colab needs, where anywidget is at hand."""
        if PAGES in os.environ or find_spec("anywidget") is None:
            return {"text/html": self._repr_html_()}
        return _displayed(self)._repr_mimebundle_()


_shown: dict[str, "anywidget.AnyWidget"] = {}


def _displayed(sampler: Sampler) -> "anywidget.AnyWidget":
    """The live widget of these choices: one, however often a cell runs.

    Jupyter keeps every widget until it is closed, and one that is on the page must not be.
    """
    choices = json.dumps(sampler.state)
    if choices not in _shown or _shown[choices].comm is None:  # somebody has closed it
        _shown[choices] = sampler.live()
    return _shown[choices]


@cache
def shipped(name: str = "mnist") -> DiffusionModel:
    """A model, loaded once for all widgets. Raises ValueError for a name that no model has."""
    if name not in MODELS:
        raise ValueError(f"model {name!r} is not one of {', '.join(MODELS)}")
    return DiffusionModel.load(MODELS[name]).without_variance()


def shipped_names(name: str) -> tuple[tuple[str, ...], bool]:
    """The names of a model's classes, and whether it has to be given one."""
    metadata = read(MODELS[name], only="nothing")[1]
    return class_names(metadata, shipped(name).config.unet.classes), needs_label(metadata)


def subjects(names: tuple[str, ...], grey: bool) -> list[str]:
    """What is drawn, in words: for each class, and last for any."""
    if grey:
        return [*(f"the digit {name}" for name in names), "a digit"]
    return [*map(with_article, names), "a picture"]


def reply(
    model: DiffusionModel, live: "anywidget.AnyWidget", question: dict[str, Any], raw: list[bytes]
) -> None:
    """Evaluate the network for the widget in the notebook: one image, one time, some labels.

    The image comes and the outputs go as float32 in bytes; any error goes back in words, because
    the page waits until it hears something.
    """
    reply: dict[str, Any] = {"id": question.get("id")}
    try:
        outputs = [network_output(model, raw[0], question["t"], question["labels"])]
    except Exception as error:
        live.send(reply | {"error": f"{type(error).__name__}: {error}"})
    else:
        live.send(reply, outputs)


def network_output(model: DiffusionModel, raw: bytes, t: int, labels: list[int]) -> bytes:
    """The network's output for one image with each of the labels, one after another."""
    x = torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(1, *model.config.image_shape)
    label = torch.tensor(labels)
    output = model(x.repeat(len(labels), 1, 1, 1), torch.full_like(label, t), label)
    return output.numpy().tobytes()


def page_noise(seed: int, shape: tuple[int, ...], draws: int = 1) -> Tensor:
    """The normal numbers that the page draws from a seed, (draws, *shape), float32.

    mulberry32 and Box-Muller, as in shared.js.
    """
    count = draws * int(np.prod(shape))
    u = _mulberry32(seed, 2 * count)
    z = np.sqrt(-2 * np.log(1 - u[::2])) * np.cos(2 * np.pi * u[1::2])
    return torch.from_numpy(z).float().reshape(draws, *shape)


def _mulberry32(seed: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1); the k-th depends on seed and k alone. Arithmetic modulo 2^32."""
    k = np.arange(1, count + 1, dtype=np.uint32)
    a = np.uint32(seed % 2**32) + k * np.uint32(0x6D2B79F5)
    z = (a ^ (a >> 15)) * (a | 1)
    z = (z + (z ^ (z >> 7)) * (z | 61)) ^ z
    uniform: NDArray[np.float64] = (z ^ (z >> 14)) / 4294967296
    return uniform


def page_states(
    denoise: Denoiser,
    schedule: NoiseSchedule,
    x_T: Tensor,
    sampler: SamplerName,
    steps: int,
    seed: int = 0,
) -> Iterator[State]:
    """The states that the page goes through; `ancestral` in `steps` steps is DDIM with eta = 1."""
    if sampler == "dpm_solver":
        yield from dpm_solver(denoise, schedule, x_T, steps)
        return
    if sampler == "ddim":
        yield from ddim(denoise, schedule, x_T, steps)
        return
    x, times = x_T, timesteps(schedule.T, steps)
    noise = page_noise(seed + 0x9E3779B9, tuple(x_T.shape), steps)
    for t, before, eps in zip(times[:-1], times[1:], noise, strict=True):
        x_0 = denoise(x, t)
        if sampler == "consistency":
            x = q_sample(schedule, x_0, before, eps) if before > 0 else x_0
        else:
            mean, variance = ddim_step(schedule, x_0, x, t, before, eta=1.0)
            x = mean + variance.sqrt() * eps
        yield State(before, x, x_0)


@cache
def _test_digits() -> Tensor:
    """The first picture of each digit in MNIST's test set, uint8 (10, 1, 28, 28)."""
    images = mnist(train=False)
    return torch.stack([images.pixels[(images.labels == k).nonzero()[0, 0]] for k in range(10)])


def _bytes(image: Tensor) -> str:
    """An image in [-1, 1] as one byte a number, in base64."""
    return base64.b64encode(to_uint8(image).numpy().tobytes()).decode()
