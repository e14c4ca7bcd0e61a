import contextlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests
import torch
from complaint import fails
from PIL import Image

from ddpm_lite import cli
from ddpm_lite.checkpoint import read, write
from ddpm_lite.cli import main, with_classes
from ddpm_lite.data import CIFAR10, DIGITS, Images, load
from ddpm_lite.draw import DrawConfig
from ddpm_lite.lock import LOCK
from ddpm_lite.model import ModelConfig
from ddpm_lite.options import UsageError
from ddpm_lite.run import CHECKPOINT, METRICS, WEIGHTS
from ddpm_lite.shipped import MODELS
from ddpm_lite.train import Trainer, TrainState
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

SMALL = ModelConfig(unet=UNetConfig(channels=(8, 8), groups=4, patch=2, classes=10), T=50)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small untrained model of digits."""
    torch.manual_seed(0)
    tensors = {f"ema.{k}": v for k, v in UNet(SMALL.unet).state_dict().items()}
    write(tmp_path / "small.safetensors", tensors, {"model": SMALL.to_dict(), "step": 0})
    return tmp_path / "small.safetensors"


@pytest.fixture
def training_pictures(tmp_path: Path) -> Path:
    """A folder of two classes of small pictures, to train on."""
    for index in range(16):
        folder = tmp_path / "pictures" / ("bright" if index % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 8), 200 * (index % 2)).save(folder / f"{index}.png")
    return tmp_path / "pictures"


SHAPE = ["--channels", "8", "8", "--groups", "4", "--side", "8"]


def short(pictures: Path, folder: Path) -> list[str]:
    train = ["train", "tiny", "--data", str(pictures), "--folder", str(folder), "--steps", "3"]
    return [*train, "--batch-size", "4", "--precision", "float32", *SHAPE]


# --- the words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paint"], "no command 'paint'"),
        (["train", "nosuch"], "recipe nosuch"),
        (["train", "--stepz", "3"], "--stepz"),
        (["train", "--steps", "x"], "--steps"),
        (["train", "--target", "w"], "--target"),
        (["sample", "--n", "0"], "--n"),
        (["sample", "--label", "10"], "--label"),
        (["sample", "--sampler", "magic"], "--sampler"),
    ],
)
def test_wrong_options_are_one_line(
    weights: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    words = [*arguments[:1], *([str(weights)] if arguments[0] == "sample" else []), *arguments[1:]]
    assert message in fails(words, capsys, 2)


@pytest.mark.parametrize("command", [[], ["--help"], ["train", "--help"], ["sample", "-h"]])
def test_help_is_printed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):  # tyro leaves so after its help
        main(command)
    assert "usage: ddpm-lite" in capsys.readouterr().out


# --- the commands --------------------------------------------------------------------------------


def test_own_pictures_from_a_folder_to_drawings(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, npz = tmp_path / "run", tmp_path / "x.npz"
    assert main([*short(training_pictures, run), "--image-channels", "3", "--patch", "1"]) == 0
    assert {CHECKPOINT, METRICS, WEIGHTS, LOCK, "samples"} == {p.name for p in run.iterdir()}
    png = tmp_path / "grid.png"
    drawing = ["sample", str(run / WEIGHTS), "--n", "6", "--steps", "2"]
    assert main([*drawing, "--out", str(png), "--npz", str(npz)]) == 0
    with np.load(npz, allow_pickle=False) as file:
        assert file["images"].shape == (6, 8, 8, 3)
        assert file["images"].dtype == np.uint8
        assert file["labels"].tolist() == [0, 1, 0, 1, 0, 1]
    assert Image.open(png).size == (3 * 8 + 2 * 2, 2 * 8 + 2)
    assert main(["info", str(run / CHECKPOINT)]) == 0
    assert "step 3" in capsys.readouterr().out


def test_grey_images_have_no_channel_axis_and_a_label_is_kept(
    weights: Path, tmp_path: Path
) -> None:
    npz = tmp_path / "x.npz"
    words = ["sample", str(weights), "--n", "3", "--steps", "2", "--label", "7"]
    assert main([*words, "--out", str(tmp_path / "x.png"), "--npz", str(npz)]) == 0
    with np.load(npz, allow_pickle=False) as file:
        assert file["images"].shape == (3, 28, 28)
        assert file["labels"].tolist() == [7, 7, 7]


def test_a_shipped_model_goes_by_its_name_and_is_what_comes_without_one(tmp_path: Path) -> None:
    drawn = []
    for words in (["mnist"], [], [str(MODELS["mnist"])]):
        out = ["--out", str(tmp_path / "x.png")]
        assert main(["sample", *words, "--n", "1", "--steps", "1", "--label", "3", *out]) == 0
        drawn.append((tmp_path / "x.png").read_bytes())
    assert drawn[0] == drawn[1] == drawn[2]


def test_a_model_is_drawn_as_it_asks_and_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    asked: list[DrawConfig] = []

    def drawn(model: object, n: int, config: DrawConfig, *_: object, **__: object) -> torch.Tensor:
        asked.append(config)
        return torch.zeros(n, 1, 28, 28, dtype=torch.uint8)

    monkeypatch.setattr(cli, "draw", drawn)
    words = ["sample", "mnist_one_step", "--n", "2", "--out", str(tmp_path / "x.png")]
    assert main(words) == main([*words, "--steps", "4", "--seed", "3"]) == 0
    assert asked[0] == DrawConfig("consistency", steps=1, guidance_scale=1.0)
    assert asked[1] == replace(asked[0], steps=4, seed=3)
    assert caplog.text == ""
    assert main([*words, "--guidance-scale", "2"]) == 0
    assert asked[2].guidance_scale == 2
    assert "knows no images without a label" in caplog.text
    assert main(["info", "mnist_one_step"]) == 0
    assert '"guidance_scale": 1.0' in capsys.readouterr().out


def test_same_seed_draws_the_same_and_another_does_not(weights: Path, tmp_path: Path) -> None:
    drawn = []
    for seed in ("0", "0", "1"):
        words = ["sample", str(weights), "--n", "4", "--steps", "3", "--seed", seed]
        assert main([*words, "--out", str(tmp_path / "x.png")]) == 0
        drawn.append((tmp_path / "x.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
def test_evaluation_ends_with_a_line_of_json(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(weights), "--n", "30", "--steps", "2", "--likelihood-images", "2"]
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    wanted = "bits_per_dim bits_per_dim_stderr frechet frechet_floor n confidence features seed"
    assert figures.keys() >= set(wanted.split())
    assert figures["n"] == 30
    assert figures["frechet"] > figures["frechet_floor"] > 0
    assert math.isclose(
        figures["bits_per_dim"], figures["rate"] + figures["distortion"], abs_tol=2e-4
    )


def test_a_model_of_other_classes_is_told_what_to_be_compared_with(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, metadata = read(weights)
    write(weights, tensors, metadata | {"class_names": ["cat", "dog"]})
    complaint = fails(["evaluate", str(weights)], capsys, 2)
    assert "--data" in complaint
    assert "0 cat, 1 dog" in complaint


def drawer(shape: tuple[int, int, int]) -> Any:
    return SimpleNamespace(config=SimpleNamespace(image_shape=shape))


@pytest.mark.parametrize("name", ["mnist", "coloured_mnist", "cifar10"])
def test_data_are_known_by_classes_and_shape(name: str) -> None:
    classes = list(CIFAR10 if name == "cifar10" else DIGITS)
    channels, side = (1 if name == "mnist" else 3), (32 if name == "cifar10" else 28)
    model = drawer((channels, side, side))
    assert cli._data_of(model, {"class_names": classes}) == name
    assert cli._data_of(model, {}) == name  # an older file of ours
    with pytest.raises(UsageError, match=rf"--data.* draws \({channels}, 31, 31\).*{classes[1]}"):
        cli._data_of(drawer((channels, 31, 31)), {"class_names": classes})
    with pytest.raises(UsageError, match=r"--data.* the classes in its file are: none"):
        cli._data_of(model, {"imported": {}})


def test_the_usual_fid_is_the_distance_from_training_images_and_of_colour_alone(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Bits/dim are still of images that the model has not seen."""
    seen = dict[str, Any]()

    def compare(**sets: Any) -> dict[str, float]:
        seen.update(sets)
        return {"frechet_inception_distance": 1.0}

    def of_part(name: Any, train: bool, *_: Any) -> Images:
        pixels = torch.full((6 if train else 4, 3, 28, 28), 200 if train else 100)
        return Images(pixels.byte(), torch.arange(len(pixels)), DIGITS)

    fake = SimpleNamespace(calculate_metrics=compare)
    monkeypatch.setitem(sys.modules, "torch_fidelity", fake)
    coloured = ModelConfig.from_dict(SMALL.to_dict() | {"unet": {
        **SMALL.to_dict()["unet"], "image_channels": 3,
    }})  # fmt: skip
    tensors = {f"ema.{k}": v for k, v in UNet(coloured.unet).state_dict().items()}
    write(tmp_path / "colour.safetensors", tensors, {"model": coloured.to_dict()})
    words = ["--n", "3", "--steps", "1", "--features", "inception"]
    grey = fails(["evaluate", str(weights), *words], capsys)
    assert "(N, 3, H, W)" in grey
    monkeypatch.setattr(cli, "load", lambda name, train=True, *_: of_part(name, train))
    figures, _ = evaluated([str(tmp_path / "colour.safetensors"), *words], capsys)
    assert [int(pixels[0, 0, 0]) for pixels in seen["input2"]] == 6 * [200]
    assert (figures["reference"], figures["likelihood_images"], figures["n"]) == (6, 4, 3)


