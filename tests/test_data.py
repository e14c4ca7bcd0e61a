"""Data: what is read is what was stored, what is damaged is refused, batches miss nothing."""

import gzip
import hashlib
import io
import os
import re
import struct
import sys
import tarfile
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from itertools import islice
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
import torch
from PIL import Image, PngImagePlugin, features
from small import default
from torch import Tensor

from ddpm_lite import data
from ddpm_lite.colouring import paint
from ddpm_lite.data import Batches, DataError, Images, folder, load, mnist, to_float, to_uint8


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes, as LeCun's page describes it."""
    sides = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.astype(np.uint8).tobytes()


# --- uint8 and float -----------------------------------------------------------------------------


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


# --- MNIST ---------------------------------------------------------------------------------------

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


# --- Images --------------------------------------------------------------------------------------


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


def numbered(n: int, classes: int = 3, side: int = 4) -> Images:
    """Images whose first pixel is their number."""
    pixels = torch.zeros(n, 1, side, side, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(n)
    return Images(pixels, torch.arange(n) % classes, tuple("abc"))


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


def test_images_and_checksums_are_not_replaced() -> None:
    with pytest.raises(FrozenInstanceError):
        numbered(2).pixels = torch.zeros(1)  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        data.CIFAR10_FILE.sha256 = ""  # type: ignore[misc]


def test_classes_have_the_names_that_their_makers_gave_them() -> None:
    """Of CIFAR-10 in the order of the alphabet; of Fashion-MNIST as its README lists them."""
    names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"}
    assert tuple(sorted(names | {"truck"})) == data.CIFAR10
    fashion = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    assert tuple(fashion.split(",")) == data._FASHION


# --- Downloads -----------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Internet:
    """Stands in for pooch's downloader: serves a few addresses, and refuses the others."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def __call__(self, address: str, output_file: str, *_: object, **__: object) -> None:
        self.asked.append(address)
        if address not in self.pages:
            raise requests.exceptions.ConnectionError("no route\nto host")
        Path(output_file).write_bytes(self.pages[address])


def connect(monkeypatch: pytest.MonkeyPatch, pages: dict[str, bytes]) -> Internet:
    internet = Internet(pages)
    monkeypatch.setattr(
        pooch.HTTPDownloader, "__call__", lambda _, *args, **kw: internet(*args, **kw)
    )
    return internet


def source(content: bytes) -> data._Source:
    addresses = ("http://first.example/file", "http://second.example/file")
    return data._Source("file.bin", hashlib.sha256(content).hexdigest(), addresses)


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    internet = connect(monkeypatch, {})
    with pytest.raises(DataError) as error:
        data.cifar10()
    text = one_line(error)
    assert all(address in text for address in data.CIFAR10_FILE.addresses)
    assert str(cache) in text
    assert "by hand" in text
    assert ": it could not be downloaded from" in text
    assert internet.asked == list(data.CIFAR10_FILE.addresses)


@pytest.mark.parametrize("train", [True, False])
def test_what_is_fetched_is_named_as_at_its_addresses(train: bool) -> None:
    sources = {"cifar-10-binary.tar.gz": data.CIFAR10_FILE}
    for kind, one in zip(("images-idx3", "labels-idx1"), data.FASHION_FILES[train], strict=True):
        sources[f"{'train' if train else 't10k'}-{kind}-ubyte.gz"] = one
    for name, one in sources.items():
        assert one.name.endswith(name)
        assert re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert len(one.addresses) > 1
        for address in one.addresses:
            assert re.fullmatch(rf"https?://[a-z0-9.-]+/([\w.~-]+/)*{re.escape(name)}", address)
    assert len({one.sha256 for one in sources.values()}) == len(sources)


def test_downloads_are_kept_in_the_systems_cache_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DDPM_LITE_CACHE", "~/kept")
    assert data.cache_folder() == Path.home() / "kept"
    monkeypatch.delenv("DDPM_LITE_CACHE")
    assert data.cache_folder() == Path(pooch.os_cache("ddpm_lite"))


def test_a_download_shows_how_far_it_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []

    def get(loader: pooch.HTTPDownloader, address: str, output_file: str, *_: object) -> None:
        shown.append(loader.progressbar)
        Path(output_file).write_bytes(b"good")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", get)
    data._fetch(source(b"good"))
    assert shown == [True]


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
    assert data._reason(error) == told


def test_the_second_host_is_asked_when_the_first_fails(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, {"http://second.example/file": b"good"})
    assert data._fetch(source(b"good")).read_bytes() == b"good"
    assert [file.name for file in cache.iterdir()] == ["file.bin"]


def test_a_short_download_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, {"http://first.example/file": b"goo"})
    with pytest.raises(DataError, match="wrong SHA-256"):
        data._fetch(source(b"good"))
    assert list(cache.iterdir()) == []


def test_a_short_download_sends_on_to_the_second_host(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"http://first.example/file": b"goo", "http://second.example/file": b"good"}
    connect(monkeypatch, pages)
    assert data._fetch(source(b"good")).read_bytes() == b"good"


def test_a_damaged_file_in_the_cache_is_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"go")
    connect(monkeypatch, {"http://first.example/file": b"good"})
    assert data._fetch(source(b"good")).read_bytes() == b"good"


def test_a_damaged_file_in_the_cache_is_reported_without_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"go")
    connect(monkeypatch, {})
    with pytest.raises(DataError, match="damaged") as error:
        data._fetch(source(b"good"))
    assert "ConnectionError" in one_line(error)


def test_a_file_put_there_by_hand_needs_no_network(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"good")
    assert data._fetch(source(b"good")) == cache / "file.bin"
    assert connect(monkeypatch, {}).asked == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DDPM_LITE_CACHE", str(tmp_path / "file" / "cache"))
    connect(monkeypatch, {"http://first.example/file": b"good"})
    with pytest.raises(DataError, match="DDPM_LITE_CACHE"):
        data._fetch(source(b"good"))


# --- Formats -------------------------------------------------------------------------------------


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def record(label: int, red: int, green: int, blue: int) -> bytes:
    return bytes([label]) + bytes([red] * 1024) + bytes([green] * 1024) + bytes([blue] * 1024)


@pytest.fixture
def tiny_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    members = {"readme.html": b"hello", "test_batch.bin": record(9, 1, 2, 3)}
    for i in (3, 1, 2, 5, 4):  # the archive need not be in order
        members[f"data_batch_{i}.bin"] = record(i, 10 * i, 0, 0) + record(0, i, 255, 7)
    path = make_tar(tmp_path / "cifar.tar.gz", members)
    monkeypatch.setattr(data, "_fetch", lambda _: path)
    return path


def test_cifar10_is_read_from_its_archive(tiny_cifar: Path) -> None:
    train, test = data.cifar10(train=True), data.cifar10(train=False)
    assert train.pixels.shape == (10, 3, 32, 32)
    assert train.labels.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert train.pixels[4, :, 31, 0].tolist() == [30, 0, 0]
    assert train.pixels[5, :, 0, 31].tolist() == [3, 255, 7]
    assert test.labels.tolist() == [9]
    assert test.class_names[9] == "truck"
    assert sorted(path.name for path in tiny_cifar.parent.iterdir()) == ["cifar.tar.gz"]


def test_rows_of_cifar10_stay_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = bytes(row for row in range(32) for _ in range(32))
    path = make_tar(tmp_path / "cifar.tar.gz", {"test_batch.bin": bytes([0]) + 3 * rows})
    monkeypatch.setattr(data, "_fetch", lambda _: path)
    pixels = data.cifar10(train=False).pixels
    assert pixels[0, 1, :, 5].tolist() == list(range(32))


def test_a_truncated_idx_is_refused_at_every_length(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.gz", idx(np.zeros((2, 3, 4)))
    for length in range(len(whole)):
        path.write_bytes(gzip.compress(whole[:length]))
        with pytest.raises(DataError, match="damaged"):
            data._read_idx(path)
    path.write_bytes(gzip.compress(whole))
    assert data._read_idx(path).shape == (2, 3, 4)


def test_a_file_may_unpack_to_the_limit_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = tmp_path / "x.gz", idx(np.ones((2, 3, 4)))
    path.write_bytes(gzip.compress(whole))
    monkeypatch.setattr(data, "_LARGEST", len(whole))
    assert data._read_idx(path).tolist() == np.ones((2, 3, 4)).tolist()
    monkeypatch.setattr(data, "_LARGEST", len(whole) - 1)
    with pytest.raises(DataError, match="unpacks to more"):
        data._read_idx(path)


def test_an_archive_that_was_packed_twice_is_refused(tmp_path: Path) -> None:
    """What it unpacks to the second time has been held against nothing."""
    path = make_tar(tmp_path / "x", {"a": record(1, 2, 3, 4)})
    assert data._read_cifar(path, ["a"])[1].tolist() == [1]
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        data._read_cifar(path, ["a"])


def peak(of: Callable[[], object]) -> int:
    """The most bytes that Python held meanwhile."""
    tracemalloc.start()
    try:
        of()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [data._read_idx, lambda path: data._read_cifar(path, ["a"])])
def test_what_unpacks_to_too_much_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(data, "_LARGEST", 2**20)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(2**25)))

    def refused() -> None:
        with pytest.raises(DataError, match="unpacks to more"):
            read(tmp_path / "x.gz")

    assert peak(refused) < 2**23


def entry(name: str, kind: bytes, size: int, link: str = "") -> bytes:
    """The header of an archive's entry, that may claim anything."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "archive",
    [
        entry("a", tarfile.SYMTYPE, 0, link="a"),  # a ring
        entry("a", tarfile.LNKTYPE, 0, link="b"),
        entry("a", tarfile.REGTYPE, 2**40),
        entry("a", tarfile.GNUTYPE_SPARSE, 2**40),
        entry("a", tarfile.XHDTYPE, 2**40),
        entry("a", tarfile.GNUTYPE_LONGNAME, 2**40),
        entry("a", tarfile.DIRTYPE, 0),
    ],
)
def test_what_an_archive_claims_is_held_against_what_is_there(
    tmp_path: Path, archive: bytes
) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(archive + bytes(2048)))

    def refused() -> None:
        with pytest.raises(DataError, match="damaged"):
            data._read_cifar(tmp_path / "x", ["a"])

    assert peak(refused) < 2**22


