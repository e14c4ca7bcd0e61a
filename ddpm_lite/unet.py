"""The network: a U-Net that looks at a noisy image and the time, and says what the noise was.

The layout is that of Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models"
(arXiv:2006.11239, appendix B): residual blocks with GroupNorm and SiLU, the time added inside
every block, self-attention at chosen levels, skip connections from the way down to the way up.
Two things are added: an optional class label, and an optional first step that folds 2x2 pixels
into channels, which makes small grey images cheap. Some things can be had in two ways, because the
authors' code (https://github.com/hojonathanho/diffusion) does them otherwise than the shipped
model: where the side is halved it pads with zeros on the right and at the bottom alone, and its
times begin at 0. The library diffusers has ways of its own besides. The parameters are the same,
but weights say what they have learnt only in the way that they were trained in, which `downsample`,
`times_from`, `freq_shift` and `norm_eps` of a `UNetConfig` tell.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lite.fused_norm import norm_only, norm_silu

__all__ = ["PRESETS", "UNet", "UNetConfig"]

Downsample = Literal["all_sides", "right_below"]
"""Where zeros are put around an image before a 3x3 convolution with stride 2 halves its side."""

LARGEST = {
    "levels": 13,
    "blocks": 100,
    "the widest level": 65_536,
    "image_channels * patch^2": 65_536,
    "classes": 1_000_000,
}
"""The largest shape that is tried: far above what anybody trains, below what is built for hours.

A side of 4096, the largest of an image, is one pixel at the 13th level.
"""


@dataclass(frozen=True)
class UNetConfig:
    """The shape of a U-Net. Equal configurations have equal parameter names and shapes."""

    image_channels: int = 1
    """Channels of the image: 1 for grey, 3 for colour."""
    channels: tuple[int, ...] = (64, 96)
    """Width of each level; every level but the last halves the side."""
    blocks: int = 1
    """Residual blocks a level on the way down; the way up has one more."""
    attention: tuple[int, ...] = ()
    """Levels with self-attention after each block, 0 being the finest. The middle always has it."""
    heads: int = 1
    """Attention heads, as many at each level, if `head_width` is 0."""
    head_width: int = 0
    """Channels of each attention head; a wider level has more heads then. 0: as `heads` says."""
    groups: int = 32
    """Groups of every GroupNorm."""
    patch: int = 1
    """Side of the square of pixels that is folded into channels before the first level."""
    dropout: float = 0.0
    """Chance that a unit inside a residual block is dropped while training."""
    classes: int = 0
    """Number of class labels; 0 for a network without them. The label `classes` means "none"."""
    learned_variance: bool = False
    """Whether it says for each number not only the target but also how sure it is of it."""
    downsample: Downsample = "all_sides"
    """Zeros where the side is halved: all_sides, or right_below as in the DDPM paper's code."""
    times_from: Literal[0, 1] = 1
    """The number that stands for t = 1 inside the network: 1, or 0 as in the DDPM paper's code."""
    freq_shift: Literal[0, 1] = 1
    """The k-th of n frequencies of the time is 10000^(-k / (n - freq_shift)): 1 as in the paper's
    code, or 0 as in diffusers, if nothing else is said there."""
    norm_eps: float = 1e-6
    """What every GroupNorm adds to the variance, so that it never divides by 0."""

    def __post_init__(self) -> None:
        if min((*self.channels, self.blocks, self.image_channels, self.patch)) < 1:
            raise ValueError(
                "channels, blocks, image_channels and patch of a U-Net must be at least 1"
            )
        if not self.channels:
            raise ValueError("a U-Net needs at least one level")
        self._check_sizes()
        if self.channels[0] < 4 or self.channels[0] % 2:
            raise ValueError(
                "the first level's width must be even and at least 4: it embeds the time"
            )
        if min(self.groups, self.heads) < 1 or self.classes < 0 or not 0 <= self.dropout < 1:
            raise ValueError("groups and heads must be at least 1, classes 0, dropout in [0, 1)")
        if self.head_width < 0 or (self.head_width and self.heads != 1):
            raise ValueError("head_width must be at least 0, and heads is 1 beside it")
        if not all(0 <= level < len(self.channels) for level in self.attention):
            raise ValueError(f"attention levels {self.attention} are not levels of {self.channels}")
        self._check_widths()
        if self.downsample not in get_args(Downsample):
            raise ValueError(
                f"downsample {self.downsample!r} is not one of {', '.join(get_args(Downsample))}"
            )
        if self.times_from not in (0, 1):
            raise ValueError(f"times_from must be 0 or 1, not {self.times_from!r}")
        if self.freq_shift not in (0, 1):
            raise ValueError(f"freq_shift must be 0 or 1, not {self.freq_shift!r}")
        if not 0 < self.norm_eps < 1:
            raise ValueError(f"norm_eps must be above 0 and below 1, not {self.norm_eps!r}")

    def _check_widths(self) -> None:
        split = {*self.attention, len(self.channels) - 1}  # the middle is as wide as the last level
        parts = self.head_width or self.heads
        bad = [
            width
            for level, width in enumerate(self.channels)
            if width % self.groups or (level in split and width % parts)
        ]
        if bad:
            name = "head_width" if self.head_width else "heads"
            raise ValueError(
                f"channels {bad} are not divisible by groups={self.groups} and {name}={parts}"
            )

    def _check_sizes(self) -> None:
        sizes = {
            "levels": len(self.channels),
            "blocks": self.blocks,
            "the widest level": max(self.channels),
            "image_channels * patch^2": self.image_channels * self.patch**2,
            "classes": self.classes,
        }
        for name, size in sizes.items():
            if size > LARGEST[name]:
                raise ValueError(f"a U-Net may have {name} up to {LARGEST[name]}, not {size}")

    @property
    def outputs(self) -> int:
        """Numbers put out for each number of the image."""
        return 2 if self.learned_variance else 1

    @property
    def side_multiple(self) -> int:
        """The image is padded to a multiple of this many pixels a side."""
        return self.patch << (len(self.channels) - 1)