def evaluated(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The last line of an evaluation, and what was said on stderr."""
    assert main(["evaluate", *words, "--json"]) == 0
    told = capsys.readouterr()
    return json.loads(told.out.splitlines()[-1]), told.err


def test_a_folder_is_judged_by_what_was_held_out(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run = tmp_path / "run"
    assert main([*short(training_pictures, run), "--holdout", "0.5", "--batch-size", "4"]) == 0
    data = read(run / CHECKPOINT)[1]["data"]
    images = load(training_pictures, side=8, channels=1)
    seen, held = images.split(0.5)
    assert (data["images"], data["sha256"]) == (8, seen.digest)
    words = [str(run / WEIGHTS), "--data", str(training_pictures), "--n", "2"]
    figures, _ = evaluated(words, capsys)
    assert figures["likelihood_images"] == len(held) == 8
    assert figures["bits_per_dim"] > 0
    assert figures["frechet"] is None
    # another folder counts whole
    (training_pictures / "dark" / "0.png").unlink()
    assert evaluated(words, capsys)[0]["likelihood_images"] == 15
    assert "trained on these very images" not in caplog.text


def test_figures_of_the_training_images_are_told_to_flatter(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run = tmp_path / "run"
    assert main(short(training_pictures, run)) == 0
    words = [str(run / WEIGHTS), "--data", str(training_pictures), "--n", "2"]
    assert evaluated(words, capsys)[0]["likelihood_images"] == 16
    assert "trained on these very images" in caplog.text


@pytest.mark.parametrize(("side", "shift", "warned"), [(32, 1, 0), (64, 1, 1), (64, 2, 0)])
def test_a_large_side_without_a_shift_is_warned_of(
    side: int, shift: float, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    cli._warn_of_side(ModelConfig(side=side, shift=shift))
    assert caplog.text.count("--shift 2") == warned


def test_a_network_has_the_labels_of_its_folder(training_pictures: Path) -> None:
    labelled = ModelConfig(unet=PRESETS["mnist"])
    assert with_classes(labelled, load(training_pictures)).unet.classes == 2
    assert with_classes(labelled, load(training_pictures / "dark")).unet.classes == 0
    plain = ModelConfig(unet=PRESETS["cifar10"])
    assert with_classes(plain, load(training_pictures)) == plain


def test_resume_with_other_pictures_of_the_same_names_is_refused_and_changes_nothing(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(short(training_pictures, run)) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    again = [*short(training_pictures, run), "--resume", "--steps", "5"]
    Image.new("L", (9, 8), 199).save(training_pictures / "bright" / "3.png")
    assert "was trained on as many other images" in fails(again, capsys)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    Image.new("L", (9, 8), 200).save(training_pictures / "bright" / "3.png")
    training_pictures.rename(tmp_path / "moved")
    again[3] = str(tmp_path / "moved")  # their place does not matter
    assert main(again) == 0


def test_resume_goes_on_and_a_second_start_is_refused(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(short(training_pictures, run)) == 0
    before = (run / CHECKPOINT).read_bytes()
    assert "--resume" in fails(short(training_pictures, run), capsys)
    assert (run / CHECKPOINT).read_bytes() == before
    assert main([*short(training_pictures, run), "--resume", "--steps", "5"]) == 0
    assert json.loads((run / METRICS).read_text().splitlines()[-1])["step"] == 5


# --- bad input -----------------------------------------------------------------------------------


def test_bad_checkpoints(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-100])
    for command in ("sample", "evaluate", "info"):
        assert "truncated or foreign" in fails([command, str(cut)], capsys)
        assert "no such file" in fails([command, str(tmp_path / "none")], capsys)


def test_checkpoint_of_another_architecture(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(short(training_pictures, tmp_path / "run")) == 0
    other = [*short(training_pictures, tmp_path / "run"), "--resume", "--blocks", "2"]
    assert "another configuration" in fails(other, capsys)


def test_bad_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images" in fails(short(empty, tmp_path / "run"), capsys)
    (empty / "a.png").write_text("no image")
    assert "a.png" in fails(short(empty, tmp_path / "run"), capsys)
    assert "no such data" in fails(short(tmp_path / "gone", tmp_path / "run"), capsys)
    assert not (tmp_path / "run").exists()


def test_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path))
    monkeypatch.setattr(requests, "get", refuse)
    words = ["train", "cifar10", "--folder", str(tmp_path / "run")]
    assert "cifar-10-binary.tar.gz" in fails(words, capsys)


def test_output_folder_that_cannot_be_written(
    training_pictures: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = tmp_path / "wall"
    wall.write_text("a file, not a folder")
    assert "cannot be written" in fails(short(training_pictures, wall / "run"), capsys)
    words = ["sample", str(weights), "--n", "2", "--steps", "1", "--out", str(wall / "x.png")]
    assert "cannot be written" in fails(words, capsys)
    assert wall.read_text() == "a file, not a folder"


def test_nan(
    training_pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def nan(self: Trainer, x_0: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x_0),), math.nan, requires_grad=True)

    assert main(short(training_pictures, tmp_path / "run")) == 0
    good = (tmp_path / "run" / CHECKPOINT).read_bytes()
    monkeypatch.setattr(Trainer, "_loss", nan)
    again = [*short(training_pictures, tmp_path / "run"), "--resume", "--steps", "9"]
    assert "the loss is nan" in fails(again, capsys)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == good


def test_too_few_images(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*short(training_pictures, tmp_path / "run"), "--batch-size", "32"]
    assert "do not fill one batch" in fails(words, capsys)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_says_how_to_go_on_and_does(
    training_pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    status: int,
) -> None:
    update = Trainer._update

    def with_signal(self: Trainer) -> TrainState:
        if self.step == 1:
            os.kill(os.getpid(), number)
        return update(self)

    words = short(training_pictures, tmp_path / "run")
    monkeypatch.setattr(Trainer, "_update", with_signal)
    line = fails(words, capsys, status)
    assert "stopped at step 2 of 3" in line
    assert "--resume" in line
    monkeypatch.setattr(Trainer, "_update", update)
    assert main([*words, "--resume"]) == 0
    assert read(tmp_path / "run" / WEIGHTS)[1]["step"] == 3


ON_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from ddpm_lite.cli import console
console()
"""
"""A command whose own terminal its standard input is."""


@pytest.mark.slow
def test_a_training_whose_terminal_is_closed_saves_itself(
    training_pictures: Path, tmp_path: Path
) -> None:
    """Of what it would say it can say nothing any more."""
    termios = pytest.importorskip("termios", reason="this system has no terminals of this kind")
    words = short(training_pictures, tmp_path / "run")
    command = [sys.executable, "-c", ON_A_TERMINAL, *words, "--steps", str(10**6)]
    ours, its = os.openpty()
    termios.tcsetwinsize(its, (24, 80))  # else there is no room for a bar
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, start_new_session=True, close_fds=True
    )
    os.close(its)
    shown = b""
    while not re.search(rb"[1-9][0-9]*/1000000", shown):
        shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(300) == 128 + signal.SIGHUP
    step = read(tmp_path / "run" / CHECKPOINT)[1]["step"]
    lines = (tmp_path / "run" / METRICS).read_text().splitlines()
    assert step == json.loads(lines[-1])["step"] > 0


