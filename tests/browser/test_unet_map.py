"""The map of the U-Net in Chromium, against the network itself."""

from functools import cache

import pytest
import torch
from playwright.sync_api import Page

from ddpm_lite.data import to_uint8
from ddpm_lite.model import DiffusionModel
from ddpm_lite.widgets.unet_map import Block, UNetMap, lay_out, record, signed_bytes

from .hands import Show, control, move, number, pictures, shown, tab_to

DIGITS, TIMES = (2, 7), (100, 350, 600, 850)
BYTES = """nth => {
  const map = document.querySelectorAll("canvas")[nth];
  const copy = new OffscreenCanvas(map.width, map.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(map, 0, 0);
  const pixels = context.getImageData(0, 0, map.width, map.height).data;
  return [map.width, map.height, ...pixels];
}"""


@cache
def model() -> DiffusionModel:
    return DiffusionModel.load().without_variance()


@cache
def widget() -> UNetMap:
    return UNetMap(model=model())


@cache
def blocks() -> dict[str, Block]:
    return {block.name: block for block in lay_out(model().net, "v")}


@cache
def outputs() -> dict[str, torch.Tensor]:
    return record(model(), list(blocks().values()), DIGITS, TIMES, seed=0)


def agrees(page: Page, name: str, frame: int) -> None:
    """The numbers of a block are those of the tensor that comes out of it."""
    output = outputs()[name][frame]
    if name == "x_0":
        output = output[:1]  # beside it stands the true one
    found = [int(shown(page, key)) for key in ("channels", "height", "width", "parameters")]
    assert found == [*output.shape, blocks()[name].parameters]
    assert number(page, "rms") == pytest.approx(output.square().mean().sqrt().item(), rel=1e-6)


def shown_map(page: Page, k: int) -> torch.Tensor:
    """The kth map below the U as RGBA, (height, width, 4)."""
    width, height, *pixels = page.evaluate(BYTES, k + 1)
    return torch.tensor(pixels).reshape(height, width, 4)


def test_every_block_shows_its_shape_and_size(widget_page: Show) -> None:
    page = widget_page(widget())
    agrees(page, "down_1", 1)
    seen = {tuple(pictures(page))}
    for name in blocks():
        control(page, name).click()
        assert control(page, name).get_attribute("aria-pressed") == "true"
        assert page.locator("button[aria-pressed=true]").count() == 1
        agrees(page, name, 1)
        seen.add(tuple(pictures(page)))
    assert len(seen) == len(blocks())


def test_time_and_digit_choose_the_frame(widget_page: Show) -> None:
    page = widget_page(widget())
    for frame in (6, 0, 7, 3, 4):
        before = pictures(page)
        control(page, "digit").select_option(str(DIGITS[frame // 4]))
        move(page, time=frame % 4)
        t = TIMES[frame % 4]
        assert number(page, "alpha_bar") == pytest.approx(
            model().schedule.alpha_bar[t - 1].item(), rel=1e-12
        )
        assert page.locator("label:has([data-name=time]) output").text_content() == str(t)
        agrees(page, "down_1", frame)
        assert pictures(page) != before


def test_pictures_are_grey_and_maps_have_two_colours(widget_page: Show) -> None:
    page = widget_page(widget())
    control(page, "x_t").click()
    grey = to_uint8(outputs()["x_t"][1, 0])
    assert torch.equal(shown_map(page, 0)[..., 0], grey.int())
    control(page, "up_4").click()
    kept = next(b["kept"] for b in widget().state["blocks"] if b["name"] == "up_4")
    wanted = signed_bytes(outputs()["up_4"][1:2, kept])[0]
    for k, map_bytes in enumerate(wanted):
        rgba = shown_map(page, k)
        size = (map_bytes.float() - 128) / 127
        alpha = 255 * size.abs().clamp(max=1) ** 0.8
        assert (rgba[..., 3] - alpha).abs().max() <= 0.51
        blue = rgba[..., 2] > rgba[..., 0]
        clear = size.abs() > 0.05
        assert torch.equal(blue[clear], (size > 0)[clear])


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(widget(), calm=True)
    tab_to(page, "digit")
    page.keyboard.press("7")
    tab_to(page, "time")
    page.keyboard.press("ArrowRight")
    tab_to(page, "middle_1")
    page.keyboard.press("Enter")
    agrees(page, "middle_1", 6)
    assert "every pixel looks at every other" in page.locator(".w-about").inner_text()
    tab_to(page, "embed")
    page.keyboard.press("Space")
    agrees(page, "embed", 6)


@pytest.mark.parametrize(("width", "room"), [(1280, 24), (400, 24)])
def test_blocks_lie_apart_and_are_large_enough(widget_page: Show, width: int, room: int) -> None:
    page = widget_page(widget(), width=width)
    boxes = [control(page, name).bounding_box() for name in blocks()]
    for box in boxes:
        assert box is not None
        assert min(box["width"], box["height"]) >= room
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_moves_from_block_to_block(widget_page: Show) -> None:
    for width in (1280, 400):
        page = widget_page(widget(), width=width)
        heights = set()
        for name in blocks():
            control(page, name).click()
            heights.add(page.locator("main .w-numbers").evaluate("node => node.offsetTop"))
        assert max(heights) - min(heights) <= 1


def test_lines_take_the_colour_of_the_text(widget_page: Show) -> None:
    light = pictures(widget_page(widget()))[0]
    assert pictures(widget_page(widget(), theme="dark"))[0] != light
