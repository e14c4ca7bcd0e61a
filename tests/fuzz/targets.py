"""What is fuzzed: how inputs of each reader are drawn, how it is fed, and what it may raise."""

import contextlib
import copy
import gzip
import io
import json
import random
import re
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mutations import changed
from PIL import Image

from ddpm_lite import archives, cli, draw, image_folder, labels, options, translation
from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.data import DataError, Images
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.symbolic import plain, reader
from ddpm_lite.symbolic.tokens import ReadError
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import UNet, UNetConfig

BOOK = Path(__file__).parents[2] / "book"


@dataclass(frozen=True)
class Target:
    """A reader: what it is given, and what it may raise."""

    draw: Callable[[random.Random], Any]
    feed: Callable[[Any], None]
    documented: tuple[type[Exception], ...]


# --- Checkpoints ---------------------------------------------------------------------------------


def checkpoint(around: Path) -> Target:
    """`read` of a whole file and of a part, and the network that it describes."""
    path, model = around / "x.safetensors", ModelConfig(
        unet=UNetConfig(channels=(4,), groups=1, patch=2), side=4, T=3
    )  # fmt: skip
    torch.manual_seed(0)
    weights = {f"ema.{k}": v for k, v in UNet(model.unet).state_dict().items()}
    write(path, weights, {"model": model.to_dict(), "step": 1, "class_names": ["a"]})
    summed = path.read_bytes()
    size = 8 + int.from_bytes(summed[:8], "little")
    # without sums, as old ones are: else nothing gets past them
    header = re.sub(rb',?"sha256":"(\\.|[^"\\])*"', b"", summed[8:size]).replace(b"{,", b"{")
    plain_file = len(header).to_bytes(8, "little") + header + summed[size:]

    def feed(content: bytes) -> None:
        path.write_bytes(content)
        read(path, only="nothing")
        read(path)
        DiffusionModel.load(path)

    path.write_bytes(plain_file)
    DiffusionModel.load(path)  # else nothing is tried
    seeds = [summed, plain_file, plain_file]
    return Target(lambda r: changed(r.choice(seeds), r), feed, (CheckpointError,))


OTHERS = (None, True, 3, 10**400, 0.5, "a", [], [1], ["a"], [[1, 2], ["a", 3]], {}, {"a": 1})
"""Values of each type of JSON."""


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value inside of one, which is an object or a list."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    deeper = ((one, (*path, name)) for name, one in inside)
    return [
        place
        for one, way in deeper
        for place in (way, *(_places(one, way) if isinstance(one, dict | list) else ()))
    ]


def _with_another(metadata: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The metadata with one value of another type."""
    changed_one = copy.deepcopy(metadata)
    *way, last = chance.choice(_places(metadata))
    around: Any = changed_one
    for name in way:
        around = around[name]
    around[last] = chance.choice([v for v in OTHERS if type(v) is not type(around[last])])
    return changed_one


WHOLE = 20
"""One in so many descriptions is used for all that reads one."""


def description(around: Path) -> Target:
    """A training's checkpoint in whose description one value is of another type.

    Read; one in WHOLE also drawn with, told about, evaluated and resumed, which takes long.
    """
    path, unet = around / "x.safetensors", UNetConfig(
        channels=(4,), groups=1, patch=2, classes=1, attention=(0,)
    )  # fmt: skip
    pixels = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    images = Images(pixels, torch.zeros(4, dtype=torch.int64), ("a",))
    training = Trainer(
        ModelConfig(unet=unet, side=4, T=3),
        TrainConfig(steps=1, batch_size=2, holdout=0.25),
        images,
        "cpu",
    )
    list(training.steps())
    training.save(path)
    tensors, metadata = read(path)
    metadata["earlier"] = [{"until": 1, "train": {"holdout": 0.25}}]
    metadata["draw"] = {"steps": 1, "guidance_scale": 1.0, "precision": "float32"}
    metadata["imported"] = {"variance": "beta", "clip": True}

    def feed(described: dict[str, Any]) -> None:
        write(path, tensors, described)
        model, known = DiffusionModel.load(path), read(path, only="nothing")[1]
        if zlib.crc32(json.dumps(described).encode()) % WHOLE == 0:
            use(model, known)

    def use(model: DiffusionModel, known: dict[str, Any]) -> None:
        own = draw.own_config(model)
        draw.draw(model, 1, own)
        labels.listed(labels.class_names(known, model.config.unet.classes), 2)
        cli._history(known)
        cli._warn_of_labels(known, own)
        cli._drawing(str(path))
        with contextlib.suppress(options.UsageError):
            cli._data_of(model, known)
        with mock.patch.object(cli, "load", return_value=images):
            cli._real_images("x", model, known)
        training.resume(path)

    write(path, tensors, metadata)
    use(DiffusionModel.load(path), metadata)  # else nothing is tried
    return Target(lambda r: _with_another(metadata, r), feed, (CheckpointError, ValueError))


def pipeline(around: Path) -> Target:
    """The configurations of a folder of diffusers, of which one value is of another type."""
    config = ModelConfig(unet=UNetConfig(channels=(4, 8), groups=1, times_from=0), side=4, T=3)
    theirs = {
        "unet": translation.unet_to(config),
        "scheduler": translation.scheduler_to(config, translation.Drawing()),
    }

    def feed(described: dict[str, Any]) -> None:
        if all(isinstance(part, dict) for part in described.values()):  # as their reader asks
            translation.model_from(described["unet"], described["scheduler"])

    feed(theirs)
    return Target(lambda r: _with_another(theirs, r), feed, (ValueError,))


# --- Data sets -----------------------------------------------------------------------------------


def _maybe_zipped(content: bytes, chance: random.Random) -> bytes:
    """Most of them packed after they were changed: else gzip's own sum refuses all."""
    return gzip.compress(content, 1) if chance.random() < 0.8 else content


def idx(around: Path) -> Target:
    """`_read_idx` of gzipped and other files."""
    path = around / "x.gz"
    good = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(24))
    label = bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(range(9))

    def feed(content: bytes) -> None:
        path.write_bytes(content)
        archives.read_idx(path)

    seeds = [good, label, good[:4], gzip.compress(good), gzip.compress(bytes(100_000))]
    return Target(lambda r: _maybe_zipped(changed(r.choice(seeds), r), r), feed, (DataError,))


