"""The options of `ddpm-lite`: of its commands, on the command line and in recipes.

Each command is a dataclass whose fields are its options; `tyro` parses them. A recipe is a TOML
file of the same options, read before those on the command line. Options that make no
sense raise a UsageError.
"""

import contextlib
import io
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from ddpm_lite.checkpoint import read_text
from ddpm_lite.draw import DrawConfig
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.report import Features, LikelihoodConfig
from ddpm_lite.run import RunConfig
from ddpm_lite.train import TrainConfig
from ddpm_lite.unet import PRESETS

RECIPES = Path(__file__).parent / "configs"

LONGEST_RECIPE = 2**13
"""Bytes. `tomllib` takes a time and a memory that grow as the square of a dotted key's length."""


class UsageError(Exception):
    """Options that make no sense; the text is one line."""


@dataclass(frozen=True)
class Train:
    """Train a network. Start it with `torchrun -m ddpm_lite.cli train ...` on many processes."""

    recipe: tyro.conf.Positional[str] = "mnist"
    """A recipe's name (see `ddpm-lite info`) or a TOML file."""
    data: str = "mnist"
    """mnist, coloured_mnist, fashion_mnist, cifar10, or a folder of images, whose sub-folders are
    the classes."""
    start: str = ""
    """A model to begin with, shipped or a file: its weights in the place of random ones, and its
    network in that of the recipe's. Classes of other names begin as what it draws without a label;
    with --resume the checkpoint counts."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network and what its numbers mean."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""
    run: RunConfig = field(default_factory=RunConfig)
    """Where the run is kept."""


@dataclass(frozen=True)
class Sample:
    """Draw images with a model."""

    model: tyro.conf.Positional[str] = "mnist"
    """A model: mnist, mnist_one_step or cifar10, which are shipped, or a file, the
    checkpoint or model.safetensors of a run."""
    n: int = 64
    """How many images."""
    label: str | None = None
    """Draw this class only, by its name or number (see `ddpm-lite info MODEL`); without it every
    class equally often."""
    out: Path = Path("samples.png")
    """The file for the grid: .png, .jpg or .webp."""
    npz: Path | None = None
    """A .npz file for all images: uint8 `images` (N, H, W) or (N, H, W, 3), and `labels`."""
    draw: DrawConfig = field(default_factory=DrawConfig)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: bits/dim, and how far what it draws is from real images."""

    model: tyro.conf.Positional[str] = "mnist"
    """A model: mnist, mnist_one_step or cifar10, which are shipped, or a file, the
    checkpoint or model.safetensors of a run."""
    data: str | None = None
    """Real images: the test images of mnist, coloured_mnist, fashion_mnist or cifar10, or a folder,
    of which the share is taken that the training held out; without it by the model's classes and
    its shape, but an imported model knows no classes."""
    features: Features = "own"
    """own, or inception for the FID of colour images (needs torch-fidelity and its network's
    download): from the training images of a named set, as it is published, but from the held-out
    share of a folder."""
    n: int = 10_000
    """How many images to draw for the Frechet distance; published FIDs take 50,000."""
    json: bool = False
    """End with one line of JSON."""
    likelihood: LikelihoodConfig = field(default_factory=LikelihoodConfig)
    draw: DrawConfig = field(default_factory=DrawConfig)


