"""The networks that are timed side by side, at four sizes of network and picture.

Ours twice: on 2x2 patches, as the `mnist` preset is, with the peers' number of weights and about a
third of their operations; and at full resolution, with as many of both.
"""

import contextlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

import torch
import torch.nn.functional as F
from measuring import count_operations
from torch import Tensor, nn

from ddpm_lite.colouring import paint
from ddpm_lite.data import mnist
from ddpm_lite.schedule import NoiseSchedule, cosine
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

INSTALL = "pip install --no-deps -r benchmarks/requirements.txt"
PACKAGES = ("diffusers", "denoising-diffusion-pytorch", "smalldiffusion")
TOLERANCE = 0.10
OURS = ("patches", "full")
PEERS = ("lucidrains", "diffusers", "smalldiffusion")


@dataclass(frozen=True)
class Task:
    """What is trained: pictures (C, side, side), and how wide the networks are."""

    name: str
    width: int
    """Every level has so many times the channels that it has at about 2 million weights."""
    channels: int
    side: int

    def shape(self, batch: int) -> tuple[int, int, int, int]:
        """Of a batch, (B, C, H, W)."""
        return batch, self.channels, self.side, self.side


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("2M-grey", 1, 1, 28),
        Task("2M-colour", 1, 3, 32),
        Task("8M-grey", 2, 1, 28),
        Task("8M-colour", 2, 3, 32),
    )
}


@cache
def schedule() -> NoiseSchedule:
    """All networks are trained on the cosine schedule, T = 1000."""
    return cosine()


@dataclass(frozen=True)
class Contender:
    """A network to time: how to build it, and how to call it with x (B, C, H, W) and t (B,)."""

    name: str
    about: str
    build: Callable[[], nn.Module]
    predict: Callable[[Callable[..., Any], Tensor, Tensor], Tensor]


# --- Ours ---------------------------------------------------------------------------------------


def ours(name: str, config: UNetConfig) -> Contender:
    """One of our networks, without labels because two of the peers' have none."""
    about = f"{config.channels}{', 2x2 patches' if config.patch == 2 else ''}"
    return Contender(name, about, lambda: UNet(config), lambda net, x, t: net(x, t))


def our_configs(task: Task) -> dict[str, UNetConfig]:
    """The `mnist` preset's network, and the peers': two blocks a level, attention in the middle."""
    preset = replace(PRESETS["mnist"], image_channels=task.channels, classes=0)
    full = replace(preset, channels=(32, 64, 80), blocks=2, patch=1)
    return {
        name: replace(config, channels=tuple(task.width * c for c in config.channels))
        for name, config in (("patches", preset), ("full", full))
    }


# --- Peers --------------------------------------------------------------------------------------


def diffusers_peer(task: Task) -> Contender:
    """`UNet2DModel` of diffusers, of our full-resolution network's widths, blocks and groups."""
    from diffusers import UNet2DModel

    widths = our_configs(task)["full"].channels

    def build() -> nn.Module:
        net: nn.Module = UNet2DModel(  # type: ignore[assignment, no-untyped-call]
            sample_size=task.side,
            in_channels=task.channels,
            out_channels=task.channels,
            block_out_channels=widths,
            layers_per_block=2,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D", "UpBlock2D"),
        )
        return net

    # return_dict=False spares the output object: a little faster, and simpler to compile.
    return Contender(
        f"diffusers {metadata.version('diffusers')}",
        f"UNet2DModel {widths}",
        build,
        lambda net, x, t: net(x, t, return_dict=False)[0],
    )


def lucidrains_peer(task: Task) -> Contender:
    """`Unet` of denoising-diffusion-pytorch, its width chosen to match our parameter count.

    A network of twice the width has twice as many heads: with four it would have 14 % fewer
    operations than the others.
    """
    from denoising_diffusion_pytorch import Unet  # type: ignore[import-not-found]

    def build() -> nn.Module:
        net: nn.Module = Unet(
            dim=32 * task.width,
            dim_mults=(1, 2, 3),
            channels=task.channels,
            attn_heads=4 * task.width,
        )
        return net

    return Contender(
        f"denoising-diffusion-pytorch {metadata.version('denoising-diffusion-pytorch')}",
        f"Unet dim {32 * task.width}, mults (1, 2, 3), {4 * task.width} heads",
        build,
        lambda net, x, t: net(x, t),
    )


