"""A folder of pictures of any kind, made into images of one size."""

import io
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps
from tqdm import tqdm

from ddpm_lite.images import MAX_SIDE, Bytes, DataError, Images, reason
from ddpm_lite.labels import visible

__all__ = ["folder"]

DEEPEST = 100
"""Folders within folders."""

IMAGE_SUFFIXES = frozenset(
    (
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".webp", ".avif", ".gif",
        ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    )
)  # fmt: skip
"""The file names that `folder` takes for images, in any case."""

logger = logging.getLogger("ddpm_lite")


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


def _room(root: Path, shape: tuple[int, int, int, int]) -> Bytes:
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
    place counts and a ring of links ends. Raises DataError for a link to nowhere, for a folder that
    cannot be read, and for too many folders within folders.
    """
    files, twice, level, seen = list[Path](), list[Path](), [root], {os.path.realpath(root)}
    depth = 0
    while level:
        if (depth := depth + 1) > DEEPEST:  # each entry's way is looked up from the root
            raise DataError(f"{root}: holds more than {DEEPEST} folders within folders")
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
        raise DataError(f"{folder}: cannot be read ({reason(error)})") from None
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
        logger.warning("%s: left out %s", root, visible("; ".join(filter(None, said))))


def _listed(paths: Sequence[Path], root: Path) -> str:
    return ", ".join(str(path.relative_to(root)) for path in paths)


def _suffixes() -> str:
    return ", ".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))


def _class_of(file: Path, root: Path) -> str:
    first, *rest = file.relative_to(root).parts
    return first if rest else root.resolve().name


def _read_image(file: Path, side: int, channels: int) -> Bytes:
    """One image as (channels, side, side). Raises DataError that names the file."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_claim(file, image)
            if image.mode[0] in "IF":  # Pillow would cut these off at 255
                raise DataError(f"{file}: more than 8 bits a channel; save it with 8, or remove it")
            profile, grey = image.info.get("icc_profile"), Image.getmodebase(image.mode) == "L"
            flat = _in_srgb(_on_white(_upright(image)), profile, grey)
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


_MOST_SCANS = 500
"""Passes over a JPEG picture. Ten are usual, and a hundred more than anybody needs
(https://bugzilla.redhat.com/show_bug.cgi?id=1344214)."""


def _check_claim(file: Path, image: Image.Image) -> None:
    """Refuses a few bytes that are a huge picture, or much work, before any of it is done."""
    pixels, size = image.width * image.height, file.stat().st_size
    if pixels > max(_SURELY_FINE, _PIXELS_A_BYTE * size):
        raise DataError(
            f"{file}: says that it has {image.width} x {image.height} pixels, and is {size} bytes "
            "long; repair it or remove it"
        )
    # a scan of ten bytes goes over all pixels; in coded data 0xff is never followed by 0xda
    if image.format == "JPEG" and file.read_bytes().count(b"\xff\xda") > _MOST_SCANS:
        raise DataError(
            f"{file}: a JPEG file of more than {_MOST_SCANS} scans; save it anew, or remove it"
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


def _in_srgb(image: Image.Image, profile: bytes | None, grey: bool) -> Image.Image:
    """The image with the colours of sRGB, from those of its ICC profile; without one it is sRGB.

    So it is with a profile that is not made for such pixels. `grey` says whether they were grey.
    """
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space]
        if (mode == "CMYK") != (image.mode == "CMYK") or (mode == "L" and not grey):
            return image
        srgb = ImageCms.createProfile("sRGB")
        moved = ImageCms.profileToProfile(image.convert(mode), source, srgb, outputMode="RGB")
    except Exception:  # a broken profile, or a Pillow without LittleCMS
        return image
    return moved or image