def test_an_interrupt_before_anything_is_done_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "train", interrupt)
    assert fails(["train"], capsys, 130) == "ddpm-lite: interrupted"


# --- paths first ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--out", "folder.png"),
        ("--out", "pipe.png"),
        ("--out", "wall/x.png"),
        ("--out", "x.txt"),
        ("--out", "model.safetensors"),
        ("--npz", "folder.npz"),
        ("--npz", "x.png"),
        ("--npz", "model.safetensors"),
    ],
)
def test_a_path_is_refused_before_anything_is_drawn(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    name: str,
) -> None:
    def late(*_: object, **__: object) -> None:
        pytest.fail("the path is looked at too late")

    for kind in ("png", "npz"):
        (tmp_path / f"folder.{kind}").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "wall").write_text("a file, not a folder")
    (tmp_path / "model.safetensors").write_bytes(weights.read_bytes())
    before = {path.name: path.lstat().st_mode for path in tmp_path.iterdir()}
    monkeypatch.setattr(cli, "draw", late)
    monkeypatch.chdir(tmp_path)
    assert main(["sample", str(weights), option, name]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error
    assert {path.name: path.lstat().st_mode for path in tmp_path.iterdir()} == before
    assert (tmp_path / "model.safetensors").read_bytes() == weights.read_bytes()


def test_an_export_does_not_replace_a_model(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights.read_bytes()
    assert ".onnx" in fails(["export", str(weights), "--out", str(weights)], capsys, 2)
    assert weights.read_bytes() == before


def test_a_folder_is_refused_before_its_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def late(*_: object) -> None:
        pytest.fail("the folder is looked at too late")

    monkeypatch.setattr(cli, "load", late)
    (tmp_path / WEIGHTS).write_bytes(b"mine")
    words = ["train", "tiny", "--folder", str(tmp_path)]
    assert "already holds a run" in fails(words, capsys)
    assert "nothing to resume" in fails([*words, "--resume"], capsys)
    assert (tmp_path / WEIGHTS).read_bytes() == b"mine"


def test_info_shows_the_options_of_every_part_of_a_run(
    training_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = short(training_pictures, tmp_path / "run")
    assert main([*words, "--learning-rate", "0.003"]) == 0
    for steps, rate in (("4", "0.003"), ("5", "0.003"), ("5", "0.007")):
        assert main([*words, "--resume", "--steps", steps, "--learning-rate", rate]) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "run" / WEIGHTS)]) == 0
    lines = dict(line.strip().split(": ", 1) for line in capsys.readouterr().out.splitlines())
    for name, steps, rate in (
        ("until step 3", 3, 0.003),
        ("until step 4", 4, 0.003),
        ("until step 5", 5, 0.003),
        ("trained with", 5, 0.007),
    ):
        options = json.loads(lines[name])
        assert (options["steps"], options["learning_rate"]) == (steps, rate)


