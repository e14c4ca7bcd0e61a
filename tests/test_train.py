import copy
import math
from dataclasses import FrozenInstanceError, replace
from itertools import islice
from typing import Any

import pytest
import torch
from small import (
    MODEL,
    Shared,
    assert_same,
    config,
    default,
    everything,
    images,
    one_of_two,
    trainer,
    weights,
)

from ddpm_lite.data import Batches
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.model import ModelConfig
from ddpm_lite.train import (
    TrainConfig,
    Trainer,
    TrainingError,
    TrainState,
    draw_times,
    learning_rate_at,
)
from ddpm_lite.unet import UNetConfig

# --- the loop ------------------------------------------------------------------------------------


def test_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    c = config(steps=100, warmup_steps=10, cooldown=0.2, learning_rate=1.0)
    rates = [learning_rate_at(c, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([k / 20 for k in range(20, 0, -1)])


@pytest.mark.parametrize("warmup", [0, 1])
def test_a_training_without_rise_and_fall_has_one_rate(warmup: int) -> None:
    c = config(steps=5, warmup_steps=warmup, cooldown=0.0, learning_rate=0.25)
    assert [learning_rate_at(c, step) for step in range(1, 6)] == [0.25] * 5


def test_options_and_states_do_not_change() -> None:
    for one in (TrainConfig(), TrainState(1, 0.5, 0.5, 0.5)):
        with pytest.raises(FrozenInstanceError):
            one.learning_rate = 0.5  # type: ignore[misc]


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


def test_weight_decay_shrinks_each_weight_by_its_share() -> None:
    """AdamW subtracts learning rate x decay x weight on top of Adam's step; none unless told."""
    plain, decayed = trainer(), trainer(weight_decay=0.5)
    before = weights(plain)
    state = next(plain.steps())
    next(decayed.steps())
    after, shrunk = weights(plain), weights(decayed)
    for name, weight in before.items():
        lost = after[name] - shrunk[name]
        torch.testing.assert_close(lost, state.learning_rate * 0.5 * weight, rtol=0, atol=1e-6)


def test_a_network_that_was_only_looked_at_trains_with_dropout_again() -> None:
    training = trainer()
    training.net.eval()
    next(training.steps())
    assert training.net.training
    drawing = training.model()
    assert not drawing.net.training
    assert drawing.config == training.model_config
    assert drawing.class_names == ("left", "right")
    assert torch.equal(drawing.schedule.beta, training.model_config.build_schedule().beta)


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_numbers_that_are_not_finite_end_the_training_before_the_weights_are_touched(
    broken: str,
) -> None:
    training = trainer()
    next(training.steps())
    if broken == "loss":
        training.net.head.bias.data.fill_(math.nan)
    else:
        training.net.head.bias.register_hook(lambda gradient: gradient * math.inf)
    before = everything(training)
    told = r"the loss is (nan|[0-9.]+), its gradient (nan|inf) at step 2: lower --learning-rate, or"
    with pytest.raises(TrainingError, match=told):
        next(training.steps())
    for name, tensor in everything(training).items():
        if not name.startswith("batches."):
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


def test_loop_ends_after_the_steps_asked_for() -> None:
    assert [s.step for s in trainer(steps=5).steps()] == [1, 2, 3, 4, 5]


def test_loss_at_the_start_is_the_mean_square_of_the_target() -> None:
    """The last layer is zero, so the loss is the mean of v^2, which is near 1 for eps."""
    model = ModelConfig(unet=MODEL.unet, side=8, target="eps")
    state = next(Trainer(model, config(batch_size=64), images(), "cpu").steps())
    assert state.loss == pytest.approx(1.0, abs=0.1)


def test_updates_are_those_of_a_loop_written_out() -> None:
    """The loss, its weight, clipping and Adam by their formulas; images, times and noise the same.

    Min-SNR weights the error of x_0 by min(SNR, 5); an error of v is larger by SNR + 1.
    """
    plan = config(flip=True, weighting="min_snr", clip_norm=0.1, label_dropout=0.5)
    training = Trainer(MODEL, plan, images(), "cpu")
    net, drawn, draw_one = copy.deepcopy(training.net), [], training._draw
    training._draw = lambda shape: drawn.append(draw_one(shape)) or drawn[-1]  # type: ignore[func-returns-value, method-assign]
    states = [*islice(training.steps(), 3)]
    batches, alpha_bar = Batches(images(), 8, seed=0, flip=True), training.schedule.alpha_bar
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in net.parameters()]
    for (t, eps, dropped), state in zip(drawn, states, strict=True):
        x_0, labels = next(batches)
        a = alpha_bar[t - 1].float()[:, None, None, None]  # (B, 1, 1, 1)
        out = net(a.sqrt() * x_0 + (1 - a).sqrt() * eps, t, torch.where(dropped, 2, labels))
        error = (out - a.sqrt() * eps + (1 - a).sqrt() * x_0).square().mean(dim=(1, 2, 3))  # (B,)
        snr = (a / (1 - a)).flatten()
        loss = (snr.clamp(max=5) / (snr + 1) * error).mean()
        gradients = torch.autograd.grad(loss, [*net.parameters()])
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        assert (state.loss, state.grad_norm) == pytest.approx((loss.item(), norm.item()), rel=1e-3)
        with torch.no_grad():
            for p, g, (m, v) in zip(net.parameters(), gradients, moments, strict=True):
                short = g * min(1.0, 0.1 / norm.item())
                m.mul_(0.9).add_(0.1 * short)
                v.mul_(0.999).add_(0.001 * short**2)
                step = m / (1 - 0.9**state.step)
                p -= state.learning_rate * step / ((v / (1 - 0.999**state.step)).sqrt() + 1e-8)
    assert norm > 0.1  # else nothing would have been clipped
    for ours, theirs in zip(training.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("flip", "mirrored"), [(True, {True, False}), (False, {False})])
def test_images_are_mirrored_where_asked(flip: bool, mirrored: set[bool]) -> None:
    """Those of class 0 are bright on the left, the others on the right."""
    x_0, labels = next(trainer(flip=flip).batches)
    assert {*((x_0[:, 0, 0, 0] > 0) != (labels == 0)).tolist()} == mirrored


def test_what_nobody_asks_for_is_not_done() -> None:
    """A digit in a mirror is no digit; and the defaults can be trained with."""
    c = TrainConfig()
    assert (c.flip, c.compile, c.holdout, c.weight_decay, c.accumulate) == (False, False, 0, 0, 1)
    assert (c.times, c.weighting, c.precision, c.seed) == ("uniform", "simple", "auto", 0)
    assert 0 < c.warmup_steps < c.steps
    assert 0 < c.ema_decay < 1
    assert 0 < c.learning_rate < 0.01
    assert c.clip_norm == 1


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


def test_the_seed_decides_the_order_of_the_images() -> None:
    """Each picture is of one grey of its own; 8 of 64 are in a batch."""
    greys = torch.arange(64, dtype=torch.uint8)[:, None, None, None].expand(64, 1, 8, 8)
    pictures = replace(images(), pixels=greys.contiguous())
    batches = [
        next(Trainer(MODEL, config(seed=seed), pictures, "cpu").batches)[0] for seed in (0, 0, 1)
    ]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_accumulated_parts_give_the_gradient_of_one_batch_and_the_same_losses() -> None:
    """Images, times, noise and dropped labels are those of the whole batch, whatever its parts."""

    def gradient_and_losses(accumulate: int) -> tuple[torch.Tensor, list[float]]:
        training, fresh = (
            trainer(accumulate=accumulate, times="half_log", flip=True) for _ in range(2)
        )
        torch.manual_seed(5)
        torch.nn.init.normal_(training.net.head.weight)
        training._backward()
        grads = [p.grad.flatten() for p in training.net.parameters() if p.grad is not None]
        return torch.cat(grads), [state.loss for state in fresh.steps()]

    whole, losses = gradient_and_losses(1)
    for parts in (2, 8):
        gradient, other = gradient_and_losses(parts)
        assert float((gradient - whole).norm() / whole.norm()) < 1e-5
        assert other == pytest.approx(losses, abs=1e-5)


def test_batch_is_divided_by_the_accumulation() -> None:
    sizes = []
    training = trainer(accumulate=4)
    original = training._loss
    training._loss = lambda *all: (sizes.append(len(all[0])), original(*all))[1]  # type: ignore[method-assign, func-returns-value]
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


@pytest.mark.parametrize(("law", "share"), [("uniform", 0.1), ("half_log", 0.383)])
def test_the_law_of_the_times_is_the_one_asked_for(law: str, share: float) -> None:
    """Of 1,000 times the first 100: a tenth, or for every second image log 101 / log 1000."""
    training = Trainer(MODEL, config(batch_size=64, times=law), images(), "cpu")
    drawn = []
    for training.step in range(200):
        drawn.append(training._draw(torch.Size((1, 1, 1)))[0])
    assert training.schedule.T == 1000
    found = (torch.cat(drawn) <= 100).double().mean().item()
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / 12_800) ** 0.5)


