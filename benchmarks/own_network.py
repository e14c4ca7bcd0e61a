"""The reader's own network after a longer training: chapter 8's lines, ten times as often.

The page trains the network that chapter 7 builds for a minute. This script takes the same cells out
of the chapters, changes nothing but the number of updates, and keeps the weights for chapter 9, in
float16:

    python benchmarks/own_network.py ddpm_lite/assets/own_network.safetensors
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import colab  # noqa: E402

from ddpm_lite.checkpoint import write  # noqa: E402
from ddpm_lite.data import Batches, mnist  # noqa: E402
from ddpm_lite.diffusion import q_sample, target_of  # noqa: E402
from ddpm_lite.model import DiffusionModel  # noqa: E402

PAGE = "650"
"""Updates on the page."""
LONG = "6500"


def cells(updates: str) -> str:
    """Chapter 8's training with another number of updates."""
    text = (ROOT / "book" / "08_training.md").read_text(encoding="utf-8")
    options = (
        (yaml.safe_load(m["yaml"] or "") or {}, m["code"]) for m in colab.CELL.finditer(text)
    )
    found = [code for option, code in options if "my-training" in option.get("tags", [])]
    code = "\n".join(found)
    if code.count(PAGE) != 2:
        raise ValueError(f"chapter 8 does not train for {PAGE} updates")
    return code.replace(PAGE, updates).replace("from my_unet import SmallUNet", "")


def trained(updates: str) -> tuple[torch.nn.Module, list[float]]:
    """The network and its losses."""
    names: dict[str, Any] = {
        "torch": torch, "shipped": DiffusionModel.load().without_variance(), "Batches": Batches,
        "mnist": mnist, "q_sample": q_sample, "target_of": target_of,
    }  # fmt: skip
    exec(colab.my_unet(), names)
    exec(cells(updates), names)
    return names["net"], names["losses"]


def main() -> None:
    """Trains, and writes the weights."""
    began = time.perf_counter()
    net, losses = trained(LONG)
    weights = {name: value.half() for name, value in net.state_dict().items()}
    told = {
        "updates": int(LONG),
        "seconds": round(time.perf_counter() - began),
        "last_losses": sum(losses[-200:]) / 200,
        "torch": torch.__version__,
    }
    write(Path(sys.argv[1]), weights, told)
    print(told)


if __name__ == "__main__":
    main()
