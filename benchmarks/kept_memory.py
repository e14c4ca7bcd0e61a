"""What it is worth to training that the process keeps the memory that it frees, on this machine.

    OMP_NUM_THREADS=1 python benchmarks/kept_memory.py

trains the network of `cifar10_small` on random pictures, in each round once as glibc would have it
and once after `ddpm_lite.devices.keep_memory`, each in a process of its own, because it holds for
the rest of a process. Seconds are the process's own clock. The last line is JSON.
"""

import json
import statistics
import subprocess
import sys

ROUNDS = 6
STEPS = 12

TRAINING = f"""
import resource, sys, time
import torch
from ddpm_lite import train
from ddpm_lite.data import Images
from ddpm_lite.model import ModelConfig
from ddpm_lite.unet import PRESETS

if sys.argv[1] == "given back":
    train.keep_memory = lambda: None
pixels = torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8)
images = Images(pixels, torch.arange(256) % 10, [str(k) for k in range(10)])
model = ModelConfig(unet=PRESETS["cifar10_small"], side=32)
steps = train.Trainer(model, train.TrainConfig(steps=1000), images).steps()
for _ in range(3):
    next(steps)
began = time.process_time()
for _ in range({STEPS}):
    next(steps)
print((time.process_time() - began) / {STEPS})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def seconds(kind: str) -> tuple[float, float]:
    """Of one step, and the most megabytes that the process held."""
    told = subprocess.check_output([sys.executable, "-c", TRAINING, kind], text=True)
    step, memory = map(float, told.split())
    return step, memory


def main() -> None:
    """Takes turns, and prints seconds a step, megabytes, and how many times as fast it is."""
    kinds = "given back", "kept"
    rounds = [{kind: seconds(kind) for kind in kinds} for _ in range(ROUNDS)]
    for kind in kinds:
        steps, memory = zip(*(row[kind] for row in rounds), strict=True)
        print(
            f"{kind:10} {statistics.median(steps):.3f} s a step ({min(steps):.3f} to"
            f" {max(steps):.3f}), {max(memory):.0f} MB"
        )
    faster = [row["given back"][0] / row["kept"][0] for row in rounds]
    ends = [round(value, 2) for value in (min(faster), max(faster))]
    print(json.dumps({"times_as_fast": round(statistics.median(faster), 2), "range": ends}))


if __name__ == "__main__":
    main()