PRESETS: Mapping[str, UNetConfig] = {
    "tiny": UNetConfig(channels=(32, 64), groups=8, heads=4, patch=2, classes=10),
    "mnist": UNetConfig(channels=(48, 64, 96), groups=8, heads=4, patch=2, classes=10),
    "cifar10_small": UNetConfig(
        image_channels=3,
        channels=(48, 64, 96),
        attention=(1,),
        heads=4,
        groups=8,
        patch=2,
        classes=10,
    ),
    # The DDPM paper's CIFAR-10 network: 35.7 million parameters, no labels.
    "cifar10": UNetConfig(
        image_channels=3,
        channels=(128, 256, 256, 256),
        blocks=2,
        attention=(1,),
        dropout=0.1,
        downsample="right_below",
        times_from=0,
    ),
}
"""Named shapes: `tiny` trains in a minute on a CPU, `mnist` is the shipped digit model's,
`cifar10_small` learns CIFAR-10 on a CPU, `cifar10` is the DDPM paper's function of x_t and t.
Equal weights make it google/ddpm-cifar10-32 of diffusers, with which the tests compare it."""


def frequencies(width: int, shift: int = 1, device: torch.device | str = "cpu") -> Tensor:
    """The `width` / 2 frequencies of `sinusoidal_embedding`, float32.

    At t = 1000 the last bit of a frequency counts: diffusers rounds in this order too.
    """
    half = width // 2  # one frequency for a sine and a cosine
    exponent = -math.log(10_000.0) * torch.arange(half, device=device, dtype=torch.float32)
    return torch.exp(exponent / (half - shift))  # (half,), from 1 to 1/10000, by equal factors


def sinusoidal_embedding(t: Tensor, width: int, shift: int = 1) -> Tensor:
    """Sines and cosines of t (B,) at `width` / 2 frequencies from 1 down to 1/10000: (B, width).

    Source: Vaswani et al., "Attention is all you need" (arXiv:1706.03762, section 3.5).
    """
    # the fast waves tell t from t + 1, the slow ones t = 10 from t = 900: (B, 1) by (half,)
    angle = t.float()[:, None] * frequencies(width, shift, t.device)
    return torch.cat([angle.sin(), angle.cos()], dim=1)  # two (B, half) to (B, width)


