"""The command line: ddpm-lite train | sample | evaluate | export | import | info.

Each command is a function of its words; what these mean is in `options`. Every error that a user
can cause ends in one line on stderr and a non-zero exit status.
"""

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpm_lite import __version__
from ddpm_lite.checkpoint import (
    CheckpointError,
    check_new,
    check_writable,
    read,
    write_whole,
)
from ddpm_lite.data import CIFAR10, DIGITS, NAMES, DataError, Images, load
from ddpm_lite.diffusion import Variance
from ddpm_lite.draw import DrawConfig, balanced_labels, draw, own_config
from ddpm_lite.evaluate import EvaluationError
from ddpm_lite.export import ExportError, export
from ddpm_lite.fused_norm import kernel
from ddpm_lite.labels import class_number, listed, needs_label, visible
from ddpm_lite.model import DiffusionModel, ModelConfig, best_device, number_type
from ddpm_lite.options import (
    Evaluate,
    Export,
    Import,
    Info,
    Sample,
    UsageError,
    parse,
    parse_train,
    recipe_names,
)
from ddpm_lite.pictures import check_picture, save_grid
from ddpm_lite.pipeline_folder import export_folder, import_folder
from ddpm_lite.processes import (
    ProcessError,
    first_alone,
    is_lonely,
    join_world,
    leave_world,
)
from ddpm_lite.report import report
from ddpm_lite.run import Stopped, after_restart, check_folder, run
from ddpm_lite.shipped import model_path
from ddpm_lite.start import begin_with
from ddpm_lite.train import Trainer, TrainingError
from ddpm_lite.translation import SPACINGS, Drawing
from ddpm_lite.unet import count_parameters

LARGEST_UNSHIFTED = 40
"""Pixels a side: a larger image wants a shifted schedule."""

logger = logging.getLogger("ddpm_lite")


def with_classes(model: ModelConfig, images: Images) -> ModelConfig:
    """The network with as many labels as the images have classes; with none if it had none."""
    count = len(images.class_names) if model.unet.classes else 0
    return replace(model, unet=replace(model.unet, classes=count if count > 1 else 0))


def train(arguments: Sequence[str]) -> None:
    """ddpm-lite train"""
    config = parse_train(arguments)
    device = join_world()
    config = replace(config, run=after_restart(config.run))
    check_folder(config.run)
    _warn_of_side(config.model)
    # one process a machine goes first, so that only one downloads
    with first_alone():
        images = load(config.data, True, config.model.side, config.model.unet.image_channels)
    model = config.model if config.data in NAMES else with_classes(config.model, images)
    trainer = Trainer(model, config.train, images, device)
    if config.start and not config.run.resume:
        begin_with(trainer, config.start)
    if trainer.rank == 0:
        count, shape = count_parameters(trainer.net), tuple(images.pixels.shape)
        print(f"{count:,} parameters on {device}; {config.data} {shape}; in {config.run.folder}")
        print(f"labels: {listed(images.class_names[: model.unet.classes], 20)}")
    try:
        weights = run(trainer, config.run)
    except Stopped:
        leave_world()
        raise
    leave_world()
    if trainer.rank == 0:
        print(f"done: {weights}; draw with it: ddpm-lite sample {weights}")


def _warn_of_side(model: ModelConfig) -> None:
    """Warns of large images with a schedule that leaves their large forms in plain sight."""
    if model.side > LARGEST_UNSHIFTED and model.shift == 1:
        logger.warning(
            "the schedules are made for images of 28 to 32 pixels a side; with %d take --shift %g, "
            "so that large forms are hidden as long (chapter 11)",
            model.side, model.side / 32,
        )  # fmt: skip


def sample(arguments: Sequence[str]) -> None:
    """ddpm-lite sample"""
    config = parse(Sample(), arguments)
    if config.n < 1:
        raise UsageError(f"--n must be at least 1, not {config.n}")
    model = DiffusionModel.load(config.model, best_device())
    config = parse(replace(Sample(), draw=own_config(model)), arguments)
    check_picture(config.out, config.n, model.config.side, model.config.unet.image_channels)
    if config.npz is not None:
        _check_file("--npz", config.npz, ".npz")
    metadata = read(model_path(config.model), only="nothing")[1]
    names = model.class_names
    number = None if config.label is None else _class_number(config.label, names)
    _warn_of_labels(metadata, config.draw)
    if number is None:
        labels = balanced_labels(config.n, len(names))
    else:
        labels = torch.full((config.n,), number)
    images = draw(model, config.n, config.draw, labels, progress=True)
    save_grid(config.out, images)
    drawn = "" if number is None else f" of class {number} {visible(names[number])}"
    print(f"{config.n} images{drawn} in {config.out}")
    if config.npz is not None:
        _write_npz(config.npz, images, labels)
        print(f"{config.n} images in {config.npz}")


