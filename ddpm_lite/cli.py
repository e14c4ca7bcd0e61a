"""The command line: ddpm-lite train | sample | evaluate | export | info.

Each command is a dataclass whose fields are its options; `tyro` parses them. A recipe is a TOML
file of the same options, read before those on the command line. Every error that a user can cause
ends in one line on stderr and a non-zero exit status.
"""

import contextlib
import io
import json
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import tyro

from ddpm_lite import __version__
from ddpm_lite.checkpoint import CheckpointError, read, write_whole
from ddpm_lite.data import DIGITS, NAMES, DataError, Images, load
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.export import ExportError, export
from ddpm_lite.fused_norm import kernel
from ddpm_lite.model import PRETRAINED, DiffusionModel, ModelConfig, best_device, has_bfloat16
from ddpm_lite.pictures import save_grid
from ddpm_lite.processes import first_alone, join_world
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.run import RunConfig, run
from ddpm_lite.train import TrainConfig, Trainer, TrainingError
from ddpm_lite.unet import PRESETS, count_parameters

RECIPES = Path(__file__).parent / "configs"


class UsageError(Exception):
    """Options that make no sense; the text is one line."""


@dataclass(frozen=True)
class Train:
    """Train a network. Start it with `torchrun -m ddpm_lite.cli train ...` on many processes."""

    recipe: tyro.conf.Positional[str] = "mnist"
    """A recipe's name (see `ddpm-lite info`) or a TOML file."""
    data: str = "mnist"
    """mnist, fashion_mnist, cifar10, or a folder of images; its sub-folders are the classes."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network and what its numbers mean."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""
    run: RunConfig = field(default_factory=RunConfig)
    """Where the run is kept."""


@dataclass(frozen=True)
class Sample:
    """Draw images with a model."""

    model: tyro.conf.Positional[Path] = PRETRAINED
    """A checkpoint, or the model.safetensors of a run; the shipped MNIST model without it."""
    n: int = 64
    """How many images."""
    label: int | None = None
    """Draw this class only; without it every class equally often."""
    out: Path = Path("samples.png")
    """The PNG file for the grid."""
    npz: Path | None = None
    """A file for all images as uint8 `images` (N, H, W) or (N, H, W, 3), with their `labels`."""
    draw: DrawConfig = field(default_factory=DrawConfig)


@dataclass(frozen=True)
class Evaluate:
    """Measure an MNIST model: bits/dim, Frechet distance with its floor, classifier confidence."""

    model: tyro.conf.Positional[Path] = PRETRAINED
    """A checkpoint, or the model.safetensors of a run; the shipped MNIST model without it."""
    n: int = 10_000
    """How many images to draw for the Frechet distance."""
    json: bool = False
    """End with one line of JSON."""
    likelihood: LikelihoodConfig = field(default_factory=LikelihoodConfig)
    draw: DrawConfig = field(default_factory=DrawConfig)


@dataclass(frozen=True)
class Export:
    """Write a network as ONNX, with weights in float16: for a browser, or any onnxruntime."""

    model: tyro.conf.Positional[Path] = PRETRAINED
    """A checkpoint, or the model.safetensors of a run; the shipped MNIST model without it."""
    out: Path = Path("model.onnx")
    """The ONNX file."""


@dataclass(frozen=True)
class Info:
    """Tell about this machine, the recipes and a model."""

    model: tyro.conf.Positional[Path] = PRETRAINED
    """A checkpoint or weights; the shipped MNIST model without it."""


Command = TypeVar("Command", Train, Sample, Evaluate, Export, Info)


def parse(default: Command, arguments: Sequence[str]) -> Command:
    """The options of `default`, changed by the arguments.

    Raises UsageError with tyro's complaint as one line.
    """
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


def _one_line(box: str) -> str:
    """What tyro's box says between its title and its first rule, drawn in Unicode or in ASCII."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    ruled = [not line or set(line) <= set("─-") or line[0] == "╰" for line in lines]
    start = ruled.index(False)
    end = ruled.index(True, start) if True in ruled[start:] else len(lines)
    return " ".join(" ".join(lines[start:end]).split())


def read_recipe(name: str) -> tuple[Train, list[str]]:
    """A recipe as the preset it begins with and the options that it sets.

    Raises UsageError if there is no such file, if it is no TOML, or for an unknown preset.
    """
    path = RECIPES / f"{name}.toml" if "." not in name and "/" not in name else Path(name)
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"recipe {name}: {error}; there are {', '.join(recipe_names())}") from None
    preset = values.pop("preset", "mnist")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"recipe {name}: preset {preset!r} is not one of {', '.join(PRESETS)}")
    options = [part for key, value in values.items() for part in _option(key, value)]
    return Train(recipe=name, model=ModelConfig(unet=PRESETS[preset])), options


def _option(key: str, value: Any) -> list[str]:
    """One entry of a recipe as it would stand on the command line."""
    name = f"--{key.replace('_', '-')}"
    if isinstance(value, bool):
        return [name] if value else []
    return [name, *(str(v) for v in (value if isinstance(value, list) else [value]))]


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def parse_train(arguments: Sequence[str]) -> Train:
    """The recipe's options, then those of the command line over them."""
    named = bool(arguments) and not arguments[0].startswith("-")
    name = arguments[0] if named else "mnist"
    start, options = read_recipe(name)
    try:
        recipe = parse(start, [name, *options])
    except UsageError as error:
        raise UsageError(f"recipe {name}: {error}") from None
    config = parse(recipe, arguments)
    if config.recipe != name:
        raise UsageError(f"the recipe comes first: ddpm-lite train {config.recipe} ...")
    return config


