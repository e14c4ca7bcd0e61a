"""A recipe of `ddpm-lite train`, read without the packages that a command line needs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ddpm_lite.model import ModelConfig
from ddpm_lite.train import TrainConfig
from ddpm_lite.unet import PRESETS, UNetConfig

RECIPES = Path(__file__).parents[1] / "ddpm_lite" / "configs"


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how."""

    name: str
    """A recipe's name or a TOML file, as `ddpm-lite train` takes it."""
    data: str
    model: ModelConfig
    train: TrainConfig


def read_recipe(name: str) -> Recipe:
    """A recipe by its name or its file; options of a run's folder are left out.

    Raises OSError, KeyError, TypeError or ValueError for what is no recipe.
    """
    path = Path(name) if "." in name or "/" in name else RECIPES / f"{name}.toml"
    values: dict[str, Any] = {
        key.replace("-", "_"): tuple(value) if isinstance(value, list) else value
        for key, value in tomllib.loads(path.read_text(encoding="utf-8")).items()
    }
    unet = replace(PRESETS[values.get("preset", "mnist")], **_some(values, UNetConfig))
    model = replace(ModelConfig(unet=unet), **_some(values, ModelConfig))
    train = TrainConfig(**_some(values, TrainConfig))
    return Recipe(name, values.get("data", "mnist"), model, train)


def _some(values: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    """The values that are fields of a dataclass."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}
