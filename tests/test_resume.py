"""A training that goes on is the one that was never stopped."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from small import (
    MODEL,
    assert_same,
    config,
    default,
    everything,
    images,
    one_of_two,
    trainer,
    weights,
)

from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.model import ModelConfig
from ddpm_lite.train import (
    Trainer,
    TrainingError,
)
from ddpm_lite.unet import UNetConfig


def test_resumed_training_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    through = trainer()
    losses = [s.loss for s in through.steps()]
    first = trainer()
    for _ in islice(first.steps(), 5):
        continue
    first.save(tmp_path / "c")
    second = trainer()
    second.resume(tmp_path / "c")
    assert [s.loss for s in second.steps()] == losses[5:]
    assert_same(weights(second), weights(through))
    assert_same(dict(second.model().net.state_dict()), dict(through.model().net.state_dict()))


def test_a_session_with_another_default_device_resumes(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    resumed = trainer()
    with default("meta"):
        resumed.resume(tmp_path / "c")
    assert next(resumed.steps()).loss == next(training.steps()).loss


def test_resume_remembers_dropout_and_bfloat16(tmp_path: Path) -> None:
    unet = UNetConfig(channels=(8, 16), groups=4, patch=2, classes=2, dropout=0.3)
    model = ModelConfig(unet=unet, side=8)

    def make() -> Trainer:
        return Trainer(model, config(precision="bfloat16", flip=True), images(), "cpu")

    through = make()
    for state in through.steps():
        if state.step == 7:
            through.save(tmp_path / "c")
    resumed = make()
    resumed.resume(tmp_path / "c")
    for _ in resumed.steps():
        continue
    assert_same(weights(resumed), weights(through))


def test_checkpoint_holds_all_there_is(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    tensors, metadata = read(tmp_path / "c")
    kinds = {name.split(".")[0] for name in tensors}
    assert kinds == {"model", "ema", "optimizer", "batches"}
    assert (metadata["step"], metadata["earlier"]) == (1, [])
    assert metadata["data"] == {"images": 64, "sha256": images().digest}
    assert metadata["train"]["batch_size"] == 8
    assert metadata["torch"] == torch.__version__
    assert ModelConfig.from_dict(metadata["model"]) == MODEL


def test_the_checkpoint_before_is_kept_where_asked(tmp_path: Path) -> None:
    training = trainer()
    for _ in islice(training.steps(), 2):
        training.save(tmp_path / "c", keep="older")
    training.save(tmp_path / "alone" / "c")
    training.save(tmp_path / "alone" / "c")
    assert [read(tmp_path / name)[1]["step"] for name in ("c", "older")] == [2, 1]
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["c"]


def test_weights_alone_are_the_average_in_half_precision(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    next(training.steps())
    training.save_weights(tmp_path / "w")
    stored, metadata = read(tmp_path / "w")
    average = training.average.state_dict()
    assert_same(stored, {f"ema.{name}": weight.half() for name, weight in average.items()})
    assert metadata["step"] == 2


@pytest.mark.parametrize("weight", [math.nan, -math.inf, 1e5])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path, weight: float) -> None:
    """float16 ends at 65,504: a larger weight is one only in the whole checkpoint."""
    training = trainer()
    training.average.head.weight.data[0] = weight
    told = r"NaN or infinite numbers at step 0 in 1 of \d+ tensors, ema\.head\.weight first"
    with pytest.raises(TrainingError, match=told):
        training.save_weights(tmp_path / "w")
    if math.isfinite(weight):
        training.save(tmp_path / "c")
    else:
        with pytest.raises(TrainingError, match=told):
            training.save(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"] * math.isfinite(weight)


def test_a_checkpoint_older_than_a_field_is_resumed(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    tensors, metadata = read(tmp_path / "c")
    for field in ("downsample", "times_from"):
        del metadata["model"]["unet"][field]
    write(tmp_path / "c", tensors, metadata)
    again = trainer()
    again.resume(tmp_path / "c")
    assert again.step == 1
    corner = replace(MODEL, unet=replace(MODEL.unet, downsample="right_below"))
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(corner, config(), images(), "cpu").resume(tmp_path / "c")


def test_checkpoints_that_cannot_be_resumed_are_refused(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    training.save_weights(tmp_path / "w")
    other = ModelConfig(unet=UNetConfig(channels=(8,), groups=4, patch=2, classes=2), side=8)
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(other, config(), images(), "cpu").resume(tmp_path / "c")
    named = replace(images(), class_names=("up", "down"))
    with pytest.raises(CheckpointError, match="other data"):
        Trainer(MODEL, config(), named, "cpu").resume(tmp_path / "c")
    same = images()
    inverted = replace(same, pixels=255 - same.pixels)
    swapped = replace(same, labels=1 - same.labels)
    reordered = replace(same, pixels=same.pixels.flip(0), labels=same.labels.flip(0))
    for others in (inverted, swapped, reordered):
        with pytest.raises(CheckpointError, match="as many other images: pixels or labels differ"):
            Trainer(MODEL, config(), others, "cpu").resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="not 64 in batches of 4"):
        trainer(batch_size=4).resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="not 66 in batches of 8"):
        Trainer(MODEL, config(), images(66), "cpu").resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="weights only"):
        trainer().resume(tmp_path / "w")


def test_a_checkpoint_that_tells_nothing_of_its_images_is_resumed(tmp_path: Path) -> None:
    """As those were that the first versions wrote."""
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    tensors, metadata = read(tmp_path / "c")
    write(tmp_path / "c", tensors, {k: v for k, v in metadata.items() if k != "data"})
    assert trainer().resume(tmp_path / "c") == []


@pytest.mark.parametrize(("writers", "readers"), [(1, 2), (2, 1), (2, 2)])
def test_another_number_of_processes_goes_on_where_the_others_stopped(
    tmp_path: Path, writers: int, readers: int
) -> None:
    through = trainer()
    first = trainer() if writers == 1 else one_of_two(0)
    for _ in range(3):
        next(through.batches)
        next(first.batches)
    first.save(tmp_path / "c")
    for rank in range(readers):
        second = trainer() if readers == 1 else one_of_two(rank)
        second.resume(tmp_path / "c")
        expected = copy.deepcopy(through.batches)
        for _ in range(8):
            whole, part = next(expected), next(second.batches)
            assert torch.equal(part[0], whole[0][rank::readers])
            assert torch.equal(part[1], whole[1][rank::readers])


def test_the_options_of_each_stretch_are_remembered(tmp_path: Path) -> None:
    place = tmp_path / "c"
    for step, rate in enumerate((0.001, 0.002, 0.002, 0.003)):
        training = trainer(learning_rate=rate)
        if step:
            training.resume(place)
        next(training.steps())
        training.save(place)
    earlier = read(place)[1]["earlier"]
    assert [(one["until"], one["train"]["learning_rate"]) for one in earlier] == [
        (1, 0.001), (3, 0.002),
    ]  # fmt: skip
    last = trainer(learning_rate=0.003)
    last.resume(place)
    assert last.earlier == earlier
    assert trainer().earlier == []


def bad_moment(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    del tensors["optimizer.3.exp_avg"]


def bad_shape(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["ema.head.weight"] = torch.zeros(1)


def bad_number(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["model.head.bias"] = tensors["model.head.bias"] * math.nan


def bad_generator(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["batches.generator"] = torch.zeros(7, dtype=torch.uint8)


def bad_place(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["batches.place"] = torch.tensor([1000, 8, 64])


def short_place(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["batches.place"] = torch.tensor([8])


def no_step(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    del metadata["step"]


def endless_place(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["batches.place"] = torch.tensor([math.inf, 8, 64])


def complex_moment(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["optimizer.3.exp_avg"] = tensors["optimizer.3.exp_avg"].to(torch.complex64)


def small_moment(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["optimizer.3.exp_avg"] = tensors["optimizer.3.exp_avg"].to(torch.float8_e4m3fn)


def foreign_past(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    metadata["earlier"] = 5


def negative_place(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["batches.place"] = torch.tensor([-8, 8, 64])


def without(part: str) -> Callable[..., None]:
    """Leaves out the tensors of one part."""

    def damage(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.startswith(part)]:
            del tensors[name]

    return damage


def endless_moment(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["optimizer.3.exp_avg"] = tensors["optimizer.3.exp_avg"] + math.inf


def steps_of_moments(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    tensors["optimizer.3.step"] = tensors["optimizer.3.step"].repeat(2)


def negative_step(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    metadata["step"] = -1


def missing_options(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    del metadata["train"]


def missing_digest(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    del metadata["data"]["sha256"]


def no_options(tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    metadata["train"] = 3


@pytest.mark.parametrize(
    "damage",
    [bad_moment, bad_shape, bad_number, bad_generator, bad_place, short_place, no_step,
     no_options, endless_place, complex_moment, small_moment, foreign_past, negative_place,
     *map(without, ("model.", "ema.", "optimizer.", "batches.")), endless_moment,
     steps_of_moments, negative_step, missing_options, missing_digest],
)  # fmt: skip
def test_what_is_refused_has_changed_nothing(tmp_path: Path, damage: Callable[..., None]) -> None:
    """The training goes on as if it had not been asked to resume."""
    training = trainer()
    for _ in islice(training.steps(), 3):
        continue
    training.save(tmp_path / "c")
    tensors, metadata = read(tmp_path / "c")
    damage(tensors, metadata)
    write(tmp_path / "bad", tensors, metadata)
    other = trainer(seed=5)
    next(other.steps())
    before = everything(other)
    with pytest.raises(CheckpointError, match="bad: "):
        other.resume(tmp_path / "bad")
    assert_same(everything(other), before)


def test_a_checkpoint_from_before_the_first_step_is_resumed(tmp_path: Path) -> None:
    first = trainer()
    first.save(tmp_path / "c")
    losses = [s.loss for s in first.steps()]
    second = trainer()
    assert second.resume(tmp_path / "c") == []
    assert [s.loss for s in second.steps()] == losses


def test_what_an_older_checkpoint_does_not_tell_is_empty(tmp_path: Path) -> None:
    first, again = trainer(), trainer()
    next(first.steps())
    first.start = {"file": "m.safetensors", "sha256": "0"}
    first.save(tmp_path / "new")
    tensors, metadata = read(tmp_path / "new")
    del metadata["start"], metadata["earlier"]
    write(tmp_path / "old", tensors, metadata)
    again.resume(tmp_path / "old")
    assert (again.start, again.earlier) == ({}, [])
    again.save(tmp_path / "saved")
    trainer().resume(tmp_path / "saved")  # can be read
    again.resume(tmp_path / "new")
    assert again.start == first.start


def test_a_checkpoint_from_the_end_of_an_epoch_is_resumed(tmp_path: Path) -> None:
    through = trainer()
    for _ in islice(through.steps(), 8):  # 8 batches of 8 are all 64 images
        continue
    through.save(tmp_path / "c")
    again = trainer()
    again.resume(tmp_path / "c")
    assert [s.loss for s in again.steps()] == [s.loss for s in through.steps()]


def test_options_that_differ_from_the_stored_ones_are_told(tmp_path: Path) -> None:
    first = trainer()
    next(first.steps())
    first.save(tmp_path / "c")
    other = trainer(learning_rate=3e-4, ema_decay=0.5, steps=20, weighting="min_snr")
    expected = [
        "steps: 12 -> 20", "learning_rate: 0.001 -> 0.0003", "ema_decay: 0.9 -> 0.5",
        "weighting: simple -> min_snr",
    ]  # fmt: skip
    assert other.differences(tmp_path / "c") == expected
    assert other.differences(read(tmp_path / "c")[1]) == expected
    assert other.resume(tmp_path / "c") == expected
    assert trainer().differences(tmp_path / "c") == []
    _, metadata = read(tmp_path / "c")
    del metadata["train"]["clip_norm"]  # as one that is younger than the checkpoint
    assert trainer(clip_norm=2.0).differences(metadata) == []
    assert trainer().differences({}) == []