@pytest.mark.parametrize("damage", ["cut", "record", "member", "no tar"])
def test_a_damaged_cifar10_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = record(1, 2, 3, 4)[: -1 if damage == "record" else None]
    name = "other.bin" if damage == "member" else "test_batch.bin"
    path = make_tar(tmp_path / "cifar.tar.gz", {name: content})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:60])
    if damage == "no tar":
        path.write_bytes(b"<html>404</html>")
    monkeypatch.setattr(data, "_fetch", lambda _: path)
    with pytest.raises(DataError, match="delete it") as error:
        data.cifar10(train=False)
    assert str(path) in one_line(error)


def serve_fashion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: bytes, labels: bytes
) -> None:
    def fetch(wanted: data._Source) -> Path:
        path = tmp_path / wanted.name
        path.write_bytes(gzip.compress(images if "images" in wanted.name else labels))
        return path

    monkeypatch.setattr(data, "_fetch", fetch)


@pytest.mark.parametrize("train", [True, False])
def test_fashion_mnist_is_read(
    train: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 251
    serve_fashion(tmp_path, monkeypatch, idx(pixels), idx(np.array([9, 0, 3])))
    images = data.fashion_mnist(train)
    assert torch.equal(images.pixels[:, 0], torch.from_numpy(pixels).to(torch.uint8))
    assert images.labels.tolist() == [9, 0, 3]
    assert images.class_names[9] == "Ankle boot"
    names = {file.name for file in tmp_path.iterdir()}
    assert all(("train" in name) == train for name in names)


@pytest.mark.parametrize("images", [b"", b"<html>", idx(np.zeros((3, 28, 28)))[:-1]])
def test_a_damaged_fashion_mnist_is_refused(
    images: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_fashion(tmp_path, monkeypatch, images, idx(np.array([1, 2, 3])))
    with pytest.raises(DataError, match="delete it"):
        data.fashion_mnist()


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 28)])
def test_fashion_images_and_labels_must_be_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    serve_fashion(tmp_path, monkeypatch, idx(np.zeros(shape)), idx(np.array([1, 2])))
    with pytest.raises(DataError, match="do not match"):
        data.fashion_mnist()


