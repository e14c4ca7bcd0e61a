"""One network in two languages: our configuration and weights, and those of diffusers.

Both ways work on plain dictionaries and tensors, and need nothing of diffusers. Translated is only
what computes the same function there and here; all else raises a ValueError that names the field.
Source: `UNet2DModel` and `DDPMScheduler` of diffusers 0.42.1
(https://github.com/huggingface/diffusers, models/unets/unet_2d.py and
schedulers/scheduling_ddpm.py), against which tests/test_translation.py holds this file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ddpm_lite.diffusion import Target, Variance
from ddpm_lite.images import MAX_SIDE
from ddpm_lite.model import ModelConfig
from ddpm_lite.schedule import SCHEDULES, check_steps, cosine
from ddpm_lite.unet import Downsample, UNetConfig, frequencies

Ours = TypeVar("Ours")

VERSION = "0.42.1"
"""The diffusers whose fields and defaults these are."""

UNET_ONLY: Mapping[str, tuple[Any, ...]] = {
    "_class_name": ("UNet2DModel",),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "freq_shift": (1, 0),
    "flip_sin_to_cos": (False, True),  # a turn of the first layer's weights
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "act_fn": ("silu", "swish"),
    "resnet_time_scale_shift": ("default",),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
}
"""The values with which our network is diffusers'; the first of them is written."""

UNET_DEFAULTS: Mapping[str, Any] = {
    "_class_name": "UNet2DModel",
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2D",
    "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [224, 448, 672, 896],
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "dropout": 0.0,
    "act_fn": "silu",
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
    "add_attention": True,
    "class_embed_type": None,
    "num_class_embeds": None,
    "num_train_timesteps": None,
}
"""What a field that is missing means there."""

SPACINGS = ("leading", "linspace", "trailing")
"""Of the times where fewer than T are visited; alike where all are."""

SCHEDULER_ONLY: Mapping[str, tuple[Any, ...]] = {
    "_class_name": ("DDPMScheduler",),
    "thresholding": (False,),
    "clip_sample": (True, False),
    "clip_sample_range": (1.0,),
    "timestep_spacing": SPACINGS,
    "steps_offset": (0,),
    "rescale_betas_zero_snr": (False,),
}
"""The values with which our schedule and sampler are diffusers'; the first of them is written."""

SCHEDULER_DEFAULTS: Mapping[str, Any] = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "variance_type": "fixed_small",
    "clip_sample": True,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "clip_sample_range": 1.0,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
"""What a field that is missing means there."""

PADDINGS: Mapping[int, Downsample] = {0: "right_below", 1: "all_sides"}
TARGETS: Mapping[str, Target] = {"epsilon": "eps", "sample": "x_0", "v_prediction": "v"}
VARIANCES: Mapping[str, Variance] = {
    "fixed_small": "posterior",
    "fixed_large": "beta",
    "fixed_small_log": "posterior",  # the same number by way of its logarithm
}
SCHEDULE_NAMES: Mapping[str, str] = {
    "linear": "linear",
    "quadratic": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
}
"""Our schedules that have a name there too; of the others the betas themselves are written."""


@dataclass(frozen=True)
class Drawing:
    """How a scheduler of diffusers draws: `variance` and `clip` of a `DrawConfig`, and its times.

    `spacing` says which times it visits where it takes fewer than T steps; here it only passes
    through, because our ancestral sampling takes all.
    """

    variance: Variance = "posterior"
    clip: bool = True
    spacing: str = SPACINGS[0]


# --- From diffusers ------------------------------------------------------------------------------


def model_from(
    unet: Mapping[str, Any], scheduler: Mapping[str, Any]
) -> tuple[ModelConfig, Drawing]:
    """Our configuration of a network and a scheduler of diffusers, and how that scheduler draws.

    The two are what config.json and scheduler_config.json hold. Raises ValueError for what would
    compute something else here, and for what is no such configuration.
    """
    theirs = _complete(unet, UNET_DEFAULTS, UNET_ONLY, "unet")
    betas = _complete(scheduler, SCHEDULER_DEFAULTS, SCHEDULER_ONLY, "scheduler")
    network = _unet_from(theirs)
    config = ModelConfig(
        unet=network,
        schedule=_schedule_from(betas),
        T=_whole(betas, "num_train_timesteps"),
        target=_one_of(betas, "prediction_type", TARGETS),
        side=_side_from(theirs, network.side_multiple),
    )
    variance = _one_of(betas, "variance_type", VARIANCES)
    return config, Drawing(variance, bool(betas["clip_sample"]), betas["timestep_spacing"])


