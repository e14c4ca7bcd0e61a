"""The U-Net: against diffusers' with the same weights, and what must hold for any image size."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from ddpm_lite.unet import (
    PRESETS,
    Attention,
    Downsample,
    Stage,
    UNet,
    UNetConfig,
    attend,
    count_parameters,
    halving,
    sinusoidal_embedding,
)

SMALL = UNetConfig(
    image_channels=2, channels=(8, 16, 16), attention=(1,), heads=2, groups=4, classes=3
)


def awake(config: UNetConfig, seed: int = 0) -> UNet:
    """A network whose zero-initialised layers hold random weights, so that it says something."""
    torch.manual_seed(seed)
    net = UNet(config).eval()
    for p in net.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.1)
    return net


def images(height: int = 16, width: int = 16, n: int = 3, channels: int = 2) -> Tensor:
    return torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(0))


TIMES = torch.tensor([1, 500, 1000])
LABELS = torch.tensor([0, 2, 1])


# --- Against diffusers ---------------------------------------------------------------------------


def peer(config: UNetConfig, **options: object) -> UNet2DModel:
    """Diffusers' network of the same shape, described as in its google/ddpm-cifar10-32."""
    levels = range(len(config.channels))
    attention = [level in config.attention for level in levels]
    return UNet2DModel(
        in_channels=config.image_channels,
        out_channels=config.image_channels,
        block_out_channels=config.channels,
        layers_per_block=config.blocks,
        norm_num_groups=config.groups,
        norm_eps=1e-6,
        flip_sin_to_cos=False,
        freq_shift=1,
        down_block_types=["AttnDownBlock2D" if a else "DownBlock2D" for a in attention],
        up_block_types=["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)],
        **options,
    )


def test_the_cifar10_preset_has_the_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        ours, theirs = UNet(PRESETS["cifar10"]), peer(PRESETS["cifar10"], attention_head_dim=None)
    assert count_parameters(ours) == count_parameters(theirs) == 35_746_307


def test_the_mnist_preset_has_about_two_million_parameters() -> None:
    with torch.device("meta"):
        mnist, tiny = (
            count_parameters(UNet(PRESETS["mnist"])),
            count_parameters(UNet(PRESETS["tiny"])),
        )
    assert 1_800_000 < mnist < 2_200_000
    assert tiny < mnist / 2


def stage_weights(stage: Stage, block: str, i: int) -> dict[str, nn.Module]:
    """The layers of one stage under the names that diffusers gives them in `block`."""
    b, name = stage.block, f"{block}.resnets.{i}"
    found: dict[str, nn.Module] = {
        f"{name}.norm1": b.norm1,
        f"{name}.conv1": b.conv1,
        f"{name}.time_emb_proj": b.time,
        f"{name}.norm2": b.norm2,
        f"{name}.conv2": b.conv2,
    }
    if isinstance(b.skip, nn.Conv2d):
        found[f"{name}.conv_shortcut"] = b.skip
    if isinstance(stage.attention, Attention):
        found[f"{block}.attentions.{i}"] = stage.attention
    return found


def peer_weights(net: UNet) -> dict[str, Tensor]:
    found: dict[str, nn.Module] = {
        "time_embedding.linear_1": net.embed.mlp[0],
        "time_embedding.linear_2": net.embed.mlp[2],
        "conv_in": net.stem,
        "conv_norm_out": net.norm,
        "conv_out": net.head,
    }
    for way, layers in (("down", net.down), ("up", net.up)):
        level = i = 0
        for layer in layers:
            if isinstance(layer, Stage):
                found |= stage_weights(layer, f"{way}_blocks.{level}", i)
                i += 1
            else:
                resize = layer if way == "down" else layer.conv
                found[f"{way}_blocks.{level}.{way}samplers.0.conv"] = resize
                level, i = level + 1, 0
    found |= stage_weights(net.middle[0], "mid_block", 0)
    found |= stage_weights(net.middle[1], "mid_block", 1)
    weights: dict[str, Tensor] = {}
    for name, module in found.items():
        if isinstance(module, Attention):
            weights |= {f"{name}.group_norm.{k}": v for k, v in module.norm.state_dict().items()}
            for k, v in module.qkv.state_dict().items():
                for part, third in zip(
                    "qkv", v[..., 0, 0].chunk(3) if v.ndim == 4 else v.chunk(3), strict=True
                ):
                    weights[f"{name}.to_{part}.{k}"] = third
            for k, v in module.out.state_dict().items():
                weights[f"{name}.to_out.0.{k}"] = v[..., 0, 0] if v.ndim == 4 else v
        else:
            weights |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
    return weights


PADDING: dict[Downsample, int] = {"all_sides": 1, "right_below": 0}
"""The ways to halve the side, by the names that we and diffusers give them."""


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("downsample", PADDING)
@pytest.mark.parametrize("times_from", [0, 1])
def test_the_network_is_diffusers_network(
    heads: int, downsample: Downsample, times_from: Literal[0, 1]
) -> None:
    config = UNetConfig(
        image_channels=3, channels=(8, 16, 16), blocks=2, attention=(1,), heads=heads, groups=4,
        downsample=downsample, times_from=times_from,
    )  # fmt: skip
    net = awake(config).double()
    # Diffusers splits into heads by their width; heads of one width need levels of one width.
    padding = PADDING[downsample]
    theirs = peer(config, attention_head_dim=16 // heads, downsample_padding=padding)
    theirs.double().eval().load_state_dict(peer_weights(net))
    x, t = images(channels=3).double(), torch.tensor([1, 2, 1000])
    with torch.no_grad():
        ours, expected = net(x, t), theirs(x, t - 1 + times_from).sample
    assert expected.std() > 0.01
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_the_cifar10_preset_is_the_published_network() -> None:
    """google/ddpm-cifar10-32 of diffusers, with random weights: the same function of x_t and t."""
    config = PRESETS["cifar10"]
    net = awake(config).double()
    theirs = peer(config, attention_head_dim=None, downsample_padding=0, sample_size=32).double()
    theirs.eval().load_state_dict(peer_weights(net))
    x = images(32, 32, n=2, channels=3).double()
    for t in (torch.tensor([1, 1000]), torch.tensor([2, 500])):
        with torch.no_grad():
            ours, expected = net(x, t), theirs(x, t - 1).sample
        assert expected.std() > 0.01
        assert (ours - expected).norm() < 1e-10 * expected.norm()


def test_the_two_ways_to_halve_look_one_pixel_apart() -> None:
    """With equal weights one says of a picture what the other says of it one pixel further."""
    torch.manual_seed(0)
    corner, plain = halving(4, "right_below"), halving(4, "all_sides")
    plain.load_state_dict(corner.state_dict())
    x = images(8, 8, channels=4)
    with torch.no_grad():
        moved = F.pad(x, (1, 0, 1, 0))[..., :-1, :-1]  # one pixel to the right and down
        torch.testing.assert_close(plain(moved)[..., 1:, 1:], corner(x)[..., :-1, :-1])
        assert not torch.allclose(plain(x), corner(x), atol=0.1)


# --- The parts -----------------------------------------------------------------------------------


def test_the_embedding_is_sines_then_cosines_at_falling_frequencies() -> None:
    times = [1, 2, 37, 999, 1000]
    frequencies = [10_000 ** -(i / 31) for i in range(32)]
    expected = [
        [math.sin(t * f) for f in frequencies] + [math.cos(t * f) for f in frequencies]
        for t in times
    ]
    actual = sinusoidal_embedding(torch.tensor(times), 64)
    # an angle of 1000 is known to 6e-5 in float32
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=2e-4)
    theirs = get_timestep_embedding(torch.tensor(times), 64, downscale_freq_shift=1)
    torch.testing.assert_close(actual, theirs, rtol=0, atol=2e-4)


def test_embeddings_of_different_times_differ() -> None:
    all_times = sinusoidal_embedding(torch.arange(1, 1001), 32)
    distance = torch.cdist(all_times, all_times) + torch.eye(1000) * 9
    assert distance.min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_is_pytorchs(dtype: torch.dtype) -> None:
    q, k, v = torch.randn(3, 2, 4, 9, 8, dtype=dtype, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v))