# --- Folders -------------------------------------------------------------------------------------


def save(path: Path, colour: tuple[int, ...] | str = "red", size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "RGBA" if isinstance(colour, tuple) and len(colour) == 4 else "RGB"
    Image.new(mode, size, colour).save(path)
    return path


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    save(tmp_path / "dogs" / "b.png", "blue")
    save(tmp_path / "cats" / "deep" / "a.PNG", "red")
    save(tmp_path / "cats" / "z.bmp", "lime")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "cats" / "._z.bmp").write_text("what macOS leaves behind")
    (tmp_path / "empty").mkdir()
    images = folder(tmp_path, side=4)
    assert images.class_names == ("cats", "dogs")
    assert images.labels.tolist() == [0, 0, 1]
    assert images.pixels.shape == (3, 3, 4, 4)
    assert images.pixels[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tiff"])
def test_a_folder_without_sub_folders_is_one_class(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / f"one.{suffix}", "white")
    images = folder(tmp_path, side=8, channels=1)
    assert images.class_names == (tmp_path.name,)
    assert images.pixels.shape == (1, 1, 8, 8)
    assert bool((images.pixels > 250).all())


def test_images_are_cropped_to_their_centre(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert bool((folder(tmp_path, side=10).pixels == 255).all())


def test_images_are_made_smaller_by_lanczos(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    image = Image.fromarray(levels)
    image.save(tmp_path / "1.png")
    expected = np.asarray(image.resize((5, 5), Image.Resampling.LANCZOS))
    assert np.array_equal(folder(tmp_path, 5, 1).pixels[0, 0].numpy(), expected)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_screen_alone_and_wiped_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    save(tmp_path / "1.png")
    folder(tmp_path, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", screen)
    folder(tmp_path, 2)
    lines = screen.getvalue().split("\r")
    assert any(line.startswith(f"reading {tmp_path}: ") for line in lines)
    assert "".join(lines[-2:]).strip() == ""


def test_the_camera_orientation_is_respected(tmp_path: Path) -> None:
    picture = Image.new("L", (8, 8))
    picture.paste(255, (0, 0, 8, 4))  # bright above
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view: bright on the right
    picture.save(tmp_path / "turned.png", exif=exif)
    pixels = folder(tmp_path, side=8, channels=1).pixels[0, 0]
    assert pixels[:, 6].tolist() == [255] * 8
    assert pixels[:, 1].tolist() == [0] * 8


def test_transparency_becomes_white(tmp_path: Path) -> None:
    save(tmp_path / "glass.png", (255, 0, 0, 0))
    assert bool((folder(tmp_path, side=4).pixels == 255).all())


def test_transparency_of_greys_becomes_white(tmp_path: Path) -> None:
    for name, alpha in (("1.png", 0), ("2.png", 255)):
        Image.new("LA", (8, 8), (100, alpha)).save(tmp_path / name)
    assert folder(tmp_path, 1).pixels.flatten(1).tolist() == [3 * [255], 3 * [100]]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="no images in it") as error:
        folder(tmp_path, side=8)
    assert str(tmp_path) in one_line(error)
    assert "(apng, avif, bmp, " in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_file_that_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.png: no image") as error:
        folder(tmp_path, side=8)
    one_line(error)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "cut.jpg"
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"cut\.jpg"):
        folder(tmp_path, side=8)


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 3000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="8 bits"):
        folder(tmp_path, side=8)


def test_loose_images_beside_classes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "one.png")
    save(tmp_path / "loose.png")
    with pytest.raises(DataError, match=r"loose\.png"):
        folder(tmp_path, side=8)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 or 3 channels"):
        folder(tmp_path, side=8, channels=2)


