"""Images in memory: types are checked, digests tell sets apart, splits lose nothing."""

import hashlib
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from small import default
from small_data import numbered
from torch import Tensor

from ddpm_lite.images import Images, as_images, reason, to_float, to_uint8


def test_to_uint8_undoes_to_float_for_every_level() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    x = to_float(levels)
    assert x.dtype == torch.float32
    assert x.min() == -1
    assert x.max() == 1
    assert torch.equal(to_uint8(x), levels)


def test_to_uint8_rounds_and_clamps() -> None:
    x = torch.tensor([-7.0, -1 + 0.4 / 127.5, -1 + 0.6 / 127.5, 1.01, 300.0])
    assert to_uint8(x).tolist() == [0, 0, 1, 255, 255]
    assert to_uint8(x).dtype == torch.uint8


def test_a_digest_tells_sets_apart_by_pixels_labels_shape_and_order() -> None:
    pixels = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(torch.uint8)
    labels = torch.tensor([0, 1])
    sets = [
        Images(pixels, labels, ("a", "b")),
        Images(pixels.flip(0), labels, ("a", "b")),
        Images(pixels.flip(0), labels.flip(0), ("a", "b")),
        Images(pixels, labels.flip(0), ("a", "b")),
        Images(pixels.reshape(2, 3, 2, 8), labels, ("a", "b")),
        Images(pixels.transpose(2, 3), labels, ("a", "b")),
        Images(pixels[:1], labels[:1], ("a", "b")),
    ]
    assert len({each.digest for each in sets}) == len(sets)
    assert Images(pixels.clone(), labels.clone(), ("c", "d")).digest == sets[0].digest
    known = hashlib.sha256(b"(2, 3, 4, 4)" + pixels.numpy().tobytes() + labels.numpy().tobytes())
    assert sets[0].digest == known.hexdigest()


def test_subset() -> None:
    few = numbered(10).subset(4)
    assert len(few) == 4
    assert few.labels.tolist() == [0, 1, 2, 0]
    assert len(numbered(10).subset(1)) == 1
    assert len(numbered(10).subset(10)) == 10
    assert few.class_names == ("a", "b", "c")
    for n in (11, 0, -1):
        with pytest.raises(ValueError, match=f"{n} of 10"):
            numbered(10).subset(n)


@pytest.mark.parametrize("holdout", [0.1, 0.3, 0.5])
def test_a_split_parts_the_images_and_keeps_the_order(holdout: float) -> None:
    whole = numbered(100)
    seen, held = whole.split(holdout)
    assert len(held) == 100 * holdout
    numbers = [part.pixels[:, 0, 0, 0].tolist() for part in (seen, held)]
    assert sorted(numbers[0] + numbers[1]) == list(range(100))
    assert all(part == sorted(part) for part in numbers)
    assert (seen.labels == seen.pixels[:, 0, 0, 0] % 3).all()
    assert numbers[1] != list(range(numbers[1][0], numbers[1][0] + len(held)))  # at random
    # of any other draw a checkpoint that was trained before would know some
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0)).tolist()
    assert numbers[1] == sorted(order[: len(held)])
    assert seen.class_names == held.class_names == whole.class_names


def test_nothing_held_out_leaves_all() -> None:
    whole = numbered(10)
    seen, held = whole.split(0.0)
    assert (seen.digest, len(held)) == (whole.digest, 0)
    assert seen.pixels is whole.pixels  # 150 MB of CIFAR-10 are not held twice
    assert seen.class_names == held.class_names == whole.class_names
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="held out"):
            whole.split(share)


@pytest.mark.parametrize(
    ("pixels", "labels", "told"),
    [
        (torch.zeros(2, 1, 4, 4), [0, 0], r"uint8 \(N, C, H, W\), not float32 \(2, 1, 4, 4\)$"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), [0, 0], r"pixels .*, not uint8 \(2, 4, 4\)$"),
        (torch.zeros(2, 1, 4, 4).byte(), [0, 0, 0], r"labels .* \(2,\), not int64 \(3,\)$"),
        (torch.zeros(2, 1, 4, 4).byte(), [0.5, 0], r"labels .* int64 \(2,\), not float32 \(2,\)$"),
    ],
)
def test_images_of_another_type_are_refused(pixels: Tensor, labels: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Images(pixels, torch.tensor(labels), ("a",))


def test_images_are_not_replaced() -> None:
    with pytest.raises(FrozenInstanceError):
        numbered(2).pixels = torch.zeros(1)  # type: ignore[misc]


def test_what_was_read_becomes_images_of_its_own() -> None:
    """Bytes may not be written to; tensors may."""
    raw = bytes(range(32))
    pixels = np.frombuffer(raw, np.uint8).reshape(2, 1, 4, 4)
    made = as_images(pixels, np.array([1, 0], np.uint8), ("a", "b"))
    made.pixels[0] = 7
    assert made.pixels[0].unique().tolist() == [7]
    assert made.pixels[1].flatten().tolist() == list(range(16, 32))
    assert (made.labels.dtype, made.labels.tolist()) == (torch.int64, [1, 0])
    assert made.class_names == ("a", "b")
    assert raw == bytes(range(32))


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_split(other: torch.dtype | str) -> None:
    whole = numbered(20)
    expected = [part.digest for part in whole.split(0.2)]
    with default(other):
        assert [part.digest for part in whole.split(0.2)] == expected


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(2, "No such file or directory"), "No such file or directory"),
        (OSError("odd"), "OSError"),
        (ValueError("the hash is another"), "wrong SHA-256"),
        (ValueError("odd"), "ValueError"),
        (KeyError("hash"), "KeyError"),
        (RuntimeError("lzma module is not available"), "Python lacks lzma"),
    ],
)
def test_a_reason_is_told_in_a_few_words(error: Exception, told: str) -> None:
    assert reason(error) == told