def _complete(
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    only: Mapping[str, tuple[Any, ...]],
    kind: str,
) -> dict[str, Any]:
    """All fields. Raises ValueError for one that is unknown and for a value that is not possible.

    A name with an underscore is a note of diffusers, and null means what its version does not have.
    """
    if forgotten := values.get("_use_default_values"):  # diffusers then takes its own for these
        raise ValueError(
            f"_use_default_values = {short(forgotten)}: remove it, and the fields that it names"
        )
    for name, value in values.items():
        if name not in defaults and not name.startswith("_") and value is not None:
            raise ValueError(
                f"{name[:60]} = {short(value)}: no field of the {kind} that is known here"
            )
    found = {**defaults, **{k: v for k, v in values.items() if k in defaults}}
    for name, possible in only.items():
        if found[name] not in possible:
            listed = " or ".join(map(repr, possible))
            raise ValueError(f"{name} = {short(found[name])}: only {listed} can be computed here")
    return found


def short(value: Any) -> str:
    """A value for an error, on one line that can be read."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unet_from(theirs: Mapping[str, Any]) -> UNetConfig:
    widths = _wholes(theirs, "block_out_channels")
    channels, attention = _whole(theirs, "in_channels"), _attention_from(theirs, len(widths))
    groups = _whole(theirs, "norm_num_groups")
    _same(theirs, "out_channels", (channels,), "in_channels")
    _same(theirs, "attn_norm_num_groups", (None, groups), "norm_num_groups")
    _same(theirs, "time_embedding_dim", (None, 4 * widths[0]), "4 times the first width")
    options: dict[str, Any] = {
        "image_channels": channels,
        "channels": widths,
        "blocks": _whole(theirs, "layers_per_block"),
        "attention": attention,
        "head_width": _head_width_from(theirs, [widths[level] for level in (*attention, -1)]),
        "groups": groups,
        "dropout": _dropout_from(theirs),
        "downsample": _one_of(theirs, "downsample_padding", PADDINGS),
        "times_from": 0,
        "freq_shift": _whole(theirs, "freq_shift"),
        "norm_eps": _number(theirs, "norm_eps"),
    }
    try:
        return UNetConfig(**options)
    except ValueError as error:
        raise ValueError(
            f"block_out_channels = {list(widths)}, norm_num_groups = {groups}, in_channels = "
            f"{channels}, layers_per_block = {options['blocks']}, norm_eps = "
            f"{options['norm_eps']}: {error}"
        ) from None


def _dropout_from(theirs: Mapping[str, Any]) -> float:
    dropout = _number(theirs, "dropout")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout}: not a chance below 1")
    return dropout


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} = {short(value)}: not a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} = {short(value)}: beyond all numbers") from None


def _whole(values: Mapping[str, Any], name: str) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} = {short(value)}: not a whole number")
    return value


def _wholes(values: Mapping[str, Any], name: str) -> tuple[int, ...]:
    value = values[name]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name} = {short(value)}: not a list of whole numbers")
    return tuple(_whole({name: each}, name) for each in value)


def _one_of(values: Mapping[str, Any], name: str, known: Mapping[Any, Ours]) -> Ours:
    for theirs, ours in known.items():
        if values[name] == theirs:
            return ours
    listed = " or ".join(map(repr, known))
    raise ValueError(f"{name} = {short(values[name])}: only {listed} can be computed here")


def _same(values: Mapping[str, Any], name: str, wanted: Sequence[Any], like: str) -> None:
    if values[name] not in wanted:
        raise ValueError(f"{name} = {short(values[name])}: here it must be {like}")


def _attention_from(theirs: Mapping[str, Any], levels: int) -> tuple[int, ...]:
    down, up = theirs["down_block_types"], theirs["up_block_types"]
    known = {"DownBlock2D": False, "AttnDownBlock2D": True}
    if not isinstance(down, list | tuple) or len(down) != levels:
        raise ValueError(f"down_block_types = {short(down)}: not one for each of {levels} levels")
    has = [_one_of({"down_block_types": each}, "down_block_types", known) for each in down]
    wanted = ["AttnUpBlock2D" if each else "UpBlock2D" for each in reversed(has)]
    if up != wanted:
        raise ValueError(
            f"up_block_types = {short(up)}: here the levels with attention are the same on both "
            f"ways, which makes it {wanted}"
        )
    return tuple(level for level, each in enumerate(has) if each)


def _head_width_from(theirs: Mapping[str, Any], widths: Sequence[int]) -> int:
    """The width of each attention head; 0 where there is one head of all."""
    if theirs["attention_head_dim"] is None:
        return 0
    each = _whole(theirs, "attention_head_dim")
    if each < 1 or any(width % each for width in widths):
        listed = ", ".join(map(str, sorted(set(widths))))
        raise ValueError(f"attention_head_dim = {each}: no part of the widths {listed}")
    return each


def _side_from(theirs: Mapping[str, Any], multiple: int) -> int:
    size = theirs["sample_size"]
    both = size if isinstance(size, list | tuple) else [size]
    if len({str(side) for side in both}) != 1:
        raise ValueError(f"sample_size = {short(size)}: only square images are drawn here")
    side = _whole({"sample_size": both[0]}, "sample_size")
    if not 1 <= side <= MAX_SIDE or side % multiple:
        raise ValueError(
            f"sample_size = {side}: the network halves it, so it must be a multiple of {multiple} "
            f"up to {MAX_SIDE}"
        )
    return side


def _schedule_from(theirs: Mapping[str, Any]) -> str:
    """The name of our schedule with the same betas, to the precision of float32."""
    T = _whole(theirs, "num_train_timesteps")
    try:
        check_steps(T)
    except ValueError as error:
        raise ValueError(f"num_train_timesteps = {T}: {error}") from None
    betas = _betas_from(theirs, T)
    for name, schedule in SCHEDULES.items():
        try:
            ours = schedule(T).beta
        except ValueError:  # with so few steps it cannot end in noise
            continue
        if ours.shape == betas.shape and torch.allclose(betas, ours, rtol=1e-6, atol=0):
            return name
    field = "beta_schedule" if theirs["trained_betas"] is None else "trained_betas"
    raise ValueError(
        f"{field} = {short(theirs[field])}, beta_start = {short(theirs['beta_start'])}, beta_end "
        f"= {short(theirs['beta_end'])}: none of the schedules {', '.join(SCHEDULES)} with {T} "
        "steps has these betas"
    )


def _betas_from(theirs: Mapping[str, Any], T: int) -> Tensor:
    """The betas of a scheduler, in float64; those of diffusers are the same in float32."""
    if theirs["trained_betas"] is not None:
        try:
            return torch.tensor(theirs["trained_betas"], dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ValueError("trained_betas: not a list of numbers") from None
    first, last = _number(theirs, "beta_start"), _number(theirs, "beta_end")
    ends = torch.tensor([first, last], dtype=torch.float64, device="cpu")
    roots = ends.sqrt()
    shapes = {
        "linear": _even(ends, T),
        "scaled_linear": _even(roots, T) ** 2,
        "squaredcos_cap_v2": cosine(T).beta,
    }
    return _one_of(theirs, "beta_schedule", shapes)


def _even(ends: Tensor, T: int) -> Tensor:
    first, last = ends.tolist()
    return torch.linspace(first, last, T, dtype=torch.float64, device="cpu")


# --- To diffusers --------------------------------------------------------------------------------


def unet_to(config: ModelConfig) -> dict[str, Any]:
    """The config.json of our network. Raises ValueError for one that diffusers does not have."""
    ours = config.unet
    if ours.patch != 1:
        raise ValueError(f"patch = {ours.patch}: diffusers' UNet2DModel folds no pixels (patch 1)")
    if ours.classes:
        raise ValueError(
            f"classes = {ours.classes}: diffusers' DDPMPipeline draws without labels (classes 0)"
        )
    if ours.learned_variance:
        raise ValueError("learned_variance: diffusers' DDPMPipeline takes a variance from a table")
    if config.side % ours.side_multiple:
        raise ValueError(
            f"side = {config.side}: diffusers pads no image, so it must be a multiple of "
            f"{ours.side_multiple}, which the levels halve it to"
        )
    levels = range(len(ours.channels))
    return {
        **UNET_DEFAULTS,
        **{name: possible[0] for name, possible in UNET_ONLY.items()},
        "_diffusers_version": VERSION,
        "sample_size": config.side,
        "in_channels": ours.image_channels,
        "out_channels": ours.image_channels,
        "block_out_channels": list(ours.channels),
        "layers_per_block": ours.blocks,
        "down_block_types": [
            "AttnDownBlock2D" if level in ours.attention else "DownBlock2D" for level in levels
        ],
        "up_block_types": [
            "AttnUpBlock2D" if level in ours.attention else "UpBlock2D"
            for level in reversed(levels)
        ],
        "attention_head_dim": _head_width(ours),
        "norm_num_groups": ours.groups,
        "dropout": ours.dropout,
        "downsample_padding": next(k for k, v in PADDINGS.items() if v == ours.downsample),
        "freq_shift": ours.freq_shift,
        "norm_eps": ours.norm_eps,
    }


def _head_width(ours: UNetConfig) -> int | None:
    if ours.heads == 1:
        return ours.head_width or None
    widths = {ours.channels[level] for level in (*ours.attention, -1)}
    if len(widths) > 1:
        raise ValueError(
            f"heads = {ours.heads}: in diffusers all heads have one width, which those of levels "
            f"with {' and '.join(map(str, sorted(widths)))} channels have not"
        )
    return widths.pop() // ours.heads


def scheduler_to(config: ModelConfig, drawing: Drawing) -> dict[str, Any]:
    """The scheduler_config.json of our schedule.

    Raises ValueError for the target `flow`, which diffusers knows on its straight line only.
    """
    if config.target not in TARGETS.values():
        raise ValueError(f"a network that says {config.target!r} has no scheduler in diffusers")
    beta = config.build_schedule().beta
    name = SCHEDULE_NAMES.get(config.schedule) if config.shift == 1 else None
    return {
        **SCHEDULER_DEFAULTS,
        **{name: possible[0] for name, possible in SCHEDULER_ONLY.items()},
        "_diffusers_version": VERSION,
        "num_train_timesteps": config.T,
        "beta_schedule": name or "linear",
        "beta_start": float(beta[0]),
        "beta_end": float(beta[-1]),
        "trained_betas": None if name else beta.tolist(),
        "prediction_type": next(k for k, v in TARGETS.items() if v == config.target),
        "variance_type": next(k for k, v in VARIANCES.items() if v == drawing.variance),
        "clip_sample": drawing.clip,
        "timestep_spacing": drawing.spacing,
    }


# --- Weights -------------------------------------------------------------------------------------

FORMER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Of attention, in files that older releases of diffusers wrote."""


