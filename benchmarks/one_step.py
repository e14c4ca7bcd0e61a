"""One step or few: the numbers of chapter 13's table (one_step.json).

Digits of the shipped model by DDIM with its usual guidance, and of its student that
`benchmarks/distil.py` made, all from the same noises, judged by the package's classifier.

    python benchmarks/one_step.py              # about five minutes of one busy CPU core
"""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from guidance import BATCH, judged
from sampling_quality import features
from torch import Tensor

from ddpm_lite.data import mnist, to_uint8
from ddpm_lite.draw import DrawConfig, balanced_labels, own_config, states
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import initial_noise, last

OUT = Path(__file__).parents[1] / "book" / "data" / "one_step.json"
STEPS = {"mnist_one_step": (1, 2, 4), "mnist": (1, 2, 4, 10, 20)}


def drawn(model: DiffusionModel, config: DrawConfig, n: int) -> Tensor:
    """n digits, uint8, every class equally often; the noises are the same for all models."""
    batches, labels = [], balanced_labels(BATCH, 10)
    for seed in range(n // BATCH):
        start = initial_noise((BATCH, *model.config.image_shape), seed)
        batches.append(to_uint8(last(states(model, start, labels, config, seed))))
    return torch.cat(batches)


def measured(name: str, n: int) -> list[dict[str, Any]]:
    """A row for each number of steps."""
    model, reference = DiffusionModel.load(name), features(mnist(train=False).pixels)
    rows = []
    for steps in STEPS[name]:
        config = replace(own_config(model), steps=steps)
        asked = steps * (1 if config.guidance_scale == 1 else 2)  # guidance asks twice a step
        images = drawn(model, config, n)
        rows.append({"model": name, "steps": steps, "asked": asked, **judged(images, reference)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Measures all and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1000, help="digits a row, a multiple of 100")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in STEPS for row in measured(name, options.n)]
    head = {"command": shlex.join(["python", *sys.argv]), "n": options.n}
    head["guidance"] = DrawConfig().guidance_scale
    options.out.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
