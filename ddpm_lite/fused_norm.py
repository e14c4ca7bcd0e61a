"""silu(group_norm(x + shift)) in one step: PyTorch's own operations, or one fused CPU kernel.

The kernel (`fused_norm.cpp`) is compiled when the package is installed, if there is a C++ compiler;
without it, on a GPU and under `torch.compile`, PyTorch's operations do the same. The two agree to
rounding (tests/test_fused_norm.py), so a checkpoint does not care which of them made it.
"""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class _Shape(ctypes.Structure):
    """`Shape` of fused_norm.cpp."""

    _fields_ = [
        ("images", ctypes.c_int64),
        ("pixels", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("eps", ctypes.c_float),
        ("silu", ctypes.c_int),
    ]


@cache
def kernel() -> ctypes.CDLL | None:
    """The compiled kernel, or None where the package was installed without a compiler."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_fused_norm{suffix}")
        if path.is_file():
            try:
                return ctypes.CDLL(str(path))
            except OSError:  # built on another machine, or without OpenMP's symbols
                return None
    return None


def norm_silu(norm: nn.GroupNorm, x: Tensor, shift: Tensor | None = None) -> Tensor:
    """silu(norm(x + shift)); x (B, C, H, W), shift (B, C) or None."""
    return _apply(norm, x, shift, silu=True)


def norm_only(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """norm(x), x (B, C, H, W)."""
    return _apply(norm, x, None, silu=False)


def _apply(norm: nn.GroupNorm, x: Tensor, shift: Tensor | None, silu: bool) -> Tensor:
    if _fusible(norm, x):
        out: Tensor = _FusedNorm.apply(  # type: ignore[no-untyped-call]
            x, shift, norm.weight, norm.bias, norm.num_groups, norm.eps, silu
        )
        return out
    y: Tensor = norm(x if shift is None else x + shift[:, :, None, None])
    return F.silu(y) if silu else y


def _fusible(norm: nn.GroupNorm, x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype in _NAMES
        and norm.affine
        and norm.weight.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and x.is_contiguous(memory_format=torch.channels_last)
        and kernel() is not None
    )


def _call(direction: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Calls forward_* or backward_* of the kernel with tensors as pointers to their numbers."""
    function = getattr(kernel(), f"{direction}_{_NAMES[dtype]}")
    function(*(ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments))


class _FusedNorm(torch.autograd.Function):
    """The kernel with its derivative."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor,
        groups: int, eps: float, silu: bool,
    ) -> Tensor:  # fmt: skip
        images, channels, height, width = x.shape
        shape = _Shape(images, height * width, channels, groups, eps, int(silu))
        shift = None if shift is None else shift.float().contiguous()
        y, moments = torch.empty_like(x), torch.empty(images, groups, 2)
        _call("forward", x.dtype, x, shift, weight, bias, y, moments, ctypes.byref(shape))
        ctx.shape = shape
        ctx.save_for_backward(x, shift, weight, bias, moments)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True: what follows would be a constant to it
            raise RuntimeError(
                "the fused kernel has no second derivative; PyTorch's own operations, which have "
                "one, run in float64 and on tensors that are not channels-last"
            )
        x, shift, weight, bias, moments = ctx.saved_tensors
        dy, dx = dy.contiguous(memory_format=torch.channels_last), torch.empty_like(x)
        per_image = torch.empty(3, *x.shape[:2])
        _call(
            "backward", x.dtype, x, shift, weight, bias, dy, moments, dx, *per_image.unbind(0),
            ctypes.byref(ctx.shape),
        )  # fmt: skip
        dweight, dbias = per_image[:2].sum(1)
        return dx, None if shift is None else per_image[2], dweight, dbias, None, None, None
