"""The translation to and from diffusers, against diffusers' own classes with random weights."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from published import PUBLISHED, PUBLISHED_SCHEDULER, awake, theirs_of, unet_config
from torch import Tensor

from ddpm_lite.model import ModelConfig, checked_weights
from ddpm_lite.translation import (
    FIRST,
    SCHEDULER_DEFAULTS,
    UNET_DEFAULTS,
    Drawing,
    cosines_first,
    model_from,
    scheduler_to,
    unet_to,
    weights_from,
    weights_to,
)
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

CONFIGS: dict[str, dict[str, Any]] = {
    "one level": unet_config("-", block_out_channels=[8]),
    "one level with attention": unet_config("a", block_out_channels=[8], attention_head_dim=2),
    "padding on all sides": unet_config(downsample_padding=1),
    "attention on all levels": unet_config("aa"),
    "wider levels with more heads": unet_config("aa", attention_head_dim=4),
    "heads of one width": unet_config(
        "a-a", block_out_channels=[16, 8, 16], attention_head_dim=4, layers_per_block=1
    ),
    "many heads beside an odd width": unet_config(
        block_out_channels=[12, 16], attention_head_dim=2, act_fn="swish"
    ),
    "many blocks, one group, two channels": unet_config(
        layers_per_block=3, norm_num_groups=1, in_channels=2, out_channels=2, dropout=0.2
    ),
    "what diffusers has where nothing is said": unet_config(
        downsample_padding=1,
        attention_head_dim=8,
        norm_eps=1e-5,
        freq_shift=0,
        flip_sin_to_cos=True,
    ),
    "cosines first": unet_config(flip_sin_to_cos=True),
    "a larger norm_eps": unet_config(norm_eps=0.1),
    "other frequencies": unet_config(freq_shift=0),
    "four levels, a square": unet_config(
        "--a-", block_out_channels=[8, 4, 12, 4], sample_size=[16, 16], attn_norm_num_groups=4
    ),
}


def ours_of(config: UNetConfig, weights: Mapping[str, Tensor]) -> UNet:
    net = UNet(config).eval().requires_grad_(False)
    net.load_state_dict(checked_weights(net, weights, "here"))
    return net


def inputs(config: ModelConfig) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    t = torch.tensor([1, 2, 77, config.T - 1, config.T])
    return torch.randn(len(t), *config.image_shape, generator=generator), t


# --- Networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_a_network_of_diffusers_is_ours_and_back(name: str) -> None:
    theirs = theirs_of(CONFIGS[name])
    config, _ = model_from(CONFIGS[name], PUBLISHED_SCHEDULER)
    turned = cosines_first(CONFIGS[name])
    ours = ours_of(config.unet, weights_from(config.unet, theirs.state_dict(), turned))
    x, t = inputs(config)
    expected = theirs(x, t - 1).sample
    assert expected.std() > 0.1
    assert (theirs(x, t).sample - expected).abs().max() > 1e-3  # the time is heard
    torch.testing.assert_close(ours(x, t), expected, rtol=0, atol=1e-5)

    back = UNet2DModel.from_config(unet_to(config))
    back.eval().load_state_dict(weights_to(config.unet, ours.state_dict()))
    torch.testing.assert_close(back(x, t - 1).sample, expected, rtol=0, atol=1e-5)
    same = [k for k, v in theirs.state_dict().items() if torch.equal(v, back.state_dict()[k])]
    assert set(theirs.state_dict()) - set(same) == ({FIRST} if turned else set())


def test_the_published_configuration_is_the_cifar10_recipe() -> None:
    config, drawing = model_from(PUBLISHED, PUBLISHED_SCHEDULER)
    assert config.unet == replace(PRESETS["cifar10"], dropout=0.0)
    assert (config.schedule, config.T, config.target, config.side) == ("linear", 1000, "eps", 32)
    assert drawing == Drawing("beta", True)
    assert unet_to(config).items() >= (PUBLISHED | {"_diffusers_version": "0.42.1"}).items()
    fields = PUBLISHED_SCHEDULER | {"_diffusers_version": "0.42.1"}
    assert scheduler_to(config, drawing).items() >= fields.items()


def test_the_names_of_older_releases_are_read() -> None:
    theirs = theirs_of(CONFIGS["attention on all levels"])
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = dict(theirs.state_dict())
    for name in list(weights):
        for new, old in former.items():
            if f".{new}." in name:
                weights[name.replace(new, old)] = weights.pop(name)
    assert len(weights.keys() - theirs.state_dict().keys()) == 11 * 8  # eight of each attention
    config = model_from(CONFIGS["attention on all levels"], PUBLISHED_SCHEDULER)[0].unet
    with pytest.raises(ValueError, match="twice"):
        weights_from(config, weights | theirs.state_dict())
    read, expected = (weights_from(config, each) for each in (weights, theirs.state_dict()))
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in read)


OURS: dict[str, UNetConfig] = {
    "times from 1": UNetConfig(channels=(8, 16), groups=4),
    "wider levels with more heads": UNetConfig(
        channels=(8, 16), groups=4, attention=(0,), head_width=4
    ),
    "all sides, times from 0": UNetConfig(channels=(8, 16), groups=4, times_from=0),
    "other frequencies, times from 1": UNetConfig(channels=(8, 16), groups=4, freq_shift=0),
    "a larger norm_eps": UNetConfig(channels=(8, 16), groups=4, norm_eps=0.1),
    "right and below, times from 1": UNetConfig(
        image_channels=3, channels=(8, 16, 16), groups=4, heads=2, attention=(1,), blocks=2,
        downsample="right_below",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_a_network_of_ours_is_diffusers(name: str) -> None:
    config = ModelConfig(OURS[name], side=12)
    ours: UNet = awake(UNet(config.unet))  # type: ignore[assignment]
    theirs = UNet2DModel.from_config(unet_to(config))
    theirs.eval().load_state_dict(weights_to(config.unet, ours.state_dict()))
    x, t = inputs(config)
    expected = ours(x, t)
    assert (ours(x, t.roll(1)) - expected).abs().max() > 1e-3
    torch.testing.assert_close(theirs(x, t - 1).sample, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "side", "message"),
    [
        ({"patch": 2}, 8, "patch = 2"),
        ({"classes": 10}, 8, "classes = 10"),
        ({"learned_variance": True}, 8, "learned_variance"),
        ({"channels": (8, 16, 16)}, 10, "side = 10: .* multiple of 4"),
        ({"heads": 2, "attention": (0,)}, 8, "heads = 2: .* 8 and 16 channels"),
    ],
)
def test_what_diffusers_does_not_have_is_refused(
    changes: dict[str, Any], side: int, message: str
) -> None:
    unet = replace(UNetConfig(channels=(8, 16), groups=4), **changes)
    with pytest.raises(ValueError, match=message):
        unet_to(ModelConfig(unet, side=side))


# --- What would compute something else -----------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("_class_name", "UNet2DConditionModel"),
        ("act_fn", "gelu"),
        ("norm_eps", 0),
        ("norm_eps", float("inf")),
        ("norm_eps", "small"),
        ("freq_shift", 2),
        ("flip_sin_to_cos", None),
        ("center_input_sample", True),
        ("time_embedding_type", "fourier"),
        ("time_embedding_dim", 64),
        ("mid_block_scale_factor", 1.4142135),
        ("mid_block_type", None),
        ("downsample_type", "resnet"),
        ("upsample_type", "resnet"),
        ("resnet_time_scale_shift", "scale_shift"),
        ("add_attention", False),
        ("attn_norm_num_groups", 2),
        ("class_embed_type", "timestep"),
        ("num_class_embeds", 10),
        ("downsample_padding", 2),
        ("out_channels", 6),
        ("out_channels", "3"),
        ("in_channels", None),
        ("down_block_types", ["DownBlock2D", "SkipDownBlock2D"]),
        ("down_block_types", ["DownBlock2D"]),
        ("down_block_types", {"0": "DownBlock2D"}),
        ("up_block_types", ["UpBlock2D", "AttnUpBlock2D"]),
        ("up_block_types", None),
        ("attention_head_dim", 3),
        ("attention_head_dim", 0),
        ("attention_head_dim", 32),
        ("attention_head_dim", "8"),
        ("layers_per_block", True),
        ("layers_per_block", 0),
        ("layers_per_block", 10**9),
        ("block_out_channels", []),
        ("block_out_channels", [8, 1.5]),
        ("block_out_channels", [8, 10]),
        ("block_out_channels", [2, 16]),
        ("norm_num_groups", 3),
        ("norm_num_groups", None),
        ("sample_size", None),
        ("sample_size", 9),
        ("sample_size", 0),
        ("sample_size", [8, 16]),
        ("sample_size", []),
        ("dropout", "much"),
        ("dropout", float("nan")),
        ("a_new_option", 3),
        ("_use_default_values", ["norm_eps"]),
    ],
)
def test_a_network_that_would_compute_something_else_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} = |, {field} = ") as error:
        model_from(unet_config(**{field: value}), PUBLISHED_SCHEDULER)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_missing_field_means_what_it_means_in_diffusers() -> None:
    """All that makes another function is left out: what UNet2DModel then builds is ours."""
    config = unet_config(down_block_types=["DownBlock2D"] * 2, up_block_types=["UpBlock2D"] * 2)
    kept = {
        k: v for k, v in config.items() if k not in UNET_DEFAULTS or "block" in k or "_num" in k
    }
    kept |= {"sample_size": 8}
    theirs = theirs_of(kept)
    read, _ = model_from(kept, PUBLISHED_SCHEDULER)
    assert (read.unet.norm_eps, read.unet.freq_shift, cosines_first(kept)) == (1e-5, 0, True)
    ours = ours_of(read.unet, weights_from(read.unet, theirs.state_dict(), cosines_first(kept)))
    x, t = inputs(read)
    torch.testing.assert_close(ours(x, t), theirs(x, t - 1).sample, rtol=0, atol=1e-5)


def test_the_defaults_are_those_of_diffusers() -> None:
    for kind, ours in ((UNet2DModel, UNET_DEFAULTS), (DDPMScheduler, SCHEDULER_DEFAULTS)):
        parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
        theirs = {p.name: list(d) if isinstance(d := p.default, tuple) else d for p in parameters}
        assert {"_class_name": kind.__name__, **theirs} == ours


def test_a_new_field_that_is_null_is_what_was_before() -> None:
    model_from(unet_config(a_new_option=None, _name_or_path="x"), PUBLISHED_SCHEDULER)


# --- Schedulers ----------------------------------------------------------------------------------

SCHEDULERS: dict[str, tuple[dict[str, Any], str]] = {
    "published": ({}, "linear"),
    "scaled": ({"num_train_timesteps": 500, "beta_start": 2e-4, "beta_end": 0.04}, "linear"),
    "roots": ({"beta_schedule": "scaled_linear"}, "quadratic"),
    "cosine": ({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 50}, "cosine"),
    "list": (
        {
            "trained_betas": torch.linspace(1e-4, 0.02, 1000).tolist(),
            "beta_schedule": "sigmoid",
        },
        "linear",
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_betas_are_those_of_diffusers(name: str) -> None:
    changes, schedule = SCHEDULERS[name]
    values = PUBLISHED_SCHEDULER | changes
    config, _ = model_from(unet_config(), values)
    assert config.schedule == schedule
    expected = DDPMScheduler.from_config(values).betas
    torch.testing.assert_close(config.build_schedule().beta.float(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cosine_fine", "quadratic", "sigmoid"])
@pytest.mark.parametrize("T", [100, 1000])
@pytest.mark.parametrize("target", ["eps", "x_0", "v"])
def test_every_schedule_of_ours_goes_there_and_comes_back(
    schedule: str, T: int, target: Any
) -> None:
    unet = UNetConfig(channels=(8, 16), groups=4, times_from=0)
    config = ModelConfig(unet, schedule=schedule, T=T, target=target, side=8)
    drawing = Drawing("beta" if T == 100 else "posterior", clip=T == 100)
    written = scheduler_to(config, drawing)
    betas = DDPMScheduler.from_config(written).betas
    torch.testing.assert_close(betas, config.build_schedule().beta.float(), rtol=1e-5, atol=0)
    assert model_from(unet_to(config), written) == (config, drawing)


def test_a_network_that_says_the_direction_has_no_scheduler_there() -> None:
    config = ModelConfig(
        UNetConfig(channels=(8, 16), groups=4, times_from=0), target="flow", side=8
    )
    with pytest.raises(ValueError, match="'flow' has no scheduler"):
        scheduler_to(config, Drawing("posterior", clip=True))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("_class_name", "DDIMScheduler"),
        ("beta_schedule", "sigmoid"),
        ("beta_schedule", ["linear"]),
        ("beta_end", 0.03),
        ("beta_start", 0.0),
        ("beta_start", -1.0),
        ("beta_start", "1e-4"),
        ("beta_start", 10**400),
        ("beta_end", -(10**400)),
        ("beta_end", float("nan")),
        ("trained_betas", [0.1, 0.2]),
        ("trained_betas", "linear"),
        ("trained_betas", [[0.1], [0.2, 0.3]]),
        ("num_train_timesteps", 0),
        ("num_train_timesteps", 10**7),
        ("num_train_timesteps", 999.5),
        ("num_train_timesteps", 500),
        ("variance_type", "learned_range"),
        ("variance_type", "fixed_large_log"),
        ("prediction_type", "flow"),
        ("thresholding", True),
        ("clip_sample_range", 2.0),
        ("steps_offset", 1),
        ("rescale_betas_zero_snr", True),
        ("timestep_spacing", "karras"),
        ("a_new_option", 3),
    ],
)
def test_a_scheduler_that_would_compute_something_else_is_refused(field: str, value: Any) -> None:
    wanted = "beta_schedule" if (field, value) == ("num_train_timesteps", 500) else field
    with pytest.raises(ValueError, match=f"{wanted}( = |:)") as error:
        model_from(unet_config(), PUBLISHED_SCHEDULER | {field: value})
    assert "\n" not in str(error.value)


# --- Weights -------------------------------------------------------------------------------------


def test_a_weight_too_many_and_one_of_another_shape_are_refused() -> None:
    theirs = theirs_of(unet_config()).state_dict()
    config = model_from(unet_config(), PUBLISHED_SCHEDULER)[0].unet
    with pytest.raises(ValueError, match=r"class_embedding\.weight"):
        weights_from(config, theirs | {"class_embedding.weight": torch.zeros(3, 32)})
    with pytest.raises(ValueError, match=r"attentions\.0\.to_q\.weight"):
        weights_from(config, theirs | {"mid_block.attentions.0.to_k.weight": torch.zeros(16, 3)})
    with pytest.raises(ValueError, match=r"conv_in\.bias"):
        weights_from(config, theirs | {"conv_in.bias": torch.tensor(1.0)})
    # as many rows together as there should be
    query, key = (f"mid_block.attentions.0.to_{part}.weight" for part in "qk")
    uneven = {query: torch.cat([theirs[query], theirs[key][:4]]), key: theirs[key][4:]}
    with pytest.raises(ValueError, match=r"attentions\.0\.to_q\.weight"):
        weights_from(config, theirs | uneven)
