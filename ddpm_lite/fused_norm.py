"""silu(group_norm(x + shift)) in one step: PyTorch's own operations, or one fused CPU kernel.

The kernel (`fused_norm.cpp`) is compiled when the package is installed, if there is a C++ compiler.
PyTorch knows it as the operator `torch.ops.ddpm_lite.norm_silu`, with its derivative and its
shapes. PyTorch's operations do the same without a kernel, and where they are the better choice or
the only one: on a GPU, while a graph is captured (`torch.compile`, which fuses them itself, and
export, whose files need no operator of ours), under the transforms of `torch.func`, and for second
derivatives. The two agree to rounding (tests/test_fused_norm.py), so a checkpoint does not care
which of them made it.
"""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

_VERSION = 2
"""`VERSION` of fused_norm.cpp: a file that was compiled from another one is not used."""
_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
_NUMBERS = [*[ctypes.c_int64] * 4, ctypes.c_double, ctypes.c_int]
"""Images, pixels, channels, groups, eps, silu."""
_POINTERS = {"forward": 6, "backward": 10}


@cache
def kernel() -> ctypes.CDLL | None:
    """The compiled kernel, or None where there is none that fits this version of the package."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_fused_norm{suffix}")
        if path.is_file():
            try:
                return _declared(ctypes.CDLL(str(path)))
            except (OSError, AttributeError):  # of another machine, without OpenMP, or an old one
                return None
    return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL | None:
    """The library with the types of its arguments, or None if it is of another version."""
    if library.fused_norm_version() != _VERSION:
        return None
    for direction, pointers in _POINTERS.items():
        for name in _NAMES.values():
            function = getattr(library, f"{direction}_{name}")
            function.argtypes = [ctypes.c_void_p] * pointers + _NUMBERS
    return library


def norm_silu(norm: nn.GroupNorm, x: Tensor, shift: Tensor | None = None) -> Tensor:
    """silu(norm(x + shift)); x (B, C, H, W), shift (B, C) or None."""
    return _apply(norm, x, shift, silu=True)


def norm_only(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """norm(x), x (B, C, H, W)."""
    return _apply(norm, x, None, silu=False)


def _apply(norm: nn.GroupNorm, x: Tensor, shift: Tensor | None, silu: bool) -> Tensor:
    inputs, numbers = (x, shift, norm.weight, norm.bias), (norm.num_groups, norm.eps, silu)
    if _transformed(inputs) or not _fusible(*inputs):
        return _plain(*inputs, *numbers)
    if _observed(inputs):
        return _forward_op(*inputs, *numbers)[0]  # type: ignore[no-any-return]
    if not torch.is_grad_enabled():
        return _forward(*inputs, *numbers)[0]
    return _Fused.apply(*inputs, *numbers)  # type: ignore[no-any-return, no-untyped-call]


def _plain(
    x: Tensor, shift: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    groups: int, eps: float, silu: bool,
) -> Tensor:  # fmt: skip
    """The same by PyTorch's own operations."""
    h = x if shift is None else x + shift[:, :, None, None]
    y = F.group_norm(h, groups, weight, bias, eps)
    return F.silu(y) if silu else y


def _fusible(x: Tensor, shift: Tensor | None, weight: Tensor | None, bias: Tensor | None) -> bool:
    """Whether the kernel can read these tensors; it trusts what it is given."""
    return (
        weight is not None
        and bias is not None
        and x.is_cpu
        and weight.is_cpu
        and bias.is_cpu
        and x.dtype in _NAMES
        and weight.dtype == bias.dtype == torch.float32
        and x.ndim == 4
        and x.shape[1] == len(weight) == len(bias)
        and x.numel() > 0
        and (shift is None or (shift.is_cpu and shift.shape == x.shape[:2]))
        and x.is_contiguous(memory_format=torch.channels_last)
        and kernel() is not None
    )


