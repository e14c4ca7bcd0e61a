"""Several processes that train one network: what PyTorch's `torchrun` started, as one reads it."""

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor

from ddpm_lite.model import best_device


def world() -> tuple[int, int]:
    """(rank, number of processes) of this process; (0, 1) outside `torchrun`."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def join_world() -> torch.device:
    """Joins the processes that `torchrun` started, if it did, and returns this one's device."""
    device = best_device()
    if "LOCAL_RANK" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The body runs in the first process of each machine, and then in the others."""
    others = world()[1] > 1 and int(os.environ["LOCAL_RANK"]) > 0
    if others:
        dist.barrier()
    yield
    if world()[1] > 1 and not others:
        dist.barrier()


def gather(state: Tensor) -> Tensor:
    """The same tensor of every process, stacked by rank."""
    processes = world()[1]
    if processes == 1:
        return state[None]
    local = state.to("cuda") if dist.get_backend() == "nccl" else state
    rows = [torch.empty_like(local) for _ in range(processes)]
    dist.all_gather(rows, local)
    return torch.stack(rows).cpu()


def agreed(decision: bool) -> bool:
    """The first process's decision, in every process."""
    if world()[1] == 1:
        return decision
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    value = torch.tensor(int(decision), device=device)
    dist.broadcast(value, src=0)
    return bool(value)