def test_attention_mixes_pixels_of_one_head_only() -> None:
    """Written out pixel by pixel, for every head."""
    torch.manual_seed(0)
    layer = Attention(8, replace(SMALL, heads=2)).double()
    nn.init.normal_(layer.out.weight)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64)
    h = F.group_norm(x, 4, eps=1e-6).reshape(8, 6)
    q, k, v = (layer.qkv.weight.reshape(24, 8) @ h + layer.qkv.bias[:, None]).reshape(3, 8, 6)
    mixed = torch.zeros(8, 6, dtype=torch.float64)
    for rows in (slice(0, 4), slice(4, 8)):
        for pixel in range(6):
            scores = torch.stack([q[rows, pixel] @ k[rows, other] / 2 for other in range(6)])
            mixed[rows, pixel] = v[rows] @ (scores.exp() / scores.exp().sum())
    out = layer.out.weight.reshape(8, 8) @ mixed + layer.out.bias[:, None]
    torch.testing.assert_close(layer(x), x + out.reshape(1, 8, 2, 3))


# --- The whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [SMALL, PRESETS["tiny"]])
def test_a_new_network_says_zero(config: UNetConfig) -> None:
    x = images(channels=config.image_channels)
    y = UNet(config)(x, TIMES, LABELS)
    assert y.shape == x.shape
    assert not y.any()


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("downsample", PADDING)
@pytest.mark.parametrize(
    ("height", "width"), [(28, 28), (30, 30), (31, 31), (32, 32), (17, 23), (1, 1), (8, 3)]
)
def test_any_size_goes_in_and_comes_out(
    height: int, width: int, downsample: Downsample, patch: int
) -> None:
    config = replace(SMALL, patch=patch, downsample=downsample)
    net, x = awake(config), images(height, width)
    multiple = 4 * patch
    assert config.side_multiple == multiple
    padded = torch.zeros(
        3, 2, math.ceil(height / multiple) * multiple, math.ceil(width / multiple) * multiple
    )
    padded[..., :height, :width] = x
    with torch.no_grad():
        y = net(x, TIMES, LABELS)
        assert y.shape == x.shape
        torch.testing.assert_close(y, net(padded, TIMES, LABELS)[..., :height, :width])


