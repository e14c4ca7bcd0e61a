"""The fused kernel, against PyTorch's GroupNorm and SiLU in float64."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad

from ddpm_lite import fused_norm
from ddpm_lite.fused_norm import kernel, norm_only, norm_silu
from ddpm_lite.unet import UNet, UNetConfig

compiled = pytest.mark.skipif(kernel() is None, reason="the kernel was not compiled")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which functions of the kernel ran."""
    seen: list[str] = []
    call = fused_norm._call

    def spy(direction: str, x: Tensor, *arguments: Any) -> None:
        seen.append(f"{direction}_{x.dtype}".replace("torch.", ""))
        call(direction, x, *arguments)

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


class Exact(NamedTuple):
    """In float64: the result, the gradients of `run`, and how large the terms of each are."""

    values: list[Tensor]
    sizes: list[Tensor | float]


def exact(c: Case) -> Exact:
    """From the definition: no GroupNorm of PyTorch's.

    The size of a result that is a sum over pixels is the sum of its terms' sizes: that is what its
    rounding is relative to, however much of the sum cancels.
    """
    x, weight, bias = (v.detach().double().requires_grad_() for v in (c.x, *c.norm.parameters()))
    shift = None if c.shift is None else c.shift.detach().double().requires_grad_()
    h = x if shift is None else x + shift[:, :, None, None]
    grouped = h.reshape(len(h), c.norm.num_groups, -1)
    variance, mean = torch.var_mean(grouped, dim=2, keepdim=True, correction=0)
    rstd = ((variance + c.norm.eps) ** -0.5).expand_as(grouped).reshape(h.shape)
    normal = ((grouped - mean) / (variance + c.norm.eps).sqrt()).reshape(h.shape)
    z = normal * weight[:, None, None] + bias[:, None, None]
    y = z * torch.sigmoid(z) if c.silu else z
    leaves = [x, weight, bias] + ([] if shift is None else [shift])
    gradients = torch.autograd.grad(y, leaves, c.dy.double())
    dy, dx, n = c.dy.double().abs(), gradients[0].abs(), normal.detach().abs()
    dz, unit = 1.1 * dy, (rstd * weight[:, None, None].abs()).detach()  # |silu'| is at most 1.1
    sizes: list[Tensor | float] = [
        float(y.detach().abs().max()), float(dx.max()),
        (dz * n).sum((0, 2, 3)), dz.sum((0, 2, 3)), (unit * dz + dx).sum((2, 3)),
    ]  # fmt: skip
    return Exact([y.detach(), *gradients], sizes[: 1 + len(leaves)])


def assert_exact(c: Case, tolerance: float = 1e-5) -> None:
    """To rounding: of float32 relative to the terms' sizes, and of what is stored as bfloat16.

    1e-5 is 170 roundings of float32. The kernel's sums over pixels are of blocks of 64, so a sum
    takes up to 64 of them whatever the image's size and the order of its vector instructions, and
    each of its terms about 30: the exponential, the division and the products. The variance takes
    64 in the same way.
    """
    values, sizes = exact(c)
    for actual, expected, size in zip(run(c), values, sizes, strict=True):
        stored = 2**-8 if actual.dtype == torch.bfloat16 else 0.0
        allowed = tolerance * torch.as_tensor(size).clamp(min=1.0) + stored * expected.abs()
        excess = ((actual.double() - expected).abs() / allowed).max()
        assert excess <= 1, f"{excess:.3g} times what rounding explains"


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
def test_a_large_mean_costs_no_digits(mean: float, shape: tuple[int, int, int, int]) -> None:
    """A variance from E[x^2] - E[x]^2 would be all wrong: 1e6 has no room for 1 in float32.

    x is taken as it is stored, so the tolerance is that of a mean of 0: all the kernel may do with
    the mean is to subtract it, and the difference of neighbouring floats is exact.
    """
    if kernel() is None:
        pytest.skip("PyTorch's own GroupNorm has that very fault")
    assert_exact(case(shape, 4, mean=mean))


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
        gradient.double(), exact(c._replace(shift=low)).values[-1], rtol=2**-8, atol=1e-5
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


@pytest.mark.parametrize("shifted", [True, False])
def test_a_second_derivative_is_that_of_the_definition(shifted: bool) -> None:
    c = case((2, 8, 5, 4), 2, shifted=shifted)

    def second(x: Tensor, y: Tensor) -> Tensor:
        [first] = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.pow(3).sum(), x)[0]

    x = c.x.detach().double().requires_grad_()
    h = x if c.shift is None else x + c.shift.detach().double()[:, :, None, None]
    weight, bias = (v.detach().double() for v in c.norm.parameters())
    expected = second(x, F.silu(F.group_norm(h, 2, weight, bias, c.norm.eps)))
    found = second(c.x, norm_silu(c.norm, c.x, c.shift))
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


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


# --- As an operator of PyTorch's ------------------------------------------------------------------


@pytest.fixture
def restored() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)
    torch.set_default_device(None)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16, "meta"])
def test_defaults_of_the_session_change_nothing(default: torch.dtype | str) -> None:
    c = case((2, 8, 5, 4), 2)
    before = run(c)
    if isinstance(default, str):
        torch.set_default_device(default)
    else:
        torch.set_default_dtype(default)
    assert all(torch.equal(a, b) for a, b in zip(run(c), before, strict=True))


