"""The distance against closed forms and SciPy; its floor against new draws from a known law."""

import math
import re

import numpy as np
import pytest
import scipy.linalg
import torch
from small import NoDouble, default
from small_judge import TwoPixels, small_judge
from torch import Tensor

from ddpm_lite import frechet, judges
from ddpm_lite.data import Images, mnist
from ddpm_lite.frechet import (
    _by_shares,
    asked,
    floor_draws,
    frechet_distance,
    frechet_floor,
)

# --- Frechet distance ----------------------------------------------------------------------------


def features(n: int, d: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=generator, dtype=torch.float64)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return scale * (x @ mix) + seed


def test_frechet_of_diagonal_laws_is_the_closed_form() -> None:
    # the corners of a box have an exactly diagonal covariance
    corners = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1.0], dtype=torch.float64)])
    a, b = corners * torch.tensor([1.0, 2.0, 3.0]), corners * torch.tensor([4.0, 0.5, 0.0])
    b = b + torch.tensor([1.0, -2.0, 0.5])
    unbiased = 8 / 7
    expected = 1 + 4 + 0.25 + unbiased * ((4 - 1) ** 2 + (2 - 0.5) ** 2 + 3**2)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 10), (500, 40, 64), (30, 30, 2)])
def test_frechet_agrees_with_scipy(n: int, m: int, d: int) -> None:
    a, b = features(n, d, 0), features(m, d, 1, scale=1.5)
    cov_a, cov_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)


def test_frechet_of_two_numbers_from_two_numbers_is_the_closed_form() -> None:
    """(mean_a - mean_b)^2 + (deviation_a - deviation_b)^2, in one dimension."""
    a, b = torch.tensor([[0.1], [0.3]]), torch.tensor([[0.4], [0.8]])
    gap = (0.3 - 0.1) / math.sqrt(2) - (0.8 - 0.4) / math.sqrt(2)  # the mean of squares, unbiased
    assert frechet_distance(a, b) == pytest.approx((0.2 - 0.6) ** 2 + gap**2, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "d"), [(100, 128), (128, 128), (300, 128), (50, 768)])
def test_frechet_of_a_set_that_is_moved_is_the_way_squared(n: int, d: int) -> None:
    """Where the covariance has no inverse too: dead features, and fewer rows than features."""
    generator = torch.Generator().manual_seed(3)
    a = 5 * torch.randn(n, d, generator=generator, dtype=torch.float64)
    a[:, ::4] = 0
    assert frechet_distance(a, a) < 1e-9
    assert frechet_distance(a, a + 1e-3) == pytest.approx(d * 1e-6, rel=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 7, 40), (40, 41, 40), (200, 30, 40), (60, 50, 40)])
def test_frechet_agrees_with_the_rows_themselves(n: int, m: int, d: int) -> None:
    """The trace of the root is the sum of the singular values of the product of centred rows."""
    a, b = features(n, d, 0).numpy().astype(float), features(m, d, 1).numpy().astype(float)
    rows = [(x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (a, b)]
    cross = scipy.linalg.svdvals(rows[0] @ rows[1].T).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() - 2 * cross
    expected += sum((x**2).sum() for x in rows)
    found = frechet_distance(torch.from_numpy(a), torch.from_numpy(b))
    assert found == pytest.approx(float(expected), rel=1e-9)


def test_it_runs_on_a_device_without_float64() -> None:
    a, b = (features(50, 4, seed).float().as_subclass(NoDouble) for seed in (0, 1))
    assert frechet_distance(a, b) == pytest.approx(
        frechet_distance(features(50, 4, 0), features(50, 4, 1)), rel=1e-4
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.zeros(5, 3), torch.zeros(5, 4)),
        (torch.zeros(5), torch.zeros(5, 3)),
        (torch.zeros(5, 3), torch.zeros(5)),
        (torch.zeros(1, 3), torch.zeros(5, 3)),
        (torch.zeros(5, 3), torch.zeros(1, 3)),
        (torch.full((5, 3), math.nan), torch.zeros(5, 3)),
        (torch.zeros(5, 3), torch.full((5, 3), math.inf)),
    ],
)
def test_frechet_refuses_what_has_no_law(a: Tensor, b: Tensor) -> None:
    with pytest.raises(ValueError, match="features must be"):
        frechet_distance(a, b)


# --- The floor -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_image_that_the_classifier_was_trained_on_is_in_the_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are nearer to it than new ones are."""
    asked: list[bool] = []
    monkeypatch.setattr(judges, "mnist", lambda train: asked.append(train) or mnist(train))  # type: ignore[func-returns-value]
    for cached in (frechet_floor, judges.digits):
        cached.cache_clear()
    frechet_floor(300)
    assert asked == [False]