# --- Nothing is dropped in silence ---------------------------------------------------------------


def test_classes_that_are_links_are_followed(tmp_path: Path) -> None:
    save(tmp_path / "far" / "x" / "1.png", "red")
    save(tmp_path / "far" / "y" / "deep" / "2.png", "blue")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "far" / "x")
    (root / "b").symlink_to("../far/y")
    images = folder(root, 2)
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [0, 1]
    assert images.pixels[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 0, 255]]
    (tmp_path / "link").symlink_to(root)
    assert folder(tmp_path / "link", 2).class_names == ("a", "b")


def test_rings_of_links_end_and_a_folders_own_place_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "b" / "1.png")
    save(tmp_path / "c" / "2.png")
    (tmp_path / "c" / "up").symlink_to(tmp_path)
    (tmp_path / "c" / "self").symlink_to(".")
    (tmp_path / "b" / "other").symlink_to("../c")
    (tmp_path / "a").symlink_to("b")  # comes first by its name, but is the link
    images = folder(tmp_path, 2)
    assert images.class_names == ("b", "c")
    assert images.labels.tolist() == [0, 1]
    assert "read elsewhere (a, b/other, c/self, c/up)" in caplog.text


@pytest.mark.parametrize("name", ["cats", "a/1.png", "self"])
def test_a_link_to_nowhere_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a" / "0.png")
    (tmp_path / name).symlink_to("self" if name == "self" else "/unplugged/cats")
    with pytest.raises(DataError, match=f"{name}: a link to nowhere") as error:
        folder(tmp_path, 2)
    one_line(error)


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a" / "0.png")
    save(tmp_path / "closed" / "0.png")
    listed = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"closed: cannot be read .Permission denied"):
        folder(tmp_path, 2)


