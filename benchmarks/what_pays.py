"""What makes a step fast on this processor, and where its time goes.

    OMP_NUM_THREADS=1 python benchmarks/what_pays.py

trains the networks of both shipped models on random pictures, in turns in one process: as they are,
and with one thing less each time. The norms run in PyTorch's own operations instead of the
package's kernel; then pictures also lie channel by channel in memory; and attention is left out,
which tells what it costs. A profiler tells the shares of a step. Seconds are the process's own
clock, so that other work on the machine counts little. The last line is JSON.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from processor import abilities, processor_name
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from ddpm_lite import fused_norm
from ddpm_lite.data import Images
from ddpm_lite.model import DiffusionModel, ModelConfig, number_type
from ddpm_lite.train import TrainConfig, Trainer

ROUNDS, STEPS = 5, 6
INSTRUCTIONS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")

KERNEL = "the package's kernel"
"""How the profiler is told of it: it is called past PyTorch."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "convolutions": ("mkldnn_convolution", "convolution_backward", "_convolution"),
    "norms": (KERNEL, "native_group_norm", "silu"),
    "attention": ("_scaled_dot_product", "bmm", "softmax", "_flash_attention"),
    "small matrices": ("addmm", "linear", "aten::mm"),
    "optimizer and average": ("_foreach", "_fused_adam", "lerp"),
}
"""Of the names of operations, by what stands in them; the first that fits counts."""


def without_kernel() -> AbstractContextManager[Any]:
    """The norms in PyTorch's own operations."""
    return patch.object(fused_norm, "kernel", lambda: None)


@dataclass(frozen=True)
class Way:
    """One thing that differs."""

    change: Callable[[ModelConfig], ModelConfig] = lambda config: config
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    channel_by_channel: bool = False


WAYS: Mapping[str, Way] = {
    "as it is": Way(),
    "PyTorch's norms": Way(around=without_kernel),
    "PyTorch's norms, channel by channel": Way(around=without_kernel, channel_by_channel=True),
    "no attention": Way(lambda config: replace(config, unet=replace(config.unet, attention=()))),
}


def told_of_kernel() -> AbstractContextManager[Any]:
    """A profiler sees the kernel's calls."""
    call = fused_norm._call

    def told(*arguments: Any) -> None:
        with record_function(KERNEL):
            call(*arguments)

    return patch.object(fused_norm, "_call", told)


def _own_layout(net: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return args[0].contiguous(), *args[1:]


def training(config: ModelConfig, way: Way) -> Callable[[], None]:
    """STEPS updates of a new network on random pictures."""
    pixels = torch.randint(0, 256, (256, *config.image_shape), dtype=torch.uint8)
    classes = config.unet.classes
    images = Images(pixels, torch.arange(256) % classes, tuple(map(str, range(classes))))
    trainer = Trainer(way.change(config), TrainConfig(steps=10_000), images, "cpu")
    if way.channel_by_channel:
        trainer.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        trainer.net.register_forward_pre_hook(_own_layout)
    steps: Iterator[object] = trainer.steps()

    def work() -> None:
        with way.around():
            for _ in range(STEPS):
                next(steps)

    return work


def seconds(work: Callable[[], None]) -> float:
    """Of the process's own clock, for one step."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / STEPS


def compared(config: ModelConfig, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds a step of each way, and how many times as long as it is now, with the range."""
    works = {name: training(config, way) for name, way in WAYS.items()}
    for work in works.values():
        work()
    found = [{name: seconds(work) for name, work in works.items()} for _ in range(rounds)]
    rows = {}
    for name in WAYS:
        ratios = [row[name] / row["as it is"] for row in found]
        rows[name] = {
            "seconds": round(statistics.median(row[name] for row in found), 3),
            "times": round(statistics.median(ratios), 2),
            "range": [round(min(ratios), 2), round(max(ratios), 2)],
        }
    return rows


def part_of(name: str) -> str:
    """Which of the PARTS an operation belongs to."""
    return next((part for part, words in PARTS.items() if any(w in name for w in words)), "rest")


def shares(config: ModelConfig) -> dict[str, float]:
    """The shares of a step's time, by a profiler."""
    work = training(config, WAYS["as it is"])
    work()
    with told_of_kernel(), profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    spent: dict[str, float] = {}
    for event in profiler.key_averages():
        part = part_of(event.key)
        spent[part] = spent.get(part, 0.0) + event.self_cpu_time_total
    whole = sum(spent.values())
    return {part: round(time / whole, 3) for part, time in sorted(spent.items())}


def main() -> None:
    """Both models."""
    told: dict[str, Any] = {"processor": processor_name()}
    told |= {"has": [name for name in INSTRUCTIONS if abilities().get(name)]}
    told |= {"numbers": number_type(torch.device("cpu")), "threads": torch.get_num_threads()}
    for name in ("mnist", "cifar10"):
        config = DiffusionModel.load(name).config
        told[name] = {"ways": compared(config), "shares": shares(config)}
        for way, row in told[name]["ways"].items():
            print(
                f"{name:8} {way:36} {row['seconds']:.3f} s a step, {row['times']:.2f} times",
                row["range"],
            )
        print(f"{name:8}", told[name]["shares"], flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
