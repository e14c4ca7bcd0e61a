"""Several processes that train one network: what PyTorch's `torchrun` started, as one reads it."""

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ddpm_lite.model import best_device


class ProcessError(Exception):
    """Another process could not do its part; the text is one line."""


def world() -> tuple[int, int]:
    """(rank, number of processes) of this process; (0, 1) outside `torchrun`."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def join_world() -> torch.device:
    """Joins the processes that `torchrun` started, if it did, and returns this one's device.

    Gradients go from GPU to GPU; what the processes agree on goes from CPU to CPU, so that no GPU
    is waited for. A group that was begun elsewhere must be able to do both.
    """
    device = best_device()
    if "LOCAL_RANK" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        # torchrun keeps its store when it starts processes again, with the addresses of the dead
        store, rank, size = next(rendezvous("env://"))
        fresh = PrefixStore(f"start_{restarts()}", store)
        dist.init_process_group(backend, store=fresh, rank=rank, world_size=size)
    return device


def is_lonely(error: Exception) -> bool:
    """Whether an error says that another process cannot be reached, in NCCL's way or gloo's."""
    by_gloo = isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    return by_gloo or isinstance(error, dist.DistError)


def restarts() -> int:
    """How often `torchrun --max-restarts` has started the processes again, after one had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch() -> str:
    """What started this process: of a `torchrun` the same at each restart, and of no other one.

    Several may have been given one id, or none, so the number of its process belongs to it.
    """
    return f"{os.environ.get('TORCHELASTIC_RUN_ID')} {os.getppid()}"


def leave_world() -> None:
    """Ends what `join_world` began, when all is done.

    Not to be called after an error: the others may be in the middle of a step, and would be waited
    for. `torchrun` ends them when this process has gone.
    """
    if dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def all_or_none() -> Iterator[None]:
    """The body succeeds in every process or fails in every process.

    Without that the others would wait in their next step for one that has gone. Where the body
    itself succeeded, but not everywhere, it raises ProcessError.
    """
    done = False
    try:
        yield
        done = True
    finally:
        failures = _sum(int(not done))
    if failures:
        raise ProcessError("another process failed; its own message says why")


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The body runs in the first process of each machine, and then in the others.

    If it fails in a first one, it raises ProcessError in the others instead.
    """
    if world()[1] > 1 and int(os.environ["LOCAL_RANK"]) > 0:
        with all_or_none():
            pass  # waits for the first ones
        yield
    else:
        with all_or_none():
            yield


def _sum(number: int) -> int:
    """The sum of every process's number, in every process."""
    if world()[1] == 1:
        return number
    total = torch.tensor(number, device="cpu")
    dist.all_reduce(total)
    return int(total)


def anyone(says: bool) -> bool:
    """Whether any process says so, in every process."""
    return _sum(int(says)) > 0


def agreed(decision: bool) -> bool:
    """The first process's decision, in every process."""
    if world()[1] == 1:
        return decision
    value = torch.tensor(int(decision), device="cpu")
    dist.broadcast(value, src=0)
    return bool(value)
