"""Images in memory, and batches of them: MNIST, grey or coloured, Fashion-MNIST, CIFAR-10, folders.

Images stay uint8 until they are on the device: a batch is gathered in one indexing step, moved, and
only there turned into floats in [-1, 1]. For sets that fit in memory this needs no worker
processes. Nothing here reads a pickle: opening somebody else's data cannot run their code.
"""

import gzip
import hashlib
import io
import logging
import os
import re
import tarfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pooch
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps
from torch import Tensor
from tqdm import tqdm

from ddpm_lite.colouring import paint
from ddpm_lite.devices import to_device

__all__ = ["Images", "folder", "load", "mnist", "to_float", "to_uint8"]

MNIST_FILE = Path(__file__).parent / "assets" / "mnist.npz"
"""MNIST as it comes with the package (Yann LeCun and Corinna Cortes, CC BY-SA 3.0)."""

NAMES = ("mnist", "coloured_mnist", "fashion_mnist", "cifar10")
"""The data sets that `load` knows by name."""

IMAGE_SUFFIXES = frozenset(
    (
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".webp", ".avif", ".gif",
        ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    )
)  # fmt: skip
"""The file names that `folder` takes for images, in any case."""

MAX_SIDE = 4096
"""The largest side that an image is made into."""

DIGITS = tuple("0123456789")
"""The names of MNIST's classes."""

_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""The names of CIFAR-10's classes."""

_Bytes = npt.NDArray[np.uint8]

logger = logging.getLogger("ddpm_lite")


class DataError(Exception):
    """Data that cannot be had or used; the text is one line: what is wrong and what to do."""


@dataclass(frozen=True)
class Images:
    """A set of images in memory.

    `pixels` is uint8 (N, C, H, W), `labels` int64 (N,) with values 0..len(class_names)-1. Raises
    ValueError if types or shapes differ from that.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise ValueError(f"pixels must be uint8 (N, C, H, W), not {_describe(self.pixels)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(
                f"labels must be int64 ({len(self.pixels)},), not {_describe(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of all pixels and labels in their order; not of the names of files or classes.

        The pixels are those in memory: pictures that another release of Pillow decodes or resizes
        otherwise, by one grey level, have another digest. Taken once, so change no pixels after.
        """
        sha = hashlib.sha256(f"{tuple(self.pixels.shape)}".encode())
        for tensor in (self.pixels, self.labels):
            sha.update(tensor.cpu().contiguous().numpy().data)
        return sha.hexdigest()

    def subset(self, n: int) -> "Images":
        """The first n images. Raises ValueError if there are fewer, or n < 1."""
        if not 1 <= n <= len(self):
            raise ValueError(f"cannot take {n} of {len(self)} images")
        return Images(self.pixels[:n], self.labels[:n], self.class_names)

    def split(self, holdout: float) -> tuple["Images", "Images"]:
        """All but a share of the images, and that share, drawn at random, the same each time.

        Both keep the order. Raises ValueError for a share outside [0, 1).
        """
        if not 0 <= holdout < 1:
            raise ValueError(f"the share that is held out must lie in [0, 1), not {holdout}")
        if holdout == 0:
            return self, Images(self.pixels[:0], self.labels[:0], self.class_names)
        n = len(self)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(0), device="cpu")
        held = round(holdout * n)
        return self._some(order[held:].sort().values), self._some(order[:held].sort().values)

    def _some(self, index: Tensor) -> "Images":
        return Images(self.pixels[index], self.labels[index], self.class_names)


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def to_float(pixels: Tensor) -> Tensor:
    """Grey levels 0..255, uint8, as float32 in [-1, 1]: k / 127.5 - 1. Any shape."""
    return pixels.float() / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """The nearest grey level of each number, uint8; what lies outside [-1, 1] is clamped.

    Undoes `to_float` exactly. Any shape.
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


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


# --- MNIST ---------------------------------------------------------------------------------------


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
            f"{MNIST_FILE}: missing or damaged ({_reason(error)}); install ddpm_lite again"
        ) from None
    return _images(pixels[:, None], labels, DIGITS)


def coloured_mnist(train: bool = True) -> Images:
    """MNIST with an ink and a ground for each digit, (N, 3, 28, 28); see `ddpm_lite.colouring`.

    The colours are the same each time, and others in both parts. Raises DataError as `mnist` does.
    """
    grey = mnist(train)
    return Images(paint(grey.pixels, seed=0 if train else 1), grey.labels, grey.class_names)


def _images(pixels: _Bytes, labels: _Bytes, class_names: tuple[str, ...]) -> Images:
    own = np.array(pixels)  # what was read from bytes may not be written to
    return Images(torch.from_numpy(own), torch.from_numpy(labels.astype(np.int64)), class_names)


# --- Downloads -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A file to fetch: its name in the cache, its SHA-256, where it is to be had, best first."""

    name: str
    sha256: str
    addresses: tuple[str, ...]