def with_classes(model: ModelConfig, images: Images) -> ModelConfig:
    """The network with as many labels as the images have classes; with none if it had none."""
    count = len(images.class_names) if model.unet.classes else 0
    return replace(model, unet=replace(model.unet, classes=count if count > 1 else 0))


def train(arguments: Sequence[str]) -> None:
    """ddpm-lite train"""
    config = parse_train(arguments)
    device = join_world()
    # one process a machine goes first, so that only one downloads
    with first_alone():
        images = load(config.data, True, config.model.side, config.model.unet.image_channels)
    model = config.model if config.data in NAMES else with_classes(config.model, images)
    trainer = Trainer(model, config.train, images, device)
    if trainer.rank == 0:
        count, shape = count_parameters(trainer.net), tuple(images.pixels.shape)
        print(f"{count:,} parameters on {device}; {config.data} {shape}; in {config.run.folder}")
    weights = run(trainer, config.run)
    if trainer.rank == 0:
        print(f"done: {weights}; draw with it: ddpm-lite sample {weights}")


def sample(arguments: Sequence[str]) -> None:
    """ddpm-lite sample"""
    config = parse(Sample(), arguments)
    model = DiffusionModel.load(config.model, best_device())
    labels = _labels(config, model.config.unet.classes)
    images = draw(model, config.n, config.draw, labels, progress=True)
    save_grid(config.out, images)
    print(f"{config.n} images in {config.out}")
    if config.npz is not None:
        array = images.permute(0, 2, 3, 1).numpy()
        array = array[..., 0] if array.shape[-1] == 1 else array
        classes = np.full(config.n, -1) if labels is None else labels.numpy()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=array, labels=classes)
        write_whole(config.npz, buffer.getvalue())
        print(f"{config.n} images in {config.npz}")


def _labels(config: Sample, classes: int) -> torch.Tensor | None:
    if config.n < 1:
        raise UsageError(f"--n must be at least 1, not {config.n}")
    if config.label is None:
        return balanced_labels(config.n, classes)
    if not 0 <= config.label < classes:
        raise UsageError(
            f"--label must be one of the model's {classes} classes, not {config.label}"
        )
    return torch.full((config.n,), config.label)


def evaluate(arguments: Sequence[str]) -> None:
    """ddpm-lite evaluate"""
    config = parse(Evaluate(), arguments)
    classes = read(config.model, only="nothing")[1].get("class_names", DIGITS)
    if tuple(classes) != DIGITS:
        raise UsageError(f"only models of digits can be judged, not of {', '.join(classes)}")
    model = DiffusionModel.load(config.model, best_device())
    figures = report(model, config.n, config.draw, config.likelihood)
    for name, value in figures.items():
        if name != "terms":  # a hundred numbers are for programs
            print(f"{name:>22}: {value}")
    if config.json:
        print(json.dumps(figures))


def export_onnx(arguments: Sequence[str]) -> None:
    """ddpm-lite export"""
    config = parse(Export(), arguments)
    size = export(DiffusionModel.load(config.model), config.out)
    print(f"{size / 1e6:.2f} MB in {config.out}")


def info(arguments: Sequence[str]) -> None:
    """ddpm-lite info"""
    config, device = parse(Info(), arguments), best_device()
    tensors, metadata = read(config.model)
    model = DiffusionModel.load(config.model)
    rows = {
        "ddpm_lite": __version__,
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "device": f"{device}, {'bfloat16' if has_bfloat16(device) else 'float32'}",
        "fused norm kernel": "yes" if kernel() else "no (installed without a C++ compiler)",
        "recipes": ", ".join(recipe_names()),
        "model": f"{config.model}, {count_parameters(model.net):,} parameters, "
        f"{len(tensors)} tensors, step {metadata.get('step')}",
        "model configuration": json.dumps(metadata["model"]),
        "trained with": json.dumps(metadata.get("train")),
    }
    for name, value in rows.items():
        print(f"{name:>20}: {value}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "export": export_onnx,
    "info": info,
}

USAGE = """usage: ddpm-lite COMMAND [options]

  train      train a network by a recipe
  sample     draw images with a model
  evaluate   bits/dim, Frechet distance and classifier confidence of an MNIST model
  export     write a network as ONNX
  info       this machine, the recipes, a model

ddpm-lite COMMAND --help tells the options of one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if words else 2
    if words[0] not in COMMANDS:
        return _fail(f"no command {words[0]!r}; there are {', '.join(COMMANDS)}", 2)
    try:
        COMMANDS[words[0]](words[1:])
    except UsageError as error:
        return _fail(f"{error} (ddpm-lite {words[0]} --help tells the options)", 2)
    except (CheckpointError, DataError, ExportError, TrainingError, ValueError, OSError) as error:
        return _fail(str(error), 1)
    except torch.OutOfMemoryError:
        return _fail("the device has too little memory; lower --batch-size", 1)
    except KeyboardInterrupt:
        goes_on = "; --resume goes on from the last checkpoint" if words[0] == "train" else ""
        return _fail(f"interrupted{goes_on}", 130)
    return 0


def _fail(reason: str, status: int) -> int:
    print(f"ddpm-lite: {' '.join(reason.split())}", file=sys.stderr)
    return status


def console() -> None:
    """The `ddpm-lite` script."""
    sys.exit(main())


if __name__ == "__main__":
    console()
