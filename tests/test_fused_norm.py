"""The fused kernel, against PyTorch's GroupNorm and SiLU in float64."""

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lite import fused_norm
from ddpm_lite.fused_norm import kernel, norm_only, norm_silu

compiled = pytest.mark.skipif(kernel() is None, reason="the kernel was not compiled")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which functions of the kernel ran."""
    seen: list[str] = []
    call = fused_norm._call

    def spy(direction: str, dtype: torch.dtype, *arguments: Any) -> None:
        seen.append(f"{direction}_{dtype}".replace("torch.", ""))
        call(direction, dtype, *arguments)

    monkeypatch.setattr(fused_norm, "_call", spy)
    return seen


class Case(NamedTuple):
    norm: nn.GroupNorm
    x: Tensor
    shift: Tensor | None
    dy: Tensor
    silu: bool


def case(
    shape: tuple[int, int, int, int],
    groups: int,
    dtype: torch.dtype = torch.float32,
    shifted: bool = True,
    silu: bool = True,
    mean: float = 0.0,
) -> Case:
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    images, channels, _, _ = shape
    # The channels of every group differ in mean and spread, and so do the images.
    x = normal(*shape) * (1 + normal(images, channels, 1, 1).abs()) + normal(images, channels, 1, 1)
    norm = nn.GroupNorm(groups, channels, eps=1e-5)
    norm.weight.data, norm.bias.data = 1 + 0.5 * normal(channels), normal(channels)
    return Case(
        norm,
        (x + mean).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_(),
        normal(images, channels).requires_grad_() if shifted else None,
        normal(*shape).to(dtype),
        silu,
    )


def run(c: Case) -> list[Tensor]:
    """The result and the gradients of x, weight, bias and shift."""
    y = norm_silu(c.norm, c.x, c.shift) if c.silu else norm_only(c.norm, c.x)
    leaves = [c.x, c.norm.weight, c.norm.bias] + ([] if c.shift is None else [c.shift])
    return [y.detach(), *torch.autograd.grad(y, leaves, c.dy)]


def exact(c: Case) -> list[Tensor]:
    """The same in float64, from the definition: no GroupNorm of PyTorch's."""
    x, weight, bias = (v.detach().double().requires_grad_() for v in (c.x, *c.norm.parameters()))
    shift = None if c.shift is None else c.shift.detach().double().requires_grad_()
    h = x if shift is None else x + shift[:, :, None, None]
    grouped = h.reshape(len(h), c.norm.num_groups, -1)
    variance, mean = torch.var_mean(grouped, dim=2, keepdim=True, correction=0)
    normal = ((grouped - mean) / (variance + c.norm.eps).sqrt()).reshape(h.shape)
    y = normal * weight[:, None, None] + bias[:, None, None]
    y = y * torch.sigmoid(y) if c.silu else y
    leaves = [x, weight, bias] + ([] if shift is None else [shift])
    return [y.detach(), *torch.autograd.grad(y, leaves, c.dy.double())]


def assert_exact(c: Case, tolerance: float = 1e-5) -> None:
    """To rounding: of float32 relative to each tensor's size, and of what is stored as bfloat16."""
    for actual, expected in zip(run(c), exact(c), strict=True):
        stored = 2**-8 if actual.dtype == torch.bfloat16 else 0.0
        atol = tolerance * max(1.0, expected.abs().max().item())
        torch.testing.assert_close(actual.double(), expected, rtol=stored, atol=atol)


SHAPES = [
    ((2, 8, 5, 4), 2),
    ((3, 64, 14, 14), 8),
    ((2, 96, 7, 7), 8),
    ((1, 33, 3, 5), 3),
    ((2, 7, 4, 4), 1),
    ((2, 5, 3, 3), 5),
    ((4, 48, 1, 1), 4),
    ((1, 6, 1, 1), 1),
    ((1, 1, 6, 5), 1),
    ((2, 130, 2, 3), 2),
    ((5, 32, 1, 9), 32),
    ((1, 16, 64, 64), 4),
]


