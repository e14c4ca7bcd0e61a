"""Folders of pictures: classes, crops, colours; what is damaged is named, nothing is dropped."""

import io
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features
from small import default
from small_data import one_line, save

from ddpm_lite import image_folder
from ddpm_lite.data import DataError, folder


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


def test_a_folder_that_is_not_there_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder; give the path") as error:
        folder(tmp_path / "nowhere", 8)
    one_line(error)


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


def test_so_many_folders_within_folders_are_refused(tmp_path: Path) -> None:
    """They would take a time that grows as the cube of their number."""
    save(tmp_path.joinpath("good", *["a"] * 97, "0.png"))
    assert len(folder(tmp_path / "good", 2)) == 1
    save(tmp_path.joinpath("deep", *["a"] * 100, "0.png"))
    with pytest.raises(DataError, match="more than 100 folders within folders"):
        folder(tmp_path / "deep", 2)


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
    assert [n for n in sorted(names, key=image_folder._natural) if n] == [n for n in wanted if n]


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
    monkeypatch.setattr(image_folder, "MAX_SIDE", 8)
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
        image_folder._room(tmp_path, (2**40, 3, 4096, 4096))
    one_line(error)


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


@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_greys_are_brought_to_srgb(tmp_path: Path, gamma: float, mode: str) -> None:
    grey = icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve(gamma)})
    Image.new("L", (8, 8), 100).convert(mode).save(tmp_path / "1.png", icc_profile=grey)
    found = folder(tmp_path, 1).pixels.flatten().tolist()
    assert found == pytest.approx(in_srgb((100, 100, 100), "srgb", gamma), abs=2)


def test_greys_with_a_profile_of_colours_are_brought_to_srgb(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 100).save(tmp_path / "1.png", icc_profile=profile(D50["p3"], 1.0))
    found = folder(tmp_path, 1).pixels.flatten().tolist()
    assert found == pytest.approx(in_srgb((100, 100, 100), "p3", 1.0), abs=2)


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


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_profile_of_greys_takes_no_colours_away(tmp_path: Path, mode: str) -> None:
    grey = icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve(1.0)})
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(tmp_path / "1.png", icc_profile=grey)
    assert folder(tmp_path, 1).pixels.flatten().tolist() == [255, 0, 0]


def test_the_names_of_image_files_are_pillows_own() -> None:
    Image.init()
    formats = {kind for kind in image_folder._FORMATS if kind in Image.OPEN}
    assert set(image_folder._FORMATS) - formats <= {"AVIF"}  # which not every Pillow has
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats}
    assert image_folder.IMAGE_SUFFIXES - known <= {".jif"} | ({".avif"} - known)


def test_the_sessions_default_device_changes_no_label(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        save(tmp_path / name)
    with default("meta"):
        assert folder(tmp_path, 2).labels.tolist() == [0, 1]


@pytest.mark.parametrize("scans", [400, 600])
def test_a_picture_of_endless_passes_is_refused(tmp_path: Path, scans: int) -> None:
    """A megabyte of them could keep a processor busy for minutes."""
    path = tmp_path / "a.jpg"
    Image.linear_gradient("L").save(path, progressive=True)
    content = path.read_bytes()
    last = content[content.rindex(b"\xff\xda") :]
    head = last[: 2 + int.from_bytes(last[2:4], "big")]  # a scan whose data are missing
    path.write_bytes(content[:-2] + scans * head + content[-2:])
    if scans < 500:
        assert len(folder(tmp_path, 8)) == 1
    else:
        with pytest.raises(DataError, match="more than 500 scans"):
            folder(tmp_path, 8)