def test_no_label_is_the_null_label() -> None:
    net, x = awake(SMALL), images()
    with torch.no_grad():
        none = net(x, TIMES)
        assert torch.equal(none, net(x, TIMES, torch.full((3,), 3)))
        assert not torch.allclose(none, net(x, TIMES, LABELS))


def test_label_and_time_change_their_own_image_only() -> None:
    net, x = awake(SMALL), images()
    with torch.no_grad():
        y = net(x, TIMES, LABELS)
        for other in (
            net(x, TIMES, torch.tensor([0, 0, 1])),
            net(x, torch.tensor([1, 501, 1000]), LABELS),
        ):
            torch.testing.assert_close(other[[0, 2]], y[[0, 2]])
            assert (other[1] - y[1]).abs().max() > 1e-4


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_that_are_none_are_refused(label: int) -> None:
    with pytest.raises(IndexError):
        awake(SMALL)(images(), TIMES, torch.tensor([0, label, 1]))


@pytest.mark.parametrize("patch", [1, 2])
def test_gradients_reach_every_weight(patch: int) -> None:
    net = awake(replace(SMALL, patch=patch)).train()
    y = net(images(), TIMES, torch.tensor([0, 1, 3]))
    y.backward(images(n=6)[3:])
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
        assert p.grad.any(), name
    assert net.embed.label is not None
    touched = net.embed.label.weight.grad.any(dim=1)
    assert touched.tolist() == [True, True, False, True]


def test_one_pixel_reaches_every_pixel() -> None:
    net, x = awake(SMALL).double(), images().double().requires_grad_()
    for row, column in ((0, 0), (15, 15), (7, 3)):
        (gradient,) = torch.autograd.grad(net(x, TIMES)[1, 0, row, column], x)
        assert bool((gradient[1] != 0).all())
        assert not gradient[[0, 2]].any()