def _fashion_source(name: str, sha256: str) -> _Source:
    hosts = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    )
    return _Source(f"fashion-mnist-{name}", sha256, tuple(f"{host}/{name}" for host in hosts))


FASHION_FILES: Mapping[bool, tuple[_Source, _Source]] = {
    True: (
        _fashion_source(
            "train-images-idx3-ubyte.gz",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        _fashion_source(
            "train-labels-idx1-ubyte.gz",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
    ),
    False: (
        _fashion_source(
            "t10k-images-idx3-ubyte.gz",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        _fashion_source(
            "t10k-labels-idx1-ubyte.gz",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}
"""Images and labels of Fashion-MNIST, for training (True) and for testing (False)."""

CIFAR10_FILE = _Source(
    "cifar-10-binary.tar.gz",
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


def cache_folder() -> Path:
    """Where downloads are kept: $DDPM_LITE_CACHE, or the system's cache folder for ddpm_lite."""
    return Path(os.environ.get("DDPM_LITE_CACHE") or pooch.os_cache("ddpm_lite")).expanduser()


def _fetch(source: _Source) -> Path:
    """The file in the cache, downloaded if it is not there whole.

    pooch writes to a temporary file and renames it once the SHA-256 is right: what has been cut
    short is never taken for good. Raises DataError if no address gives the right bytes.
    """
    cache, tried = cache_folder(), []
    for address in source.addresses:
        try:
            get = pooch.HTTPDownloader(progressbar=True)
            known = f"sha256:{source.sha256}"
            return Path(pooch.retrieve(address, known, source.name, cache, downloader=get))
        except (OSError, ValueError) as error:  # the errors of requests are OSErrors
            tried.append(f"{address} ({_reason(error)})")
    place = cache / source.name
    state = "the one in the cache is damaged and it" if place.exists() else "it"
    raise DataError(
        f"{source.name}: {state} could not be downloaded from {' or '.join(tried)}; look at the "
        f"network, or put it there by hand as {place} (DDPM_LITE_CACHE names another folder)"
    )


def _reason(error: BaseException) -> str:
    """An error in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValueError) and "hash" in str(error):
        return "wrong SHA-256"
    return "Python lacks lzma" if "lzma module" in str(error) else type(error).__name__


# --- Fashion-MNIST and CIFAR-10 ------------------------------------------------------------------


def fashion_mnist(train: bool = True) -> Images:
    """Fashion-MNIST (Xiao et al., arXiv:1708.07747): 60,000 or 10,000 images, (N, 1, 28, 28).

    Downloaded once. Raises DataError if that fails.
    """
    images, labels = (_read_idx(_fetch(source)) for source in FASHION_FILES[train])
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"Fashion-MNIST: images {images.shape} do not match labels {labels.shape}")
    return _images(images[:, None], labels, _FASHION)


def _read_idx(path: Path) -> _Bytes:
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
    pixels, labels = _read_cifar(_fetch(CIFAR10_FILE), members)
    return _images(pixels, labels, CIFAR10)


def _read_cifar(path: Path, members: Sequence[str]) -> tuple[_Bytes, _Bytes]:
    """Pixels (N, 3, 32, 32) and labels (N,) of members of the archive, read without unpacking it.

    A record is one byte of label and 3 x 1024 bytes of red, green and blue, row by row. Raises
    DataError if the archive is damaged.
    """
    try:
        found = _read_members(path, members)
        raw = b"".join(found[name] for name in members)
        records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, it is fetched again") from None
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _read_members(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Files of an archive by their last name.

    The archive is unpacked in memory first: sizes that its entries claim, and what they link to,
    are then held against what is there.
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(_unzipped(path)), mode="r:") as archive:
        for member in archive:
            name, file = Path(member.name).name, None
            if name in names and member.isreg() and not member.issparse():
                file = archive.extractfile(member)
            if file is not None:
                found[name] = file.read()
    return found


# --- A folder of images --------------------------------------------------------------------------


def folder(path: str | Path, side: int, channels: int = 3) -> Images:
    """Every image below a folder, centre-cropped to a square and resized to (channels, side, side).

    Each first-level sub-folder that holds images is a class, in the natural order of their names (2
    before 10); images straight in the folder, if there are no such sub-folders, are one class.
    Links are followed, each folder is read once. The orientation that the camera noted is
    respected, colours are brought to sRGB by the image's own profile, transparent pixels become
    white, of an animation the first frame is taken. Hidden files and files that are not images by
    their suffix are left out; a warning counts the latter.

    Raises DataError if there are no images, if some lie in sub-folders and some do not, if a link
    leads nowhere, if a file is no readable image or a grey one of more than 8 bits, if all do not
    fit into memory, or for channels other than 1 or 3 or a side outside 1..MAX_SIDE.
    """
    root = Path(path)
    if channels not in (1, 3) or not 1 <= side <= MAX_SIDE:
        raise DataError(f"{root}: images need 1 or 3 channels and a side of 1 to {MAX_SIDE} pixels")
    files = _image_files(root)
    class_names = tuple(sorted({_class_of(file, root) for file in files}, key=_natural))
    pixels = _room(root, (len(files), channels, side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on metadata that are not used here
        bar = tqdm(files, desc=f"reading {root}", disable=None, leave=False)
        for index, file in enumerate(bar):
            pixels[index] = _read_image(file, side, channels)
    number = {name: index for index, name in enumerate(class_names)}
    labels = [number[_class_of(file, root)] for file in files]
    return Images(torch.from_numpy(pixels), torch.tensor(labels, device="cpu"), class_names)


def _room(root: Path, shape: tuple[int, int, int, int]) -> _Bytes:
    """Memory for the images of a folder. Raises DataError if there is not enough."""
    try:
        return np.empty(shape, np.uint8)
    except (MemoryError, ValueError, OverflowError):
        count, channels, side, _ = shape
        raise DataError(
            f"{root}: {count} images of {channels} x {side} x {side} do not fit into memory; take "
            "a smaller --side, or fewer images"
        ) from None


def _natural(name: str) -> list[tuple[int, str]]:
    """What to sort names by, so that 2 comes before 10: numbers by value, the rest by letters."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _image_files(root: Path) -> list[Path]:
    """The images below a folder, sorted."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the path of a folder of images")
    every, twice = _walk(root)
    files = [file for file in every if _is_image(file)]
    _tell_left_out(root, [file for file in every if not _is_image(file)], twice, files)
    if not files:
        raise DataError(f"{root}: no images in it; put some there ({_suffixes()})")
    loose = [file for file in files if file.parent == root]
    if loose and len(loose) < len(files):
        raise DataError(
            f"{root}: some images lie in sub-folders and some, such as {loose[0].name}, do not; "
            "move them all into one sub-folder a class, or all out of them"
        )
    return sorted(files)


def _walk(root: Path) -> tuple[list[Path], list[Path]]:
    """All files below a folder that are not hidden, and the links to folders seen before.

    Links are followed, level by level and after the folders of their level, so that a folder's own
    place counts and a ring of links ends. Raises DataError for a link to nowhere, and for a folder
    that cannot be read.
    """
    files, twice, level, seen = list[Path](), list[Path](), [root], {os.path.realpath(root)}
    while level:
        entries = [entry for folder in level for entry in _entries(folder)]
        level = []
        for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry)):
            if not entry.is_dir():
                files.append(entry)
            elif os.path.realpath(entry) in seen:
                twice.append(entry)
            else:
                seen.add(os.path.realpath(entry))
                level.append(entry)
    return files, twice


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({_reason(error)})") from None
    for entry in entries:
        if not entry.exists():
            raise DataError(f"{entry}: a link to nowhere; mend it or remove it")
    return entries


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()


def _tell_left_out(root: Path, others: list[Path], twice: list[Path], files: list[Path]) -> None:
    """Warns of what lies in the folder and is not taken."""
    kinds = Counter(file.suffix.lower() or "no suffix" for file in others)
    counted = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    empty = {path.name for path in _entries(root) if path.is_dir()}
    empty -= {_class_of(file, root) for file in files} | {path.name for path in twice}
    said = [
        f"what is no image by its name or kind ({counted})" if others else "",
        f"links to folders that are read elsewhere ({_listed(twice, root)})" if twice else "",
        f"folders without images ({', '.join(sorted(empty, key=_natural))})" if empty else "",
    ]
    if any(said):
        logger.warning("%s: left out %s", root, "; ".join(filter(None, said)))


def _listed(paths: Sequence[Path], root: Path) -> str:
    return ", ".join(str(path.relative_to(root)) for path in paths)


def _suffixes() -> str:
    return ", ".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))


def _class_of(file: Path, root: Path) -> str:
    first, *rest = file.relative_to(root).parts
    return first if rest else root.resolve().name


def _read_image(file: Path, side: int, channels: int) -> _Bytes:
    """One image as (channels, side, side). Raises DataError that names the file."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_claim(file, image)
            if image.mode[0] in "IF":  # Pillow would cut these off at 255
                raise DataError(f"{file}: more than 8 bits a channel; save it with 8, or remove it")
            profile = image.info.get("icc_profile")
            flat = _in_srgb(_on_white(_upright(image)), profile)
        square = ImageOps.fit(
            flat.convert("L" if channels == 1 else "RGB"), (side, side), Image.Resampling.LANCZOS
        )
    except DataError:
        raise
    except MemoryError:
        raise DataError(
            f"{file}: too little memory to read it; make it smaller, or take a smaller --side"
        ) from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(
            f"{file}: too large, of more than {limit:,} pixels; make it smaller, or remove it"
        ) from None
    except Exception as error:  # each decoder has its own, and damage can lead to any
        reason = getattr(error, "strerror", None) or "no image, or damaged"
        raise DataError(f"{file}: {reason}; repair it or remove it") from None
    return np.asarray(square).reshape(side, side, channels).transpose(2, 0, 1)


_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "PPM")
"""Pillow's names of what IMAGE_SUFFIXES stand for. It knows others, whatever a file is called, and
some of them start other programs."""

_SURELY_FINE, _PIXELS_A_BYTE = 2**24, 10_000
"""Pixels of an image that are never doubted, and those that a byte of a larger one can hold."""


def _check_claim(file: Path, image: Image.Image) -> None:
    """Refuses a few bytes that say they are a huge picture, before there is room made for it."""
    pixels, size = image.width * image.height, file.stat().st_size
    if pixels > max(_SURELY_FINE, _PIXELS_A_BYTE * size):
        raise DataError(
            f"{file}: says that it has {image.width} x {image.height} pixels, and is {size} bytes "
            "long; repair it or remove it"
        )


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation of EXIF; 1 is upright."""


def _upright(image: Image.Image) -> Image.Image:
    """The image as the camera was held.

    Pillow's own `exif_transpose` writes the metadata anew as well, and fails if one is broken.
    """
    image.load()
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken metadata can break Pillow in any way; the pixels are whole
        turn = None
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA"))


_MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
"""Pillow's modes for the colour spaces of ICC profiles."""


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image with the colours of sRGB, from those of its ICC profile; without one it is sRGB."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space]
        if (mode == "CMYK") != (image.mode == "CMYK"):
            return image
        srgb = ImageCms.createProfile("sRGB")
        moved = ImageCms.profileToProfile(image.convert(mode), source, srgb, outputMode="RGB")
    except Exception:  # a broken profile, or a Pillow without LittleCMS
        return image
    return moved or image


# --- Batches -------------------------------------------------------------------------------------


class Batches(Iterator[tuple[Tensor, Tensor]]):
    """Batches of a set in memory, without end: x_0 float32 (B, C, H, W) in [-1, 1], labels (B,).

    Every epoch goes through a fresh permutation; what is left at its end and fills no batch is
    dropped. With `flip`, half of the images, drawn anew each epoch, are mirrored left to right.
    With several processes each gives the same `seed` and its own `rank`: they walk through the same
    permutation and never meet. Raises DataError if the set does not fill one batch in each process.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        device: torch.device | str = "cpu",
        seed: int = 0,
        flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(f"batch_size={batch_size}, rank={rank}, world_size={world_size}")
        if len(images) < batch_size * world_size:
            raise DataError(
                f"{len(images)} images do not fill one batch of {batch_size * world_size}; "
                "take a smaller batch or more images"
            )
        self.images, self.batch_size, self.device = images, batch_size, torch.device(device)
        self.flip, self.rank, self.world_size = flip, rank, world_size
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._begin_epoch()

    def __len__(self) -> int:
        """Batches an epoch, in this process."""
        return len(self._order) // self.batch_size

    def _begin_epoch(self) -> None:
        """Draws the order and the flips of a whole epoch: its start is all there is to remember."""
        self._start = self._generator.get_state()
        n = len(self.images)
        order = torch.randperm(n, generator=self._generator, device="cpu")
        uniform = torch.rand(n, generator=self._generator, dtype=torch.float32, device="cpu")
        self._flips = uniform < 0.5
        even = n - n % self.world_size  # every process gets as many, so that epochs stay in step
        self._order = order[:even][self.rank :: self.world_size]
        self._position = 0

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self._position + self.batch_size > len(self._order):
            self._begin_epoch()
        chosen = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        pixels = to_device(self.images.pixels[chosen], self.device)
        if self.flip:
            flips = to_device(self._flips[chosen], self.device)[:, None, None, None]
            pixels = torch.where(flips, pixels.flip(-1), pixels)
        return to_float(pixels), to_device(self.images.labels[chosen], self.device)

    def state_dict(self) -> dict[str, Tensor]:
        """Where the walk stands: random state at the epoch's start (uint8), and place (int64).

        The place is the position in the epoch, the batch size and the number of images.

        It is the same in every process.
        """
        numbers = torch.tensor([self._position, self.batch_size, len(self.images)], device="cpu")
        return {"generator": self._start.clone(), "place": numbers}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from `state_dict`: the batches that follow are those that would have followed.

        Raises DataError if the state does not fit this set and batch size.
        """
        position, *rest = state["place"].tolist()
        if rest != [self.batch_size, len(self.images)]:
            raise DataError(
                "the saved place in the data does not fit this data set and batch size; go on with "
                "those that the run was begun with"
            )
        self._generator.set_state(state["generator"].cpu())
        self._begin_epoch()
        self._position = position