def _class_number(label: str, names: Sequence[str]) -> int:
    try:
        return class_number(label, names)
    except ValueError as error:
        raise UsageError(f"--{error}") from None


def _write_npz(path: Path, images: torch.Tensor, labels: torch.Tensor | None) -> None:
    array = images.permute(0, 2, 3, 1).numpy()
    array = array[..., 0] if array.shape[-1] == 1 else array
    classes = np.full(len(images), -1) if labels is None else labels.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=array, labels=classes)
    write_whole(path, buffer.getvalue())


def _check_file(option: str, path: Path, suffix: str) -> None:
    """Refuses a file of another kind, which might be a model, before anything is computed."""
    if path.suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: the name must end in {suffix}")
    if check_writable(path).suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: leads to a file of another kind, which is not replaced")


def _warn_of_labels(metadata: Mapping[str, Any], config: DrawConfig) -> None:
    """Warns of a guidance by what the network has never been trained to say."""
    dropout = metadata.get("train", {}).get("label_dropout")
    if needs_label(metadata) and config.guidance_scale != 1:
        logger.warning(
            "the model was trained with --label-dropout 0, so it knows no images without a label, "
            "which guidance needs: --guidance-scale 1 does without"
        )
    if dropout == 1 and config.guidance_scale != 0:
        logger.warning("the model was trained with --label-dropout 1, so it knows no label")


def evaluate(arguments: Sequence[str]) -> None:
    """ddpm-lite evaluate"""
    config = parse(Evaluate(), arguments)
    metadata = read(model_path(config.model), only="nothing")[1]
    model = DiffusionModel.load(config.model, best_device())
    config = parse(replace(Evaluate(), draw=own_config(model)), arguments)
    data = config.data or _data_of(model, metadata)
    real = _real_images(data, model, metadata)
    # a published FID is the distance from the pictures that were trained on
    usual = load(data) if config.features == "inception" and data in NAMES else None
    if model.config.unet.classes:
        _warn_of_labels(metadata, config.draw)
    figures = report(model, real, config.n, config.draw, config.likelihood, config.features, usual)
    for name, value in figures.items():
        if name != "terms":  # a hundred numbers are for programs
            print(f"{name:>22}: {value}")
    if config.json:
        print(json.dumps(figures))


KNOWN: Mapping[str, tuple[tuple[str, ...], tuple[int, int, int]]] = {
    "mnist": (DIGITS, (1, 28, 28)),
    "coloured_mnist": (DIGITS, (3, 28, 28)),
    "cifar10": (CIFAR10, (3, 32, 32)),
}
"""Named data by the classes and the shape of its images."""


def _data_of(model: DiffusionModel, metadata: Mapping[str, Any]) -> str:
    """The named data that a model was trained on, by its classes and the shape that it draws.

    Older files of ours hold no classes. Nobody knows what an imported model has seen. Raises
    UsageError.
    """
    names, drawn = metadata.get("class_names"), model.config.image_shape
    foreign = names is None and "imported" in metadata
    for data, (classes, shape) in KNOWN.items():
        if not foreign and drawn == shape and names in (None, list(classes)):
            return data
    held = "none" if names is None else listed([str(name) for name in names], 5)
    raise UsageError(
        f"say what real images it is to be compared with: --data, as it draws {drawn} and the "
        f"classes in its file are: {held}"
    )


def _real_images(data: str, model: DiffusionModel, metadata: Mapping[str, Any]) -> Images:
    """Images that the model was not trained on: named test images, or a folder's held-out share."""
    images = load(data, False, model.config.side, model.config.unet.image_channels)
    known = metadata.get("data")
    trained = known.get("sha256") if isinstance(known, dict) else None
    share = metadata.get("train", {}).get("holdout", 0.0)
    seen, held = images.split(share)
    if trained is None or seen.digest != trained:
        return images  # not the folder that it was trained on
    if share:
        return held
    logger.warning(
        "the model was trained on these very images, so all figures flatter it: train with "
        "--holdout 0.1, or give other images with --data"
    )
    return images


def export_model(arguments: Sequence[str]) -> None:
    """ddpm-lite export"""
    config = parse(Export(), arguments)
    if config.format == "diffusers":
        out = config.out or Path("model_diffusers")
        check_new(out)
        model, drawing = DiffusionModel.load(config.model), _drawing(config.model)
        size = export_folder(model, drawing, out)
    else:
        out = config.out or Path("model.onnx")
        _check_file("--out", out, ".onnx")
        size = export(DiffusionModel.load(config.model), out)
    print(f"{size / 1e6:.2f} MB in {out}")


def _drawing(model: str) -> Drawing:
    """How an imported model was drawn where it comes from; our own as it wishes, or as we draw."""
    metadata = read(model_path(model), only="nothing")[1]
    known = metadata.get("draw", {}) | metadata.get("imported", {})
    if known.get("sampler") == "consistency":
        raise ExportError(f"{model}: wants to be drawn in a few big steps, as DDPMPipeline cannot")
    variance: Variance = "beta" if known.get("variance") == "beta" else "posterior"
    spacing = known["spacing"] if known.get("spacing") in SPACINGS else SPACINGS[0]
    return Drawing(variance, known.get("clip") is not False, spacing)


