"""Fashion-MNIST and CIFAR-10, read from the files in which their makers publish them.

Nothing here reads a pickle: opening somebody else's data cannot run their code.
"""

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddpm_lite.downloads import Source, fetch
from ddpm_lite.images import Bytes, DataError, Images, as_images

_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""The names of CIFAR-10's classes."""


def _fashion_source(name: str, size: int, sha256: str) -> Source:
    hosts = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    )
    return Source(f"fashion-mnist-{name}", size, sha256, tuple(f"{host}/{name}" for host in hosts))


FASHION_FILES: Mapping[bool, tuple[Source, Source]] = {
    True: (
        _fashion_source(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        _fashion_source(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
    ),
    False: (
        _fashion_source(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        _fashion_source(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}
"""Images and labels of Fashion-MNIST, for training (True) and for testing (False)."""

CIFAR10_FILE = Source(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"
        "cifar-10-binary.tar.gz",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/"
        "cifar-10-binary.tar.gz",
    ),
)
"""CIFAR-10 in its binary form: the official address, then two mirrors of the same bytes."""


def fashion_mnist(train: bool = True) -> Images:
    """Fashion-MNIST (Xiao et al., arXiv:1708.07747): 60,000 or 10,000 images, (N, 1, 28, 28).

    Downloaded once. Raises DataError if that fails.
    """
    images, labels = (read_idx(fetch(source)) for source in FASHION_FILES[train])
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"Fashion-MNIST: images {images.shape} do not match labels {labels.shape}")
    return as_images(images[:, None], labels, _FASHION)


def read_idx(path: Path) -> Bytes:
    """A gzipped IDX file of unsigned bytes: two zeros, 8, the number of sides, the sides, the data.

    Raises DataError if it is none or is cut short.
    """
    try:
        raw = _unzipped(path)
        if raw[:3] != b"\x00\x00\x08" or len(raw) < 4:
            raise ValueError("no IDX file of bytes")
        sides = np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4).tolist()
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sides)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, it is fetched again") from None


_BLOCK = 512
"""Bytes of a block of an archive."""

_LARGEST = 2**28
"""The most bytes that a file is unpacked to; CIFAR-10's archive has 184 million."""


def _unzipped(path: Path) -> bytes:
    """What a gzipped file holds.

    Raises ValueError if that is more than it can be in honesty, and has then made no room for it.
    """
    most = min(_LARGEST, 2**11 * path.stat().st_size)  # deflate saves 1032 to 1 and no more
    with gzip.open(path) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError("unpacks to more than any of these files")
    return raw


def cifar10(train: bool = True) -> Images:
    """CIFAR-10 (Krizhevsky, 2009): 50,000 or 10,000 images, (N, 3, 32, 32).

    Downloaded once, 170 MB, in its binary form. Raises DataError if that fails.
    """
    members = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    pixels, labels = read_cifar(fetch(CIFAR10_FILE), members)
    return as_images(pixels, labels, CIFAR10)


def read_cifar(path: Path, members: Sequence[str]) -> tuple[Bytes, Bytes]:
    """Pixels (N, 3, 32, 32) and labels (N,) of members of the archive, read without unpacking it.

    A record is one byte of label and 3 x 1024 bytes of red, green and blue, row by row. Raises
    DataError if the archive is damaged.
    """
    try:
        found = _read_members(path, members)
        raw = b"".join(found[name] for name in members)
        records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    except (OSError, EOFError, KeyError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, it is fetched again") from None
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _read_members(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Plain files of an archive by their last name; links and whatever else is in it are left out.

    An entry is a header of one block, with its name at 0, its size in octal digits at 124 and its
    kind at 156, and then its content, filled up to whole blocks; a block of zeros ends them. What
    Python's `tarfile` knows beside, such as headers about headers, can lead it astray.
    """
    archive, found = io.BytesIO(_unzipped(path)), {}
    while (header := archive.read(_BLOCK)).strip(b"\0"):
        digits = header[124:136].strip(b" \0")
        if len(header) < _BLOCK or not digits.isdigit():
            raise ValueError("no entry of an archive")
        name, size = header[:100].partition(b"\0")[0].decode(errors="replace"), int(digits, 8)
        content = archive.read(-(-size // _BLOCK) * _BLOCK)[:size]
        if len(content) < size:
            raise ValueError("cut short")
        if Path(name).name in names and header[156:157] in (b"0", b"\0"):
            found[Path(name).name] = content
    return found