def test_the_memory_layout_changes_nothing() -> None:
    net, x = awake(SMALL), images()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        net.to(memory_format=layout)
        net.zero_grad()
        y = net(x.contiguous(memory_format=layout), TIMES, LABELS)
        y.square().mean().backward()
        results.append([y.detach(), *(p.grad.clone() for p in net.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_other_precisions_say_the_same() -> None:
    net, x = awake(SMALL), images()
    with torch.no_grad():
        y = net(x, TIMES, LABELS)
        with torch.autocast("cpu", torch.bfloat16):
            low = net(x.contiguous(memory_format=torch.channels_last), TIMES, LABELS)
        high = net.double()(x.double(), TIMES, LABELS)
    assert high.dtype == torch.float64
    torch.testing.assert_close(y.double(), high, rtol=1e-4, atol=1e-4)
    assert (low.double() - high).norm() < 0.02 * high.norm()  # 3 digits in each of 15 layers


def test_dropout_works_only_in_training() -> None:
    net, x = awake(replace(SMALL, dropout=0.5)), images()
    with torch.no_grad():
        assert torch.equal(net(x, TIMES), net(x, TIMES))
        net.train()
        assert not torch.equal(net(x, TIMES), net(x, TIMES))


def test_equal_configurations_have_equal_weights_by_name_and_shape() -> None:
    with torch.device("meta"):
        a, b = (UNet(replace(SMALL)).state_dict() for _ in range(2))
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}


def test_a_network_without_classes_has_no_label_weights() -> None:
    net = awake(replace(SMALL, classes=0))
    assert net.embed.label is None
    assert net(images(), TIMES).shape == images().shape


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": ()}, "at least one level"),
        ({"channels": (8, 0)}, "must be at least 1"),
        ({"blocks": 0}, "must be at least 1"),
        ({"patch": 0}, "must be at least 1"),
        ({"image_channels": 0}, "must be at least 1"),
        ({"blocks": 101}, "blocks up to 100, not 101"),
        ({"channels": (8,) * 14}, "levels up to 13, not 14"),
        ({"channels": (8, 65_544)}, "the widest level up to 65536, not 65544"),
        ({"image_channels": 3, "patch": 148}, "up to 65536, not 65712"),
        ({"classes": 1_000_001}, "classes up to 1000000, not 1000001"),
        ({"channels": (8, 18)}, r"channels \[18\] are not divisible by groups=4"),
        ({"channels": (8, 12), "heads": 8}, r"channels \[12\] are not divisible .* heads=8"),
        (
            {"channels": (8, 12), "heads": 1, "head_width": 8},
            r"channels \[12\] are not divisible .* head_width=8",
        ),
        ({"head_width": 4}, "heads is 1 beside it"),
        ({"heads": 1, "head_width": -4}, "head_width must be at least 0"),
        (
            {"channels": (12, 8), "heads": 8, "attention": (0,)},
            r"channels \[12\] are not divisible .* heads=8",
        ),
        ({"channels": (2, 4), "groups": 1, "heads": 1}, "even and at least 4"),
        ({"channels": (9,), "groups": 3, "heads": 1}, "even and at least 4"),
        ({"attention": (3,)}, r"attention levels \(3,\) are not levels"),
        ({"attention": (-1,)}, "are not levels"),
        ({"groups": 0}, "groups and heads must be at least 1"),
        ({"classes": -1}, "classes 0"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\)"),
        ({"downsample": "left"}, "downsample 'left' is not one of all_sides, right_below"),
        ({"times_from": 2}, "times_from must be 0 or 1, not 2"),
        ({"freq_shift": 2}, "freq_shift must be 0 or 1, not 2"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0 and below 1, not 0.0"),
        ({"norm_eps": 1.0}, "norm_eps must be above 0 and below 1, not 1.0"),
        ({"norm_eps": math.nan}, "norm_eps must be above 0 and below 1, not nan"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, object], message: str) -> None:
    options = {"channels": (8, 16), "groups": 4, "heads": 2, **changes}
    with pytest.raises(ValueError, match=message):
        UNetConfig(**options)  # type: ignore[arg-type]


def test_only_widths_with_attention_are_split_into_heads() -> None:
    config = UNetConfig(channels=(12, 16), groups=4, heads=8)
    x = images(4, 4, channels=1)
    assert UNet(config)(x, TIMES).shape == x.shape
