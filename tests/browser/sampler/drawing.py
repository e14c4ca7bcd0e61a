"""What a reader does with the sampler and reads from it, and what PyTorch draws in its place."""

import json
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import Denoiser

from ..conftest import SITE, missing
from ..hands import until

SHAPE = (1, 28, 28)
CORES = """
  Object.defineProperty(navigator, "hardwareConcurrency", { value: %d });
  window.asked = [];
  window.ready = 0;
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => void (data.files && window.ready++));
    }
    postMessage(message) {
      this.labels ??= window.asked[window.asked.push([]) - 1];
      if (message.labels) this.labels.push(message.labels);
      const fails = message.labels && this.labels === window.asked[window.broken];
      super.postMessage(fails ? { ...message, labels: null } : message);
    }
  };"""
"""A machine with so many cores; `asked` is what each worker is asked, `ready` counts the loaded.

The worker number `broken` fails at each question.
"""


def holding(*names: str) -> Path:
    """The built book's folder of static files, in which these must be."""
    for name in names:
        if not (SITE / "_static" / name).is_file():
            missing(f"_static/{name} is not in the built book; `make book` puts it there")
    return SITE / "_static"


def choose(page: Page, **choices: object) -> None:
    """Sets controls by their data-name, as a reader would."""
    for name, value in choices.items():
        control = page.locator(f".book-widget [data-name={name}]")
        if control.evaluate("node => node.tagName") == "SELECT":
            control.select_option(str(value))
        else:
            control.fill(str(value))
            control.dispatch_event("change")


def press(page: Page, name: str = "draw") -> list[dict[str, Any]]:
    """Presses a button that draws; the frames {t, x, x0} of the run.

    The run has ended, well or not, when no button says "Stop" any more.
    """
    page.evaluate(
        """() => { window.drawn = null;
          document.addEventListener("drawn", (event) => (window.drawn = JSON.stringify(
            event.detail.map(({ t, x, x0 }) => ({ t, x: [...x], x0: x0 && [...x0] })))),
            { once: true }); }"""
    )
    page.click(f".book-widget [data-name={name}]")
    until(page, "document.querySelector('[data-name=draw]').textContent !== 'Stop'")
    drawn = page.evaluate("window.drawn")
    assert drawn, said(page)
    frames: list[dict[str, Any]] = json.loads(drawn)
    return frames


def picture(frame: dict[str, Any], key: str = "x", shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.tensor(frame[key]).reshape(1, *shape)


def said(page: Page) -> str:
    return page.locator(".book-widget .w-note[role=status]").inner_text()


def pytorch(label: int | None, guidance: float = 1.3) -> Denoiser:
    config = DrawConfig(guidance_scale=guidance, precision="float32")
    labels = None if label is None else torch.tensor([label])
    return make_denoiser(DiffusionModel.load(), labels, config)


def last_asked(page: Page) -> list[list[list[int]]]:
    """The labels that each worker was asked for last."""
    return [worker[-1:] for worker in page.evaluate("window.asked")]