@dataclass(frozen=True)
class Export:
    """Write a network as ONNX with weights in float16, for a browser or any onnxruntime, or as a
    folder that DDPMPipeline of diffusers opens.
    """

    model: tyro.conf.Positional[str] = "mnist"
    """A model: mnist, mnist_one_step or cifar10, which are shipped, or a file, the
    checkpoint or model.safetensors of a run."""
    format: Literal["onnx", "diffusers"] = "onnx"
    """onnx, or diffusers: for a network without labels and without a patch, which its DDPMPipeline
    and UNet2DModel do not have. All shipped models have both."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """The .onnx file, model.onnx without it, or for diffusers a new folder, model_diffusers."""


@dataclass(frozen=True)
class Import:
    """Read a folder of a DDPM network of diffusers, with its weights as safetensors."""

    folder: tyro.conf.Positional[Path] = Path()
    """config.json, its weights and scheduler_config.json, or the sub-folders unet and scheduler."""
    out: Path = Path("imported.safetensors")
    """The new .safetensors file."""


@dataclass(frozen=True)
class Info:
    """Tell about this machine, the recipes and a model."""

    model: tyro.conf.Positional[str] = "mnist"
    """A model: mnist, mnist_one_step or cifar10, which are shipped, or a file, the
    checkpoint or model.safetensors of a run."""


Command = TypeVar("Command", Train, Sample, Evaluate, Export, Import, Info)


def parse(default: Command, arguments: Sequence[str]) -> Command:
    """The options of `default`, changed by the arguments.

    Raises UsageError with tyro's complaint as one line, and for an empty word, which as a path
    would mean the current folder.
    """
    if any(_EMPTY.fullmatch(word) for word in arguments):
        raise UsageError("an option is empty: leave it out, or give it a value")
    complaint, kind = io.StringIO(), type(default)
    try:
        with contextlib.redirect_stderr(complaint):
            name = f"ddpm-lite {kind.__name__.lower()}"
            config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
            return tyro.cli(kind, prog=name, args=arguments, default=default, config=config)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(_one_line(complaint.getvalue())) from None


_EMPTY = re.compile("(--[^=]*=)?")


def _one_line(box: str) -> str:
    """What tyro says between its title and its first rule; all of it, if it is drawn otherwise."""
    lines = [line.strip("│| ") for line in box.splitlines()]
    rules = [i for i, line in enumerate(lines) if set(line) <= set("─-+╰╯")]
    ends = [i for i in rules if i > 1]  # one right below the title is no end
    said = lines[1 + (1 in rules) : ends[0]] if ends else lines
    return " ".join(" ".join(said).split())


def options_of(config: Any) -> dict[str, Any]:
    """The options of a command with their values; those of a group stand among the others."""
    options: dict[str, Any] = {}
    for name in (each.name for each in fields(config)):
        value = getattr(config, name)
        options |= options_of(value) if is_dataclass(value) else {name: value}
    return options


def read_recipe(name: str) -> tuple[Train, list[str]]:
    """A recipe as the preset it begins with and the options that it sets.

    Its run lies in a folder of the recipe's name, if it sets no other. Raises UsageError if there
    is no such file, if it is no TOML, and for an unknown preset or option.
    """
    path = RECIPES / f"{name}.toml" if "." not in name and "/" not in name else Path(name)
    try:
        values = tomllib.loads(read_text(path, LONGEST_RECIPE))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"recipe {name}: {error}; there are {', '.join(recipe_names())}") from None
    preset, run = values.pop("preset", "mnist"), RunConfig(folder=Path("runs") / path.stem)
    try:
        if not isinstance(preset, str) or preset not in PRESETS:
            raise UsageError(f"preset {preset!r} is not one of {', '.join(PRESETS)}")
        default = Train(recipe=name, model=ModelConfig(unet=PRESETS[preset]), run=run)
        known = options_of(default)
        words = [word for key, value in values.items() for word in _option(known, key, value)]
    # Python writes no number of thousands of digits, and no table within a thousand tables
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"recipe {name}: {error}") from None
    return default, words


def _option(known: Mapping[str, Any], key: str, value: Any) -> list[str]:
    """One entry of a recipe as it would stand on the command line."""
    default, name = known.get(key.replace("-", "_")), key.replace("_", "-")
    if default is None:
        raise UsageError(f"there is no option {key}")
    if isinstance(value, bool) != isinstance(default, bool):
        wanted = "is" if isinstance(default, bool) else "is not"
        raise UsageError(f"{key} = {value!r}, but it {wanted} true or false")
    if isinstance(value, bool):
        return [] if value == default else [f"--{name}" if value else f"--no-{name}"]
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, str) and part.startswith("-") for part in parts):
        raise UsageError(f"{key} = {value!r}, but a text that begins with - would be an option")
    return [f"--{name}", *map(str, parts)]


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def parse_train(arguments: Sequence[str]) -> Train:
    """The recipe's options, then those of the command line over them."""
    named = bool(arguments) and not arguments[0].startswith("-")
    name = arguments[0] if named else "mnist"
    default, options = read_recipe(name)
    try:
        recipe = parse(default, [name, *options])
    except UsageError as error:
        raise UsageError(f"recipe {name}: {error}") from None
    config = parse(recipe, arguments)
    if config.recipe != name:
        raise UsageError(f"the recipe comes first: ddpm-lite train {config.recipe} ...")
    if config.start:
        return parse(replace(recipe, model=DiffusionModel.load(config.start).config), arguments)
    return config