def _stages(config: UNetConfig) -> Iterator[tuple[str, str, int]]:
    """Each of our stages, with the block there that holds it and its number in that block."""
    levels, index = len(config.channels), 0
    for level in range(levels):
        for i in range(config.blocks):
            yield f"down.{index + i}", f"down_blocks.{level}", i
        index += config.blocks + 1  # a convolution halves the side
    for i in range(2):
        yield f"middle.{i}", "mid_block", i
    for level in range(levels):
        for i in range(config.blocks + 1):
            yield f"up.{level * (config.blocks + 2) + i}", f"up_blocks.{level}", i


def _layers(config: UNetConfig) -> dict[str, list[str]]:
    """Each of our layers, with those there that its weights are made of: for attention three."""
    names = {
        "embed.mlp.0": ["time_embedding.linear_1"],
        "embed.mlp.2": ["time_embedding.linear_2"],
        "stem": ["conv_in"],
        "norm": ["conv_norm_out"],
        "head": ["conv_out"],
    }
    for level in range(len(config.channels) - 1):
        down, up = (level + 1) * (config.blocks + 1) - 1, (level + 1) * (config.blocks + 2) - 1
        names[f"down.{down}"] = [f"down_blocks.{level}.downsamplers.0.conv"]
        names[f"up.{up}.conv"] = [f"up_blocks.{level}.upsamplers.0.conv"]
    for stage, block, i in _stages(config):
        residual, attention = f"{block}.resnets.{i}", f"{block}.attentions.{i}"
        names |= {
            f"{stage}.block.norm1": [f"{residual}.norm1"],
            f"{stage}.block.conv1": [f"{residual}.conv1"],
            f"{stage}.block.time": [f"{residual}.time_emb_proj"],
            f"{stage}.block.norm2": [f"{residual}.norm2"],
            f"{stage}.block.conv2": [f"{residual}.conv2"],
            f"{stage}.block.skip": [f"{residual}.conv_shortcut"],
            f"{stage}.attention.norm": [f"{attention}.group_norm"],
            f"{stage}.attention.qkv": [f"{attention}.to_{part}" for part in "qkv"],
            f"{stage}.attention.out": [f"{attention}.to_out.0"],
        }
    return names


