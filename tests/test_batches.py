"""Batches: no image is missed or seen twice, ranks never meet, and a state goes on."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from small import default
from small_data import noise, numbered, one_line, save
from torch import Tensor

from ddpm_lite.data import Batches, DataError, folder, to_float, to_uint8


def first_pixels(batch: tuple[Tensor, Tensor]) -> list[int]:
    return to_uint8(batch[0])[:, 0, 0, 0].tolist()


def test_every_image_comes_once_an_epoch() -> None:
    batches = Batches(numbered(23), 5, seed=1)
    assert len(batches) == 4
    epochs = [[n for batch in islice(batches, 4) for n in first_pixels(batch)] for _ in range(3)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_labels_go_with_their_images() -> None:
    x_0, labels = next(Batches(numbered(20), 7))
    assert (x_0.dtype, x_0.shape, labels.dtype) == (torch.float32, (7, 1, 4, 4), torch.int64)
    assert labels.tolist() == [n % 3 for n in first_pixels((x_0, labels))]
    assert x_0.min() == -1
    assert x_0.max() <= 1


def test_the_seed_decides() -> None:
    draws = [first_pixels(next(Batches(numbered(50), 10, seed=seed))) for seed in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]


def test_batches_unless_told_are_those_of_one_process_and_the_seed_0() -> None:
    whole, told = Batches(noise(50), 10), Batches(noise(50), 10, "cpu", 0, False, 0, 1)
    for _ in range(7):
        for ours, theirs in zip(next(whole), next(told), strict=True):
            assert torch.equal(ours, theirs)


def test_batches_come_where_they_are_wanted() -> None:
    """`meta` is a device like others, but for numbers: it has none."""
    for flip in (False, True):
        x_0, labels = next(Batches(numbered(10), 4, "meta", flip=flip))
        assert x_0.device.type == labels.device.type == "meta"


def test_a_batch_may_be_one_image() -> None:
    batches = Batches(numbered(3), 1)
    assert sorted(n for batch in islice(batches, 3) for n in first_pixels(batch)) == [0, 1, 2]


@pytest.mark.parametrize("before", range(0, 13))
def test_resuming_gives_the_same_batches(before: int) -> None:
    running = Batches(noise(21), 5, seed=2, flip=True)
    for _ in range(before):
        next(running)
    saved = running.state_dict()
    assert {k: (v.dtype, v.device.type) for k, v in saved.items()} == {
        "generator": (torch.uint8, "cpu"),
        "place": (torch.int64, "cpu"),
    }
    resumed = Batches(noise(21), 5, seed=99, flip=True)
    resumed.load_state_dict(saved)
    for _ in range(10):
        for ours, theirs in zip(next(resumed), next(running), strict=True):
            assert torch.equal(ours, theirs)


def test_a_state_does_not_change_afterwards() -> None:
    batches = Batches(numbered(10), 2)
    saved = batches.state_dict()
    after = [first_pixels(next(batches)) for _ in range(20)]
    batches.load_state_dict(saved)
    assert [first_pixels(next(batches)) for _ in range(20)] == after


def test_a_state_of_another_set_is_refused() -> None:
    batches = Batches(numbered(40), 4)
    for _ in range(9):
        next(batches)
    with pytest.raises(DataError, match="does not fit"):
        Batches(numbered(10), 4).load_state_dict(batches.state_dict())
    with pytest.raises(DataError, match="does not fit"):
        Batches(numbered(40), 5).load_state_dict(batches.state_dict())


def test_ranks_never_meet_and_stay_in_step() -> None:
    ranks = [Batches(numbered(26), 4, seed=5, rank=rank, world_size=3) for rank in range(3)]
    assert [len(rank) for rank in ranks] == [2, 2, 2]
    for _ in range(4):
        epoch = [n for rank in ranks for batch in islice(rank, 2) for n in first_pixels(batch)]
        assert len(set(epoch)) == len(epoch) == 24
    assert [len(Batches(numbered(11), 1, rank=rank, world_size=3)) for rank in range(3)] == [3] * 3
    states = [rank.state_dict() for rank in ranks]
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_flips_mirror_about_half_left_to_right() -> None:
    images = noise(200)
    x_0, labels = next(Batches(images, 200, flip=True))
    plain = to_float(images.pixels[labels])
    same = (x_0 == plain).flatten(1).all(1)
    mirrored = (x_0 == plain.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 70 < int(mirrored.sum()) < 130


def test_flips_are_drawn_anew_each_epoch() -> None:
    images = noise(64)
    batches = Batches(images, 64, flip=True)

    def mirrored() -> list[bool]:
        x_0, labels = next(batches)
        flags = (x_0 != to_float(images.pixels[labels])).flatten(1).any(1)
        return flags[labels.argsort()].tolist()

    assert mirrored() != mirrored()


def test_without_flip_nothing_is_mirrored() -> None:
    images = noise(64)
    x_0, labels = next(Batches(images, 64))
    assert torch.equal(x_0, to_float(images.pixels[labels]))


@pytest.mark.parametrize(("batch_size", "rank", "processes"), [(0, 0, 1), (1, -1, 1), (1, 2, 2)])
def test_batches_of_nothing_and_for_nobody_are_refused(
    batch_size: int, rank: int, processes: int
) -> None:
    told = f"batch_size={batch_size}, rank={rank}, world_size={processes}"
    with pytest.raises(ValueError, match=told):
        Batches(numbered(10), batch_size, rank=rank, world_size=processes)


def test_a_set_that_fills_one_batch_is_enough() -> None:
    ranks = [Batches(numbered(10), 5, rank=rank, world_size=2) for rank in (0, 1)]
    for _ in range(3):
        assert sorted(n for rank in ranks for n in first_pixels(next(rank))) == list(range(10))


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_batch(other: torch.dtype | str, tmp_path: Path) -> None:
    images = numbered(20)
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "2.png")

    def seen() -> list[Tensor]:
        batches = Batches(images.split(0.2)[0], 5, seed=3, flip=True)
        batches.load_state_dict(batches.state_dict())
        return [*next(batches), batches.state_dict()["place"], folder(tmp_path, 2).labels]

    expected = seen()
    with default(other):
        for ours, wanted in zip(seen(), expected, strict=True):
            assert torch.equal(ours, wanted)


def test_a_set_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(DataError, match="smaller batch") as error:
        Batches(numbered(10), 6, rank=1, world_size=2)
    one_line(error)
