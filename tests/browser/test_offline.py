"""The zip of the book, unpacked somewhere and opened from its files, without any server."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from book_offline import ARCHIVE, machine
from playwright.sync_api import Page

from ddpm_lite.classifier import load_classifier

from .chromium import Log
from .conftest import SITE, missing
from .hands import move, number
from .sampler.drawing import picture, press


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a reader finds in the zip."""
    if not (SITE / ARCHIVE).exists():
        missing("the book is not built; `make book` builds it")
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(SITE / ARCHIVE) as packed:
        packed.extractall(folder)
    (found,) = folder.iterdir()
    return found


def test_all_of_the_site_is_in_it(unpacked: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}

    twice = {f"_static/{name}" for name in machine(SITE / "_static")}  # scripts hold them too
    assert names(unpacked) == names(SITE) - {ARCHIVE} - twice


def test_the_first_page_opens_the_book_and_its_model_draws(
    unpacked: Path, page: Page, log: Log
) -> None:
    page.goto((unpacked / "index.html").as_uri())
    page.wait_for_url("**/book/index.html")
    page.wait_for_selector(".book-widget[data-ready]")
    frames = press(page)
    assert int(load_classifier()(picture(frames[-1])).argmax()) == 8  # the page asks for an 8
    assert all(address.startswith(("file:", "data:", "blob:")) for address in log.requests)


def test_widgets_move_and_mathematics_is_set(unpacked: Path, page: Page) -> None:
    page.goto((unpacked / "book" / "01_gaussians.html").as_uri())
    page.wait_for_selector(".book-widget[data-ready]")
    page.wait_for_selector("mjx-container")
    before = number(page, "area")
    move(page, sigma=1.7)
    assert number(page, "area") != before