def _tar(members: Sequence[tuple[str, int, bytes, str, bytes]]) -> bytes:
    """An archive whose entries may claim anything: name, size, type, link and content."""
    out = io.BytesIO()
    for name, size, kind, link, content in members:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = size, kind, link
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        out.write(content.ljust(-len(content) % 512 + len(content), b"\0"))
    return out.getvalue() + bytes(1024)


def cifar(around: Path) -> Target:
    """`_read_cifar` of archives."""
    path, names = around / "x.tar.gz", [f"d/data_batch_{i}.bin" for i in (1, 2)]
    record = bytes([3]) + bytes(3072)
    called = [*names, "d/other", "data_batch_1.bin", "", "pax"]
    sizes = [3073, 0, 1, 6146, 2**31, 2**40, 8**11 - 1, -512, -1536]
    kinds = [b"0", b"0", b"\0", *(bytes([kind]) for kind in b"1235 7LKSxgX")]
    links = ["", *names, "data_batch_1.bin"]
    contents = [record, b"", record * 2, b"19 path=data_batch_2\n", b"9" * 40]
    choices: list[list[Any]] = [called, sizes, kinds, links, contents]

    def draw(chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            return _maybe_zipped(changed(chance.choice([good, packed]), chance), chance)
        members = [tuple(map(chance.choice, choices)) for _ in range(chance.randrange(5))]
        times = 2000 if chance.random() < 0.01 else 1
        return _maybe_zipped(_tar(members * times), chance)

    good = _tar([(name, 3073, b"0", "", record) for name in names])
    packed = gzip.compress(good)

    def feed(content: bytes) -> None:
        path.write_bytes(content)
        archives.read_cifar(path, [Path(name).name for name in names])

    return Target(draw, feed, (DataError,))


# --- Recipes -------------------------------------------------------------------------------------


def recipe(around: Path) -> Target:
    """`read_recipe`, and for one in a hundred what parses the options, which is slow."""
    path = around / "x.toml"
    shipped = [file.read_bytes() for file in sorted(options.RECIPES.glob("*.toml"))]
    keys = [*sorted(options.options_of(options.Train())), "preset", "flpi", "", "a.b"]
    values = [
        "1", "-1", "nan", "inf", "true", "''", "'a'", "[]", "[1, 2]", "[[]]", "{}", "{a = 1}",
        "1979-05-27", "0x10", "1e999", "9" * 30, "0x" + "f" * 6000,
        "'--seed'", "['--seed', 3]", '"\\u0000"', '"\\n"',
    ]  # fmt: skip

    def draw(chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            return changed(chance.choice(shipped), chance)
        lines = [
            f"{chance.choice(keys)} = {chance.choice(values)}" for _ in range(chance.randrange(6))
        ]
        return "\n".join(lines).encode()

    fed = 0

    def feed(content: bytes) -> None:
        nonlocal fed
        fed += 1
        path.write_bytes(content)
        start, words = options.read_recipe(str(path))
        if fed % 100 == 0:
            options.parse(start, [str(path), *words])

    return Target(draw, feed, (options.UsageError,))


# --- Pictures ------------------------------------------------------------------------------------


def _pictures() -> list[tuple[str, bytes]]:
    """Small good ones of every kind and mode, by their suffix."""
    grey = Image.linear_gradient("L").resize((9, 7))
    colour, frames = grey.convert("RGB"), [grey.rotate(90 * i) for i in range(3)]
    saved: list[tuple[str, Image.Image, dict[str, Any]]] = [
        (".png", grey, {}),
        (".png", colour.convert("RGBA"), {}),
        (".png", grey.convert("P"), {"transparency": 3}),
        (".png", Image.new("1", (1, 1)), {}),
        (".png", Image.new("I;16", (3, 3)), {}),
        (".png", grey, {"save_all": True, "append_images": frames}),
        (
            ".jpg",
            colour,
            {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"},
        ),
        (".jpg", colour.convert("CMYK"), {}),
        (".jpg", grey, {"progressive": True}),
        (".gif", grey, {"save_all": True, "append_images": frames}),
        (".bmp", colour, {}),
        (".bmp", grey.convert("1"), {}),
        (".dib", colour, {}),
        (".tif", colour, {"compression": "tiff_lzw"}),
        (".tif", grey, {"compression": "packbits"}),
        (".tif", Image.new("F", (3, 3)), {}),
        (".webp", colour, {}),
        (".webp", colour, {"lossless": True}),
        (".webp", colour, {"save_all": True, "append_images": [colour.rotate(90)]}),
        (".ppm", colour, {}),
        (".pgm", grey, {}),
    ]
    return [(suffix, _saved(image, suffix, options)) for suffix, image, options in saved]


def _saved(image: Image.Image, suffix: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, format=Image.registered_extensions()[suffix], **options)
    return out.getvalue()


NAMES = ("a", "a\nb", "\x1b[31m", "é", "\udcff\udc80", " ", "a" * 200, "..b", "--seed", "絵")
"""Names that a file may have; bad UTF-8 among them."""


def pictures(around: Path) -> Target:
    """`folder` of one picture under some name, at times in a class or beside a link."""
    root = around / "pictures"
    root.mkdir()
    (around / "elsewhere").mkdir()
    seeds = _pictures()
    links = [None] * 8 + ["..", ".", "/nowhere", "../elsewhere", "ring"]

    def draw(chance: random.Random) -> tuple[tuple[str, bytes], str, str | None, int]:
        suffix, content = chance.choice(seeds)
        one, name = (suffix, changed(content, chance)), chance.choice(NAMES)
        if chance.random() < 0.3:
            name = f"{chance.choice(NAMES)}/{name}"
        return one, name, chance.choice(links), chance.choice((1, 3))

    def feed(drawn: tuple[tuple[str, bytes], str, str | None, int]) -> None:
        (suffix, content), name, link, channels = drawn
        file, ring = root / f"{name}{suffix}", root / "ring"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        if link is not None:
            ring.symlink_to(link)
        try:
            images = image_folder.folder(root, 8, channels)
            labels.listed(images.class_names, 2).encode()
        except DataError as error:
            if "too little memory" in str(error):
                raise MemoryError from error
            raise
        finally:
            file.unlink()
            if file.parent != root:
                file.parent.rmdir()
            ring.unlink(missing_ok=True)

    return Target(draw, feed, (DataError,))


# --- Formulas ------------------------------------------------------------------------------------

_LINES = (
    r"\frac{ } { ( ) [ ] ^ _ + - = < , . \cdot \dots \cdots \sum_{s=1}^t \prod_{s=1}^{t} \int \log",
    r"\exp \sqrt{ x x_t x_{t-1} x_0 \alpha_t \bar\alpha_t \beta_t \epsilon \mathbb{E} \mathcal{N}",
    r"\left( \right) \lVert \rVert \| \mid ! 2 10 999 0.5 t T \mathrm{d} \partial \infty \to \lim",
    r"\, & \\ \begin{pmatrix} \end{pmatrix} % \text{a} ^2 ^{1000} ^{-1} \theta p q \mu \Sigma",
    r"\langle \rangle",
)
WORDS = [word for line in _LINES for word in line.split()]


def _formulas() -> list[bytes]:
    """What stands displayed on the book's pages."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(BOOK.glob("*.md")))
    found = [one for text in texts for one in re.findall(r"^\$\$\n(.+?)\n\$\$", text, re.S | re.M)]
    return [one.encode() for one in found if len(one) < 300]


def latex(around: Path) -> Target:
    """The page's grammar, and the small one for what is typed."""
    formulas = _formulas()

    def draw(chance: random.Random) -> str:
        if chance.random() < 0.5:
            return " ".join(chance.choices(WORDS, k=chance.randrange(13)))
        return changed(chance.choice(formulas), chance).decode(errors="replace")

    def feed(text: str) -> None:
        try:
            reader.read_claims(text)
        except ReadError:
            plain.to_latex(text)

    return Target(draw, feed, (ReadError,))


TARGETS = {
    make.__name__: make
    for make in (checkpoint, description, pipeline, idx, cifar, recipe, pictures, latex)
}