def smalldiffusion_peer(task: Task) -> Contender:
    """`Unet` of smalldiffusion; its default dropout is off, as in the others: that is faster.

    Its widths must be multiples of 32; the wider time embedding brings it to our parameter count
    and costs next to nothing.
    """
    from smalldiffusion import Unet  # type: ignore[import-not-found]

    def build() -> nn.Module:
        net: nn.Module = Unet(
            task.side, task.channels, task.channels,
            ch=32 * task.width, ch_mult=(1, 2, 2), embed_ch_mult=8,
            attn_resolutions=(task.side // 4,), dropout=0.0,
        )  # fmt: skip
        return net

    # It is told the noise level where the others are told the time: noise over signal.
    levels = schedule().snr.rsqrt()
    return Contender(
        f"smalldiffusion {metadata.version('smalldiffusion')}",
        f"Unet ch {32 * task.width}, mults (1, 2, 2)",
        build,
        lambda net, x, t: net(x, schedule().at(levels, t, x).flatten()),
    )


def stand_in(name: str) -> types.ModuleType:
    """A module that has every name; each is a function that takes anything and returns None."""
    module = types.ModuleType(name)
    module.__dict__["__getattr__"] = lambda _: lambda *args, **kwargs: None
    return module


@contextlib.contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """Lets two peers be imported without torchvision.

    Both import torchvision for loading and saving pictures only, never for the network, and the
    wheels of torchvision do not load beside the CPU build of torch. So an empty stand-in takes
    its place while they are imported. No layer that is timed comes from it.
    """
    names = ("torchvision", "torchvision.transforms")
    before = {name: sys.modules.get(name) for name in names}
    parent, child = (stand_in(name) for name in names)
    parent.__dict__["transforms"] = child
    sys.modules.update(zip(names, (parent, child), strict=True))
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def load_peers(task: Task) -> dict[str, Contender]:
    """The peers by short name. Raises SystemExit that says how to install them."""
    try:
        # First, because it asks whether torchvision is installed, and the stand-in is not.
        diffusers = diffusers_peer(task)
        with torchvision_stand_in():
            lucidrains, small = lucidrains_peer(task), smalldiffusion_peer(task)
    except ImportError as error:
        raise SystemExit(f"a peer is missing ({error}): {INSTALL}") from error
    return {"lucidrains": lucidrains, "diffusers": diffusers, "smalldiffusion": small}


def load_contenders(task: Task) -> dict[str, Contender]:
    """Ours by short name, then the peers."""
    configs = our_configs(task)
    mine = {name: ours(f"ddpm_lite {name}", config) for name, config in configs.items()}
    return {**mine, **load_peers(task)}


def pictures(task: Task) -> Tensor:
    """Some of MNIST's digits, uint8 (10000, C, side, side): they are inside the package.

    In colour they are painted: how long a step takes does not depend on what is on the pictures.
    """
    pixels = mnist().pixels[:10_000]
    margin = (task.side - pixels.shape[-1]) // 2
    pixels = F.pad(pixels, (margin, margin, margin, margin))
    return paint(pixels, seed=0) if task.channels == 3 else pixels


# --- Size: parameters and operations ------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """Parameters, and floating-point operations per image, forward and backward."""

    parameters: int
    operations: float


def measure_size(contender: Contender, task: Task, batch: int = 2) -> Size:
    """Counts both."""
    net = contender.build()
    x, t = torch.randn(task.shape(batch)), torch.randint(1, schedule().T + 1, (batch,))
    operations = count_operations(lambda: contender.predict(net, x, t))
    parameters = sum(p.numel() for p in net.parameters())
    return Size(parameters, operations / batch)


def check_close(what: str, reference: float, values: dict[str, float]) -> None:
    """Prints how far each value is from the reference. Raises ValueError beyond 10 %."""
    gaps = {name: value / reference - 1 for name, value in values.items()}
    print(f"  {what}: " + ", ".join(f"{name} {gap:+.1%}" for name, gap in gaps.items()))
    far = [name for name, gap in gaps.items() if abs(gap) > TOLERANCE]
    if far:
        raise ValueError(f"{what} of {', '.join(far)} differ by more than {TOLERANCE:.0%}")


def check_sizes(sizes: Mapping[str, Size]) -> None:
    """That the peers are as large as ours. Raises ValueError if one is not."""
    peers = [name for name in sizes if name not in OURS]
    parameters = {name: float(sizes[name].parameters) for name in peers}
    operations = {name: sizes[name].operations for name in peers}
    print(f"Sizes of the peers against ours (each must be within {TOLERANCE:.0%})")
    for mine in OURS:
        check_close(f"parameters, against {mine}", sizes[mine].parameters, parameters)
    check_close("operations, against full", sizes["full"].operations, operations)