# --- classes have names --------------------------------------------------------------------------


def test_classes_are_shown_and_drawn_by_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        folder = tmp_path / "pictures" / str(number)
        folder.mkdir(parents=True)
        Image.new("L", (8, 8), 20 * number).save(folder / "1.png")
    run = tmp_path / "run"
    shown = ", ".join(f"{number} {number}" for number in range(12))
    assert main(short(tmp_path / "pictures", run)) == 0
    assert f"labels: {shown}\n" in capsys.readouterr().out
    assert main(["info", str(run / WEIGHTS)]) == 0
    assert f"labels: {shown}\n" in capsys.readouterr().out


def test_names_that_a_terminal_would_obey_are_only_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    data, out = tmp_path / "pictures", tmp_path / "x.png"
    for name in ("a\nb", "\x1b[31mred"):
        (data / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), 9).save(data / name / f"{number}.png")
    (data / "e\nmpty").mkdir()
    (data / "a\nb" / "x.t\nxt").touch()
    assert main(short(data, tmp_path / "run")) == 0
    weights = str(tmp_path / "run" / WEIGHTS)
    assert main(["info", weights]) == 0
    words = ["sample", weights, "--n", "1", "--steps", "1", "--out", str(out)]
    assert main([*words, "--label", "\x1b[31mred"]) == 0
    said = capsys.readouterr().out
    assert said.count("labels: 0 \\x1b[31mred, 1 a\\nb\n") == 2
    assert "of class 0 \\x1b[31mred in" in said
    assert "(.t\\nxt 1); folders without images (e\\nmpty)" in caplog.text
    assert "classes: 0 \\x1b[31mred, 1 a\\nb" in fails([*words, "--label", "2"], capsys, 2)
    Path(data / "a\nb" / "\x1b.png").write_text("no picture")
    assert "\\x1b.png" in fails(short(data, tmp_path / "other"), capsys)
    assert "\x1b[31m" not in said


