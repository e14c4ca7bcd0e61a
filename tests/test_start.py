"""A training that begins with a model: what it knows at first, and what it remembers of it."""

import hashlib
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import PIL.Image
import pytest
import torch
from complaint import fails
from small import MODEL, assert_same, config, images, trainer, weights

from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.cli import main
from ddpm_lite.data import Images
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.run import CHECKPOINT, WEIGHTS
from ddpm_lite.start import begin_with
from ddpm_lite.train import Trainer

X_T = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(5))
T = torch.tensor([1, 40, 500, 1000])
CLASS = torch.tensor([0, 1, 0, 1])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of small.MODEL's shape that a few steps have moved away from a new network."""
    first = trainer(seed=7)
    for _ in islice(first.steps(), 6):
        continue
    first.save_weights(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def training(classes: int = 2, names: tuple[str, ...] = (), variance: bool = False) -> Trainer:
    """A new training on as many classes; without names they are small.images' own."""
    unet = replace(MODEL.unet, classes=classes, learned_variance=variance)
    pixels = images()
    named = Images(pixels.pixels, pixels.labels, names or pixels.class_names)
    return Trainer(replace(MODEL, unet=unet), config(), named, "cpu")


def test_the_network_and_its_average_are_the_model(model: Path) -> None:
    begun, given = training(), DiffusionModel.load(model)
    begin_with(begun, model)
    assert_same(weights(begun), dict(given.net.state_dict()))
    assert_same(dict(begun.average.state_dict()), dict(given.net.state_dict()))
    next(begun.steps())  # the average moves with the weights, and is a copy of its own
    assert_same(dict(begun.average.state_dict()), weights(begun))


def test_the_first_loss_is_that_of_the_model(model: Path) -> None:
    """The batch of step 1 is the same whatever the weights are."""
    first, begun = training(), training()
    first.net.load_state_dict(DiffusionModel.load(model).net.state_dict())
    begin_with(begun, model)
    assert next(begun.steps()).loss == next(first.steps()).loss != next(training().steps()).loss


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_of_other_names_begin_as_no_label(model: Path, classes: int) -> None:
    begun, given = training(classes, ("cat", "dog", "horse")), DiffusionModel.load(model)
    begin_with(begun, model)
    no_label = given(X_T, T)
    assert not torch.equal(given(X_T, T, CLASS), no_label)
    assert torch.equal(begun.model()(X_T, T, CLASS), no_label)
    assert torch.equal(begun.model()(X_T, T), no_label)


def test_a_network_without_classes_begins_as_no_label(model: Path) -> None:
    begun = training(0)
    begin_with(begun, model)
    torch.testing.assert_close(begun.model()(X_T, T), DiffusionModel.load(model)(X_T, T))


def test_a_network_with_classes_begins_as_one_without(tmp_path: Path) -> None:
    plain, begun = training(0), training(2)
    for _ in islice(plain.steps(), 6):
        continue
    plain.save_weights(tmp_path / "plain")
    begin_with(begun, tmp_path / "plain")
    wanted = DiffusionModel.load(tmp_path / "plain")(X_T, T)
    assert torch.equal(begun.model()(X_T, T, CLASS), wanted)


def test_a_variance_that_is_new_leaves_the_target_alone(model: Path) -> None:
    begun = training(variance=True)
    begin_with(begun, model)
    guess, said = begun.model()(X_T, T, CLASS).chunk(2, dim=1)
    torch.testing.assert_close(guess, DiffusionModel.load(model)(X_T, T, CLASS))
    assert not said.any()


def test_a_variance_that_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    sure, begun = training(variance=True), training()
    for _ in islice(sure.steps(), 6):
        continue
    sure.save_weights(tmp_path / "sure")
    begin_with(begun, tmp_path / "sure")
    guess, said = DiffusionModel.load(tmp_path / "sure")(X_T, T, CLASS).chunk(2, dim=1)
    assert said.any()
    torch.testing.assert_close(begun.model()(X_T, T, CLASS), guess)


def test_it_is_remembered_beyond_a_resume(model: Path, tmp_path: Path) -> None:
    begun, again = training(), training()
    begin_with(begun, model)
    told = {"file": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    next(begun.steps())
    begun.save(tmp_path / "c")
    again.resume(tmp_path / "c")
    again.save_weights(tmp_path / "w")
    assert read(tmp_path / "c")[1]["start"] == read(tmp_path / "w")[1]["start"] == told
    assert training()._metadata()["start"] == {}


def test_another_shape_or_a_training_under_way_is_refused(model: Path, tmp_path: Path) -> None:
    unet = replace(MODEL.unet, channels=(8, 8))
    other = Trainer(replace(MODEL, unet=unet), config(), images(), "cpu")
    before = weights(other)
    with pytest.raises(CheckpointError, match="of another shape"):
        begin_with(other, model)
    with pytest.raises(CheckpointError, match="no such file"):
        begin_with(other, tmp_path / "none")
    assert_same(weights(other), before)
    assert other.start == {}
    next(other.steps())
    with pytest.raises(ValueError, match="it is at step 1"):
        begin_with(other, model)


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def words(model: Path, tmp_path: Path) -> list[str]:
    """Two steps on pictures of two other classes, all of them as wide as the model's file says."""
    for name, grey in (("dark", 20), ("bright", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for k in range(8):
            picture = PIL.Image.new("L", (9, 8), grey + k)
            picture.save(tmp_path / "pictures" / name / f"{k}.png")
    return [
        "train", "colour", "--data", str(tmp_path / "pictures"), "--start", str(model),
        "--steps", "2", "--batch-size", "8", "--precision", "float32", "--cooldown", "0",
    ]  # fmt: skip


def test_the_network_is_that_of_the_file(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*words, "--folder", str(run)]) == 0
    told = read(run / WEIGHTS)[1]
    assert ModelConfig.from_dict(told["model"]) == MODEL
    assert told["class_names"] == ["bright", "dark"]
    assert told["start"]["file"] == "model.safetensors"
    capsys.readouterr()
    assert main(["info", str(run / WEIGHTS)]) == 0
    assert f"begun with: {json.dumps(told['start'])}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_resume_goes_on_from_the_checkpoint(words: list[str], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*words, "--folder", str(whole)]) == 0
    assert main([*words, "--folder", str(parts), "--steps", "1"]) == 0
    assert main([*words, "--folder", str(parts), "--resume"]) == 0
    assert_same(read(whole / CHECKPOINT)[0], read(parts / CHECKPOINT)[0])


def test_what_cannot_begin_is_told_in_a_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words += ["--folder", str(run)]
    assert "of another shape" in fails([*words, "--channels", "8", "24"], capsys)
    assert "no such file" in fails([*words, "--start", str(tmp_path / "none")], capsys)
    assert not run.exists()