@pytest.mark.parametrize(("shape", "groups"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shifted", "silu"), [(True, True), (False, True), (False, False)])
def test_value_and_gradients_are_exact(
    shape: tuple[int, int, int, int], groups: int, dtype: torch.dtype, shifted: bool, silu: bool
) -> None:
    assert_exact(case(shape, groups, dtype, shifted, silu))


@compiled
def test_the_kernel_runs_both_ways(calls: list[str]) -> None:
    run(case((2, 8, 5, 4), 2))
    run(case((2, 8, 5, 4), 2, torch.bfloat16, silu=False, shifted=False))
    assert calls == [f"{way}_{kind}" for kind in ("float32", "bfloat16") for way in
                     ("forward", "backward")]  # fmt: skip


@pytest.mark.parametrize("mean", [10.0, 1000.0, -1e5])
@pytest.mark.parametrize("shape", [(2, 32, 14, 14), (2, 32, 1, 1), (1, 8, 64, 64)])
def test_a_large_mean_costs_only_the_digits_that_it_takes(
    mean: float, shape: tuple[int, int, int, int]
) -> None:
    """A variance from E[x^2] - E[x]^2 would be all wrong: 1e6 has no room for 1 in float32."""
    if kernel() is None:
        pytest.skip("PyTorch's own GroupNorm has that very fault")
    # x of size |mean| is known to 6e-8 of it, relative to a deviation of one or two
    assert_exact(case(shape, 4, mean=mean), 1e-5 + 6e-8 * 4 * abs(mean))


@compiled
def test_a_first_pixel_that_stands_out_does_no_harm() -> None:
    c = case((2, 16, 14, 14), 4)
    with torch.no_grad():
        c.x[:, :, 0, 0] = 1e4
    assert_exact(c, 1e-4)  # it is the variance: the rest is 1e-2 of the deviation


def test_constant_images_become_the_bias() -> None:
    c = case((2, 8, 4, 4), 2, silu=False, shifted=False)
    with torch.no_grad():
        c.x.fill_(3.0)
    y = norm_only(c.norm, c.x)
    expected = c.norm.bias[None, :, None, None].expand_as(y)
    torch.testing.assert_close(y, expected, rtol=0, atol=2e-3)  # rounding times 1 / sqrt(eps)


@pytest.mark.parametrize("z", [-1e4, -100.0, -88.0, -20.0, 0.0, 20.0, 88.0, 1e4])
def test_silu_is_right_far_out(z: float) -> None:
    c = case((1, 8, 2, 2), 2)
    with torch.no_grad():
        c.norm.weight.zero_()
        c.norm.bias.fill_(z)
    assert_exact(c, 1e-6 + 2e-7 * abs(z))  # 1 - sigmoid(z) is rounding there, times z


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_that_are_none_are_not_hidden(bad: float, dtype: torch.dtype) -> None:
    """A run whose numbers blow up must see it in its loss."""
    c = case((2, 8, 4, 4), 2, dtype)
    with torch.no_grad():
        c.x[0, 0, 1, 1] = bad
    y, dx, *_ = run(c)
    assert y[0, :4].float().sum().isnan()
    assert dx[0, :4].float().sum().isnan()
    assert y[1].isfinite().all()
    assert dx[1].isfinite().all()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    results = []
    for count in (1, 2, 3, 7):
        torch.set_num_threads(count)
        results.append(run(case((5, 32, 6, 6), 4, dtype)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    c = case((5, 32, 6, 6), 4)
    assert c.shift is not None
    alone = norm_silu(c.norm, c.x[2:3], c.shift[2:3])
    assert torch.equal(norm_silu(c.norm, c.x, c.shift)[2:3], alone)


def test_gradients_may_come_in_any_layout() -> None:
    c = case((2, 8, 5, 4), 2)
    for dy in (
        c.dy.contiguous(memory_format=torch.channels_last),
        c.dy.transpose(2, 3).contiguous().transpose(2, 3),
        torch.ones(()).expand(2, 8, 5, 4),
        torch.ones(2, 1, 5, 1).expand(2, 8, 5, 4),
        torch.randn(2, 16, 5, 8)[:, ::2, :, ::2],
    ):
        assert_exact(c._replace(dy=dy))


def test_slices_of_larger_tensors_are_read_at_their_place() -> None:
    c = case((6, 8, 5, 4), 2)
    assert c.shift is not None
    x, shift = c.x.detach()[2:4].requires_grad_(), c.shift.detach()[2:4].requires_grad_()
    assert_exact(c._replace(x=x, shift=shift, dy=c.dy[2:4]))


def test_a_strided_or_bfloat16_shift_is_taken_for_what_it_says() -> None:
    c = case((3, 8, 5, 4), 2)
    strided = torch.randn(8, 3).T.requires_grad_()
    assert_exact(c._replace(shift=strided))
    low = torch.randn(3, 8).bfloat16().requires_grad_()
    *_, gradient = run(c._replace(shift=low))
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(
        gradient.double(), exact(c._replace(shift=low))[-1].double(), rtol=2**-8, atol=1e-5
    )


@pytest.mark.parametrize("name", ["x", "weight", "bias", "shift"])
def test_gradients_are_given_only_where_they_are_asked_for(name: str) -> None:
    c = case((2, 8, 5, 4), 2)
    assert c.shift is not None
    leaves = {"x": c.x, "weight": c.norm.weight, "bias": c.norm.bias, "shift": c.shift}
    for other, leaf in leaves.items():
        leaf.requires_grad_(other == name)
    norm_silu(c.norm, c.x, c.shift).backward(c.dy)
    assert [other for other, leaf in leaves.items() if leaf.grad is not None] == [name]


@compiled
def test_a_second_derivative_is_refused_instead_of_being_wrong() -> None:
    c = case((2, 8, 5, 4), 2)
    y = norm_silu(c.norm, c.x, c.shift)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(y.sum(), c.x, create_graph=True)


@compiled
def test_the_layout_stays_channels_last() -> None:
    c = case((2, 8, 5, 4), 2)
    y, dx, *_ = run(c)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert dx.is_contiguous(memory_format=torch.channels_last)
    assert y.dtype == dx.dtype == torch.float32


@compiled
def test_loading_the_kernel_leaves_tiny_numbers_alone() -> None:
    """Code linked with -ffast-math may switch denormal numbers off for the whole process."""
    run(case((2, 8, 5, 4), 2))
    assert (torch.tensor([1e-40]) * 1).item() > 0


# --- Where PyTorch's own operations take over ----------------------------------------------------


def test_without_a_kernel_the_result_is_the_same(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for c in (case((2, 8, 5, 4), 2), case((2, 8, 5, 4), 2, silu=False, shifted=False)):
        fused = run(c)
        calls.clear()
        with monkeypatch.context() as m:
            m.setattr(fused_norm, "kernel", lambda: None)
            plain = run(c)
        assert calls == []
        for a, b in zip(fused, plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_under_compile_the_kernel_is_not_called(calls: list[str]) -> None:
    c = case((2, 8, 5, 4), 2)
    compiled_silu = torch.compile(norm_silu, backend="eager", fullgraph=True)
    y = compiled_silu(c.norm, c.x, c.shift)
    assert calls == []
    torch.testing.assert_close(y.double(), exact(c)[0], rtol=1e-5, atol=1e-5)
    torch.compiler.reset()


@pytest.mark.parametrize("what", ["contiguous", "float64", "float16", "bfloat16 weights", "plain"])
def test_what_the_kernel_cannot_read_goes_to_pytorch(what: str, calls: list[str]) -> None:
    c = case((2, 8, 5, 4), 2, shifted=False)
    norm, x = c.norm, c.x.detach()
    if what == "contiguous":
        x = x.contiguous()
    elif what == "float64":
        norm, x = norm.double(), x.double()
    elif what == "float16":
        norm, x = norm.half(), x.half()
    elif what == "bfloat16 weights":
        norm, x = norm.bfloat16(), x.bfloat16()
    else:
        norm = nn.GroupNorm(2, 8, affine=False)
    y = norm_silu(norm, x)
    assert calls == []
    assert torch.equal(y, F.silu(norm(x)))


def test_a_kernel_that_does_not_load_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", broken)
    kernel.cache_clear()
    assert kernel() is None
    assert torch.equal(
        norm_silu(nn.GroupNorm(1, 2), torch.zeros(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3)
    )
    monkeypatch.undo()
    kernel.cache_clear()
