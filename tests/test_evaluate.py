"""Measurements: against closed forms, independent code, and the sums they estimate."""

import io
import math
import sys
from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from small import NoDouble, default
from small_judge import small_judge, spots
from torch import Tensor

from ddpm_lite import evaluate
from ddpm_lite.data import Images, mnist, to_float
from ddpm_lite.diffusion import Model, elbo
from ddpm_lite.evaluate import (
    EvaluationError,
    inception_fid,
    likelihood,
    sample_quality,
    stretches,
)
from ddpm_lite.frechet import frechet_floor
from ddpm_lite.schedule import NoiseSchedule, linear

# --- Quality of drawn digits ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Images:
    return mnist(train=True)


@pytest.mark.slow
def test_real_digits_are_near_the_floor(real: Images) -> None:
    # not the last 2000: the writers of MNIST are not shuffled, and each stretch has its own look
    chosen = torch.randperm(60_000, generator=torch.Generator().manual_seed(9))[:2000]
    quality = sample_quality(real.pixels[chosen], real.labels[chosen], seed=1)
    assert quality.n == sum(quality.class_counts) == 2000
    assert quality.frechet < 2 * quality.frechet_floor  # other writers, whom the classifier knows
    assert quality.confidence > 0.98
    assert quality.confident_share > 0.96
    assert quality.class_distance < 0.05
    assert quality.label_accuracy is not None
    assert quality.label_accuracy > 0.99


def test_noise_is_far_from_digits(real: Images) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (500, 1, 28, 28), generator=generator, dtype=torch.uint8)
    quality = sample_quality(noise)
    assert quality.frechet > 30 * quality.frechet_floor
    assert quality.label_accuracy is None
    assert quality.class_distance > 0.3


def test_a_little_noise_is_a_little_worse(real: Images) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = real.pixels[-1000:]
    noise = 40 * torch.randn(clean.shape, generator=generator)
    noisy = (clean + noise).clamp(0, 255).to(torch.uint8)
    assert sample_quality(noisy).frechet > 3 * sample_quality(clean).frechet


def test_one_digit_only_is_seen_in_the_class_balance(real: Images) -> None:
    ones = real.pixels[real.labels == 1][:100]
    quality = sample_quality(ones)
    assert quality.class_counts[1] > 95
    assert quality.class_distance == pytest.approx(0.9, abs=0.03)


@pytest.mark.slow
def test_the_floor_falls_with_n_and_depends_on_the_seed_alone(real: Images) -> None:
    floors = [sample_quality(real.pixels[:n], seed=3).frechet_floor for n in (100, 400, 1600)]
    assert floors[0] > floors[1] > floors[2] > 0
    again = sample_quality(real.pixels[5000:5400], seed=3)
    assert again.frechet_floor == floors[1]
    assert sample_quality(real.pixels[:400], seed=4).frechet_floor != floors[1]
    assert "128-d" in again.features


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(5, 1, 28, 28),
        torch.zeros(5, 28, 28, dtype=torch.uint8),
        torch.zeros(5, 3, 28, 28, dtype=torch.uint8),
        torch.zeros(5, 1, 32, 32, dtype=torch.uint8),
        torch.zeros(1, 1, 28, 28, dtype=torch.uint8),
    ],
)
def test_images_of_another_shape_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, 1, 28, 28\), not|can be judged, not 1$"):
        sample_quality(images)


def test_labels_must_be_as_many() -> None:
    images = torch.zeros(5, 1, 28, 28, dtype=torch.uint8)
    with pytest.raises(ValueError, match="labels"):
        sample_quality(images, torch.zeros(4))
    for wrong in (-1, 10):
        with pytest.raises(ValueError, match=r"labels must lie in 0\.\.9"):
            sample_quality(images, torch.tensor([0, 1, 2, 3, wrong]))


def test_the_floor_is_of_the_classes_that_were_asked_for() -> None:
    judge, drawn = small_judge(60), spots(12, 2)
    quality = sample_quality(drawn, torch.tensor(4 * [0, 2, 2]), judge=judge)
    assert quality.frechet_floor == frechet_floor((4, 0, 8), judge=judge)
    assert quality.frechet_floor != frechet_floor(12, judge=judge)
    assert sample_quality(drawn, judge=judge).frechet_floor == frechet_floor(12, judge=judge)


# --- A judge whose every number is known ----------------------------------------------------------


