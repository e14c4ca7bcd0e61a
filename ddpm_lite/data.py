"""Every data set by its name: MNIST, grey or coloured, Fashion-MNIST, CIFAR-10, your own folder.

The names of `images`, `archives` and `batches` can be imported from here as well.
"""

from pathlib import Path

import numpy as np

from ddpm_lite.archives import CIFAR10 as CIFAR10
from ddpm_lite.archives import cifar10 as cifar10
from ddpm_lite.archives import fashion_mnist as fashion_mnist
from ddpm_lite.batches import Batches as Batches
from ddpm_lite.colouring import paint
from ddpm_lite.images import DataError as DataError
from ddpm_lite.images import Images as Images
from ddpm_lite.images import as_images, reason
from ddpm_lite.images import to_float as to_float
from ddpm_lite.images import to_uint8 as to_uint8

__all__ = ["load", "mnist"]

MNIST_FILE = Path(__file__).parent / "assets" / "mnist.npz"
"""MNIST as it comes with the package (Yann LeCun and Corinna Cortes, CC BY-SA 3.0)."""

NAMES = ("mnist", "coloured_mnist", "fashion_mnist", "cifar10")
"""The data sets that `load` knows by name."""

DIGITS = tuple("0123456789")
"""The names of MNIST's classes."""


def load(name: str | Path, train: bool = True, side: int = 32, channels: int = 3) -> Images:
    """A data set by its name (see NAMES) or a folder of images by its path.

    `train` chooses the training or the test images of a named set; a folder has only one part.
    `side` and `channels` are what images of a folder are made into; named sets keep their own.
    Raises DataError if it is neither a name nor a folder, or cannot be had.
    """
    if name == "mnist":
        return mnist(train)
    if name == "coloured_mnist":
        return coloured_mnist(train)
    if name == "fashion_mnist":
        return fashion_mnist(train)
    if name == "cifar10":
        return cifar10(train)
    if name and Path(name).is_dir():  # Path("") would be the current folder
        return folder(name, side, channels)
    raise DataError(
        f"{name or 'an empty name'}: no such data; choose {', '.join(NAMES)} or a folder's path"
    )


def folder(path: str | Path, side: int, channels: int = 3) -> Images:
    """The pictures below a folder as (channels, side, side): `image_folder.folder`.

    That needs Pillow, which is read only then.
    """
    from ddpm_lite.image_folder import folder as read

    return read(path, side, channels)


def mnist(train: bool = True) -> Images:
    """MNIST in its standard order: 60,000 training or 10,000 test images, (N, 1, 28, 28).

    It lies inside the package. Raises DataError if its file is missing or damaged.
    """
    part = "train" if train else "test"
    try:
        with np.load(MNIST_FILE, allow_pickle=False) as file:
            pixels, labels = file[f"x_{part}"], file[f"y_{part}"]
    # zipfile, zlib, lzma and NumPy have one each, and lzma may be missing
    except Exception as error:
        raise DataError(
            f"{MNIST_FILE}: missing or damaged ({reason(error)}); install ddpm_lite again"
        ) from None
    return as_images(pixels[:, None], labels, DIGITS)


def coloured_mnist(train: bool = True) -> Images:
    """MNIST with an ink and a ground for each digit, (N, 3, 28, 28); see `ddpm_lite.colouring`.

    The colours are the same each time, and others in both parts. Raises DataError as `mnist` does.
    """
    grey = mnist(train)
    return Images(paint(grey.pixels, seed=0 if train else 1), grey.labels, grey.class_names)
