"""Grids of images, read back pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddpm_lite.checkpoint import CheckpointError
from ddpm_lite.pictures import GAP, MOST_PIXELS, check_picture, grid, save_grid


def numbered(n: int, channels: int = 1, height: int = 3, width: int = 4) -> torch.Tensor:
    """No two numbers next to each other are equal, and image i begins with i."""
    values = torch.arange(n * channels * height * width) * 37 % 251
    images = values.to(torch.uint8).reshape(n, channels, height, width)
    images[:, 0, 0, 0] = torch.arange(n)
    return images


@given(st.integers(1, 12), st.integers(1, 6), st.sampled_from([1, 3]))
@settings(deadline=None)
def test_images_lie_row_by_row_with_grey_between(n: int, columns: int, channels: int) -> None:
    images = numbered(n, channels)
    page = np.asarray(grid(images, columns))
    rows = -(-n // columns)
    assert page.shape[:2] == (rows * 3 + (rows - 1) * GAP, columns * 4 + (columns - 1) * GAP)
    assert page.ndim == (2 if channels == 1 else 3)
    page = page.reshape(*page.shape[:2], channels)
    rest = np.ones(page.shape[:2], bool)
    for i, image in enumerate(images):
        top, left = (3 + GAP) * (i // columns), (4 + GAP) * (i % columns)
        assert (page[top : top + 3, left : left + 4] == image.permute(1, 2, 0).numpy()).all()
        rest[top : top + 3, left : left + 4] = False
    assert (page[rest] == 128).all()


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (100, 10)])
def test_a_grid_is_about_square_by_itself(n: int, columns: int) -> None:
    assert grid(numbered(n)).width == columns * (4 + GAP) - GAP


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no image to show"):
        grid(numbered(0))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a.b.webp", "WEBP"),
        ("a.PNG", "PNG"),
    ],
)
def test_the_name_decides_the_format(tmp_path: Path, name: str, kind: str) -> None:
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    images[:, 0] = 200
    images[2:] = 90
    save_grid(tmp_path / name, images)
    with Image.open(tmp_path / name) as saved:
        assert saved.format == kind
        levels = np.asarray(saved.convert("RGB")).astype(int)
    difference = np.abs(levels - np.asarray(grid(images)))
    if kind == "JPEG":  # keeps no edges, but the middle of an image
        assert difference[3:5, 3:5].max() < 12
    else:
        assert difference.max() == 0


@pytest.mark.parametrize("name", ["a", "a.", ".png", "a.txt", "a.safetensors", "a.png.gz"])
def test_other_names_are_refused_and_what_is_there_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(CheckpointError, match=r"ends in \.png, \.jpg, \.jpeg, \.webp"):
        save_grid(tmp_path / name, numbered(2))
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_images_of_other_channels_are_refused(tmp_path: Path, channels: int) -> None:
    """The second or the fourth would become transparency."""
    with pytest.raises(CheckpointError, match=f"1 or 3 channels, and these have {channels}"):
        check_picture(tmp_path / "x.png", channels=channels)
    with pytest.raises(CheckpointError, match=f"1 or 3 channels, and these have {channels}"):
        save_grid(tmp_path / "x.png", numbered(4, channels))
    assert not (tmp_path / "x.png").exists()


def test_a_link_to_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"precious")
    (tmp_path / "x.png").symlink_to(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="leads to a file that is no picture"):
        save_grid(tmp_path / "x.png", numbered(4))
    assert (tmp_path / "model.safetensors").read_bytes() == b"precious"
    (tmp_path / "y.png").symlink_to(tmp_path / "later.png")
    save_grid(tmp_path / "y.png", numbered(4))
    assert (tmp_path / "later.png").exists()


def test_a_grid_that_pillow_would_not_open_is_refused_before_it_is_made(tmp_path: Path) -> None:
    # 445 images of 28 with gaps of 2 take 13,348 pixels: 178.2 million in all
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS == MOST_PIXELS
    for name, kind in (("a.png", "PNG"), ("a.webp", "WEBP"), ("a.jpg", "JPEG")):
        assert check_picture(tmp_path / name, 445**2, 28) == kind
        with pytest.raises(CheckpointError, match="198,471 images make a picture of 178,97"):
            check_picture(tmp_path / name, 445 * 446 + 1, 28)
        with pytest.raises(CheckpointError, match="few programs open"):
            check_picture(tmp_path / name, 10**400, 28)


@pytest.mark.parametrize("name", ["a.webp", "a.jpg"])
def test_a_grid_that_its_format_cannot_hold_is_one_line(tmp_path: Path, name: str) -> None:
    wide = torch.zeros(1, 1, 1, 70_000, dtype=torch.uint8)
    with pytest.raises(CheckpointError, match=r"can be made of it .* try \.png"):
        save_grid(tmp_path / name, wide)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_grid_is_read_back_whole(tmp_path: Path, channels: int) -> None:
    images = numbered(5, channels)
    path = tmp_path / "new folder" / "grid.png"
    save_grid(path, images, 2)
    with Image.open(path) as saved:
        assert saved.format == "PNG"
        assert saved.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(np.asarray(saved), np.asarray(grid(images, 2)))
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


def test_a_grid_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"grid\.png: cannot be written"):
        save_grid(tmp_path / "file" / "grid.png", numbered(2))


def test_a_failed_write_leaves_the_old_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid.png"
    save_grid(path, numbered(2))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_grid(path, numbered(3))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["grid.png"]
