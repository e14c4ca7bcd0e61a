import math
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from small import MODEL, assert_same, config, images, trainer, weights

from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.data import DataError
from ddpm_lite.diffusion import training_loss
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.model import ModelConfig
from ddpm_lite.train import Trainer, draw_times, learning_rate_at
from ddpm_lite.unet import UNetConfig

# --- the loop ------------------------------------------------------------------------------------


def test_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    c = config(steps=100, warmup_steps=10, cooldown=0.2, learning_rate=1.0)
    rates = [learning_rate_at(c, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([k / 20 for k in range(20, 0, -1)])


def test_state_comes_after_the_update() -> None:
    training = trainer()
    before, rate = weights(training), learning_rate_at(config(), 1)
    state = next(training.steps())
    assert state.step == training.step == 1
    assert state.learning_rate == rate
    after = weights(training)
    assert not torch.equal(before["head.weight"], after["head.weight"])
    # AdamW's first step moves each weight with a gradient by the learning rate
    moved = (after["head.weight"] - before["head.weight"]).abs()
    assert float(moved.max()) == pytest.approx(rate, rel=1e-2)


def test_loop_ends_after_the_steps_asked_for() -> None:
    assert [s.step for s in trainer(steps=5).steps()] == [1, 2, 3, 4, 5]


def test_loss_at_the_start_is_the_mean_square_of_the_target() -> None:
    """The last layer is zero, so the loss is the mean of v^2, which is near 1 for eps."""
    model = ModelConfig(unet=MODEL.unet, side=8, target="eps")
    state = next(Trainer(model, config(batch_size=64), images(), "cpu").steps())
    assert state.loss == pytest.approx(1.0, abs=0.1)


def test_average_is_the_running_mean_of_the_weights() -> None:
    training, expected = trainer(), None
    for _ in training.steps():
        now = training.net.head.weight.detach().clone()
        expected = now if expected is None else 0.9 * expected + 0.1 * now
    assert expected is not None
    torch.testing.assert_close(training.model().net.head.weight, expected, rtol=1e-5, atol=1e-7)


def test_seed_decides_everything() -> None:
    a, b, c = trainer(), trainer(), trainer(seed=1)
    losses = [[s.loss for s in t.steps()] for t in (a, b, c)]
    assert losses[0] == losses[1] != losses[2]
    assert_same(weights(a), weights(b))


def test_accumulated_parts_give_the_same_gradient_as_one_batch() -> None:
    """With the same times and noise; `_loss` is asked for all images at once and part by part."""

    def gradient(accumulate: int) -> torch.Tensor:
        training = trainer(accumulate=accumulate, label_dropout=0.0)
        torch.manual_seed(5)
        torch.nn.init.normal_(training.net.head.weight)
        noise = torch.randn(1, 1, 8, 8)

        def loss(x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            t, model = torch.full((len(x),), 300), partial(call, training, label)
            return training_loss(training.schedule, model, x, t, noise.expand_as(x), "v")

        training._loss = loss  # type: ignore[method-assign]
        training._backward()
        grads = [p.grad for p in training.net.parameters() if p.grad is not None]
        return torch.cat([grad.flatten() for grad in grads])

    torch.testing.assert_close(gradient(1), gradient(4), rtol=1e-4, atol=1e-6)


def call(
    training: Trainer, label: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    out: torch.Tensor = training.net(x_t, t, label)
    return out


def test_batch_is_divided_by_the_accumulation() -> None:
    sizes = []
    training = trainer(accumulate=4)
    original = training._loss
    training._loss = lambda x, y: (sizes.append(len(x)), original(x, y))[1]  # type: ignore[method-assign, func-returns-value]
    next(training.steps())
    assert sizes == [2, 2, 2, 2]


def test_half_of_the_times_are_small_ones() -> None:
    generator, n, T = torch.Generator().manual_seed(0), 200_000, 100
    t = draw_times(T, n, "half_log", generator)
    assert (int(t.min()), int(t.max())) == (1, T)
    for first, last in ((1, 1), (2, 4), (5, 30), (31, 100)):
        log = math.log((min(last, T - 1) + 1) / first) / math.log(T)
        expected = (log + (last - first + 1) / T) / 2
        found = float(((t >= first) & (t <= last)).double().mean())
        assert found == pytest.approx(expected, abs=4 * (0.25 / n) ** 0.5)


def test_uniform_times_are_equally_likely() -> None:
    t = draw_times(4, 40_000, "uniform", torch.Generator().manual_seed(0))
    assert (t.bincount(minlength=5)[1:] / 40_000).tolist() == pytest.approx([0.25] * 4, abs=0.01)


def test_labels_are_dropped_as_often_as_asked() -> None:
    training = trainer(label_dropout=0.25)
    dropped = training._drop(torch.zeros(20_000, dtype=torch.int64))
    assert set(dropped.tolist()) == {0, 2}
    error = (0.25 * 0.75 / len(dropped)) ** 0.5
    assert float((dropped == 2).double().mean()) == pytest.approx(0.25, abs=4 * error)


def test_gradient_is_clipped_to_the_length_given() -> None:
    training = trainer(clip_norm=1e-3)
    seen = []
    step = training.optimizer.step

    def spy() -> None:
        grads = [p.grad.flatten() for p in training.net.parameters() if p.grad is not None]
        seen.append(float(torch.cat(grads).norm()))
        step()

    training.optimizer.step = spy  # type: ignore[method-assign, assignment]
    state = next(training.steps())
    assert state.grad_norm > 1e-3
    assert seen == [pytest.approx(1e-3, rel=1e-3)]


@pytest.mark.slow
def test_network_learns_the_two_pictures() -> None:
    training = trainer(steps=500, batch_size=32, learning_rate=3e-3, ema_decay=0.98)
    losses = [s.loss for s in training.steps()]
    assert sum(losses[-50:]) < sum(losses[:50]) / 3
    drawn = draw(training.model(), 16, DrawConfig(steps=20, precision="float32"))
    assert float((drawn.float() - images(16).pixels.float()).abs().mean()) < 25


def test_bfloat16_trains_too() -> None:
    losses = [s.loss for s in trainer(precision="bfloat16").steps()]
    assert all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"batch_size": 9, "accumulate": 2}, "multiple of accumulate"),
        ({"ema_decay": 1.0}, "ema_decay"),
    ],
)
def test_unusable_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**change)