def test_every_number_of_the_quality_is_the_one_by_hand() -> None:
    drawn, judge = spots(6, 2), small_judge()
    drawn[0], drawn[1], drawn[2] = 0, torch.tensor([255, 0]), torch.tensor([255, 255])
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    quality = sample_quality(drawn, labels, seed=5, judge=judge)
    x = drawn.flatten(1).numpy() / 127.5 - 1
    weights = np.exp(np.concatenate([4 * x, np.zeros((6, 1))], axis=1))
    share = weights / weights.sum(1, keepdims=True)
    taken = share.argmax(1)
    counts = [int((taken == k).sum()) for k in range(3)]
    assert quality.confidence == pytest.approx(share.max(1).mean(), rel=1e-5)
    assert quality.confident_share == (share.max(1) > 0.9).mean()
    assert 0 < quality.confident_share < 1
    assert quality.class_counts == tuple(counts)
    assert quality.class_distance == pytest.approx(sum(abs(c / 6 - 1 / 3) for c in counts) / 2)
    assert quality.label_accuracy == pytest.approx((taken == labels.numpy()).mean())
    assert 0 < quality.label_accuracy < 0.5
    assert (quality.n, quality.reference, quality.features, quality.seed) == (6, 8, "two pixels", 5)
    real = judge.real.pixels.flatten(1).numpy() / 127.5 - 1
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(real.T)).real
    gap = ((x.mean(0) - real.mean(0)) ** 2).sum()
    expected = gap + np.trace(np.cov(x.T) + np.cov(real.T) - 2 * root)
    assert quality.frechet == pytest.approx(expected, rel=1e-4)
    assert quality.frechet_floor == frechet_floor(6, 5, judge)


def test_a_quality_does_not_change_and_has_the_seed_0_unless_told() -> None:
    drawn, judge = spots(6, 2), small_judge()
    quality = sample_quality(drawn, judge=judge)
    assert quality == sample_quality(drawn, None, 0, judge)
    with pytest.raises(FrozenInstanceError):
        quality.frechet = 0.0  # type: ignore[misc]


def test_precision_looks_at_as_many_real_as_drawn_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(drawn: Tensor, real: Tensor) -> tuple[float, float]:
        seen.append((drawn, real))
        return 0.25, 0.75

    monkeypatch.setattr(evaluate, "precision_recall", spy)
    judge = small_judge()
    for n, seed in ((4, 0), (4, 1), (12, 0)):
        quality = sample_quality(spots(n, 2), seed=seed, judge=judge)
        assert (quality.precision, quality.recall) == (0.25, 0.75)
        drawn, real = seen[-1]
        assert len(drawn) == len(real) == min(n, 8)
        rows = {tuple(row) for row in judge.reference.tolist()}
        assert len({tuple(row) for row in real.tolist()} & rows) == min(n, 8)
    assert not torch.equal(seen[0][1], seen[1][1])  # the seed chooses
    few = sample_quality(spots(3, 2), judge=judge)  # of three none has a third neighbour
    assert (few.precision, few.recall) == (None, None)


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_draw(other: torch.dtype | str) -> None:
    judge = small_judge(200)
    drawn = judge.look(spots(60, 2)).features
    expected = evaluate._precision_recall(drawn, judge.reference, 3)
    with default(other):
        assert evaluate._precision_recall(drawn, judge.reference, 3) == expected


@pytest.mark.parametrize("n", [2, 60_000])
def test_as_few_and_as_many_images_as_can_be_judged(n: int) -> None:
    evaluate._check_drawn(torch.zeros(n, 1, 1, 2, dtype=torch.uint8), None, (1, 1, 2), 3)
    for beyond in (1, 60_001):
        with pytest.raises(ValueError, match=f"not {beyond}"):
            evaluate._check_drawn(
                torch.zeros(beyond, 1, 1, 2, dtype=torch.uint8), None, (1, 1, 2), 3
            )


# --- Likelihood ----------------------------------------------------------------------------------


def pixels(n: int) -> Tensor:
    """Grey levels near 128, so that they are about normal with mean 0 and deviation 0.2."""
    generator = torch.Generator().manual_seed(0)
    x = 127.5 + 127.5 * 0.2 * torch.randn(n, 1, 6, 6, generator=generator)
    return x.round().clamp(0, 255).to(torch.uint8)


def exact_model(schedule: NoiseSchedule, deviation: float = 0.2) -> Model:
    """E[x_0 | x_t] for independent pixels N(0, deviation^2): the best there is, in closed form."""

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        alpha_bar = schedule.at(schedule.alpha_bar, t, x_t)
        signal = alpha_bar * deviation**2
        return alpha_bar.sqrt() * deviation**2 / (signal + 1 - alpha_bar) * x_t

    return model


def full_sum(schedule: NoiseSchedule, x_0: Tensor, repeats: int) -> Tensor:
    """Mean terms, (T + 1,), with every time evaluated for every image."""
    generator = torch.Generator().manual_seed(7)
    model = exact_model(schedule)
    runs = [elbo(schedule, model, x_0, "x_0", generator=generator) for _ in range(repeats)]
    return torch.stack(runs).mean((0, 2))


