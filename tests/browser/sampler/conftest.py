"""The sampler's widget, and the page that it is on."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from ddpm_lite.widgets.files import RUNTIME_FILES, model_file
from ddpm_lite.widgets.sampler import Sampler

from .drawing import holding


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


@pytest.fixture(scope="module")
def made() -> Sampler:
    """The widget, for a page beside which its files lie."""
    return Sampler(static_root="_static/")


@pytest.fixture
def widget(made: Sampler, tmp_path: Path) -> Sampler:
    """The widget, and beside its page the model and the runtime of the built book."""
    (tmp_path / "_static").symlink_to(holding(*RUNTIME_FILES.values(), model_file("mnist")))
    return made
