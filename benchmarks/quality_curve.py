"""How quality grows with pictures seen and operations spent: book/data/quality_curve.json.

A training that keeps its averaged weights each time its steps have doubled:

    ddpm-lite train cifar10_small --data cifar10/train --keep-doublings
    python benchmarks/quality_curve.py runs/cifar10_small cifar10/test

Each of these weights draws from the same noises without guidance, which nobody has tuned, and is
judged as `ddpm-lite evaluate` does; so are those at the end. An average that still holds much of
its beginning, because its training was young, is left out. Points of earlier steps that the file
has already, of as many pictures of the same kind, stay: their weights may be gone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from measuring import command, count_operations, kind_of

from ddpm_lite.checkpoint import read
from ddpm_lite.data import Images, load
from ddpm_lite.draw import DrawConfig
from ddpm_lite.model import DiffusionModel, new_net
from ddpm_lite.report import LikelihoodConfig, report
from ddpm_lite.run import KEPT, WEIGHTS

OUT = Path(__file__).parents[1] / "book" / "data" / "quality_curve.json"
DRAW = DrawConfig(sampler="dpm_solver", steps=20, guidance_scale=1.0)
BOUND = LikelihoodConfig(likelihood_images=0)
BEGINNING = 0.2
"""The largest share of an average that its first weights may have."""
SHOWN = ("frechet", "frechet_floor", "knn_precision", "knn_recall", "label_accuracy")


def operations(model: DiffusionModel) -> int:
    """Floating-point operations of one picture in training, there and back."""
    net = new_net(model.config.unet)  # a new one, whose weights have gradients
    x, t = torch.zeros(1, *model.config.image_shape), torch.ones(1, dtype=torch.int64)
    return count_operations(lambda: net(x, t))


def point(path: Path, real: Images, n: int) -> dict[str, Any]:
    """One point of the curve: what the weights in a file had cost, and what they draw."""
    model, metadata = DiffusionModel.load(path), read(path, only="nothing")[1]
    seen = metadata["step"] * metadata["train"]["batch_size"]
    figures = report(model, real, n, DRAW, BOUND)
    return {
        "step": metadata["step"],
        "pictures": seen,
        "operations": operations(model) * seen,
        **{name: figures[name] for name in SHOWN},
    }


def ripe(path: Path) -> bool:
    """Whether the averaged weights in a file have left their beginning behind."""
    metadata = read(path, only="nothing")[1]
    return bool(metadata["train"]["ema_decay"] ** metadata["step"] <= BEGINNING)


def earlier(path: Path, step: int, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The file's points before a step, if they were measured in the same way."""
    had: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    same = all(had.get(name) == told[name] for name in ("data", "n"))
    return [row for row in had["rows"] if row["step"] < step] if same else []


def main() -> None:
    """Judges all kept weights and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the training")
    parser.add_argument("data", help="test pictures: a named set or a folder")
    parser.add_argument("--n", type=int, default=2000, help="pictures to draw at each point")
    options = parser.parse_args()
    kept = sorted((options.run / KEPT).glob("*.safetensors"))
    files = [path for path in (*kept, options.run / WEIGHTS) if path.is_file() and ripe(path)]
    config = DiffusionModel.load(files[0]).config
    real = load(options.data, False, config.side, config.unet.image_channels)
    told = {"command": command(), "data": kind_of(options.data), "n": options.n}
    first = min(read(path, only="nothing")[1]["step"] for path in files)
    rows = earlier(OUT, first, told)
    for path in files:
        rows.append(point(path, real, options.n))
        print(rows[-1], flush=True)
    OUT.write_text(json.dumps({**told, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