class TimeAndLabel(nn.Module):
    """Embeds the time and, where there is one, the class label into one vector."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        width, classes = config.channels[0], config.classes
        self.width, self.shift = width, config.freq_shift
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width)
        )
        # one row more than there are classes: "none", for images that are shown without a label
        self.label = nn.Embedding(classes + 1, 4 * width) if classes else None

    def forward(self, t: Tensor, label: Tensor | None) -> Tensor:
        dtype: torch.dtype = self.mlp[0].weight.dtype  # type: ignore[assignment]
        # (B,) to (B, width) to (B, 4 width): what the network should make of a time is learnt
        embedding: Tensor = self.mlp(sinusoidal_embedding(t, self.width, self.shift).to(dtype))
        if self.label is None:
            return F.silu(embedding)
        none = torch.full_like(t, self.label.num_embeddings - 1)  # (B,)
        # a label's row (B, 4 width) is added: every block then hears of both in one vector
        return F.silu(embedding + self.label(none if label is None else label))


def zero(module: nn.Conv2d) -> nn.Conv2d:
    """The same layer with zero weights: a block that ends in it starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, convolution, twice; the time is added between, the input at the end."""

    def __init__(self, inputs: int, outputs: int, time: int, config: UNetConfig) -> None:
        super().__init__()
        # groups of channels are normalised, not the batch: an image must not depend on the others
        self.norm1 = nn.GroupNorm(config.groups, inputs, eps=config.norm_eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)  # each block makes its own use of the time
        self.norm2 = nn.GroupNorm(config.groups, outputs, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = zero(nn.Conv2d(outputs, outputs, 3, padding=1))
        # where the width changes, the input is brought to it before it is added
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(norm_silu(self.norm1, x))  # (B, inputs, H, W) to (B, outputs, H, W)
        shift = self.time(time)  # (B, time) to (B, outputs): one number a channel
        h = self.conv2(self.dropout(norm_silu(self.norm2, h, shift)))  # (B, outputs, H, W)
        # conv2 starts as 0: a new block only hands its input on, so that a deep stack can learn
        out: Tensor = self.skip(x) + h
        return out


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(width)) v, each (B, heads, pixels, width).

    On the CPU three plain operations train faster than PyTorch's fused one at the small sides where
    a U-Net has attention (benchmarks/README.md).
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v)
    # (B, heads, pixels, pixels): how much each pixel looks at each; a row adds up to 1
    weights: Tensor = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return weights @ v  # for each pixel the mean of all v, so weighted: (B, heads, pixels, width)


class Attention(nn.Module):
    """Every pixel looks at every other pixel of its level and takes what it needs."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        width = config.head_width
        self.heads = channels // width if width else config.heads
        self.norm = nn.GroupNorm(config.groups, channels, eps=config.norm_eps)
        # a 1x1 convolution is the same linear layer at every pixel; three of them in one
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(norm_only(self.norm, x))  # (B, 3 C, H, W): q, then k, then v
        qkv = qkv.reshape(batch, 3, self.heads, channels // self.heads, -1)  # pixels last
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # each (B, heads, H W, C / heads)
        h = attend(q, k, v).transpose(-1, -2)  # (B, heads, C / heads, H W)
        # back to an image, and added to what was there, like the block's own result
        out: Tensor = x + self.out(h.reshape(batch, channels, height, width))
        return out


class Stage(nn.Module):
    """One residual block and, at the levels that have it, attention."""

    def __init__(
        self, inputs: int, outputs: int, time: int, config: UNetConfig, attention: bool
    ) -> None:
        super().__init__()
        self.block = ResidualBlock(inputs, outputs, time, config)
        self.attention = Attention(outputs, config) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # (B, inputs, h, w) to (B, outputs, h, w); attention keeps the shape
        out: Tensor = self.attention(self.block(x, time))
        return out


class PadRightBelow(nn.Conv2d):
    """Halves an even side as TensorFlow's padding "SAME" does: zeros on the right and below alone.

    A plain convolution with padding=1 looks at points one pixel further up and to the left.
    """

    def forward(self, x: Tensor) -> Tensor:  # (B, C, 2 h, 2 w) to (B, C, h, w)
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def halving(width: int, downsample: Downsample) -> nn.Conv2d:
    """The convolution that halves the side; its weights have the same names in both ways."""
    if downsample == "right_below":
        return PadRightBelow(width, width, 3, stride=2)
    return nn.Conv2d(width, width, 3, stride=2, padding=1)


class Upsample(nn.Module):
    """Doubles the side by repeating pixels, then smooths with a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, h, w) to (B, C, 2 h, 2 w); without the convolution the squares would be seen
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class UNet(nn.Module):
    """The U-Net of a `UNetConfig`.

    `forward(x, t, label)` takes x of shape (B, C, H, W), float, roughly in [-1, 1] plus noise;
    t of shape (B,), integer, 1..T; label of shape (B,), integer, 0..classes-1, or `classes` (or no
    label at all) for "unconditional". It returns a tensor of x's shape, the target that it was
    trained to say; with `learned_variance` (B, 2 C, H, W), where the second half says how large the
    variance of each number is (`diffusion.learned_variance`). The side need not be divisible by
    anything: it is padded and cropped.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.channels[0], config.channels[-1]
        # how many numbers a folded pixel has, and how many the embedded time
        pixels, time = config.image_channels * config.patch**2, 4 * first
        self.embed = TimeAndLabel(config)
        self.stem = nn.Conv2d(pixels, first, 3, padding=1)
        self.down, skips = self._way_down(config, time)
        # at the smallest side every pixel may look at all others: that is cheap there
        self.middle = nn.ModuleList(
            [Stage(last, last, time, config, True), Stage(last, last, time, config, False)]
        )
        self.up = self._way_up(config, time, skips)
        self.norm = nn.GroupNorm(config.groups, first, eps=config.norm_eps)
        # it puts out 0 before training, the mean of all noise
        self.head = zero(nn.Conv2d(first, pixels * config.outputs, 3, padding=1))

    @staticmethod
    def _way_down(config: UNetConfig, time: int) -> tuple[nn.ModuleList, list[int]]:
        """The layers of the way down and the width that each of them, and the stem, hands over."""
        layers, skips = nn.ModuleList(), [config.channels[0]]  # the stem hands over the first
        for level, width in enumerate(config.channels):
            for _ in range(config.blocks):
                layers.append(Stage(skips[-1], width, time, config, level in config.attention))
                skips.append(width)
            if level < len(config.channels) - 1:  # the last level stays as small as it is
                layers.append(halving(width, config.downsample))
                skips.append(width)
        return layers, skips

    @staticmethod
    def _way_up(config: UNetConfig, time: int, skips: list[int]) -> nn.ModuleList:
        """The layers of the way up; each stage takes one skip, the last one first."""
        layers, current = nn.ModuleList(), config.channels[-1]
        for level in range(len(config.channels) - 1, -1, -1):
            width = config.channels[level]
            for _ in range(config.blocks + 1):  # one more: the halving left a skip as well
                inputs = current + skips.pop()  # what comes from below and what comes from the left
                layers.append(Stage(inputs, width, time, config, level in config.attention))
                current = width
            if level > 0:
                layers.append(Upsample(width))
        return layers

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        multiple = self.config.side_multiple
        # zeros on the right and below, up to a side that can be halved at every level
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        time = self.embed(t + (self.config.times_from - 1), label)  # (B,) to (B, 4 c_0)
        # squares of pixels into channels, and back at the end, where the padding is cut off again
        h = self._body(F.pixel_unshuffle(x, self.config.patch), time)
        return F.pixel_shuffle(h, self.config.patch)[..., :height, :width]

    def _body(self, x: Tensor, time: Tensor) -> Tensor:
        """From x (B, C patch^2, h, w) and the embedded time (B, 4 c_0) to the folded output.

        c_0, c_1, ... are the widths of the levels; level l has the side h / 2^l.
        """
        h = self.stem(x)  # (B, c_0, h, w)
        skips = [h]  # kept for the way up: fine detail that the small sides cannot hold
        for layer in self.down:  # a stage ends with c_l channels; a convolution halves the side
            h = layer(h, time) if isinstance(layer, Stage) else layer(h)
            skips.append(h)
        for stage in self.middle:  # the last level's shape stays
            h = stage(h, time)
        for layer in self.up:
            if isinstance(layer, Stage):  # takes the skip's channels in as well, ends with c_l
                h = layer(torch.cat([h, skips.pop()], dim=1), time)
            else:  # doubles the side
                h = layer(h)
        # (B, c_0, h, w) to (B, C patch^2, h, w), or twice the channels with a learned variance
        out: Tensor = self.head(norm_silu(self.norm, h))
        return out


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model has learnt or will learn."""
    return sum(p.numel() for p in model.parameters())
