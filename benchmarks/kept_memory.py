"""What it is worth that a process keeps the memory that it frees, in training and in drawing.

    OMP_NUM_THREADS=1 python benchmarks/kept_memory.py

trains the network of `cifar10_small` on random pictures and draws 128 with the shipped colour
model, in each round once as glibc would have it and once after `ddpm_lite.devices.keep_memory`.
Each has a process of its own, because it holds for the rest of a process. Seconds are the process's
own clock. Each work ends with a line of JSON.
"""

import json
import statistics
import subprocess
import sys

ROUNDS = 6
STEPS = 12

TRAINING = f"""
import torch
from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import PRESETS

pixels = torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8)
images = Images(pixels, torch.arange(256) % 10, [str(k) for k in range(10)])
model = ModelConfig(unet=PRESETS["cifar10_small"], side=32)
steps = Trainer(model, TrainConfig(steps=1000), images).steps()
for _ in range(3):
    next(steps)
began = time.process_time()
for _ in range({STEPS}):
    next(steps)
"""

DRAWING = """
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.model import DiffusionModel

model = DiffusionModel.load("cifar10")
draw(model, 64, DrawConfig(steps=2))
began = time.process_time()
draw(model, 128, DrawConfig(sampler="dpm_solver", steps=10, guidance_scale=3.0))
"""

BEFORE = """
import resource, sys, time
from ddpm_lite import draw, train

if sys.argv[1] == "given back":
    draw.keep_memory = train.keep_memory = lambda: None
"""

AFTER = """
print(time.process_time() - began)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def seconds(work: str, kind: str) -> tuple[float, float]:
    """Of one work, and the most megabytes that the process held."""
    script = BEFORE + work + AFTER
    told = subprocess.check_output([sys.executable, "-c", script, kind], text=True)
    elapsed, memory = map(float, told.split())
    return elapsed, memory


def compare(name: str, work: str) -> None:
    """Takes turns, and prints seconds, megabytes, and how many times as fast it is."""
    kinds = "given back", "kept"
    rounds = [{kind: seconds(work, kind) for kind in kinds} for _ in range(ROUNDS)]
    for kind in kinds:
        elapsed, memory = zip(*(row[kind] for row in rounds), strict=True)
        middle = f"{statistics.median(elapsed):.2f} s ({min(elapsed):.2f} to {max(elapsed):.2f})"
        print(f"{name}, {kind:10} {middle}, {max(memory):.0f} MB")
    faster = [row["given back"][0] / row["kept"][0] for row in rounds]
    ends = [round(value, 2) for value in (min(faster), max(faster))]
    row = {"work": name, "times_as_fast": round(statistics.median(faster), 2), "range": ends}
    print(json.dumps(row), flush=True)


def main() -> None:
    """Compares both kinds of work."""
    compare(f"{STEPS} steps of training", TRAINING)
    compare("128 pictures", DRAWING)


if __name__ == "__main__":
    main()
