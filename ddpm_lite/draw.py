"""Drawing whole sets of images with a model: batches, labels, any sampler by its name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from ddpm_lite.data import to_uint8
from ddpm_lite.devices import keep_memory
from ddpm_lite.diffusion import Variance, check_name, check_numbers
from ddpm_lite.labels import class_names, class_number
from ddpm_lite.model import DiffusionModel, Precision
from ddpm_lite.progress import with_bar
from ddpm_lite.sample import (
    Denoiser,
    State,
    ancestral,
    consistency,
    ddim,
    denoiser,
    dpm_solver,
    initial_noise,
    last,
    timesteps,
)

__all__ = ["DrawConfig", "draw", "own_config"]

SamplerName = Literal["ancestral", "ddim", "dpm_solver", "consistency"]


@dataclass(frozen=True)
class DrawConfig:
    """How to draw."""

    sampler: SamplerName = "ddim"
    """ancestral (all T steps), ddim, dpm_solver, or consistency for a model made for few steps."""
    steps: int = 50
    """Steps of ddim, dpm_solver and consistency."""
    eta: float = 0.0
    """Noise of ddim: 0 none, 1 as much as ancestral."""
    variance: Variance = "posterior"
    """Variance of ancestral: posterior (beta tilde) or beta."""
    guidance_scale: float = 1.3
    """0 ignores the label, 1 follows it, more follows it harder; a little more draws better."""
    clip: bool = True
    """Whether the predicted x_0 is kept within [-1, 1]."""
    seed: int = 0
    """Of all noise."""
    batch_size: int = 256
    """Images at a time. Each batch has its own noise: another size gives other images, and below
    250 another estimate of bits/dim."""
    precision: Precision = "auto"
    """Numbers in the network: auto, float32 or bfloat16."""

    def __post_init__(self) -> None:
        check_name(SamplerName, self.sampler)
        check_name(Variance, self.variance)
        check_name(Precision, self.precision)
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError("steps and batch_size must be at least 1")
        check_numbers(self)
        if self.eta < 0:
            raise ValueError("eta must be at least 0")


def own_config(model: DiffusionModel) -> DrawConfig:
    """How the model's file asks to be drawn with; the defaults, if it asks for nothing.

    `dataclasses.replace` changes it: a network that guidance is built into is not guided again.
    Raises ValueError if there is no such way.
    """
    kinds = {option.name: type(option.default) for option in fields(DrawConfig)}
    wrong = [name for name, value in model.wishes.items() if type(value) is not kinds.get(name)]
    if wrong:
        raise ValueError(f"the model asks to be drawn with an unusable {min(wrong)}")
    return DrawConfig(**model.wishes)


def check_steps(config: DrawConfig, T: int) -> None:
    """Raises ValueError for more steps than a model's T, before anything is drawn."""
    if config.sampler != "ancestral":
        timesteps(T, config.steps)


def make_denoiser(model: DiffusionModel, label: Tensor | None, config: DrawConfig) -> Denoiser:
    """The model's denoiser for these labels (B,), guided as `config` says."""
    guided = label is not None and config.guidance_scale != 1.0
    return denoiser(
        model.schedule,
        model.labelled(label, config.precision),
        model.config.target,
        unconditional=model.labelled(None, config.precision) if guided else None,
        guidance_scale=config.guidance_scale if guided else 1.0,
        clip=config.clip,
    )


def states(
    model: DiffusionModel,
    x_T: Tensor,
    label: Tensor | None,
    config: DrawConfig,
    seed: int | None = None,
    progress: bool = False,
) -> Iterator[State]:
    """The states of the sampler that `config` names, from x_T (B, C, H, W).

    `seed` takes the place of that of `config`.
    """
    denoise, schedule = make_denoiser(model, label, config), model.schedule
    seed = config.seed if seed is None else seed
    if config.sampler == "ancestral":
        return ancestral(denoise, schedule, x_T, config.variance, seed, progress)
    if config.sampler == "dpm_solver":
        return dpm_solver(denoise, schedule, x_T, config.steps, progress=progress)
    if config.sampler == "consistency":
        return consistency(denoise, schedule, x_T, config.steps, seed, progress)
    return ddim(denoise, schedule, x_T, config.steps, config.eta, seed, progress)


def balanced_labels(n: int, classes: int) -> Tensor | None:
    """0, 1, ..., classes-1, 0, 1, ...: every class equally often; None without classes."""
    return torch.arange(n) % classes if classes else None


def _numbers(model: DiffusionModel, labels: Sequence[str | int]) -> Tensor:
    """The classes of these, int64 (n,). Raises ValueError for one that is none."""
    names = model.class_names or class_names({}, model.config.unet.classes)
    return torch.tensor([class_number(str(label), names) for label in labels], device="cpu")


def draw(
    model: DiffusionModel,
    n: int,
    config: DrawConfig | None = None,
    labels: Tensor | Sequence[str | int] | None = None,
    progress: bool = False,
) -> Tensor:
    """N images, uint8 (n, C, H, W); without labels every class equally often.

    Labels are numbers of classes, int64 (n,), or a list of n names or numbers, such as
    ["horse", "ship"] (`DiffusionModel.class_names`); in a list 7 and "7" are the class of that
    name, or else of that number.
    Without a config they are drawn as the model's file asks (`own_config`).
    Each batch has a seed of its own, made of `config.seed` and the number of its first image; so
    the images after the first batch depend on `config.batch_size`. The progress bar counts batches,
    or the steps of a single one. Raises ValueError if n < 1, if there are not n labels, if a name
    is none of the model's, or if the network puts out numbers that are not finite.
    """
    if n < 1 or (labels is not None and len(labels) != n):
        raise ValueError("n must be at least 1, and there must be as many labels")
    keep_memory()
    config = config or own_config(model)
    if labels is None:
        labels = balanced_labels(n, model.config.unet.classes)
    elif not isinstance(labels, Tensor):
        labels = _numbers(model, labels)
    images, one_batch = [], n <= config.batch_size
    starts = range(0, n, config.batch_size)
    for start in with_bar(starts, progress and not one_batch, "drawing", "batch"):
        count, seed = min(config.batch_size, n - start), config.seed + 7919 * start
        label = None if labels is None else labels[start : start + count].to(model.device)
        x_T = initial_noise((count, *model.config.image_shape), seed, model.device)
        steps = states(model, x_T, label, config, seed, progress and one_batch)
        images.append(to_uint8(_finite(last(steps))).cpu())
    return torch.cat(images)


def _finite(x: Tensor) -> Tensor:
    """The same numbers, if all are numbers: what is none would become a black pixel."""
    if not bool(x.isfinite().all()):
        raise ValueError(
            "the network puts out numbers that are not finite: its weights are damaged, or "
            "--guidance-scale or --precision ask too much of them"
        )
    return x
