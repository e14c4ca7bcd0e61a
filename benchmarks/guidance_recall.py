"""What guidance buys and what it costs: the figure of chapter 10 (guidance_recall.json).

Digits of the shipped model in twenty steps of DPM-Solver++(2M) at several guidance scales, all from
the same noises: how many of them lie among real digits (precision), how many real ones lie among
them (recall), the label that is read, and the Frechet distance. Beside them stands what other real
digits reach, with its spread over draws, since they do not reach 1 either.

    OMP_NUM_THREADS=1 python benchmarks/guidance_recall.py   # about ten minutes of one CPU core
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from guidance import BATCH, judged
from sampling_quality import draw_batch, share_error
from torch import Tensor

from ddpm_lite.data import to_uint8
from ddpm_lite.judges import digits
from ddpm_lite.model import DiffusionModel, number_type
from ddpm_lite.precision_recall import NEIGHBOURS, precision_recall

OUT = Path(__file__).parents[1] / "book" / "data" / "guidance_recall.json"
SAMPLER, STEPS = "DPM-Solver++(2M)", 20
SCALES = (0.0, 1.0, 1.3, 2.0, 3.0, 4.0, 6.0)


def draw_batches(model: DiffusionModel, scale: float, n: int) -> list[Tensor]:
    """n digits, uint8, in batches of BATCH; the noises are the same at every scale."""
    return [
        to_uint8(draw_batch(model, SAMPLER, STEPS, BATCH, seed, scale, "auto"))
        for seed in range(n // BATCH)
    ]


def real_marks(reference: Tensor, n: int, seed: int = 0) -> dict[str, Any]:
    """Precision and recall of n real digits beside n others: mean and spread over the draws.

    The others are those that `sample_quality` compares drawn digits with.
    """
    order = torch.randperm(len(reference), generator=torch.Generator().manual_seed(seed))
    first, *rest = reference[order].split(n)
    pairs = torch.tensor([precision_recall(part, first) for part in rest if len(part) == n])
    means, spreads = pairs.mean(0).tolist(), pairs.std(0).tolist()
    named = zip(("precision", "recall"), means, spreads, strict=True)
    found = {"draws": len(pairs)}
    return found | {
        key: round(value, 4)
        for name, mean, spread in named
        for key, value in ((name, mean), (f"{name}_spread", spread))
    }


def with_errors(row: dict[str, Any], n: int) -> dict[str, Any]:
    """The row with a standard error for each of the two shares, instead of one for both."""
    errors = {f"{name}_se": round(share_error(row[name], n), 3) for name in ("precision", "recall")}
    return {key: value for key, value in row.items() if key != "share_se"} | errors


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=500, help=f"digits a scale, in steps of {BATCH}")
    parser.add_argument("--model", default="mnist", help="one that ships, or a checkpoint")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if options.n < BATCH or options.n % BATCH:
        parser.error(f"n must be a multiple of {BATCH}")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measures all and writes the file."""
    options = parse(arguments)
    torch.set_num_threads(1)
    model, judge, rows = DiffusionModel.load(options.model), digits(), []
    for scale in SCALES:
        batches = draw_batches(model, scale, options.n)
        grey = [round(float(batch.float().mean()), 3) for batch in batches]
        found = judged(torch.cat(batches), judge.reference)
        rows.append({"scale": scale, **with_errors(found, options.n), "grey": grey})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    words = sys.argv[1:] if arguments is None else arguments
    settings = {
        "command": shlex.join(["python", "benchmarks/guidance_recall.py", *words]),
        "n": options.n,
        "sampler": SAMPLER,
        "steps": STEPS,
        "batch": BATCH,
        "precision": number_type(torch.device("cpu")),
        "features": judge.name,
        "neighbours": NEIGHBOURS,
        "torch": torch.__version__,
        "real": real_marks(judge.reference, options.n),
    }
    options.out.write_text(json.dumps({**settings, "rows": rows}, indent=1) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