def test_half_of_the_times_are_small_ones_in_parts_of_one_image_too() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (1, 3):
        parts = [draw_times(1000, size, "half_log", generator, size * k) for k in range(3000)]
        mean, n = float(torch.cat(parts).double().mean()), 3000 * size
        # (1 + T) / 2 for one half, and for the other the sum of t log(1 + 1/t) / log T
        small = sum(t * math.log1p(1 / t) for t in range(1, 1000)) / math.log(1000)
        assert mean == pytest.approx((500.5 + small) / 2, abs=4 * 290 / n**0.5)


@pytest.mark.parametrize("first", [0, 1, 7])
def test_the_second_ones_are_those_of_odd_number(first: int) -> None:
    """Of the times 1 and 2 the second law gives the 1 alone."""
    t = draw_times(2, 101, "half_log", torch.Generator().manual_seed(0), first)
    odd = (torch.arange(101) + first) % 2 == 1
    assert set(t[odd].tolist()) == {1}
    assert set(t[~odd].tolist()) == {1, 2}


def test_images_are_counted_over_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that in batches of an odd size not always the same ones draw their time by one law."""
    seen: list[int] = []

    def spy(T: int, n: int, law: str, generator: torch.Generator, first: int) -> torch.Tensor:
        seen.extend(range(first, first + n))
        return torch.ones(n, dtype=torch.int64)

    monkeypatch.setattr("ddpm_lite.train.draw_times", spy)
    for _ in islice(trainer(accumulate=4, times="half_log").steps(), 2):
        continue
    assert seen == list(range(16))


def test_processes_share_the_random_numbers_of_one() -> None:
    """Process `rank` takes the images rank, rank + processes, ..., and the numbers of these."""
    alone = trainer()._draw(torch.Size((1, 8, 8)))
    for rank in range(4):
        one = trainer()
        one.rank, one.processes = rank, 4
        for part, whole in zip(one._draw(torch.Size((1, 8, 8))), alone, strict=True):
            assert len(part) == 2
            assert torch.equal(part[0], whole[rank])
            assert torch.equal(part[1], whole[rank + 4])


def test_each_process_gets_every_second_image_of_the_batch_of_one() -> None:
    options = {"seed": 3, "flip": True, "accumulate": 2}
    alone = trainer(**options)
    ranks = [one_of_two(rank, **options) for rank in (0, 1)]
    for _ in range(10):
        for whole, *parts in zip(*(next(one.batches) for one in (alone, *ranks)), strict=True):
            assert len(whole) == 8
            for rank, part in enumerate(parts):
                assert torch.equal(part, whole[rank::2])
    other = next(trainer(seed=4, flip=True).batches)[0]
    assert not torch.equal(other, next(trainer(**options).batches)[0])


def test_two_processes_have_the_loss_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each adds its own to what the other has, and takes the mean."""
    expected, own = float(trainer()._backward()), list[float]()
    for rank in (0, 1):
        training = one_of_two(rank, accumulate=2)
        monkeypatch.setattr(
            "ddpm_lite.train.dist.all_reduce", lambda total: own.append(float(total))
        )
        assert float(training._backward()) == pytest.approx(own[-1] / 2)
    assert sum(own) / 2 == pytest.approx(expected)


