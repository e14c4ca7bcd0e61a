"""Data sets by name: MNIST is the original, colours are the same each time."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from small_data import idx, one_line, save

from ddpm_lite import data
from ddpm_lite.colouring import paint
from ddpm_lite.data import DataError, folder, load, mnist

ORIGINALS = {
    (True, "images"): (
        "6bbc9ace898e44ae57da46a324031adb",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (True, "labels"): (
        "a25bea736e30d166cdddb491f175f624",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (False, "images"): (
        "2646ac647ad5339dbf082846283269ea",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (False, "labels"): (
        "27ae3e4e09519cfbb04c329615203637",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


@pytest.mark.parametrize("train", [True, False])
def test_mnist_is_the_original_byte_for_byte(train: bool) -> None:
    images = mnist(train)
    for name, tensor in {"images": images.pixels[:, 0], "labels": images.labels}.items():
        raw = idx(tensor.numpy())
        md5, sha256 = ORIGINALS[train, name]
        assert hashlib.md5(raw).hexdigest() == md5
        assert hashlib.sha256(raw).hexdigest() == sha256


def test_mnist_shapes() -> None:
    images = mnist(train=False)
    assert images.pixels.shape == (10_000, 1, 28, 28)
    assert images.pixels.is_contiguous()
    assert len(images) == 10_000
    assert images.class_names[3] == "3"


@pytest.mark.parametrize("keep", [0, 100, 200_000, 9_000_000])
def test_a_truncated_mnist_is_refused(
    keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "mnist.npz"
    damaged.write_bytes(data.MNIST_FILE.read_bytes()[:keep])
    monkeypatch.setattr(data, "MNIST_FILE", damaged)
    with pytest.raises(DataError, match="install ddpm_lite again") as error:
        mnist()
    assert str(damaged) in one_line(error)


def test_a_scrambled_mnist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray(data.MNIST_FILE.read_bytes())
    raw[2_000_000:2_001_000] = bytes(1000)
    damaged = tmp_path / "mnist.npz"
    damaged.write_bytes(raw)
    monkeypatch.setattr(data, "MNIST_FILE", damaged)
    with pytest.raises(DataError, match="damaged"):
        mnist()


def test_a_missing_mnist_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MNIST_FILE", tmp_path / "mnist.npz")
    with pytest.raises(DataError, match=r"mnist\.npz: .* \(No such file or directory\); install"):
        mnist()


def test_a_pickle_in_the_place_of_mnist_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "mnist.npz"
    np.savez(foreign, x_train=np.array([{}], dtype=object), y_train=np.zeros(1))
    monkeypatch.setattr(data, "MNIST_FILE", foreign)
    with pytest.raises(DataError, match="damaged"):
        mnist()


def test_load(tmp_path: Path) -> None:
    save(tmp_path / "one.png")
    assert len(load("mnist", train=False)) == 10_000
    assert load(str(tmp_path), side=6, channels=1).pixels.shape == (1, 1, 6, 6)


def test_load_finds_each_set_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.NAMES == ("mnist", "coloured_mnist", "fashion_mnist", "cifar10")
    for name in data.NAMES:
        monkeypatch.setattr(data, name, lambda train, name=name: (name, train))
        assert load(name) == (name, True)
        assert load(name, train=False) == (name, False)


def test_a_folder_is_made_into_32_colour_pixels_unless_told(tmp_path: Path) -> None:
    save(tmp_path / "one.png")
    assert load(tmp_path).pixels.shape == folder(tmp_path, 32).pixels.shape == (1, 3, 32, 32)


def test_an_empty_name_is_no_folder() -> None:
    with pytest.raises(DataError, match="an empty name: no such data") as error:
        load("")
    one_line(error)


def test_load_of_nothing_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mnist, fashion_mnist, cifar10") as error:
        load(tmp_path / "nowhere")
    assert "nowhere" in one_line(error)


def test_the_parts_of_coloured_mnist_have_colours_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = mnist(train=False).subset(50)
    asked: list[bool] = []
    monkeypatch.setattr(data, "mnist", lambda train: asked.append(train) or few)  # type: ignore[func-returns-value]
    seen, unseen, again = (
        data.coloured_mnist(True),
        data.coloured_mnist(False),
        data.coloured_mnist(),
    )
    assert asked == [True, False, True]
    assert seen.pixels.shape == (50, 3, 28, 28)
    assert torch.equal(seen.pixels, again.pixels)
    assert not torch.equal(seen.pixels, unseen.pixels)
    for part, seed in ((seen, 0), (unseen, 1)):  # those that the shipped numbers were measured with
        assert torch.equal(part.pixels, paint(few.pixels, seed=seed))
    assert torch.equal(seen.labels, few.labels)
    assert seen.class_names == few.class_names
