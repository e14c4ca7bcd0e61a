"""A map of the U-Net, with what flows through it for two digits at a few times."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lite.data import mnist, to_float, to_uint8
from ddpm_lite.diffusion import predict, q_sample
from ddpm_lite.model import DiffusionModel
from ddpm_lite.unet import Stage, UNet
from ddpm_lite.widgets.base import Widget

GREY = frozenset({"x_t", "x_0"})
"""Blocks that are shown as pictures in grey; all others as signed numbers in two colours."""


@dataclass(frozen=True)
class Block:
    """One box of the map: where it stands, and whose output it shows."""

    name: str
    title: str
    text: str
    column: int
    row: int
    modules: tuple[nn.Module, ...] = ()
    """Its layers; the last one's output is the block's."""
    skip: str | None = None
    """The block of the way down whose output it is also given."""
    timed: bool = False
    """Whether the time enters it."""

    @property
    def parameters(self) -> int:
        """How many learnt numbers it has."""
        return sum(p.numel() for module in self.modules for p in module.parameters())


class UNetMap(Widget):
    """The blocks of a U-Net drawn as a U, with feature maps for a digit at the chosen time.

    Everything is computed here, by PyTorch: for every digit (the first of its class in MNIST's test
    set, which is also the label that the network is given) and every time, one x_t with the same
    noise, and of every block the `channels` feature maps that vary most over the picture. `model`
    is the shipped one if left out. Raises ValueError for a model that is not made for MNIST's
    labelled digits, and for digits and times that it does not know.
    """

    module = "unet_map"
    height = 616
    narrow_height = 854
    MAX_FRAMES: ClassVar[int] = 12

    def __init__(
        self,
        *,
        model: DiffusionModel | None = None,
        digits: Sequence[int] = (2, 7),
        times: Sequence[int] = (100, 350, 600, 850),
        channels: int = 8,
        seed: int = 0,
    ):
        """Run the network once, for all digits and times together."""
        model = (model or DiffusionModel.load()).without_variance()
        _check(model, digits, times, channels)
        blocks = lay_out(model.net, model.config.target)
        outputs = record(model, blocks, digits, times, seed)
        shown = [_describe(model.net, block, outputs[block.name], channels) for block in blocks]
        widths = ", ".join(f"{c}" for c in model.config.unet.channels)
        super().__init__(
            f"A U-Net drawn as a U of {len(blocks)} blocks: pictures of {model.config.side} pixels "
            f"a side enter on the left, become smaller and deeper ({widths} channels) down to the "
            "middle, and grow again on the right, with bridges from left to right. Each block can "
            f"be chosen, and shows what it made of the digit {digits[0]} or another, at one of "
            f"{len(times)} times.",
            blocks=[fields for fields, _ in shown],
            digits=list(digits),
            times=list(times),
            alpha_bar=[float(model.schedule.alpha_bar[t - 1]) for t in times],
            target=model.config.target,
            maps=_join([maps for _, maps in shown]),
            digit=digits[0],
            time=min(1, len(times) - 1),
            block="down_1",
        )


def _check(
    model: DiffusionModel, digits: Sequence[int], times: Sequence[int], channels: int
) -> None:
    if model.config.image_shape != (1, 28, 28) or model.config.unet.classes != 10:
        raise ValueError("the map needs a model of MNIST's digits with their ten labels")
    if not digits or not times or not all(0 <= digit <= 9 for digit in digits):
        raise ValueError("the map needs at least one digit of 0..9 and one time")
    if not all(1 <= t <= model.schedule.T for t in times):
        raise ValueError(f"times must lie in 1..{model.schedule.T}")
    if len(digits) * len(times) > UNetMap.MAX_FRAMES or not 1 <= channels <= 8:
        raise ValueError(
            f"the page would be too heavy: at most {UNetMap.MAX_FRAMES} frames, 1 to 8 channels"
        )


# --- The blocks and their places ------------------------------------------------------------------


def lay_out(net: UNet, target: str) -> list[Block]:
    """All blocks in the order in which the picture passes them; the time comes last.

    Rows go down with the side, columns to the right with every block that keeps it.
    """
    entrance = _entrance(net)
    down, skips = _way_down(net, entrance[-1])
    middle = _middle(net, down[-1])
    up = _way_up(net, middle[-1], skips)
    return [*entrance, *down, *middle, *up, *_exit(net, up[-1], target)]


def _entrance(net: UNet) -> list[Block]:
    patch, first = net.config.patch, net.config.channels[0]
    blocks = [Block("x_t", "The noisy digit x_t", "What the network is given.", 0, 0)]
    if patch > 1:
        text = (
            f"Each square of {patch}x{patch} pixels, folded into {patch**2} channels: "
            "smaller, and nothing is lost. A border makes the side easy to halve."
        )
        blocks.append(Block("fold", "Folded pixels", text, 0, 1))
    text = f"A 3x3 convolution: from {net.stem.in_channels} channels to {first}."
    blocks.append(Block("stem", "First convolution", text, len(blocks) - 1, 1, (net.stem,)))
    return blocks


def _way_down(net: UNet, last: Block) -> tuple[list[Block], list[str]]:
    """The blocks, and the names of those, stem included, that hand something over."""
    blocks, column, row = [last], last.column, last.row
    for k, layer in enumerate(net.down, 1):
        name = f"down_{k}"
        if isinstance(layer, Stage):
            column += 1
            blocks.append(_stage(name, f"Down {k}: residual block", layer, column, row))
        else:
            row += 1
            text = "A 3x3 convolution that takes every second pixel: half the side."
            blocks.append(Block(name, f"Down {k}: halving", text, column, row, (layer,)))
    return blocks[1:], [block.name for block in blocks]


def _middle(net: UNet, last: Block) -> list[Block]:
    stages = [stage for stage in net.middle if isinstance(stage, Stage)]
    return [
        _stage(f"middle_{k}", f"Middle {k}: residual block", stage, last.column + k, last.row)
        for k, stage in enumerate(stages, 1)
    ]


def _way_up(net: UNet, last: Block, skips: list[str]) -> list[Block]:
    blocks, column, row, skips = [], last.column, last.row, list(skips)
    for k, layer in enumerate(net.up, 1):
        name = f"up_{k}"
        if isinstance(layer, Stage):
            column += 1
            title = f"Up {k}: residual block"
            blocks.append(_stage(name, title, layer, column, row, skips.pop()))
        else:
            row -= 1
            text = "Every pixel becomes 2x2, then a 3x3 convolution smooths: twice the side."
            blocks.append(Block(name, f"Up {k}: doubling", text, column, row, (layer,)))
    return blocks


def _stage(
    name: str, title: str, stage: Stage, column: int, row: int, skip: str | None = None
) -> Block:
    text = "Two 3x3 convolutions, with the time added between them and the input at the end."
    if not isinstance(stage.attention, nn.Identity):
        title += " with attention"
        text += " Then every pixel looks at every other one."
    if skip is not None:
        inputs = stage.block.norm1.num_channels
        text += f" Its {inputs} input channels are two stacks: from before, and over the bridge."
    return Block(name, title, text, column, row, (stage,), skip, timed=True)


def _exit(net: UNet, last: Block, target: str) -> list[Block]:
    column = last.column + 1
    unfold = " Unfolded into pixels again," if net.config.patch > 1 else ""
    names = {"v": "the velocity v", "eps": "the noise eps", "x_0": "the clean digit"}
    said = {**names, "flow": "the direction from the digit to the noise"}[target]
    head = f"A last normalisation and a 3x3 convolution: {net.head.out_channels} channels."
    time = (
        "The time t as sines and cosines, and the label, through two layers: "
        f"{4 * net.config.channels[0]} numbers. Every block with a dot is given them."
    )
    return [
        Block("head", "Last convolution", head, column, 1, (net.norm, net.head)),
        Block("output", "The output", f"{unfold} it is {said}.".strip().capitalize(), column, 0),
        Block(
            "x_0",
            "The predicted clean digit",
            "The x_0 that belongs to x_t and the output; beside it the true one.",
            column - 3,
            0,
        ),
        Block("embed", "Time and label", time, column // 2, 0, (net.embed,)),
    ]


# --- What flows through them ----------------------------------------------------------------------


def record(
    model: DiffusionModel,
    blocks: list[Block],
    digits: Sequence[int],
    times: Sequence[int],
    seed: int,
) -> dict[str, Tensor]:
    """Each block's output, (frames, C, H, W), digit by digit and for each digit time by time."""
    x_0 = _first_of(digits).repeat_interleave(len(times), 0)
    label = torch.tensor(digits).repeat_interleave(len(times))
    t = torch.tensor(times).repeat(len(digits))
    generator = torch.Generator().manual_seed(seed)
    eps = torch.randn((len(digits), *x_0.shape[1:]), generator=generator)
    x_t = q_sample(model.schedule, x_0, t, eps.repeat_interleave(len(times), 0))
    seen: dict[str, Tensor] = {"x_t": x_t}
    hooks = [
        net_layer.register_forward_hook(_keep(seen, block.name))
        for block in blocks
        for net_layer in block.modules[-1:]
    ]
    try:
        seen["output"] = model(x_t, t, label)
    finally:
        for hook in hooks:
            hook.remove()
    seen["fold"] = _fold(model.net, x_t)
    said = predict(model.schedule, seen["output"], x_t, t, model.config.target)
    seen["x_0"] = torch.cat([said.x_0, x_0], dim=1)
    seen["embed"] = seen["embed"].reshape(len(t), 1, 8, -1)
    return seen


