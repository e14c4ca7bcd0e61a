"""The configuration of a published network of diffusers, and small ones like it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

PUBLISHED: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [128, 256, 256, 256],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}
"""config.json of google/ddpm-cifar10-32."""

PUBLISHED_SCHEDULER: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_large",
}
"""scheduler_config.json of google/ddpm-cifar10-32."""


def unet_config(attention: str = "-a", **changes: object) -> dict[str, Any]:
    """A small config.json; `attention` has one letter a level, "a" for those that have it."""
    return PUBLISHED | {
        "block_out_channels": [8, 16],
        "norm_num_groups": 4,
        "sample_size": 8,
        "down_block_types": ["AttnDownBlock2D" if c == "a" else "DownBlock2D" for c in attention],
        "up_block_types": ["AttnUpBlock2D" if c == "a" else "UpBlock2D" for c in attention[::-1]],
        **changes,
    }


def awake(net: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights of such sizes that every layer is heard in what the network says."""
    generator = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        deviation = 0.3 if p.ndim == 1 else 1 / math.sqrt(p[0].numel())
        nn.init.normal_(p, 1.0 if p.ndim == 1 else 0.0, deviation, generator)
    return net.eval().requires_grad_(False)


def theirs_of(config: Mapping[str, Any]) -> UNet2DModel:
    net: UNet2DModel = awake(UNet2DModel.from_config(dict(config)))
    return net
