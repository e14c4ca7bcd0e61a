"""The shipped model's digits after few steps, sampler by sampler: the numbers of chapter 9.

Three measurements, written as JSON with the command line that made them.

1. Quality: digits drawn by each sampler in 5 to 50 steps, judged by the package's classifier
   (`ddpm_lite.evaluate`), beside real digits, as many of each class. All samplers start from the
   same noises.
2. Guidance: the same for DPM-Solver++(2M) in 10 steps at several scales.
3. Error: how far the images of the two samplers without noise are from those that the same
   starting noises lead to in many steps.

Standard errors: of the Frechet distance by the jackknife over 20 blocks of images, of a share or a
mean from its spread over images; of a share with two hits and two misses added.
"""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.checkpoint import read
from ddpm_lite.classifier import load_classifier
from ddpm_lite.data import mnist, to_float, to_uint8
from ddpm_lite.draw import DrawConfig, balanced_labels, make_denoiser
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.frechet import asked, floor_draws, frechet_distance
from ddpm_lite.judges import digits
from ddpm_lite.model import DiffusionModel, Precision, number_type
from ddpm_lite.sample import (
    Denoiser,
    State,
    ancestral,
    ddim,
    dpm_solver,
    initial_noise,
    last,
    timesteps,
)
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.shipped import model_path

OUT = Path(__file__).parents[1] / "book" / "data" / "sampling_quality.json"
STEPS = (5, 10, 20, 50)
SCALES = (0.0, 1.3, 2.0, 4.0)
GUIDED_STEPS = 10
BLOCKS = 20

Sampler = Callable[[Denoiser, NoiseSchedule, Tensor, int, int], Iterator[State]]
"""(denoiser, schedule, x_T, steps, seed) to the states."""


# --- Samplers ------------------------------------------------------------------------------------


def coarse(schedule: NoiseSchedule, steps: int) -> tuple[NoiseSchedule, list[int]]:
    """The chain that visits only `steps` of the T times, and those times, rising."""
    times = timesteps(schedule.T, steps)[-2::-1]
    kept = schedule.alpha_bar[torch.tensor(times) - 1]
    before = torch.cat([torch.ones(1, dtype=kept.dtype), kept[:-1]])
    return NoiseSchedule(1 - kept / before), times


def ancestral_beta(
    denoise: Denoiser, schedule: NoiseSchedule, x_T: Tensor, steps: int, seed: int
) -> Iterator[State]:
    """Ancestral sampling on the coarser chain, with its beta as variance."""
    chain, times = coarse(schedule, steps)
    return ancestral(lambda x, k: denoise(x, times[k - 1]), chain, x_T, "beta", seed)


SAMPLERS: dict[str, Sampler] = {
    "ancestral, beta": ancestral_beta,
    "ancestral, beta tilde": lambda d, s, x, n, seed: ddim(d, s, x, n, eta=1.0, seed=seed),
    "DDIM": lambda d, s, x, n, seed: ddim(d, s, x, n, eta=0.0),
    "DPM-Solver++(2M)": lambda d, s, x, n, seed: dpm_solver(d, s, x, n),
}
"""DDIM with eta = 1 is ancestral sampling with beta tilde on the coarser chain."""


def draw_batch(
    model: DiffusionModel,
    sampler: str,
    steps: int,
    count: int,
    seed: int,
    scale: float,
    precision: Precision,
) -> Tensor:
    """`count` digits in [-1, 1], (count, 1, 28, 28), every class equally often."""
    labels = balanced_labels(count, model.config.unet.classes)
    config = DrawConfig(guidance_scale=scale, precision=precision)
    denoise = make_denoiser(model, labels, config)
    x_T = initial_noise((count, *model.config.image_shape), seed)
    return last(SAMPLERS[sampler](denoise, model.schedule, x_T, steps, seed))


# --- Judging -------------------------------------------------------------------------------------


@torch.no_grad()
def features(images: Tensor) -> Tensor:
    """What the Frechet distance is taken of, (N, 128), for uint8 images."""
    network = load_classifier()
    return torch.cat([network.features(to_float(batch)) for batch in images.split(100)])


def jackknife(statistic: Callable[[Tensor], float], values: Tensor, blocks: int = BLOCKS) -> float:
    """The standard error of a statistic of rows, from leaving out one block of rows at a time."""
    member = torch.arange(len(values)) * blocks // len(values)
    left = torch.tensor([statistic(values[member != b]) for b in range(blocks)])
    return float(((blocks - 1) * left.var(correction=0)).sqrt())


def share_error(share: float, n: int) -> float:
    """The standard error of a share, with two hits and two misses added: never 0."""
    near = (share * n + 2) / (n + 4)
    return math.sqrt(near * (1 - near) / (n + 4))