def test_gradients_are_shared_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """DistributedDataParallel sends them in the backward pass of the last part, and in no other."""
    training, synced = one_of_two(0, accumulate=4), list[bool]()
    assert isinstance(training.shared, Shared)
    loss = training._loss
    monkeypatch.setattr("ddpm_lite.train.dist.all_reduce", lambda total: None)

    def spy(*inputs: torch.Tensor) -> torch.Tensor:
        synced.append(training.shared.require_backward_grad_sync)  # type: ignore[union-attr]
        return loss(*inputs)

    monkeypatch.setattr(training, "_loss", spy)
    training._backward()
    assert synced == [False, False, False, True]


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 9 cannot be shared by 2 processes in 3 parts"):
        one_of_two(0, batch_size=9, accumulate=3)


def test_times_and_noise_are_drawn_from_seeds_of_their_own() -> None:
    """Two generators with one seed would make large noise and late times come together."""
    training, seeds = trainer(), set[int]()
    for training.step in range(5):
        training._draw(torch.Size((1, 8, 8)))
        seeds |= {training.times.initial_seed(), training.noise.initial_seed()}
    assert len(seeds) == 10


def test_what_is_drawn_follows_from_the_seed_and_the_step_alone() -> None:
    training, shape = trainer(label_dropout=0.5), torch.Size((1, 8, 8))
    before = torch.get_rng_state()
    first = training._draw(shape)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    for one, other in zip(first, training._draw(shape), strict=True):
        assert torch.equal(one, other)