def _keep(seen: dict[str, Tensor], name: str) -> Any:
    def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        seen[name] = output.float()

    return hook


def _first_of(digits: Sequence[int]) -> Tensor:
    """The first test picture of each digit, (digits, 1, 28, 28) in [-1, 1]."""
    images = mnist(train=False)
    places = [int((images.labels == digit).nonzero()[0]) for digit in digits]
    return to_float(images.pixels[places])


def _fold(net: UNet, x: Tensor) -> Tensor:
    """The picture as the first convolution gets it."""
    more = -x.shape[-1] % net.config.side_multiple
    return F.pixel_unshuffle(F.pad(x, (0, more, 0, more)), net.config.patch)


def _describe(
    net: UNet, block: Block, output: Tensor, channels: int
) -> tuple[dict[str, Any], Tensor]:
    """What the page says of a block, and its chosen maps as bytes, (frames, channels, H, W)."""
    _, width, height, length = output.shape
    spread = output.flatten(2).std(2).mean(0)
    strongest = spread.argsort(descending=True, stable=True)[: min(channels, width)]
    if block.name == "x_0":
        width, strongest = 1, torch.arange(2)
    maps = output[:, strongest]
    grey = block.name in GREY
    fields = {
        "name": block.name,
        "title": block.title,
        "text": block.text,
        "column": block.column,
        "row": block.row,
        "skip": block.skip,
        "timed": block.timed,
        "parameters": block.parameters,
        "channels": width,
        "shape": [height, length],
        "kept": strongest.tolist(),
        "grey": grey,
        "rms": output[:, :width].square().mean((1, 2, 3)).sqrt().tolist(),
    }
    return fields, to_uint8(maps) if grey else signed_bytes(maps)


def signed_bytes(maps: Tensor) -> Tensor:
    """Signed numbers (frames, C, H, W) as bytes: 128 is zero, 1 and 255 the map's largest size.

    The largest hundredth of them is cut off, so that one bright pixel does not dim the others.
    """
    largest = maps.abs().flatten(2).quantile(0.99, dim=2).clamp(min=1e-12)[..., None, None]
    return ((maps / largest).clamp(-1, 1) * 127 + 128).round().to(torch.uint8)


def _join(maps: list[Tensor]) -> list[str]:
    """One text a frame: the maps of all blocks, one after another, in base64."""
    frames = torch.cat([each.flatten(1) for each in maps], dim=1)
    return [base64.b64encode(frame.numpy().tobytes()).decode() for frame in frames.contiguous()]
