"""Precision and recall against a loop over all pairs, and sets whose answer is known."""

import pytest
import torch
from torch import Tensor

from ddpm_lite import precision_recall as module
from ddpm_lite.precision_recall import precision_recall


def by_hand(points: Tensor, others: Tensor, k: int) -> float:
    """The share of points that lie among the others, pair by pair."""
    inside = 0
    for point in points:
        for index, other in enumerate(others):
            gaps = sorted(float((o - other).norm()) for j, o in enumerate(others) if j != index)
            if float((point - other).norm()) <= gaps[k - 1]:
                inside += 1
                break
    return inside / len(points)


@pytest.mark.parametrize("k", [1, 3])
def test_it_is_what_all_pairs_say(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(30, 2, generator=generator) + 1
    real = torch.randn(41, 2, generator=generator)
    expected = by_hand(drawn, real, k), by_hand(real, drawn, k)
    assert min(expected) > 0.2
    assert max(expected) < 1
    assert precision_recall(drawn, real, k) == pytest.approx(expected)
    monkeypatch.setattr(module._share_among, "__defaults__", (7,))  # in parts that do not fit
    assert precision_recall(drawn, real, k) == pytest.approx(expected)


@pytest.mark.parametrize("away", [0.0, 100.0])
def test_features_that_are_nearly_equal_are_told_apart(away: float) -> None:
    """The points of a cloud that is small and far away; a product of matrices rounds it to one."""
    generator = torch.Generator().manual_seed(1)
    middle = away * torch.randn(1, 16, generator=generator)
    drawn, real = middle + 0.01 * torch.randn(2, 30, 16, generator=generator)
    expected = by_hand(drawn.double(), real.double(), 3), by_hand(real.double(), drawn.double(), 3)
    assert max(expected) < 0.95
    assert precision_recall(drawn, real) == expected


def test_a_picture_that_is_drawn_again_and_again_is_where_it_is() -> None:
    """Copies are at distance 0 from each other, and reach no other point."""
    real = 30 * torch.randn(60, 128, generator=torch.Generator().manual_seed(0))
    assert precision_recall(real[:10].repeat(6, 1), real) == (1.0, 1 / 6)


def test_one_kind_of_two_is_precise_and_recalls_half() -> None:
    generator = torch.Generator().manual_seed(0)
    here, there = torch.randn(2, 300, 5, generator=generator)
    precision, recall = precision_recall(here[:150], torch.cat([here[150:], there[150:] + 100]))
    assert precision > 0.6
    assert 0.3 < recall <= 0.5


@pytest.mark.parametrize("k", [-1, 0, 5])
def test_so_many_neighbours_there_are_not(k: int) -> None:
    with pytest.raises(ValueError, match="neighbours need"):
        precision_recall(torch.zeros(5, 2), torch.zeros(5, 2), k)


@pytest.mark.parametrize(
    ("drawn", "real"),
    [((5, 3), (5, 4)), ((5,), (5,)), ((3, 2), (9, 2)), ((9, 2), (3, 2))],
)
def test_what_has_no_neighbours_is_refused(drawn: tuple[int, ...], real: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"features must be|neighbours need"):
        precision_recall(torch.zeros(drawn), torch.zeros(real))
