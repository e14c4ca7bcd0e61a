"""How long readers wait for a picture that is drawn in their page: each shipped model in Chromium.

    python benchmarks/page_sampler.py                # after `make book`, on an idle machine

It serves the sampler of each model beside the files of `_build/html`, as any static server would,
to Chromium on two cores. The first picture loads the network and does not count; when its
workers are ready, more are drawn, with guidance (two answers a step) and without, in 20 steps each.
The last line is JSON: the seconds of the drawings, median and range, and what they depend on.
"""

import argparse
import hashlib
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from ddpm_lite.shipped import MODELS
from ddpm_lite.unet import count_parameters
from ddpm_lite.widgets.files import model_file
from ddpm_lite.widgets.sampler import Sampler, shipped, shipped_names

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from tests.browser.chromium import find_chromium, serve  # noqa: E402

STATIC = ROOT / "_build" / "html" / "_static"
CORES = 2
STEPS = 20
GUIDANCE = 1.3
CLASS = 3
LONGEST = 120_000
"""Milliseconds until a network is ready."""
PAGE = """<!doctype html><meta charset="utf-8"><title>Sampler</title><script>
  window.ready = 0;
  window.Worker = class extends Worker {{
    constructor(...given) {{
      super(...given);
      this.addEventListener("message", ({{ data }}) => void (data.files && window.ready++));
    }}
  }};
</script>{widget}"""
PRESS = """async (widget) => {
  const draw = widget.querySelector("[data-name=draw]");
  let drawn = false;
  document.addEventListener("drawn", () => (drawn = true), { once: true });
  draw.click();
  while (draw.textContent === "Stop") await new Promise((later) => setTimeout(later, 10));
  if (!drawn) throw new Error(widget.querySelector("[role=status]").textContent);
  return +widget.querySelector("output[data-name=seconds]").dataset.number;
}"""


def scales(labelled: bool) -> tuple[float, ...]:
    """Guidance scales to draw with: a network that always has a label knows none but 1."""
    return (1.0,) if labelled else (GUIDANCE, 1.0)


def summary(seconds: list[float]) -> dict[str, Any]:
    """Of the seconds of each drawing; the first one does not count."""
    counted = seconds[1:]
    return {
        "drawings": len(counted),
        "median_s": round(median(counted), 3),
        "range_s": [round(min(counted), 3), round(max(counted), 3)],
    }


def measured(page: Page, drawings: int) -> dict[str, Any]:
    """What the page's sampler takes for a picture, when all its workers are ready."""
    widget = page.wait_for_selector(".book-widget[data-ready]")
    seconds = [float(page.evaluate(PRESS, widget))]
    workers = min(2, int(page.evaluate("navigator.hardwareConcurrency")))
    page.wait_for_function(f"window.ready === {workers}")
    seconds += [float(page.evaluate(PRESS, widget)) for _ in range(drawings)]
    return {"workers": workers, **summary(seconds)}


def described(name: str) -> dict[str, Any]:
    """A model: its files and its network."""
    model = shipped(name)
    return {
        "weights_sha256": hashlib.sha256(MODELS[name].read_bytes()).hexdigest(),
        "bytes": (STATIC / model_file(name)).stat().st_size,
        "parameters": count_parameters(model.net),
        "shape": list(model.config.image_shape),
    }


def measure(browser: Browser, folder: Path, url: str, name: str, drawings: int) -> dict[str, Any]:
    """A model, and what it takes at each scale."""
    found = described(name)
    for scale in scales(shipped_names(name)[1]):
        widget = Sampler(
            model=name, label=CLASS, guidance=scale, steps=STEPS, static_root="_static/"
        )
        file = f"{name}_{scale}.html"
        (folder / file).write_text(PAGE.format(widget=widget._repr_html_()), encoding="utf-8")
        page = browser.new_page()
        page.set_default_timeout(LONGEST)
        page.goto(f"{url}/{file}")
        found[f"guidance_{scale}"] = measured(page, drawings)
        print(name, f"guidance {scale}", found[f"guidance_{scale}"], flush=True)
        page.close()
    return found


def take_cores() -> None:
    """Leaves this process, and what it starts, so many cores. Raises SystemExit without them."""
    mine = sorted(os.sched_getaffinity(0))[:CORES]
    if len(mine) < CORES:
        raise SystemExit(f"page_sampler: needs {CORES} cores, and may use {len(mine)}")
    os.sched_setaffinity(0, mine)


def machine() -> str:
    """The processor, as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def main() -> None:
    """Prints a line for each drawing's kind, and one of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drawings", type=int, default=7)
    options = parser.parse_args()
    take_cores()
    busy = os.getloadavg()[0]
    packages = json.loads((ROOT / "book" / "vendor" / "package.json").read_text())["dependencies"]
    with (
        TemporaryDirectory() as folder,
        serve(Path(folder)) as url,
        sync_playwright() as playwright,
    ):
        (Path(folder) / "_static").symlink_to(STATIC)
        browser = playwright.chromium.launch(executable_path=find_chromium())
        models = {
            name: measure(browser, Path(folder), url, name, options.drawings) for name in MODELS
        }
        result = {
            "command": shlex.join(["python", *sys.argv]),
            "processor": machine(),
            "cores": browser.new_page().evaluate("navigator.hardwareConcurrency"),
            "load_before": round(busy, 2),
            "chromium": browser.version,
            "onnxruntime_web": packages["onnxruntime-web"],
            "sampler": "dpm_solver",
            "steps": STEPS,
            "class": CLASS,
            "models": models,
        }
        browser.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
