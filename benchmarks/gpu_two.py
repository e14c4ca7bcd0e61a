"""What two cards reach together; `gpu.py` starts this in two processes.

torchrun --standalone --nproc-per-node 2 benchmarks/gpu_two.py OUT.json cifar10 5
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import bare_machine  # noqa: F401, as it makes the imports of ddpm_lite possible
import torch
import torch.distributed as dist
from gpu_speed import CIFAR10, COMPILED, EAGER, TOY, images_per_second, trainer_for

from ddpm_lite.processes import join_world, leave_world
from ddpm_lite.train import Trainer

WORK = {"cifar10": (CIFAR10, COMPILED), "toy": (TOY, EAGER)}


def disagreement(trainer: Trainer) -> float:
    """The largest difference between the weights of the processes; they must stay equal."""
    weights = torch.cat([p.detach().flatten().cpu() for p in trainer.net.parameters()])
    both = [torch.empty_like(weights) for _ in range(2)]
    dist.all_gather(both, weights)
    return float((both[0] - both[1]).abs().max())


def main() -> None:
    """Measures, and the first process writes what was found."""
    out, work, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    device = join_world()
    subject, setting = WORK[work]
    # each card gets as many images as one alone
    trainer = trainer_for(replace(subject, batch=2 * subject.batch), setting, device)
    found = {
        "network": subject.name,
        "images_per_second": images_per_second(trainer, seconds),
        "weights_differ_by": disagreement(trainer),
    }
    if trainer.rank == 0:
        out.write_text(json.dumps(found))
    leave_world()


if __name__ == "__main__":
    main()