@pytest.mark.slow
def test_the_floor_is_what_as_many_new_images_have() -> None:
    """Among training images, of which there are enough to try: a pool of 10,000, and others.

    Few images and many, by chance and evenly many of each class, in one test: judging all of them
    takes most of its time.
    """
    real = mnist(train=True)
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(3))
    known = Images(real.pixels[order[:10_000]], real.labels[order[:10_000]], real.class_names)
    judge = judges.find_judge(known)
    assert judge is not None
    rows, labels = judge.look(real.pixels[order[10_000:]]).features, real.labels[order[10_000:]]
    each = [torch.nonzero(labels == k).flatten()[:4000] for k in range(10)]
    evenly = torch.stack(each, 1).flatten()  # one of each class, again and again
    for n, sets in ((500, 20), (10_000, 4)):
        for counts, others in ((n, rows), (10 * (n // 10,), rows[evenly])):
            told = frechet_floor(counts, judge=judge)
            parts = others[: n * sets].split(n)
            found = torch.tensor([frechet_distance(part, judge.reference) for part in parts])
            error = float(found.std()) / math.sqrt(sets)
            assert told == pytest.approx(float(found.mean()), abs=4 * error + 0.05 * told), counts
            assert told < 2 * float(found.mean()), counts


def test_a_floor_needs_two_images() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        frechet_floor(1)


@pytest.mark.parametrize(("n", "a", "b"), [(2, 2, 6), (3, 3, 5), (4, 4, 4), (100, 4, 4)])
def test_the_floor_parts_all_real_images_anew_each_time(
    n: int, a: int, b: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its factor makes of the law of 1/a + 1/b that of 1/n + 1/N."""
    parts: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(frechet, "frechet_distance", lambda *two: parts.append(two) or 2.5)
    judge = small_judge()
    draws = floor_draws(n, 3, judge)
    factor = (1 / n + 1 / 8) / (1 / a + 1 / b)
    assert draws.dtype == torch.float64
    assert draws.tolist() == pytest.approx(20 * [2.5 * factor])
    whole = sorted(map(tuple, judge.reference.tolist()))
    for left, right in parts:
        assert (len(left), len(right)) == (a, b)
        assert sorted(map(tuple, torch.cat([left, right]).tolist())) == whole
    assert len({tuple(left.flatten().tolist()) for left, _ in parts}) > 5


def test_a_floor_needs_four_real_images() -> None:
    assert len(floor_draws(2, judge=small_judge(4))) == 20
    for n, real in ((1, 4), (2, 3)):
        with pytest.raises(ValueError, match=f"not {n} and {real}"):
            floor_draws(n, judge=small_judge(real))


def test_a_floor_does_not_change_and_has_the_seed_0_unless_told() -> None:
    judge = small_judge(60)
    for n in (12, (4, 0, 8)):
        draws = floor_draws(n, 0, judge).tolist()
        assert floor_draws(n, judge=judge).tolist() == draws != floor_draws(n, 1, judge).tolist()
        assert frechet_floor(n, judge=judge) == pytest.approx(np.mean(draws), rel=1e-12)


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_draw(other: torch.dtype | str) -> None:
    judge = small_judge(60)
    judge.reference  # noqa: B018  computed before
    for n in (12, (4, 0, 8)):
        expected = floor_draws(n, 1, judge).tolist()
        with default(other):
            assert floor_draws(n, 1, judge).tolist() == expected


# --- The floor of classes ------------------------------------------------------------------------

PLACES = torch.tensor([[60.0, 60.0], [190.0, 60.0], [120.0, 200.0]])


def near(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A picture (n, 1, 1, 2) near the place of each class."""
    noise = 20 * torch.randn(len(labels), 2, generator=generator)
    return (PLACES[labels] + noise).clamp(0, 255).to(torch.uint8)[:, None, None]


def of_classes(*counts: int) -> Tensor:
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def judge_of(labels: Tensor, generator: torch.Generator) -> judges.Judge:
    real = Images(near(labels, generator), labels, ("left", "right", "below"))
    return judges.Judge("two pixels", TwoPixels(), real)


@pytest.mark.parametrize("counts", [(50, 50, 50), (400, 400, 400), (20, 10, 60)])
def test_the_floor_of_classes_is_what_new_images_with_these_classes_have(
    counts: tuple[int, ...],
) -> None:
    """Few and more than there are, evenly and not; over many sets of real images."""
    generator = torch.Generator().manual_seed(7)
    told, found = [], []
    for seed in range(40):
        judge = judge_of(of_classes(300, 120, 180), generator)
        told.append(frechet_floor(counts, seed, judge))
        for _ in range(20):
            fresh = judge.look(near(of_classes(*counts), generator)).features
            found.append(frechet_distance(fresh, judge.reference))
    assert np.mean(told) == pytest.approx(np.mean(found), rel=0.05)
    by_chance = frechet_floor(sum(counts), 0, judge)
    assert abs(np.mean(told) - np.mean(found)) < abs(by_chance - np.mean(found)) / 3


@pytest.mark.parametrize("n", [50, 400])
def test_where_the_shares_are_nearly_even_chance_is_most_of_the_floor(n: int) -> None:
    generator = torch.Generator().manual_seed(8)
    told, found = [], []
    for seed in range(100):
        judge = judge_of(of_classes(204, 198, 198), generator)
        told.append(frechet_floor((n, n, n), seed, judge))
        for _ in range(8):
            fresh = judge.look(near(of_classes(n, n, n), generator)).features
            found.append(frechet_distance(fresh, judge.reference))
        shares = _by_shares(judge.reference, judge.real.labels, torch.tensor([n, n, n]))
    assert shares < np.mean(told) / 4
    assert np.mean(told) == pytest.approx(np.mean(found), rel=0.12)


def test_where_the_classes_are_points_their_shares_are_all_of_the_distance() -> None:
    """Two points 1 apart: the squares of p - q and of the difference of their deviations."""
    pixels = torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(torch.tensor([300, 100]))
    labels = torch.tensor([0, 1]).repeat_interleave(torch.tensor([300, 100]))
    real = Images(torch.stack([pixels, pixels], -1)[:, None, None], labels, ("a", "b"))
    judge = judges.Judge("two pixels", TwoPixels(), real)  # 2 sqrt(2) apart
    deviations = math.sqrt(0.6 * 0.4) - math.sqrt(0.25 * 0.75)
    expected = 8 * ((0.6 - 0.25) ** 2 + deviations**2)
    assert frechet_floor((40_000, 60_000), 0, judge) == pytest.approx(expected, rel=0.02)
    assert frechet_floor((30_000, 10_000), 0, judge) < 1e-4


@pytest.mark.parametrize(
    ("counts", "sample", "rest"),
    [
        ((2, 2, 2), (2, 2, 2), (14, 7, 4)),  # two of six are taken: of each two thirds are left
        ((4, 2, 1), (4, 2, 1), (16, 8, 5)),
        ((0, 5, 0), (0, 5, 0), (10, 5, 3)),
        ((20, 10, 6), (10, 5, 3), (10, 5, 3)),  # all that there are: half of them
        ((40, 10, 6), (11, 2, 1), (9, 5, 3)),  # 36 / (56 + 36 * 2) of what is asked for
    ],
)
def test_the_parts_hold_the_classes_as_asked_and_as_there_are(
    counts: tuple[int, ...],
    sample: tuple[int, ...],
    rest: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = judge_of(of_classes(20, 10, 6), torch.Generator().manual_seed(1))
    named = {
        tuple(row): int(k)
        for row, k in zip(judge.reference.tolist(), judge.real.labels, strict=True)
    }
    seen: list[list[tuple[int, ...]]] = []

    def spy(a: Tensor, b: Tensor) -> float:
        rows = [[named[tuple(row)] for row in part.tolist()] for part in (a, b)]
        seen.append([tuple(part.count(k) for k in range(3)) for part in rows])
        return 1.0

    monkeypatch.setattr(frechet, "frechet_distance", spy)
    floor_draws(counts, 3, judge)
    assert seen == 20 * [[sample, rest]]


def test_a_class_without_real_images_has_no_floor() -> None:
    judge = judge_of(of_classes(20, 1, 0), torch.Generator().manual_seed(1))
    assert asked(of_classes(3, 0, 0), judge) == (3, 0, 0)
    for counts in ((3, 0, 1), (3, 1, 0)):  # none, and one that cannot be in both parts
        assert asked(of_classes(*counts), judge) == 4
        with pytest.raises(ValueError, match=r"real images \[20, 1, 0\] are too few of a class"):
            floor_draws(counts, 0, judge)


@pytest.mark.parametrize("counts", [(3, 3), (3, 3, 3, 3), (3, -1, 3)])
def test_other_numbers_than_there_are_classes_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=f"one for each of 3 classes, not {re.escape(str(counts))}"
    ):
        floor_draws(counts, 0, small_judge(60))