def test_the_estimate_agrees_with_the_whole_sum() -> None:
    schedule, images = linear(60), pixels(64)
    whole = full_sum(schedule, to_float(images), repeats=6)
    estimates = [
        likelihood(schedule, exact_model(schedule), images, "x_0", n_times=7, exact=5, seed=seed)
        for seed in range(10)
    ]
    totals = torch.tensor([e.bits_per_dim for e in estimates], dtype=torch.float64)
    # the images are the same each time: the spread of the totals is that of times and noises alone
    tolerance = 4 * float(totals.std()) / math.sqrt(10) + 4e-3
    assert float(totals.mean()) == pytest.approx(float(whole.sum()), abs=tolerance)
    assert all(abs(e.bits_per_dim - float(whole.sum())) < 5 * e.stderr for e in estimates)
    distortion = sum(e.distortion for e in estimates) / 10
    assert distortion == pytest.approx(float(whole[0]), abs=0.02)
    assert estimates[0].prior == pytest.approx(float(whole[-1]), rel=1e-4)


def test_it_is_without_bias_however_the_times_are_cut() -> None:
    schedule, images = linear(50), pixels(400)
    model = exact_model(schedule)
    whole = likelihood(schedule, model, images, "x_0", exact=50)
    for exact, n_times in [(1, 1), (1, 7), (10, 3), (3, 100)]:
        cut = likelihood(schedule, model, images, "x_0", exact=exact, n_times=n_times)
        error = math.hypot(cut.stderr, whole.stderr)
        assert abs(cut.bits_per_dim - whole.bits_per_dim) < 4 * error


def test_the_bound_of_a_known_law_is_near_its_entropy() -> None:
    # with the best mean, and beta, nearly the best variance, the bound is not far above the entropy
    schedule, images = linear(400), pixels(200)
    bound = likelihood(schedule, exact_model(schedule), images, "x_0", "beta", n_times=40)
    entropy = math.log2(127.5 * 0.2 * math.sqrt(2 * math.pi * math.e))
    assert entropy - 4 * bound.stderr < bound.bits_per_dim < entropy + 0.2


def test_the_parts_make_up_the_whole() -> None:
    schedule, images = linear(60), pixels(10)
    parts = likelihood(schedule, exact_model(schedule), images, "x_0", n_times=7, exact=5)
    steps = [
        (last - first + 1) * mean
        for (first, last), mean in zip(parts.spans, parts.per_step, strict=True)
    ]
    assert sum(steps) + parts.prior == pytest.approx(parts.bits_per_dim, rel=1e-9)
    assert parts.rate + parts.distortion == pytest.approx(parts.bits_per_dim, rel=1e-9)
    assert parts.distortion == parts.per_step[0]
    assert (parts.n, parts.variance, parts.seed) == (10, "posterior", 0)


def test_what_an_estimate_does_unless_told() -> None:
    """Its signature in the API says so. T and N are such that one more would make a difference."""
    schedule, images = linear(120), pixels(251)[..., :2, :2]
    model = exact_model(schedule)
    told = likelihood(schedule, model, images, "x_0", "posterior", 60, 0, 250, 40)
    assert likelihood(schedule, model, images, "x_0") == told
    assert len(told.spans) == 100
    with pytest.raises(FrozenInstanceError):
        told.n = 1  # type: ignore[misc]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_screen_alone_and_wiped_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule, screen = linear(60), Screen()
    likelihood(schedule, exact_model(schedule), pixels(2), "x_0", n_times=1, exact=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", screen)
    likelihood(schedule, exact_model(schedule), pixels(2), "x_0", n_times=1, exact=1)
    lines = screen.getvalue().split("\r")
    assert any(line.startswith("likelihood: ") for line in lines)
    assert "".join(lines[-2:]).strip() == ""


def test_the_errors_of_the_terms_are_their_spread_over_sets_of_images() -> None:
    schedule = linear(60)
    sets = [
        likelihood(schedule, exact_model(schedule), images, "x_0", n_times=4, exact=3, seed=k)
        for k, images in enumerate(pixels(40 * 25).split(25))
    ]
    spread = torch.tensor([one.per_step for one in sets], dtype=torch.float64).std(0)
    told = torch.tensor([one.per_step_stderr for one in sets], dtype=torch.float64)
    ratio = spread / told.square().mean(0).sqrt()
    assert len(ratio) == 7
    assert ((ratio > 0.65) & (ratio < 1.5)).all()  # 40 sets: a spread is known to about a ninth
    totals = torch.tensor([one.bits_per_dim for one in sets]).std()
    whole = torch.tensor([one.stderr for one in sets]).square().mean().sqrt()
    assert 0.65 < float(totals / whole) < 1.5


def test_the_batch_size_does_not_bias_and_the_seed_decides() -> None:
    schedule, images = linear(60), pixels(30)
    model = exact_model(schedule)
    first = likelihood(schedule, model, images, "x_0", seed=1)
    assert likelihood(schedule, model, images, "x_0", seed=1) == first
    assert likelihood(schedule, model, images, "x_0", seed=2) != first
    small = likelihood(schedule, model, images, "x_0", seed=1, batch_size=7)
    assert small.bits_per_dim == pytest.approx(first.bits_per_dim, abs=3 * first.stderr)
    assert small.n == 30


@pytest.mark.parametrize("T", [1, 2, 39, 40, 41, 100, 1000])
@pytest.mark.parametrize("n_times", [1, 7, 60, 5000])
def test_stretches_cover_every_time_once(T: int, n_times: int) -> None:
    spans = stretches(T, 40, n_times)
    assert [t for first, last in spans for t in range(first, last + 1)] == list(range(1, T + 1))
    lengths = [last - first + 1 for first, last in spans[40:]]
    assert max(lengths, default=1) - min(lengths, default=1) <= 1
    assert len(lengths) == min(n_times, max(T - 40, 0))


def test_the_first_time_alone_stands_for_itself() -> None:
    for exact in (-1, 0, 1):
        assert stretches(10, exact, 1) == [(1, 1), (2, 10)]
    assert stretches(1, 0, 0) == [(1, 1)]


def test_no_stretch_for_the_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="n_times"):
        stretches(100, 40, 0)


