"""A network in colour: its numbers are PyTorch's, and its classes have names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page
from small import coloured_model

from ddpm_lite.archives import CIFAR10
from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.export import export
from ddpm_lite.model import DiffusionModel
from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import RUNTIME_FILES, model_file
from ddpm_lite.widgets.sampler import Sampler, page_noise, page_states

from ..hands import Show, until
from .drawing import CORES, choose, holding, last_asked, picture, press

COLOUR = (3, 16, 16)


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """The widget of a small untrained network of CIFAR-10's classes."""
    path = tmp_path / "colours.safetensors"
    coloured_model(path, side=COLOUR[-1])
    monkeypatch.setitem(MODELS, "colours", path)
    chosen: dict[str, Any] = {"label": "horse", "guidance": 2.0, "steps": 4, "own_t": 20}
    return Sampler(model="colours", static_root="_static/", **chosen)


@pytest.mark.slow
def test_a_network_in_colour_is_pytorchs_at_every_step(
    widget_page: Show, colours: Sampler, tmp_path: Path
) -> None:
    """With guidance, for which one worker answers at first, and two when both are ready."""
    (tmp_path / "_static").mkdir()
    vendor = holding(*RUNTIME_FILES.values()) / "vendor"
    (tmp_path / "_static" / "vendor").symlink_to(vendor)
    model = DiffusionModel.load("colours")
    export(model, tmp_path / "_static" / model_file("colours"))
    page = widget_page(colours, first=CORES % 2)
    for label, seed, guidance in (("horse", 0, 2.0), ("airplane", 3, 1.5)):
        choose(page, label=label, seed=seed, guidance=guidance)
        frames = press(page)
        config = DrawConfig(guidance_scale=guidance, precision="float32")
        denoise = make_denoiser(model, torch.tensor([CIFAR10.index(label)]), config)
        wanted = page_states(denoise, model.schedule, page_noise(seed, COLOUR), "dpm_solver", 4)
        for frame, state in zip(frames[1:], wanted, strict=True):
            assert frame["t"] == state.t
            assert (picture(frame, "x", COLOUR) - state.x_t).abs().max() < 1e-3
            assert (picture(frame, "x0", COLOUR) - state.x_0).abs().max() < 1e-3
        until(page, "window.ready === 2")
    assert last_asked(page) == [[[0]], [[10]]]
    assert all("Drawing an airplane" in told for told in labels(page))


def labels(page: Page) -> list[str]:
    """What is told of the pictures of a run to those who cannot see them."""
    told = page.locator(".book-widget canvas:visible")
    return [str(node.get_attribute("aria-label")) for node in told.all()]


def test_classes_have_their_names(widget_page: Show, colours: Sampler) -> None:
    page = widget_page(colours)
    assert not page.locator(".w-own").is_visible()  # a sketch is grey
    menu = page.locator("label:has([data-name=label])")
    assert menu.locator("option").all_inner_texts() == [*CIFAR10, "any"]
    assert menu.inner_text().startswith("Class")
    assert menu.locator("select").input_value() == "7"
    group = page.locator(".book-widget").get_attribute("aria-label")
    assert str(group).startswith("A diffusion model draws a horse from noise in 4 steps:")
    large, strip = labels(page)
    assert large.startswith("Drawing a horse: the noisy picture at t = 0,")
    assert strip.startswith("Drawing a horse, step by step:")