def test_a_named_class_is_drawn(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    tensors, metadata = read(weights)
    write(weights, tensors, metadata | {"class_names": names})
    npz = tmp_path / "x.npz"
    words = ["sample", str(weights), "--n", "2", "--steps", "1", "--npz", str(npz)]
    assert main([*words, "--label", "seven", "--out", str(tmp_path / "x.jpg")]) == 0
    assert "2 images of class 7 seven in" in capsys.readouterr().out
    with np.load(npz, allow_pickle=False) as file:
        assert file["labels"].tolist() == [7, 7]
    assert Image.open(tmp_path / "x.jpg").format == "JPEG"


@pytest.mark.parametrize(
    ("dropout", "scale", "said"),
    [
        (0.0, "1.3", "--label-dropout 0"),
        (0.0, "0", "--label-dropout 0"),
        (0.0, "1", ""),
        (0.1, "1.3", ""),
        (1.0, "1.3", "--label-dropout 1"),
    ],
)
def test_guidance_by_what_was_never_trained_is_told(
    weights: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    dropout: float,
    scale: str,
    said: str,
) -> None:
    tensors, metadata = read(weights)
    write(weights, tensors, metadata | {"train": {"label_dropout": dropout}})
    words = ["sample", str(weights), "--n", "1", "--steps", "1", "--guidance-scale", scale]
    assert main([*words, "--out", str(tmp_path / "x.png")]) == 0
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


# --- what the machine cannot do ------------------------------------------------------------------


def too_large() -> torch.Tensor:
    return torch.empty(2**62, dtype=torch.uint8)


def too_many() -> torch.Tensor:
    return torch.empty(2**62, 2**62)


def too_long() -> torch.Tensor:
    return torch.arange(10**30)


def no_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize("ask", [too_large, too_many, too_long, no_memory])
def test_too_little_memory_is_one_line_with_the_options(
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ask: Callable[[], object],
) -> None:
    """PyTorch's own errors: nobody has as much."""
    monkeypatch.setattr(cli, "draw", lambda *_, **__: ask())
    assert "lower --n or --batch-size" in fails(["sample", str(weights), "--n", "1"], capsys)


def test_a_number_beyond_all_memory_is_one_line(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(weights), "--out", "a.png"]
    assert "a.png: 1,000,000 images make" in fails([*words, "--n", "1000000"], capsys)
    assert "take fewer" in fails([*words, "--n", "9" * 40], capsys)
    assert "seed must lie between" in fails([*words, "--seed", "9" * 40], capsys, 2)


@pytest.mark.parametrize(
    ("option", "values", "said"),
    [
        ("--T", ["100000000000"], "T must lie in 1..100000, not 100000000000"),
        ("--side", ["9" * 30], "side must lie in 1..4096"),
        ("--blocks", ["9" * 30], "blocks up to 100, not"),
        ("--channels", ["32"] * 14, "levels up to 13, not 14"),
        ("--channels", ["9" * 30 + "68"], "the widest level up to 65536"),
        ("--patch", ["300"], "image_channels * patch^2 up to 65536, not 90000"),
        ("--image-channels", ["9" * 30], "image_channels * patch^2 up to 65536"),
        ("--image-channels", ["0"], "image_channels and patch of a U-Net must be at least 1"),
        ("--classes", ["9" * 30], "classes up to 1000000"),
        ("--seed", ["9" * 30], "seed must lie between"),
        ("--steps", ["9" * 30], "steps must lie between"),
        ("--warmup-steps", ["9" * 30], "warmup_steps must lie between"),
        ("--batch-size", ["9" * 30], "batch_size must lie between"),
        ("--picture-steps", ["9" * 30], "picture_steps must lie between"),
    ],
)
def test_a_size_beyond_all_use_is_one_line_before_anything_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    values: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(cli, "load", lambda *_: pytest.fail("the data is read first"))
    words = ["train", "tiny", "--folder", str(tmp_path / "run"), option, *values]
    assert said in fails(words, capsys, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_a_size_beyond_all_use_is_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, metadata = read(weights)
    for change in ({"T": 10**11}, {"side": 10**9}, {"unet": {"channels": [32], "blocks": 10**9}}):
        other = tmp_path / "other.safetensors"
        write(other, tensors, metadata | {"model": metadata["model"] | change})
        assert "its model cannot be built" in fails(["sample", str(other), "--n", "1"], capsys)


def test_a_network_that_cannot_be_compiled_is_one_line_and_leaves_the_folder_free(
    training_pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lacking = type("InvalidCxxCompiler", (RuntimeError,), {"__module__": "torch._inductor.exc"})

    def fail(self: Trainer) -> None:
        raise lacking("No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1 ...")

    words, update = short(training_pictures, tmp_path / "run"), Trainer._update
    monkeypatch.setattr(Trainer, "_update", fail)
    line = fails(words, capsys)
    assert "(No working C++ compiler found); train it without --compile" in line
    monkeypatch.setattr(Trainer, "_update", update)
    assert main(words) == 0


def test_an_error_of_our_own_is_not_hidden(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(cli, "draw", wrong)
    with pytest.raises(RuntimeError, match="mat1"):
        main(["sample", str(weights), "--n", "1"])


# --- what is printed -----------------------------------------------------------------------------


def test_what_cannot_be_printed_ends_no_command(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="cp1252"))
    out = tmp_path / "絵.png"
    monkeypatch.setattr(
        sys,
        "argv",
        ["ddpm-lite", "sample", str(weights), "--n", "1", "--steps", "1", "--out", str(out)],
    )
    with pytest.raises(SystemExit) as stop:
        cli.console()
    assert stop.value.code == 0
    assert out.exists()
    assert b"\\u7d75.png" in buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("words", [["info"], ["sample", "--help"], []])
def test_a_closed_pipe_ends_in_silence(words: list[str]) -> None:
    command = [sys.executable, "-m", "ddpm_lite.cli", *words]
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert process.stderr == b""
    assert process.returncode == 141


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    command = [sys.executable, "-m", "ddpm_lite.cli", "--help"]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert process.returncode == 1
    assert process.stderr.startswith(b"ddpm-lite: ")
    assert process.stderr.count(b"\n") == 1