def test_it_runs_on_a_device_without_float64() -> None:
    schedule, images = linear(60), pixels(4)
    expected = likelihood(schedule, exact_model(schedule), images, "x_0", n_times=3, exact=2)
    there = images.as_subclass(NoDouble)
    found = likelihood(schedule, exact_model(schedule), there, "x_0", n_times=3, exact=2)
    assert found == expected


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_estimate(other: torch.dtype | str) -> None:
    schedule, images = linear(60), pixels(4)
    expected = likelihood(schedule, exact_model(schedule), images, "x_0", n_times=3, exact=2)
    with default(other):
        found = likelihood(linear(60), exact_model(schedule), images, "x_0", n_times=3, exact=2)
    assert found == expected


def test_terms_are_computed_where_the_images_are() -> None:
    x_0, generator = to_float(pixels(3)).to("meta"), torch.Generator().manual_seed(0)
    term = evaluate._term(linear(60), lambda x, _: x, x_0, (1, 9), "x_0", "beta", generator)
    assert (term.shape, term.device) == ((3,), x_0.device)


def test_a_network_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        likelihood(linear(60), lambda x, _: x * math.nan, pixels(4), "x_0")


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 1, 6, 6),
        torch.zeros(4, 6, dtype=torch.uint8),
        torch.zeros(1, 1, 6, 6, dtype=torch.uint8),
    ],
)
def test_pixels_of_another_type_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="pixels must be"):
        likelihood(linear(60), lambda x, _: x, images, "x_0")


# --- Inception FID -------------------------------------------------------------------------------


def test_without_torch_fidelity_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(EvaluationError, match=r"pip install 'ddpm_lite\[fid\]'"):
        inception_fid(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))


def test_torch_fidelity_gets_both_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def calculate_metrics(**arguments: Any) -> dict[str, float]:
        seen.update(arguments)
        return {"frechet_inception_distance": 3.5}

    fake = SimpleNamespace(calculate_metrics=calculate_metrics)
    monkeypatch.setitem(sys.modules, "torch_fidelity", fake)
    drawn = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    real = Images(torch.ones(6, 3, 32, 32, dtype=torch.uint8), torch.zeros(6).long(), ("a",))
    monkeypatch.setattr(evaluate, "cifar10", lambda train: real if train else None)
    assert inception_fid(drawn) == 3.5
    assert (len(seen["input1"]), len(seen["input2"])) == (4, 6)
    assert torch.equal(seen["input2"][5], real.pixels[5])
    assert (seen["fid"], seen["cuda"]) == (True, torch.cuda.is_available())
    assert seen["verbose"] is False
    assert inception_fid("folder", drawn) == 3.5
    assert seen["input1"] == "folder"
    assert torch.equal(seen["input2"][3], drawn[3])
    assert len(seen["input2"]) == 4  # the reference, not CIFAR-10


@pytest.mark.parametrize(
    "images", [torch.zeros(4, 1, 32, 32, dtype=torch.uint8), torch.zeros(4, 3, 32, 32)]
)
def test_grey_images_and_floats_have_no_inception_fid(images: Tensor) -> None:
    with pytest.raises(ValueError, match="3, H, W"):
        inception_fid(images)