def import_model(arguments: Sequence[str]) -> None:
    """ddpm-lite import"""
    config = parse(Import(), arguments)
    out = config.out
    _check_file("--out", out, ".safetensors")
    check_new(out)  # a model is not replaced, as `train` replaces none
    imported = import_folder(config.folder, out)["imported"]
    count = count_parameters(DiffusionModel.load(out).net)
    print(f"{count:,} parameters in {out}, of weights with SHA-256 {imported['sha256']}")
    clip = "" if imported["clip"] else " --no-clip"
    options = f"--sampler ancestral --variance {imported['variance']}{clip}"
    print(f"draw as its scheduler does: ddpm-lite sample {out} {options}")


def info(arguments: Sequence[str]) -> None:
    """ddpm-lite info"""
    config, device = parse(Info(), arguments), best_device()
    tensors, metadata = read(model_path(config.model))
    model = DiffusionModel.load(config.model)
    names = model.class_names
    rows = {
        "ddpm_lite": __version__,
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "device": f"{device}, {number_type(device)}",
        "fused norm kernel": "yes" if kernel() else "no (installed without a C++ compiler)",
        "recipes": ", ".join(recipe_names()),
        "model": f"{model_path(config.model)}, {count_parameters(model.net):,} parameters, "
        f"{len(tensors)} tensors, step {metadata.get('step')}",
        "labels": listed(names, len(names)),
        "model configuration": json.dumps(metadata["model"]),
    } | _history(metadata)
    if model.wishes:
        rows["drawn with"] = json.dumps(model.wishes)
    for name, value in rows.items():
        print(f"{name:>20}: {value}")


def _history(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The options that a model was trained with; others before a resume stand with their step."""
    parts = metadata.get("earlier", [])
    earlier = {f"until step {part['until']}": json.dumps(part["train"]) for part in parts}
    if metadata.get("start"):
        earlier = {"begun with": json.dumps(metadata["start"])} | earlier
    if metadata.get("imported"):
        return {"imported": json.dumps(metadata["imported"])}
    return earlier | {"trained with": json.dumps(metadata.get("train"))}


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "export": export_model,
    "import": import_model,
    "info": info,
}

USAGE = """usage: ddpm-lite COMMAND [options]

  train      train a network by a recipe
  sample     draw images with a model
  evaluate   bits/dim of a model, and how real what it draws looks
  export     write a network as ONNX, or as a folder for diffusers
  import     read a network of diffusers' DDPMPipeline
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
    except SystemExit:  # tyro leaves so after its help
        return 0
    except Stopped as stop:
        return _fail(str(stop), 128 + stop.signal)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        raise
    except Exception as error:
        reason = _foreseen(error, words[0])
        if reason is None:
            raise
        return _fail(reason, 1)
    return 0


EXPECTED = (
    CheckpointError, DataError, EvaluationError, ExportError, ProcessError, TrainingError,
    ValueError, OSError,
)  # fmt: skip
"""Errors whose text is made for the user."""

MEMORY = {
    "train": "--batch-size, --side, --channels or --blocks",
    "sample": "--n or --batch-size",
    "evaluate": "--n, --batch-size or --likelihood-images",
}
"""The options of each command that decide how much memory it takes."""

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "overflow")
"""What PyTorch's allocators say in a plain RuntimeError."""


def _foreseen(error: Exception, command: str) -> str | None:
    """The line for an error that is no fault of this program; None if it may be one."""
    if isinstance(error, EXPECTED):
        return str(error)
    if is_lonely(error):
        return "another process cannot be reached; --resume goes on from the last checkpoint"
    text = str(error).strip()
    runs_out = isinstance(error, RuntimeError) and any(said in text.lower() for said in NO_MEMORY)
    if runs_out or isinstance(error, MemoryError | OverflowError):
        return f"more than fits into memory; lower {MEMORY.get(command, 'the size of the model')}"
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        first = text.partition("\n")[0]
        return f"the network cannot be compiled here ({first}); train it without --compile"
    return None


def _fail(reason: str, status: int) -> int:
    with contextlib.suppress(OSError):  # of a terminal that was closed
        print(f"ddpm-lite: {visible(' '.join(reason.split()))}", file=sys.stderr)
    return status


def console() -> None:
    """The `ddpm-lite` script: what cannot be printed, or is read by nobody, ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # there may be none
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        status = 128 + 13  # as the shell says of a program that SIGPIPE ended
        _close_stdout()
    except OSError as error:  # nothing can be written to stdout: a full disk
        status = _fail(str(error), 1)
        _close_stdout()
    sys.exit(status)


def _close_stdout() -> None:
    """Python writes what is left of it at the end, and would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    console()