def judge(batches: list[Tensor], reference: Tensor) -> dict[str, Any]:
    """One row of the tables: the digits of all batches together."""
    images = to_uint8(torch.cat(batches))
    quality = sample_quality(images, labels_of(len(images), len(batches[0])))
    n, accuracy = quality.n, quality.label_accuracy
    assert accuracy is not None
    error = jackknife(lambda rows: frechet_distance(rows, reference), features(images))
    return {
        "frechet": round(quality.frechet, 3),
        "frechet_se": round(error, 3),
        "label_accuracy": round(accuracy, 4),
        "label_accuracy_se": round(share_error(accuracy, n), 4),
        "confidence": round(quality.confidence, 4),
        "class_distance": round(quality.class_distance, 4),
        "grey": [round(float(to_uint8(b).float().mean()), 3) for b in batches],
    }


def labels_of(n: int, batch: int) -> Tensor:
    """The classes (n,) that digits are drawn of, batch by batch."""
    labels = balanced_labels(batch, 10)
    assert labels is not None
    return labels.repeat(n // batch)


def floor(labels: Tensor) -> dict[str, float]:
    """The Frechet distance of new real digits with these classes, mean and spread over draws."""
    found = floor_draws(asked(labels, digits()))
    return {"frechet": round(float(found.mean()), 3), "spread": round(float(found.std()), 3)}


# --- The measurements ----------------------------------------------------------------------------


def measure(model: DiffusionModel, options: argparse.Namespace) -> dict[str, Any]:
    """All of it, as the JSON holds it."""
    reference = features(mnist(train=False).pixels)

    def row(sampler: str, steps: int, scale: float) -> dict[str, Any]:
        batches = [
            draw_batch(model, sampler, steps, options.batch, seed, scale, options.precision)
            for seed in batch_seeds(options)
        ]
        found = {"sampler": sampler, "steps": steps, "scale": scale, **judge(batches, reference)}
        print(json.dumps(found), file=sys.stderr, flush=True)
        return found

    n = options.n * len(options.seeds)
    return {
        "quality": [row(name, steps, 1.0) for name in SAMPLERS for steps in STEPS],
        "guidance": [row("DPM-Solver++(2M)", GUIDED_STEPS, scale) for scale in SCALES],
        "error": solver_errors(model, options.error_images, options.error_steps),
        "floor": floor(labels_of(n, options.batch)),
    }


def batch_seeds(options: argparse.Namespace) -> list[int]:
    """A seed for each batch: those of one run are neighbours, runs are 1000 apart."""
    return [1000 * seed + k for seed in options.seeds for k in range(options.n // options.batch)]


def solver_errors(model: DiffusionModel, count: int, many: int) -> list[dict[str, Any]]:
    """Root mean square distance of pixels from the image after `many` steps, in float32."""
    arguments = (count, 0, 1.0, "float32")
    truth = draw_batch(model, "DPM-Solver++(2M)", many, *arguments)  # type: ignore[arg-type]
    rows = []
    for name in ("DDIM", "DPM-Solver++(2M)"):
        for steps in STEPS:
            drawn = draw_batch(model, name, steps, *arguments)  # type: ignore[arg-type]
            away = (drawn - truth).square().flatten(1).mean(1).sqrt()
            error = float(away.std() / math.sqrt(count))
            rows.append(
                {
                    "sampler": name,
                    "steps": steps,
                    "rms": round(float(away.mean()), 5),
                    "rms_se": round(error, 5),
                }
            )
    return rows


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=500, help="images a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the noises")
    parser.add_argument("--batch", type=int, default=125, help="images at a time; divides n")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--error-images", type=int, default=32, help="images of the third part")
    parser.add_argument("--error-steps", type=int, default=250, help="steps of its reference")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="mnist", help="one that ships, or a checkpoint")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if options.n % options.batch:
        parser.error("n must be a multiple of batch")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the file."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    start, used = time.perf_counter(), time.process_time()
    trained = read(model_path(options.model), only="nothing")[1].get("train", {})
    found = measure(DiffusionModel.load(options.model), options)
    words = sys.argv[1:] if arguments is None else arguments
    settings = {
        "command": shlex.join(["python", "benchmarks/sampling_quality.py", *words]),
        "training": {name: trained.get(name) for name in ("steps", "batch_size", "seed")},
        "features": digits().name,
        "n": options.n * len(options.seeds),
        "seeds": options.seeds,
        "batch": options.batch,
        "precision": number_type(torch.device("cpu"), options.precision),
        "blocks": BLOCKS,
        "error_images": options.error_images,
        "error_steps": options.error_steps,
        "torch": torch.__version__,
        "cpu_seconds": round(time.process_time() - used),
        "seconds": round(time.perf_counter() - start),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**settings, **found}, indent=1) + "\n")
    print(settings["command"])
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