FIRST = "time_embedding.linear_1.weight"
"""The layer of diffusers that takes the sines and cosines of the time, (4 width, width)."""


def cosines_first(unet: Mapping[str, Any]) -> bool:
    """Whether a network of diffusers takes the cosines before the sines."""
    return bool(unet.get("flip_sin_to_cos", UNET_DEFAULTS["flip_sin_to_cos"]))


def weights_from(
    config: UNetConfig, theirs: Mapping[str, Tensor], turned: bool = False
) -> dict[str, Tensor]:
    """Our names for the weights of diffusers' network of this configuration.

    `turned` tells whether it takes the cosines of the time first (`cosines_first`). Raises
    ValueError for a weight that such a network does not have; what is missing is missing.
    """
    if turned and FIRST in theirs and theirs[FIRST].ndim == 2:
        theirs = {**theirs, FIRST: theirs[FIRST].roll(theirs[FIRST].shape[1] // 2, 1)}
    left = {_present_name(name): weight for name, weight in theirs.items()}
    if len(left) < len(theirs):
        raise ValueError("attention: weights are there twice, by the older names and the present")
    ours: dict[str, Tensor] = {}
    for layer, sources in _layers(config).items():
        for kind in ("weight", "bias"):
            parts = [left.pop(f"{s}.{kind}") for s in sources if f"{s}.{kind}" in left]
            if len({part.shape for part in parts}) > 1 or any(p.ndim == 0 for p in parts):
                raise ValueError(f"{sources[0]}.{kind}: not of the shape of the others beside it")
            if len(parts) == len(sources):
                ours[f"{layer}.{kind}"] = _as_convolution(layer, torch.cat(parts))
    if left:
        raise ValueError(f"{min(left)}: a weight that a network of its config.json does not have")
    return ours


def _present_name(name: str) -> str:
    block, _, rest = name.partition(".attentions.")
    index, _, layer = rest.partition(".")
    former, dot, kind = layer.rpartition(".")
    if not rest or former not in FORMER_NAMES:
        return name
    return f"{block}.attentions.{index}.{FORMER_NAMES[former]}{dot}{kind}"


def _is_product(layer: str) -> bool:
    """Attention's products are 1x1 convolutions here, and linear layers there."""
    return layer.endswith((".attention.qkv", ".attention.out"))


def _as_convolution(layer: str, weight: Tensor) -> Tensor:
    return weight[:, :, None, None] if _is_product(layer) and weight.ndim == 2 else weight


def weights_to(config: UNetConfig, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Diffusers' names for our weights, on the CPU.

    Times begin at 0 there. The first layer of a network that has learnt times from 1 is turned by
    one step (`_one_later`): the function is the same, but for float32's rounding of sines.
    """
    theirs: dict[str, Tensor] = {}
    for layer, targets in _layers(config).items():
        for kind in ("weight", "bias"):
            if f"{layer}.{kind}" not in ours:
                continue
            weight = ours[f"{layer}.{kind}"].detach().cpu()
            if _is_product(layer) and kind == "weight":
                weight = weight.flatten(1)
            for target, part in zip(targets, weight.chunk(len(targets)), strict=True):
                theirs[f"{target}.{kind}"] = part.clone(memory_format=torch.contiguous_format)
    if config.times_from == 1:
        theirs[FIRST] = _one_later(theirs[FIRST], config.freq_shift)
    return theirs


def _one_later(weight: Tensor, shift: int) -> Tensor:
    """The layer (out, width) that says of the embedding of t - 1 what this one says of that of t.

    With f the frequencies, sin(f t) = sin(f (t-1)) cos f + cos(f (t-1)) sin f, and likewise for
    cos: one step turns each pair (sin, cos) by its f, and the layer is turned with it.
    """
    f = frequencies(weight.shape[1], shift).double()
    of_sin, of_cos = weight.double().chunk(2, dim=1)
    turned = [of_sin * f.cos() - of_cos * f.sin(), of_sin * f.sin() + of_cos * f.cos()]
    return torch.cat(turned, dim=1).to(weight.dtype)
