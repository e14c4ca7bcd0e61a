"""The processor: its name, its kinds of instructions, its convolution peak, and who else uses it.

Most readers' processors have no AMX. A newer one can be held to what theirs have, by environment
variables that PyTorch, oneDNN and MKL read when they are loaded: `environment(kind)`.
"""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from measuring import timed

KINDS: Mapping[str, tuple[str, ...]] = {
    "amx": ("amx_tile", "amx_bf16"),
    "avx512": ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"),
    "avx2": ("avx2", "fma3"),
}
"""What a processor must have to be of a kind, the widest first."""

LOWERED = {
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }
}
"""What holds a processor to the kind."""


def abilities() -> dict[str, Any]:
    """What PyTorch knows of the processor, whatever it has been held to."""
    return dict(torch.cpu.get_capabilities())


def kinds_here(able: Mapping[str, Any]) -> list[str]:
    """The processor's own kind, and AVX2, which most readers' processors have.

    A processor with none of the three is of its own kind, "other".
    """
    have = [kind for kind, needs in KINDS.items() if all(able.get(need) for need in needs)]
    own = have[0] if have else "other"
    return [own, "avx2"] if "avx2" in have and own != "avx2" else [own]


def environment(kind: str, able: Mapping[str, Any]) -> dict[str, str]:
    """This process's environment for one that is to be held to the kind."""
    free = {
        name: value
        for name, value in os.environ.items()
        if all(name not in held for held in LOWERED.values())
    }
    lowered = LOWERED.get(kind, {}) if kind != kinds_here(able)[0] else {}
    return {**free, **lowered}


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name that the processor gives itself."""
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*: *(.+)$", text, re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()


def onednn_instructions() -> str:
    """What oneDNN, which computes the convolutions, says that it uses in a process like this."""
    # Not smaller: convolutions of a few numbers are not oneDNN's.
    code = "import torch; torch.conv2d(torch.ones(8, 16, 28, 28), torch.ones(16, 16, 3, 3))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_VERBOSE": "1"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"cpu,isa:(.+)", told)
    return found[1].strip() if found else "not told"


def machine() -> dict[str, Any]:
    """What a file of measurements says of the machine."""
    return {
        "processor": processor_name(),
        "cores": psutil.cpu_count(),
        "onednn": onednn_instructions(),
        "pytorch": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


# --- The peak of convolutions -------------------------------------------------------------------

PEAK_SHAPES = ((64, 28), (96, 14), (128, 14), (256, 14))
PEAK_BATCH = 128


class PeakConvolution:
    """A 3x3 convolution, forward and backward, and its operations."""

    def __init__(self, channels: int, side: int, bf16: bool, last: bool, batch: int) -> None:
        dtype = torch.bfloat16 if bf16 else torch.float32
        layout = torch.channels_last if last else torch.contiguous_format
        x = torch.randn(batch, channels, side, side).to(dtype)
        weight = (torch.randn(channels, channels, 3, 3) / (3 * channels**0.5)).to(dtype)
        self.x = x.contiguous(memory_format=layout).requires_grad_()
        self.weight = weight.contiguous(memory_format=layout).requires_grad_()
        self.grad = torch.randn_like(self.x)
        # Forward, gradient of the input, gradient of the weight: three times the same products.
        self.operations = 3 * 2 * batch * side**2 * channels**2 * 9

    def run(self) -> None:
        y = F.conv2d(self.x, self.weight, padding=1)
        torch.autograd.grad(y, (self.x, self.weight), self.grad)

    def rate(self, repeats: int = 4) -> float:
        """GFLOP/s: the best of a few repeats, for a peak is what is possible."""
        self.run()
        return self.operations / min(timed(self.run) for _ in range(repeats)) / 1e9


def peaks(bf16: bool, batch: int = PEAK_BATCH) -> dict[str, float]:
    """GFLOP/s of each shape in each layout; in bf16 as well where the processor computes in it."""
    return {
        f"{channels}x{side}x{side} {'bf16' if bf else 'fp32'} {'NHWC' if last else 'NCHW'}": round(
            PeakConvolution(channels, side, bf, last, batch).rate(), 1
        )
        for channels, side in PEAK_SHAPES
        for bf in ((False, True) if bf16 else (False,))
        for last in (False, True)
    }


def computes_in_bf16(kind: str, able: Mapping[str, Any]) -> bool:
    """Whether a kind of this processor has instructions for bf16 products."""
    return kind != "avx2" and any(able.get(n) for n in ("amx_bf16", "avx512_bf16", "bf16"))


# --- Who else uses the machine ------------------------------------------------------------------


@dataclass
class CpuMeter:
    """The share of the machine that other processes use between `start` and `others`."""

    begun: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0))

    @staticmethod
    def now() -> tuple[float, float, float]:
        """Seconds: all that the machine has spent, the idle part of it, what we have spent."""
        times = psutil.cpu_times()
        # Guest time is in user time already; stolen time is somebody else's, so it is not idle.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return total, times.idle + getattr(times, "iowait", 0.0), time.process_time()

    def start(self) -> None:
        self.begun = self.now()

    def others(self) -> float:
        total, idle, own = (b - a for a, b in zip(self.begun, self.now(), strict=True))
        return max(0.0, (total - idle - own) / max(total, 1e-9))
