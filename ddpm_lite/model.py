"""A network together with what its numbers mean: the schedule and the target it was trained on."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.devices import plain_defaults
from ddpm_lite.diffusion import BoundVariance, Model, Target
from ddpm_lite.images import MAX_SIDE
from ddpm_lite.labels import class_names
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule, check_steps, shifted
from ddpm_lite.shipped import model_path
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

__all__ = ["DiffusionModel", "ModelConfig"]


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types that weights may be stored in; smaller ones have scales beside them."""

NumberType = Literal["float32", "bfloat16"]
"""What a network's convolutions and products compute in."""
Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 where the machine computes in it, else float32."""


@dataclass(frozen=True)
class ModelConfig:
    """What a reader of the weights must know to use them."""

    unet: UNetConfig = field(default_factory=lambda: PRESETS["mnist"])
    """The network's shape."""
    schedule: str = "cosine"
    """Noise schedule: linear, cosine, cosine_fine, quadratic or sigmoid."""
    T: int = 1000
    """Number of steps of the forward process."""
    shift: float = 1.0
    """The schedule of images this many times as large: their side over 32, say, or over 28."""
    target: Target = "v"
    """What the network predicts."""
    side: int = 28
    """Height and width of the images."""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule {self.schedule!r} is not one of {', '.join(SCHEDULES)}")
        if self.target not in get_args(Target):
            raise ValueError(f"target {self.target!r} is not one of {', '.join(get_args(Target))}")
        if not 1 <= self.side <= MAX_SIDE:
            raise ValueError(f"side must lie in 1..{MAX_SIDE}, not {self.side}")
        check_steps(self.T)
        if not 0 < self.shift < math.inf:
            raise ValueError(f"shift must be above 0, not {self.shift}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.unet.image_channels, self.side, self.side

    def build_schedule(self) -> NoiseSchedule:
        """The noise schedule. Raises ValueError for a number of steps that cannot end in noise."""
        return shifted(SCHEDULES[self.schedule](self.T), self.shift)

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`. Raises ValueError for unknown or unusable entries."""
        own = _entries(values, cls)
        unet = _entries(own.pop("unet", {}), UNetConfig)
        shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in unet.items()}
        return cls(**own, unet=UNetConfig(**shape))


def _entries(values: Any, kind: type) -> dict[str, Any]:
    """The same entries, if a dataclass has them and they are of the types of its defaults."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{kind.__name__} is no object")
    defaults = {f.name: f.default for f in fields(kind)}
    if unknown := set(values) - set(defaults):
        raise ValueError(f"unknown entries {sorted(unknown)} for {kind.__name__}")
    for name, value in values.items():
        if not _is_like(value, defaults[name]):
            raise ValueError(f"{name} of {kind.__name__} is of another type")
    return dict(values)


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value from JSON is of a default's type; a field without one is looked at later."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(type(each) is int for each in value)
    if isinstance(default, float):
        return type(value) in (int, float)
    return default is MISSING or type(value) is type(default)


@dataclass(frozen=True)
class DiffusionModel:
    """A trained network, ready to draw."""

    net: UNet
    config: ModelConfig
    schedule: NoiseSchedule
    wishes: Mapping[str, Any] = field(default_factory=dict)
    """Options of `DrawConfig` that its file asks for; a distilled network wants few steps."""
    class_names: tuple[str, ...] = ()
    """The names of its classes in their order; where none are known, their numbers or nothing."""

    @classmethod
    def load(
        cls, model: Path | str = "mnist", device: torch.device | str = "cpu"
    ) -> "DiffusionModel":
        """The EMA weights of a checkpoint, or of a shipped model by its name, in float32.

        Raises CheckpointError if the file is missing, truncated, foreign or of another shape, or
        if some of its weights are not finite.
        """
        path = model_path(model)
        tensors, metadata = read(path, only="ema.")
        try:
            config = ModelConfig.from_dict(metadata["model"])
            schedule = config.build_schedule()
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: its model cannot be built: {error}") from None
        weights = {k.removeprefix("ema."): v for k, v in tensors.items()}
        weights = checked_weights(_sizeless_net(config.unet), weights, path)
        net = new_net(config.unet)
        net.load_state_dict(weights)
        net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval().requires_grad_(False)
        names = class_names(metadata, config.unet.classes)
        return cls(net, config, schedule, metadata.get("draw", {}), names)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.net.head.weight.device

    @property
    def bound_variance(self) -> BoundVariance:
        """The variance with which its bound is best: its own, where it says one."""
        return "learned" if self.config.unet.learned_variance else "posterior"

    def without_variance(self) -> "DiffusionModel":
        """The same model, of whose network only the target is left: all that drawing needs."""
        if not self.config.unet.learned_variance:
            return self
        unet = replace(self.config.unet, learned_variance=False)
        net, weights = new_net(unet), self.net.state_dict()
        for name in ("head.weight", "head.bias"):
            weights[name] = weights[name].chunk(2)[0]  # the channels come first, then their pixels
        net.load_state_dict(weights)
        net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval().requires_grad_(False)
        return replace(self, net=net, config=replace(self.config, unet=unet))

    def __call__(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What the network puts out, in float32, computed in float32."""
        return self.labelled(label, "float32")(x_t, t)

    def labelled(self, label: Tensor | None, precision: Precision = "auto") -> Model:
        """The network as a function of (x_t, t) alone, for one label (B,) per image or for none.

        What it is given may lie on another device; its output has the dtype and device of x_t.
        """
        placed = None if label is None else label.to(self.device)

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            x = x_t.to(self.device, torch.float32).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), autocast(self.device, precision):
                out: Tensor = self.net(x, t.to(self.device), placed)
            return out.to(x_t)

        return model


def new_net(config: UNetConfig) -> UNet:
    """A network with random weights: float32 on the CPU, whatever the session's defaults."""
    with plain_defaults():
        return UNet(config)


def _sizeless_net(config: UNetConfig) -> UNet:
    """A network with shapes and no numbers, to hold a file against before there is room made."""
    with plain_defaults(), torch.device("meta"):
        return UNet(config)


def load_weights(net: nn.Module, weights: Mapping[str, Tensor], path: Path | str) -> None:
    """Puts weights into a network. Raises CheckpointError as `checked_weights` does."""
    net.load_state_dict(checked_weights(net, weights, path))


def checked_weights(
    net: nn.Module, weights: Mapping[str, Tensor], path: Path | str
) -> dict[str, Tensor]:
    """The weights in the network's types. It is not changed.

    Raises CheckpointError if a name or a shape differs, if a weight is NaN or infinite, and as
    `check_floats` does where a type differs.
    """
    wanted = net.state_dict()
    wrong = {k for k in wanted if k not in weights or weights[k].shape != wanted[k].shape}
    wrong |= weights.keys() - wanted.keys()
    if wrong:
        raise CheckpointError(
            f"{path}: holds a network of another shape ({len(wrong)} of {len(wanted)} tensors "
            f"differ, {min(wrong)} first); use the configuration that it was trained with"
        )
    check_floats({k: v for k, v in weights.items() if v.dtype != wanted[k].dtype}, path)
    # in the network's types: a float64 may be beyond what float32 can hold
    weights = {k: v.to(wanted[k].dtype) for k, v in weights.items()}
    damaged = [k for k, v in weights.items() if not bool(v.isfinite().all())]
    if damaged:
        raise CheckpointError(
            f"{path}: holds weights that are NaN or infinite ({len(damaged)} of {len(wanted)} "
            f"tensors, {min(damaged)} first): the training that wrote it went wrong"
        )
    return weights


def check_floats(weights: Mapping[str, Tensor], path: Path | str) -> None:
    """Raises CheckpointError for numbers that float32 does not stand for, or has not in full."""
    kinds = {str(v.dtype) for v in weights.values() if v.dtype not in FLOATS}
    if kinds:
        names = ", ".join(str(kind).removeprefix("torch.") for kind in FLOATS)
        raise CheckpointError(f"{path}: holds numbers that are {min(kinds)}, not one of {names}")


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def prefers_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 faster than in float32.

    Of the CPUs those with AMX do. AVX512-BF16 alone is slower: its products take as long as those
    of float32, and each tensor must be brought into another order first
    (`benchmarks/number_types.py`: 0.65 to 0.69 times as fast on a Xeon).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Older releases of PyTorch cannot tell; they then compute in float32, which is always right.
    abilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(abilities.get("amx_bf16"))


def number_type(device: torch.device, precision: Precision = "auto") -> NumberType:
    """What `precision` means on this device."""
    if precision == "auto":
        return "bfloat16" if prefers_bfloat16(device) else "float32"
    return precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Mixed precision: weights in float32, convolutions and products in bfloat16 where it pays."""
    use = number_type(device, precision) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=use)