def test_a_session_with_another_default_device_draws_the_same_numbers() -> None:
    training, shape = trainer(times="half_log"), torch.Size((1, 8, 8))

    def drawn() -> list[torch.Tensor]:
        alone = [*training._draw(shape), training._backward()]
        training.processes = 2
        return [*alone, training._tensors()["batches.place"]]

    expected = drawn()
    training = trainer(times="half_log")
    with default("meta"):
        for ours, wanted in zip(drawn(), expected, strict=True):
            assert torch.equal(ours, wanted)


def test_the_device_is_the_one_asked_for_or_else_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    best = torch.device("cpu")
    monkeypatch.setattr("ddpm_lite.train.best_device", lambda: asked.append("best") or best)
    assert trainer().device == best
    assert asked == []
    assert Trainer(MODEL, config(), images()).device == best
    assert asked == ["best"]


def test_a_network_with_classes_gets_the_labels_of_its_images() -> None:
    training, seen = trainer(label_dropout=0.0), list[torch.Tensor]()
    training.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    next(training.steps())
    assert torch.equal(seen[0], next(trainer(label_dropout=0.0).batches)[1])


def test_a_network_without_classes_gets_no_labels() -> None:
    model = replace(MODEL, unet=replace(MODEL.unet, classes=0))
    training, seen = Trainer(model, config(), images(), "cpu"), list[Any]()
    training.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    next(training.steps())
    assert seen == [None]


def test_each_step_draws_other_numbers() -> None:
    training, drawn = trainer(), []
    for training.step in range(3):
        drawn.append(training._draw(torch.Size((1, 8, 8)))[1])
    correlations = torch.corrcoef(torch.stack(drawn).flatten(1)) - torch.eye(3)
    assert float(correlations.abs().max()) < 4 / drawn[0].numel() ** 0.5


def test_dropout_follows_the_seed_and_leaves_the_readers_random_numbers_alone() -> None:
    model = ModelConfig(unet=replace(MODEL.unet, dropout=0.5), side=8)
    losses = []
    for before in (1, 2):
        training = Trainer(model, config(), images(), "cpu")
        torch.manual_seed(before)
        wanted = torch.randn(3)
        torch.manual_seed(before)
        losses.append([state.loss for state in islice(training.steps(), 3)])
        assert torch.equal(torch.randn(3), wanted)
    assert losses[0] == losses[1]


def test_times_come_from_the_generator_given_and_images_count_from_0() -> None:
    def drawn(*first: int) -> list[int]:
        generator = torch.Generator().manual_seed(0)
        return draw_times(10**6, 40, "half_log", generator, *first).tolist()

    assert drawn() == drawn(0) != drawn(1)


def test_uniform_times_are_equally_likely() -> None:
    t = draw_times(4, 40_000, "uniform", torch.Generator().manual_seed(0))
    assert (t.bincount(minlength=5)[1:] / 40_000).tolist() == pytest.approx([0.25] * 4, abs=0.01)


def test_labels_are_dropped_as_often_as_asked() -> None:
    training, dropped = trainer(label_dropout=0.25), []
    for training.step in range(2500):
        dropped.append(training._draw(torch.Size((1, 1, 1)))[2])
    share = torch.cat(dropped).double().mean()
    assert float(share) == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 20_000) ** 0.5)