def test_what_is_left_out_is_told_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "a" / "1.png")
    for name in ("a/2.heic", "a/3.HEIC", "10/4.heic", "notes.txt", "a/README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image by its name")
    (tmp_path / "2").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / ".hidden.txt").write_text("not counted")
    assert len(folder(tmp_path, 2)) == 1
    assert "no image by its name or kind (.heic 3, " in caplog.text
    for counted in (".txt 1", ".png 1", "no suffix 1"):
        assert counted in caplog.text
    assert "); folders without images (2, 10)" in caplog.text
    assert f"{tmp_path}: left out what" in caplog.text
    assert [record.name for record in caplog.records] == ["ddpm_lite"]


def test_a_folder_of_images_alone_needs_no_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "a.png" / "2.png")  # a class may be called so
    assert folder(tmp_path, 2).class_names == ("a", "a.png")
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".jif", ".jpg"])
def test_jpegs_are_found_by_all_their_names(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / f"1{suffix}", "JPEG")
    assert len(folder(tmp_path, 2)) == 1


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / str(number) / "1.png", (20 * number, 0, 0))
    images = folder(tmp_path, 2)
    assert images.class_names == tuple(map(str, range(12)))
    assert images.pixels[images.labels == 2, 0, 0, 0].tolist() == [40]
    assert images.pixels[images.labels == 10, 0, 0, 0].tolist() == [200]


def test_names_are_sorted_as_people_do() -> None:
    names = ["img12", "img2", "1", "01", "", "10a", "2b", "b", "a", "a1b2", "a1b10", "٣", "²"]
    wanted = ["01", "1", "2b", "10a", "", "a", "a1b2", "a1b10", "b", "img2", "img12", "²", "٣"]
    assert [n for n in sorted(names, key=data._natural) if n] == [n for n in wanted if n]


# --- Metadata and decoders -----------------------------------------------------------------------