def _transformed(inputs: tuple[Tensor | None, ...]) -> bool:
    """Whether more is asked for than values and gradients: a graph, or a transform of torch.func.

    A custom operator has no forward derivative, and inside `vmap` or `grad` it would see wrapped
    tensors; PyTorch's own operations have rules for both.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or any(v is not None and unpack_dual(v).tangent is not None for v in inputs)
    )


def _observed(inputs: tuple[Tensor | None, ...]) -> bool:
    """Whether somebody must see the operation as one of PyTorch's: fake tensors, tracers, counters.

    The way through PyTorch's dispatcher costs more than the kernel needs for a few small images,
    so it is only taken then.
    """
    return torch._C._len_torch_dispatch_stack() > 0 or not all(
        v is None or type(v) in (Tensor, nn.Parameter) for v in inputs
    )


# --- The operator --------------------------------------------------------------------------------

_LIBRARY = torch.library.Library("ddpm_lite", "DEF")
_LIBRARY.define(
    "norm_silu(Tensor x, Tensor? shift, Tensor weight, Tensor bias, int groups, float eps, "
    "bool silu) -> (Tensor y, Tensor moments)"
)
_LIBRARY.define(
    "norm_silu_backward(Tensor dy, Tensor x, Tensor? shift, Tensor weight, Tensor bias, "
    "Tensor moments, int groups, float eps, bool silu) -> (Tensor dx, Tensor per_image)"
)
_forward_op = torch.ops.ddpm_lite.norm_silu.default
_backward_op = torch.ops.ddpm_lite.norm_silu_backward.default


def _call(direction: str, x: Tensor, tensors: tuple[Tensor | None, ...], *numbers: Any) -> None:
    """Calls forward_* or backward_* of the kernel with tensors as pointers to their numbers."""
    images, channels, height, width = x.shape
    function = getattr(kernel(), f"{direction}_{_NAMES[x.dtype]}")
    pointers = [None if v is None else v.data_ptr() for v in tensors]
    if function(*pointers, images, height * width, channels, *numbers):
        raise MemoryError("too little memory for GroupNorm; take fewer images at a time")


def _as_floats(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float().contiguous()


def _forward(
    x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor,
    groups: int, eps: float, silu: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The result like x, and moments (B, groups, 2) float64: mean and 1/sqrt(variance + eps)."""
    x = x.contiguous(memory_format=torch.channels_last)
    y, moments = _forward_shapes(x, shift, weight, bias, groups, eps, silu)
    shift, weight, bias = _as_floats(shift), weight.contiguous(), bias.contiguous()
    _call("forward", x, (x, shift, weight, bias, y, moments), groups, eps, silu)
    return y, moments


def _forward_shapes(
    x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor,
    groups: int, eps: float, silu: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    y = torch.empty_like(x, memory_format=torch.channels_last)
    return y, x.new_empty((x.shape[0], groups, 2), dtype=torch.float64)


def _backward(
    dy: Tensor, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, moments: Tensor,
    groups: int, eps: float, silu: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradient of x, and (3, B, C) float32: those of weight, bias and shift, image by image."""
    x = x.contiguous(memory_format=torch.channels_last)
    dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
    dx, rows = _backward_shapes(dy, x, shift, weight, bias, moments, groups, eps, silu)
    shift, weight, bias = _as_floats(shift), weight.contiguous(), bias.contiguous()
    inputs = (x, shift, weight, bias, dy, moments.contiguous())
    _call("backward", x, (*inputs, dx, *rows.unbind(0)), groups, eps, silu)
    return dx, rows


def _backward_shapes(
    dy: Tensor, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, moments: Tensor,
    groups: int, eps: float, silu: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    dx = torch.empty_like(x, memory_format=torch.channels_last)
    return dx, x.new_empty((3, *x.shape[:2]), dtype=torch.float32)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, shift, weight, bias, *ctx.numbers = inputs
    ctx.save_for_backward(x, shift, weight, bias, output[1])


def _gradients(ctx: Any, dy: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    """The gradients of x, shift, weight and bias; of the three numbers there are none."""
    *inputs, moments = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True: a gradient that can be derived once more
        return *_plain_gradients(ctx, dy, inputs), None, None, None
    x, shift, weight, bias = inputs
    backward = _backward_op if _observed((dy, x)) else _backward
    dx, per_image = backward(dy, x, shift, weight, bias, moments, *ctx.numbers)
    dweight, dbias = per_image[:2].sum(1)
    dshift = None if shift is None else per_image[2].to(shift.dtype)
    return dx, dshift, dweight, dbias, None, None, None


def _plain_gradients(ctx: Any, dy: Tensor, inputs: list[Tensor | None]) -> list[Tensor | None]:
    """The same by PyTorch's own operations, as part of the graph."""
    y = _plain(*inputs, *ctx.numbers)  # type: ignore[arg-type]
    wanted = ctx.needs_input_grad[: len(inputs)]
    leaves = [v for v, want in zip(inputs, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(y, leaves, dy, create_graph=True))  # type: ignore[arg-type]
    return [next(found) if want else None for want in wanted]


class _Fused(torch.autograd.Function):
    """The operator without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        output = _forward(*inputs)
        _remember(ctx, inputs, output)
        return output[0]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(ctx, dy, None)


_LIBRARY.impl("norm_silu", _forward, "CPU")
_LIBRARY.impl("norm_silu_backward", _backward, "CPU")
torch.library.register_fake("ddpm_lite::norm_silu", _forward_shapes, lib=_LIBRARY)
torch.library.register_fake("ddpm_lite::norm_silu_backward", _backward_shapes, lib=_LIBRARY)
torch.library.register_autograd(
    "ddpm_lite::norm_silu", _gradients, setup_context=_remember, lib=_LIBRARY
)