def test_a_dropped_label_is_the_one_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    training, seen = trainer(label_dropout=1.0), []
    original = training._loss
    monkeypatch.setattr(training, "_loss", lambda *all: (seen.append(all[3]), original(*all))[1])
    next(training.steps())
    assert torch.cat(seen).tolist() == [2] * 8


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


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)]
)
def test_convolutions_compute_in_the_precision_asked_for(
    precision: str, dtype: torch.dtype
) -> None:
    training, seen = trainer(precision=precision), set[torch.dtype]()
    training.net.stem.register_forward_hook(lambda _, inputs, out: seen.add(out.dtype))
    next(training.steps())
    assert seen == {dtype}


def test_bfloat16_trains_too() -> None:
    losses = [s.loss for s in trainer(precision="bfloat16").steps()]
    assert all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"accumulate": 0}, "at least 1"),
        ({"batch_size": 9, "accumulate": 2}, "multiple of accumulate"),
        ({"learning_rate": 0.0}, "learning_rate and clip_norm must be above 0"),
        ({"clip_norm": 0.0}, "learning_rate and clip_norm must be above 0"),
        ({"ema_decay": 1.0}, "ema_decay must lie"),
        ({"ema_decay": -0.1}, "ema_decay must lie"),
        ({"label_dropout": 1.1}, "label_dropout and cooldown"),
        ({"label_dropout": -0.1}, "label_dropout and cooldown"),
        ({"cooldown": 1.1}, "label_dropout and cooldown"),
        ({"cooldown": -0.1}, "label_dropout and cooldown"),
        ({"holdout": 1.0}, "holdout must lie"),
        ({"holdout": -0.1}, "holdout must lie"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"seed": 2**62}, "seed must lie between"),
        ({"weighting": "snr"}, "'snr' is not one of simple, min_snr, bound"),
        ({"times": "log"}, "'log' is not one of uniform, half_log"),
        ({"precision": "half"}, "'half' is not one of"),
        *[
            ({name: value}, f"{name} must be a finite number")
            for name in (
                "learning_rate",
                "clip_norm",
                "weight_decay",
                "ema_decay",
                "cooldown",
                "label_dropout",
            )
            for value in (math.nan, math.inf)
        ],
    ],
)
def test_unusable_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 1, "batch_size": 1, "accumulate": 1},
        {"ema_decay": 0.0, "label_dropout": 0.0, "cooldown": 0.0, "holdout": 0.0},
        {"label_dropout": 1.0, "cooldown": 1.0},
        {"weight_decay": 0.0, "warmup_steps": 0},
        {"learning_rate": 1e-300, "clip_norm": 1e-300},
        {"seed": 2**62 - 1},
    ],
)
def test_settings_at_their_limits_are_taken(change: dict[str, object]) -> None:
    assert {name: getattr(config(**change), name) for name in change} == change


def test_images_that_do_not_fit_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="made for"):
        Trainer(ModelConfig(unet=MODEL.unet, side=9), config(), images(), "cpu")
    one = UNetConfig(channels=(8,), groups=4, patch=2, classes=1)
    with pytest.raises(ValueError, match="classes"):
        Trainer(ModelConfig(unet=one, side=8), config(), images(), "cpu")


@pytest.mark.parametrize("other", [torch.float64, torch.bfloat16])
def test_the_sessions_default_dtype_changes_no_loss(other: torch.dtype) -> None:
    expected = [s.loss for s in trainer(steps=3, times="half_log").steps()]
    with default(other):
        assert [s.loss for s in trainer(steps=3, times="half_log").steps()] == expected


def test_the_network_is_compiled_before_it_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyTorch recommends: the compiler does not handle the wrapper well."""
    order: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda net: order.append("compiled"))

    def share(net: torch.nn.Module) -> torch.nn.Module:
        order.append("shared")
        return torch.nn.Sequential(net)

    monkeypatch.setattr("ddpm_lite.train.DistributedDataParallel", share)
    monkeypatch.setattr("ddpm_lite.train.world", lambda: (0, 2))
    training = trainer(compile=True)
    assert order == ["compiled", "shared"]
    assert training.parallel is training.shared


@pytest.mark.slow
def test_compiled_network_trains_as_the_plain_one_does() -> None:
    """On one level: two take the compiler more than twice as long."""
    model = replace(MODEL, unet=replace(MODEL.unet, channels=(8,)))
    plain, compiled = (
        Trainer(model, config(steps=3, compile=compiled), images(), "cpu")
        for compiled in (False, True)
    )
    expected = [s.loss for s in plain.steps()]
    assert [s.loss for s in compiled.steps()] == pytest.approx(expected, rel=1e-4)