def tiff(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF as the TIFF 6.0 specification lays it out: (tag, type, count, four bytes of value)."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


ASCII, SHORT, RATIONAL, UNDEFINED, DOUBLE = 2, 3, 5, 7, 12
ORIENTATION = (0x0112, SHORT, 1, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize(
    "broken",
    [
        (0x011A, ASCII, 4, b"72\0\0"),
        (0x011A, RATIONAL, 1, struct.pack("<I", 10_000)),
        (0x010F, RATIONAL, 1, struct.pack("<I", 0)),
        (0x010F, DOUBLE, 1, struct.pack("<I", 8)),
        (0x010F, SHORT, 2, struct.pack("<HH", 1, 2)),
        (0x0100, ASCII, 2, b"x\0\0\0"),
        (0x9000, UNDEFINED, 4, b"\xff\xff\xff\xff"),
        (0x8769, ASCII, 4, b"abc\0"),
        (0x011A, 99, 7, b"abcd"),
    ],
)
def test_broken_metadata_do_not_cost_the_picture_nor_its_turn(
    tmp_path: Path, broken: tuple[int, int, int, bytes]
) -> None:
    image = Image.new("L", (32, 32), 0)
    image.paste(255, (0, 0, 32, 16))  # bright above: the camera was held so that it is to the right
    image.save(tmp_path / "1.jpg", exif=tiff(ORIENTATION, broken))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor a word of Pillow's, which nobody could use
        pixels = folder(tmp_path, 2, 1).pixels[0, 0]
    assert (pixels > 200).tolist() == [[False, True], [False, True]]


def test_metadata_that_cannot_be_read_at_all_turn_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise SyntaxError("not a TIFF file")

    save(tmp_path / "1.png", "blue")
    monkeypatch.setattr(Image.Image, "getexif", fail)
    assert folder(tmp_path, 1).pixels.flatten().tolist() == [0, 0, 255]


@pytest.mark.parametrize("orientation", range(10))
def test_each_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    """EXIF 2.32, tag 274: where row 0 and column 0 of what is stored belong in the picture."""
    stored = np.array([[0, 80], [160, 240]], np.uint8)
    upright = {
        2: stored[:, ::-1],  # top, right
        3: stored[::-1, ::-1],  # bottom, right
        4: stored[::-1],  # bottom, left
        5: stored.T,  # left, top
        6: np.rot90(stored, -1),  # right, top
        7: np.rot90(stored, 2).T,  # right, bottom
        8: np.rot90(stored),  # left, bottom
    }.get(orientation, stored)
    entry = (0x0112, SHORT, 1, struct.pack("<HH", orientation, 0))
    Image.fromarray(stored).save(tmp_path / "1.png", exif=tiff(entry))
    assert np.array_equal(folder(tmp_path, 2, 1).pixels[0, 0].numpy(), upright)


@pytest.mark.parametrize(
    "error",
    [
        TypeError("a"), AttributeError("a\nb"), struct.error("a"), RuntimeError("a"), KeyError("a"),
        IndexError("a"), ZeroDivisionError("a"), OverflowError("a"), NotImplementedError("a"),
        EOFError("a"), AssertionError("a"), RecursionError("a"), OSError("a"), ValueError("a"),
        SyntaxError("a"), MemoryError(),
    ],
)  # fmt: skip
def test_whatever_a_decoder_raises_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(image: Image.Image) -> None:
        raise error

    save(tmp_path / "1.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(DataError, match=r"1\.png: ") as raised:
        folder(tmp_path, 2)
    one_line(raised)


def test_what_the_system_says_of_a_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise PermissionError(13, "Permission denied")

    save(tmp_path / "1.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(DataError, match=r"1\.png: Permission denied; repair"):
        folder(tmp_path, 2)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif", ".bmp", ".avif"])
def test_damaged_files_end_in_one_line_or_are_read(tmp_path: Path, suffix: str) -> None:
    """Bytes of sound files are changed at random: no other error may come out."""
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    noise, path = np.random.default_rng(0), tmp_path / f"1{suffix}"
    colours = noise.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(colours).save(path)
    sound, refused, told = path.read_bytes(), 0, 0
    for _ in range(60):
        mutant = bytearray(sound)
        for place in noise.integers(0, min(len(sound), 400), 4):
            mutant[place] = noise.integers(0, 256)
        path.write_bytes(mutant)
        try:
            folder(tmp_path, 4)
        except DataError as error:
            refused += 1
            told += path.name in str(error) and "\n" not in str(error)
    assert told == refused > 0


def test_a_picture_that_is_too_large_is_called_so(tmp_path: Path) -> None:
    """The header of a PNG of 14,000 x 14,000 pixels: 196 million."""
    name = b"IHDR" + struct.pack(">IIBBBBB", 14_000, 14_000, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + name + struct.pack(">I", zlib.crc32(name))
    header += struct.pack(">I", 100) + b"IDAT"
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header)
    with pytest.raises(DataError, match=r"1\.png: too large, of more than 178,956,970") as error:
        folder(tmp_path, 2)
    assert "make it smaller" in one_line(error)


def bitmap(width: int, height: int) -> bytes:
    """The header of a BMP, and no pixels."""
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + sizes


def test_a_few_bytes_that_claim_to_be_a_huge_picture_are_refused_before_room_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bmp").write_bytes(bitmap(12_000, 12_000))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("room was made"))
    with pytest.raises(DataError, match="12000 x 12000 pixels, and is 54 bytes long"):
        folder(tmp_path, 4)


def test_a_picture_of_no_great_size_is_not_doubted(tmp_path: Path) -> None:
    """Its pixels are missed, and not that there might be so many."""
    (tmp_path / "a.bmp").write_bytes(bitmap(1000, 1000))
    with pytest.raises(DataError, match="no image, or damaged"):
        folder(tmp_path, 4)


def test_a_large_picture_of_one_colour_is_none_of_these(tmp_path: Path) -> None:
    save(tmp_path / "a.png", "white", (4200, 4200))
    assert folder(tmp_path, 1).pixels.flatten().tolist() == [255] * 3


@pytest.mark.parametrize("kind", ["EPS", "PCX"])
def test_other_kinds_of_files_are_not_opened_whatever_they_are_called(
    tmp_path: Path, kind: str
) -> None:
    """Pillow would have PostScript run by another program, where there is one."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", format=kind)
    with pytest.raises(DataError, match="no image, or damaged"):
        folder(tmp_path, 4)


@pytest.mark.parametrize("side", [0, -1, 4097, 100_000, 10**30])
def test_impossible_sides_are_refused(tmp_path: Path, side: int) -> None:
    save(tmp_path / "1.png")
    with pytest.raises(DataError, match="a side of 1 to 4096"):
        folder(tmp_path, side)


def test_the_largest_side_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "1.png")
    monkeypatch.setattr(data, "MAX_SIDE", 8)
    assert folder(tmp_path, 8).pixels.shape == (1, 3, 8, 8)
    with pytest.raises(DataError, match="a side of 1 to 8"):
        folder(tmp_path, 9)


def test_a_folder_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    save(tmp_path / "1.png")
    monkeypatch.setattr(np, "empty", none_left)
    with pytest.raises(DataError, match=rf"^{tmp_path}: 1 images of 3 x 7 x 7 do not fit"):
        folder(tmp_path, 7)


def test_more_images_than_memory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not fit into memory; take a smaller --side") as error:
        data._room(tmp_path, (2**40, 3, 4096, 4096))
    one_line(error)


# --- Colour --------------------------------------------------------------------------------------

D50 = {
    # The primaries of sRGB and of Display P3, adapted to D50, as their ICC profiles give them.
    "srgb": ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "p3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
}


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))


def xyz(*numbers: float) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*numbers)


WHITE = (0.9642, 1.0, 0.8249)


def icc(kind: bytes, colours: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 ICC profile of a device whose colours it leads to those in between."""
    tags = {b"wtpt": xyz(*WHITE)} | tags
    place, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        index += name + struct.pack(">II", place + len(body), len(content))
        body += content
    table = struct.pack(">I", len(tags)) + index + body
    header = struct.pack(">I4s4s4s4s4s", 128 + len(table), b"", b"\x02\x20", kind, colours, between)
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*WHITE)
    return header.ljust(128, b"\0") + table


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)


def profile(primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """Three primaries (X, Y, Z) and one power for all channels."""
    tags = {}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags |= {name + b"XYZ": xyz(*primary), name + b"TRC": curve(gamma)}
    return icc(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_press() -> bytes:
    """Of a press all of whose four inks are black: lightness is what is left of the paper.

    A table of the type lut8: it has the two ends of each ink, and between them lies a line.
    """
    ramp = bytes(range(256))
    corners = b"".join(bytes([255 if corner == 0 else 0, 128, 128]) for corner in range(16))
    identity = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    return icc(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def in_srgb(colour: tuple[int, ...], primaries: str, gamma: float) -> list[float]:
    """What a colour is in sRGB, 0..255, by the standard's formulas."""
    light = np.array(colour) / 255
    xyz = np.array(D50[primaries]).T @ light**gamma
    linear = np.clip(np.linalg.solve(np.array(D50["srgb"]).T, xyz), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return list(255 * curved)


@pytest.mark.parametrize("colour", [(0, 255, 0), (200, 100, 50), (60, 180, 90), (128, 128, 128)])
@pytest.mark.parametrize(("primaries", "gamma"), [("p3", 2.2), ("p3", 1.0), ("srgb", 1.8)])
@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_colours_are_brought_to_srgb(
    tmp_path: Path, mode: str, primaries: str, gamma: float, colour: tuple[int, int, int]
) -> None:
    image = Image.new("RGB", (8, 8), colour)
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(tmp_path / "1.png", icc_profile=profile(D50[primaries], gamma))
    found = folder(tmp_path, 1).pixels.flatten().tolist()
    assert np.abs(np.array(found) - in_srgb(colour, primaries, gamma)).max() <= 3
    if gamma == 1.0:  # a middle level moves far
        assert np.abs(np.array(found) - colour).max() > 30 or colour == (0, 255, 0)


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_greys_are_brought_to_srgb(tmp_path: Path, gamma: float) -> None:
    grey = icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve(gamma)})
    Image.new("L", (8, 8), 100).save(tmp_path / "1.png", icc_profile=grey)
    found = folder(tmp_path, 1).pixels.flatten().tolist()
    assert found == pytest.approx(in_srgb((100, 100, 100), "srgb", gamma), abs=2)


def test_the_colours_of_a_press_are_brought_to_srgb(tmp_path: Path) -> None:
    """Without its profile its first ink would be cyan, and here it is black."""
    for name, inks in (("1.tif", (255, 0, 0, 0)), ("2.tif", (0, 0, 0, 0))):
        Image.new("CMYK", (8, 8), inks).save(tmp_path / name, icc_profile=grey_press())
    ink, paper = folder(tmp_path, 1).pixels.flatten(1).tolist()
    assert ink == pytest.approx([0] * 3, abs=2)
    assert paper == pytest.approx([255] * 3, abs=2)


@pytest.mark.parametrize("broken", [b"no profile", b"\0" * 200])
def test_a_broken_profile_is_ignored(tmp_path: Path, broken: bytes) -> None:
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "1.png", icc_profile=broken)
    assert folder(tmp_path, 1).pixels.flatten().tolist() == [10, 20, 30]


def test_a_profile_of_another_kind_is_ignored(tmp_path: Path) -> None:
    right = profile(D50["p3"], 1.0)
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "1.jpg", icc_profile=right)
    assert folder(tmp_path, 1).pixels.flatten().tolist() == [255, 255, 255]


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


def test_the_parts_of_coloured_mnist_have_colours_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = mnist(train=False).subset(50)
    asked: list[bool] = []
    monkeypatch.setattr(data, "mnist", lambda train: asked.append(train) or few)  # type: ignore[func-returns-value]
    seen, unseen, again = (data.coloured_mnist(train) for train in (True, False, True))
    assert asked == [True, False, True]
    assert seen.pixels.shape == (50, 3, 28, 28)
    assert torch.equal(seen.pixels, again.pixels)
    assert not torch.equal(seen.pixels, unseen.pixels)
    for part, seed in ((seen, 0), (unseen, 1)):  # those that the shipped numbers were measured with
        assert torch.equal(part.pixels, paint(few.pixels, seed=seed))
    assert torch.equal(seen.labels, few.labels)
    assert seen.class_names == few.class_names


def test_the_names_of_image_files_are_pillows_own() -> None:
    Image.init()
    formats = {kind for kind in data._FORMATS if kind in Image.OPEN}
    assert set(data._FORMATS) - formats <= {"AVIF"}  # which not every Pillow has
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats}
    assert data.IMAGE_SUFFIXES - known <= {".jif"} | ({".avif"} - known)


def test_load_of_nothing_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mnist, fashion_mnist, cifar10") as error:
        load(tmp_path / "nowhere")
    assert "nowhere" in one_line(error)


# --- Batches -------------------------------------------------------------------------------------


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
    states = [rank.state_dict() for rank in ranks]
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def noise(n: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n), tuple(map(str, range(n))))


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
