"""The published files: what is stored is read, what is damaged or lies is refused."""

import gzip
import io
import re
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_data import idx, one_line

from ddpm_lite import archives, data, downloads
from ddpm_lite.data import DataError


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
    monkeypatch.setattr(archives, "fetch", {archives.CIFAR10_FILE: path}.__getitem__)
    return path


def test_cifar10_is_read_from_its_archive(tiny_cifar: Path) -> None:
    train, test = data.cifar10(train=True), data.cifar10(train=False)
    assert data.cifar10().digest == train.digest
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
    monkeypatch.setattr(archives, "fetch", lambda _: path)
    pixels = data.cifar10(train=False).pixels
    assert pixels[0, 1, :, 5].tolist() == list(range(32))


def test_a_truncated_idx_is_refused_at_every_length(tmp_path: Path) -> None:
    path, whole = tmp_path / "x.gz", idx(np.zeros((2, 3, 4)))
    for length in range(len(whole)):
        path.write_bytes(gzip.compress(whole[:length]))
        with pytest.raises(DataError, match="damaged"):
            archives.read_idx(path)
    path.write_bytes(gzip.compress(whole))
    assert archives.read_idx(path).shape == (2, 3, 4)
    path.write_bytes(gzip.compress(b"<html>"))
    with pytest.raises(DataError, match=r"damaged \(no IDX file of bytes\)"):
        archives.read_idx(path)


def test_a_file_may_unpack_to_the_limit_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = tmp_path / "x.gz", idx(np.ones((2, 3, 4)))
    path.write_bytes(gzip.compress(whole))
    monkeypatch.setattr(archives, "_LARGEST", len(whole))
    assert archives.read_idx(path).tolist() == np.ones((2, 3, 4)).tolist()
    monkeypatch.setattr(archives, "_LARGEST", len(whole) - 1)
    with pytest.raises(DataError, match="unpacks to more"):
        archives.read_idx(path)


def test_an_archive_that_was_packed_twice_is_refused(tmp_path: Path) -> None:
    """What it unpacks to the second time has been held against nothing."""
    path = make_tar(tmp_path / "x", {"a": record(1, 2, 3, 4)})
    assert archives.read_cifar(path, ["a"])[1].tolist() == [1]
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        archives.read_cifar(path, ["a"])


def peak(of: Callable[[], object]) -> int:
    """The most bytes that Python held meanwhile."""
    tracemalloc.start()
    try:
        of()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [archives.read_idx, lambda path: archives.read_cifar(path, ["a"])])
def test_what_unpacks_to_too_much_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(archives, "_LARGEST", 2**20)
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
        entry("a", tarfile.REGTYPE, -1536),  # back to the header before the one before
        entry("a", tarfile.REGTYPE, 0) * 3 + entry("a", tarfile.REGTYPE, -1536),
        (entry("x", tarfile.XHDTYPE, 20) + b"20 comment=aaaaaaaa\n".ljust(512, b"\0")) * 1000,
        (entry("x", tarfile.GNUTYPE_LONGNAME, 2) + b"b".ljust(512, b"\0")) * 1000,
        b"a".ljust(512, b"\0"),
    ],
)
def test_what_an_archive_claims_is_held_against_what_is_there(
    tmp_path: Path, archive: bytes
) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(archive + bytes(2048)))

    def refused() -> None:
        with pytest.raises(DataError, match="damaged"):
            archives.read_cifar(tmp_path / "x", ["a"])

    assert peak(refused) < 2**24


@pytest.mark.parametrize("length", [600, 1024, 512 + 3072])
def test_an_archive_that_is_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    """Within an entry's content, or within the header of the next."""
    whole = entry("a", tarfile.REGTYPE, 3073) + record(1, 2, 3, 4)
    (tmp_path / "x").write_bytes(gzip.compress(whole[:length]))
    with pytest.raises(DataError, match="cut short"):
        archives.read_cifar(tmp_path / "x", ["a"])
    (tmp_path / "x").write_bytes(gzip.compress(whole + bytes(511) + b"a"))
    with pytest.raises(DataError, match="no entry"):
        archives.read_cifar(tmp_path / "x", ["a"])


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
    monkeypatch.setattr(archives, "fetch", lambda _: path)
    with pytest.raises(DataError, match="delete it") as error:
        data.cifar10(train=False)
    assert str(path) in one_line(error)


def serve_fashion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: bytes, labels: bytes
) -> None:
    def fetch(wanted: downloads.Source) -> Path:
        path = tmp_path / wanted.name
        path.write_bytes(gzip.compress(images if "images" in wanted.name else labels))
        return path

    monkeypatch.setattr(archives, "fetch", fetch)


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
    data.fashion_mnist()
    assert any("train" in file.name for file in tmp_path.iterdir())


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


def test_classes_have_the_names_that_their_makers_gave_them() -> None:
    """Of CIFAR-10 in the order of the alphabet; of Fashion-MNIST as its README lists them."""
    names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"}
    assert tuple(sorted(names | {"truck"})) == archives.CIFAR10
    fashion = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    assert tuple(fashion.split(",")) == archives._FASHION


@pytest.mark.parametrize("train", [True, False])
def test_what_is_fetched_is_named_as_at_its_addresses(train: bool) -> None:
    sources = {"cifar-10-binary.tar.gz": archives.CIFAR10_FILE}
    for kind, one in zip(
        ("images-idx3", "labels-idx1"), archives.FASHION_FILES[train], strict=True
    ):
        sources[f"{'train' if train else 't10k'}-{kind}-ubyte.gz"] = one
    for name, one in sources.items():
        assert one.name.endswith(name)
        assert re.fullmatch("[0-9a-f]{64}", one.sha256)
        assert len(one.addresses) > 1
        for address in one.addresses:
            assert re.fullmatch(rf"https?://[a-z0-9.-]+/([\w.~-]+/)*{re.escape(name)}", address)
    assert len({one.sha256 for one in sources.values()}) == len(sources)