def test_images_that_do_not_fit_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="made for"):
        Trainer(ModelConfig(unet=MODEL.unet, side=9), config(), images(), "cpu")
    one = UNetConfig(channels=(8,), groups=4, patch=2, classes=1)
    with pytest.raises(ValueError, match="classes"):
        Trainer(ModelConfig(unet=one, side=8), config(), images(), "cpu")


# --- resuming ------------------------------------------------------------------------------------


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
    assert kinds == {"model", "ema", "optimizer", "batches", "rng"}
    assert metadata["step"] == 1
    assert metadata["train"]["batch_size"] == 8
    assert ModelConfig.from_dict(metadata["model"]) == MODEL


def test_checkpoints_that_cannot_be_resumed_are_refused(tmp_path: Path) -> None:
    training = trainer()
    next(training.steps())
    training.save(tmp_path / "c")
    training.save_weights(tmp_path / "w")
    tensors, metadata = read(tmp_path / "c")
    other = ModelConfig(unet=UNetConfig(channels=(8,), groups=4, patch=2, classes=2), side=8)
    with pytest.raises(CheckpointError, match="another configuration"):
        Trainer(other, config(), images(), "cpu").resume(tmp_path / "c")
    named = replace(images(), class_names=("up", "down"))
    with pytest.raises(CheckpointError, match="other data"):
        Trainer(MODEL, config(), named, "cpu").resume(tmp_path / "c")
    with pytest.raises(DataError, match="batch size"):
        trainer(batch_size=4).resume(tmp_path / "c")
    with pytest.raises(DataError, match="data set"):
        Trainer(MODEL, config(), images(66), "cpu").resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="weights only"):
        trainer().resume(tmp_path / "w")
    two = tensors | {k: torch.cat([v, v]) for k, v in tensors.items() if k.startswith("rng.")}
    write(tmp_path / "two", two, metadata)
    with pytest.raises(CheckpointError, match="2 processes"):
        trainer().resume(tmp_path / "two")


@pytest.mark.slow
def test_compiled_network_trains_as_the_plain_one_does() -> None:
    plain, compiled = trainer(steps=3), trainer(steps=3, compile=True)
    expected = [s.loss for s in plain.steps()]
    assert [s.loss for s in compiled.steps()] == pytest.approx(expected, rel=1e-4)