@compiled
@pytest.mark.parametrize("shifted", [True, False])
def test_the_operator_keeps_pytorchs_contract(shifted: bool) -> None:
    """Schema, shapes without numbers, gradients, and tracing with both."""
    c = case((2, 8, 5, 4), 2, shifted=shifted)
    arguments = (c.x, c.shift, c.norm.weight, c.norm.bias, 2, 1e-5, True)
    torch.library.opcheck(torch.ops.ddpm_lite.norm_silu.default, arguments)


@compiled
def test_tensors_without_numbers_are_not_read(calls: list[str]) -> None:
    c = case((2, 8, 5, 4), 2)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        y = norm_silu(c.norm, mode.from_tensor(c.x), None)
    assert calls == []
    assert y.shape == c.x.shape


NET = UNetConfig(channels=(8, 16), groups=4, patch=2, attention=(1,))


class Whole(NamedTuple):
    """A U-Net, channels-last images, times and a direction like the images."""

    net: UNet
    x: Tensor
    t: Tensor
    direction: Tensor


@pytest.fixture
def whole() -> Whole:
    torch.manual_seed(0)
    net = UNet(NET).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    x, direction = (
        torch.randn(3, 1, 8, 8).contiguous(memory_format=torch.channels_last) for _ in range(2)
    )
    return Whole(net, x, torch.tensor([1, 20, 1000]), direction)


def test_the_derivative_along_a_direction_goes_through_the_network(whole: Whole) -> None:
    """torch.func.jvp and forward mode, against the gradient: <J v, u> = <v, J^T u>."""
    net, x, t, v = whole
    u = torch.randn(3, 1, 8, 8)
    _, along = torch.func.jvp(lambda x: net(x, t), (x,), (v,))
    leaf = x.clone(memory_format=torch.channels_last).requires_grad_()
    [back] = torch.autograd.grad(net(leaf, t), leaf, u)
    assert (along * u).sum().item() == pytest.approx((v * back).sum().item(), rel=1e-3)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(net(forward_ad.make_dual(x, v), t)).tangent
    torch.testing.assert_close(dual, along, rtol=1e-4, atol=1e-4)


def test_gradients_of_single_images_go_through_the_network(whole: Whole) -> None:
    """torch.func.vmap of grad, against one image at a time."""
    net, x, t, _ = whole
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor, t: Tensor) -> Tensor:
        out = torch.func.functional_call(net, weights, (x[None], t[None]))
        return out.square().mean()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(weights, x, t)
    for i in range(3):
        net.zero_grad()
        net(x[i : i + 1], t[i : i + 1]).square().mean().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(found[name][i], parameter.grad, rtol=1e-3, atol=1e-4)


def test_a_vector_jacobian_product_of_many_images_goes_through_the_network(whole: Whole) -> None:
    net, x, t, v = whole
    _, pull = torch.func.vjp(lambda x: net(x, t), x)
    leaf = x.clone(memory_format=torch.channels_last).requires_grad_()
    [expected] = torch.autograd.grad(net(leaf, t), leaf, v)
    torch.testing.assert_close(pull(v)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_an_exported_network_needs_no_operator_of_ours(whole: Whole) -> None:
    net, x, t, _ = whole
    for strict in (True, False):
        program = torch.export.export(net, (x, t), strict=strict)
        assert "ddpm_lite" not in program.graph_module.code
        torch.testing.assert_close(program.module()(x, t), net(x, t), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_network_has_the_same_gradients(whole: Whole) -> None:
    net, x, t, v = whole
    expected = torch.autograd.grad(net(x, t), list(net.parameters()), v)
    fast = torch.compile(net, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(fast(x, t), list(net.parameters()), v)
    torch.compiler.reset()
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


@compiled
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_too_little_memory_is_an_error_and_not_the_end_of_the_process(
    direction: str, dtype: torch.dtype
) -> None:
    """Room for 2^50 channels is asked for before anything is read."""
    x = torch.zeros(1, dtype=dtype).expand(1, 2**50, 1, 1)
    count = {"forward": 6, "backward": 10}[direction]
    with pytest.raises(MemoryError, match="fewer images"):
        fused_norm._call(direction, x, (torch.zeros(1),) * count, 1, 1e-5, True)


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
    torch.testing.assert_close(y.double(), exact(c).values[0], rtol=1e-5, atol=1e-5)
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


@pytest.mark.parametrize("version", [1, None])
def test_a_kernel_of_another_version_counts_as_none(
    version: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was compiled before its arguments changed would read what is not there."""
    stale = SimpleNamespace() if version is None else SimpleNamespace(fused_norm_version=lambda: 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: stale)
    kernel.cache_clear()
    assert kernel() is None
    monkeypatch.undo()
    kernel.cache_clear()


def test_python_and_the_source_agree_on_the_version() -> None:
    source = Path(fused_norm.__file__).with_suffix(".cpp").read_text()
    assert f"#define VERSION {fused_norm._VERSION} " in source


def test_shapes_that_the_kernel_would_misread_go_to_pytorch(calls: list[str]) -> None:
    c = case((2, 8, 5, 4), 2)
    assert c.shift is not None
    y = norm_silu(c.norm, c.x, c.shift[:1])
    torch.testing.assert_close(y, F.silu(c.norm(c.x + c.shift[:1, :, None, None])))
    wide = torch.zeros(2, 16, 5, 4).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError):
        norm_silu(c.norm, wide)
    assert calls == []
