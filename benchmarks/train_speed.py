"""Training speed side by side with three peers, each at its best setting, in one process.

Every row is a whole training step on real MNIST digits (batch 128): draw a batch, add noise,
forward, mean squared error, backward, clip the gradient, fused AdamW, zero the gradient.
Run it with `make bench`; `benchmarks/README.md` says how to read it.
"""

import argparse
import contextlib
import json
import math
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from measuring import count_operations, timed
from torch import Tensor, nn

from ddpm_lite.data import mnist
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

BATCH = 128
TIMESTEPS = 1000
TOLERANCE = 0.10
MIN_ROUNDS = 5
INSTALL = "pip install --no-deps -r benchmarks/requirements.txt"

# The peers' network, two blocks a level and attention in the middle, as we would build it.
FULL_RESOLUTION = UNetConfig(channels=(32, 64, 80), blocks=2, groups=8, heads=4, patch=1)


# --- Contenders ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contender:
    """A network to time: how to build it, and how to call it with x (B,1,28,28) and t (B,)."""

    name: str
    about: str
    build: Callable[[], nn.Module]
    predict: Callable[[Callable[..., Any], Tensor, Tensor], Tensor]


def ours(name: str, about: str, config: UNetConfig) -> Contender:
    """One of our networks, called without labels because the peers have none."""
    return Contender(name, about, lambda: UNet(config), lambda net, x, t: net(x, t))


def diffusers_peer() -> Contender:
    """`UNet2DModel` of diffusers, of our full-resolution network's widths, blocks and groups."""
    from diffusers import UNet2DModel

    def build() -> nn.Module:
        net: nn.Module = UNet2DModel(  # type: ignore[assignment, no-untyped-call]
            sample_size=28,
            in_channels=1,
            out_channels=1,
            block_out_channels=(32, 64, 80),
            layers_per_block=2,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D", "UpBlock2D"),
        )
        return net

    # return_dict=False spares the output object: a little faster, and simpler to compile.
    return Contender(
        f"diffusers {metadata.version('diffusers')}",
        "UNet2DModel (32, 64, 80)",
        build,
        lambda net, x, t: net(x, t, return_dict=False)[0],
    )


def lucidrains_peer() -> Contender:
    """`Unet` of denoising-diffusion-pytorch, its width chosen to match our parameter count."""
    from denoising_diffusion_pytorch import Unet  # type: ignore[import-not-found]

    return Contender(
        f"lucidrains {metadata.version('denoising-diffusion-pytorch')}",
        "Unet dim 32, mults (1, 2, 3)",
        lambda: Unet(dim=32, dim_mults=(1, 2, 3), channels=1),
        lambda net, x, t: net(x, t),
    )


def smalldiffusion_peer() -> Contender:
    """`Unet` of smalldiffusion; its default dropout is off, as in the others: that is faster.

    Its widths must be multiples of 32; the wider time embedding brings it to our parameter count
    and costs next to nothing.
    """
    from smalldiffusion import Unet  # type: ignore[import-not-found]

    def build() -> nn.Module:
        net: nn.Module = Unet(
            28, 1, 1, ch=32, ch_mult=(1, 2, 2), embed_ch_mult=8, attn_resolutions=(7,), dropout=0.0
        )
        return net

    # It is told a noise level where the others are told a time: any positive number will do.
    return Contender(
        f"smalldiffusion {metadata.version('smalldiffusion')}",
        "Unet ch 32, mults (1, 2, 2)",
        build,
        lambda net, x, t: net(x, t.float()),
    )


def stand_in(name: str) -> types.ModuleType:
    """A module that has every name; each is a function that takes anything and returns None."""
    module = types.ModuleType(name)
    module.__dict__["__getattr__"] = lambda _: lambda *args, **kwargs: None
    return module


@contextlib.contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """Lets two peers be imported without torchvision.

    Both import torchvision for loading and saving pictures only, never for the network, and the
    wheels of torchvision do not load beside the CPU build of torch. So an empty stand-in takes
    its place while they are imported. No layer that is timed below comes from it.
    """
    names = ("torchvision", "torchvision.transforms")
    before = {name: sys.modules.get(name) for name in names}
    parent, child = (stand_in(name) for name in names)
    parent.__dict__["transforms"] = child
    sys.modules.update(zip(names, (parent, child), strict=True))
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def load_peers() -> dict[str, Contender]:
    """The peers by short name. Raises SystemExit that says how to install them."""
    try:
        # First, because it asks whether torchvision is installed, and the stand-in is not.
        diffusers = diffusers_peer()
        with torchvision_stand_in():
            lucidrains, small = lucidrains_peer(), smalldiffusion_peer()
    except ImportError as error:
        raise SystemExit(f"a peer is missing ({error}): {INSTALL}") from error
    return {"lucidrains": lucidrains, "diffusers": diffusers, "smalldiffusion": small}


def load_contenders() -> dict[str, Contender]:
    """Ours (the `mnist` preset and the full-resolution one), then the peers."""
    return {
        "mnist": ours("ddpm_lite mnist", "2x2 patches, (48, 64, 96)", PRESETS["mnist"]),
        "full": ours("ddpm_lite full", "(32, 64, 80), 28x28", FULL_RESOLUTION),
        **load_peers(),
    }


# --- Size: parameters and operations ------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """Parameters, and floating-point operations per image, forward and backward."""

    parameters: int
    operations: float


def measure_size(contender: Contender, batch: int = 2) -> Size:
    """Counts both."""
    net = contender.build()
    x, t = torch.randn(batch, 1, 28, 28), torch.randint(1, TIMESTEPS + 1, (batch,))
    operations = count_operations(lambda: contender.predict(net, x, t))
    parameters = sum(p.numel() for p in net.parameters())
    return Size(parameters, operations / batch)


def check_close(what: str, reference: float, values: dict[str, float]) -> None:
    """Prints how far each value is from the reference. Raises ValueError beyond 10 %."""
    gaps = {name: value / reference - 1 for name, value in values.items()}
    print(f"  {what}: " + ", ".join(f"{name} {gap:+.1%}" for name, gap in gaps.items()))
    far = [name for name, gap in gaps.items() if abs(gap) > TOLERANCE]
    if far:
        raise ValueError(f"{what} of {', '.join(far)} differ by more than {TOLERANCE:.0%}")


def check_sizes(sizes: dict[str, Size]) -> None:
    """The conditions of the two tables. Raises ValueError if one does not hold."""
    peers = [name for name in sizes if name not in ("mnist", "full")]
    parameters = {name: float(sizes[name].parameters) for name in peers}
    operations = {name: sizes[name].operations for name in peers}
    print(f"Sizes of the peers against ours (each must be within {TOLERANCE:.0%})")
    check_close("parameters, against mnist (table 1)", sizes["mnist"].parameters, parameters)
    check_close("parameters, against full (table 2)", sizes["full"].parameters, parameters)
    check_close("operations, against full (table 2)", sizes["full"].operations, operations)


# --- The training step --------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """How a network is run."""

    bf16: bool
    channels_last: bool
    compiled: bool = False

    def __str__(self) -> str:
        precision = "bf16" if self.bf16 else "fp32"
        layout = "NHWC" if self.channels_last else "NCHW"
        return f"{precision} {layout} {'compiled' if self.compiled else 'eager'}"

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def load_images() -> Tensor:
    """The MNIST training digits (60000, 1, 28, 28), uint8, from inside the package."""
    return mnist().pixels


class Training:
    """A network in training under one setting; `step` is what is timed."""

    def __init__(self, contender: Contender, setting: Setting, images: Tensor) -> None:
        self.setting, self.images, self.predict = setting, images, contender.predict
        # channels_last is only a stride order: a no-op for all but the 4-d weights.
        self.net = contender.build().to(memory_format=setting.memory_format)  # type: ignore[call-overload]
        self.call = torch.compile(self.net, dynamic=False) if setting.compiled else self.net
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, fused=True)

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """A noisy batch, its times and its noise, on the cosine schedule."""
        picked = self.images[torch.randint(len(self.images), (BATCH,))]
        t, noise = torch.randint(1, TIMESTEPS + 1, (BATCH,)), torch.randn(picked.shape)
        angle = (t.float() / TIMESTEPS * math.pi / 2)[:, None, None, None]
        x = angle.cos() * (picked.float() / 127.5 - 1) + angle.sin() * noise
        return x.contiguous(memory_format=self.setting.memory_format), t, noise

    def step(self) -> float:
        """One training step. Returns the loss."""
        x, t, noise = self.batch()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.setting.bf16):
            predicted = self.predict(self.call, x, t)
        loss = F.mse_loss(predicted.float(), noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


# --- Phase one: which setting is best for each --------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What a setting gave: images a second (the best of a few steps), and the first step's time."""

    setting: Setting
    speed: float
    first_step: float


def try_setting(contender: Contender, setting: Setting, images: Tensor) -> tuple[Training, Trial]:
    """Trains a few steps under the setting."""
    training = Training(contender, setting, images)
    first_step = timed(training.step)
    # The second step still warms allocators; compiled networks may compile once more in it.
    training.step()
    speed = BATCH / min(timed(training.step) for _ in range(3))
    return training, Trial(setting, speed, first_step)


def report_trial(contender: Contender, trial: Trial) -> None:
    compiling = f"  (first step {trial.first_step:.0f} s)" if trial.setting.compiled else ""
    speed = f"{trial.speed:7.1f} images/s"
    print(f"  {contender.name:24} {trial.setting!s:19} {speed}{compiling}", flush=True)


def attempt(
    contender: Contender, setting: Setting, images: Tensor
) -> tuple[Training, Trial] | None:
    """As `try_setting`, but a setting that the network cannot run is told and passed over."""
    try:
        tried = try_setting(contender, setting, images)
    except Exception as error:  # whatever a peer or the compiler raises: the others go on
        reason = (str(error).strip() or "no message").splitlines()[0][:80]
        print(f"  {contender.name:24} {setting!s:19} failed: {type(error).__name__}: {reason}")
        return None
    report_trial(contender, tried[1])
    return tried


def eager_settings() -> list[Setting]:
    return [Setting(bf16, last) for bf16 in (False, True) for last in (False, True)]


def compiled_settings(best: Setting, both_layouts: bool) -> list[Setting]:
    """The compiled settings worth their minute: in the best eager precision."""
    layouts = (False, True) if both_layouts else (best.channels_last,)
    return [Setting(best.bf16, last, compiled=True) for last in layouts]


def faster(
    one: tuple[Training, Trial] | None, other: tuple[Training, Trial] | None
) -> tuple[Training, Trial] | None:
    """The faster of two; None is slower than anything."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda tried: tried[1].speed)


def best_setting(contender: Contender, images: Tensor, both_layouts: bool) -> Training:
    """Tries the settings and keeps the fastest. Raises RuntimeError if none runs."""
    best: tuple[Training, Trial] | None = None
    for setting in eager_settings():
        best = faster(best, attempt(contender, setting, images))
    if best is None:
        raise RuntimeError(f"{contender.name} runs under no setting")
    for setting in compiled_settings(best[1].setting, both_layouts):
        best = faster(best, attempt(contender, setting, images)) or best
    return best[0]


# --- The machine: its peak, and who else uses it ------------------------------------------------

PEAK_SHAPES = ((64, 28), (96, 14), (128, 14), (256, 14))


class PeakConvolution:
    """A bf16 channels-last 3x3 convolution, forward and backward, and its operations."""

    def __init__(self, channels: int, side: int) -> None:
        dtype = torch.bfloat16
        x = torch.randn(BATCH, channels, side, side, dtype=dtype)
        weight = torch.randn(channels, channels, 3, 3, dtype=dtype) / (3 * channels**0.5)
        last = torch.channels_last
        self.x = x.contiguous(memory_format=last).requires_grad_()
        self.weight = weight.contiguous(memory_format=last).requires_grad_()
        self.grad = torch.randn_like(self.x)
        # Forward, gradient of the input, gradient of the weight: three times the same products.
        self.operations = 3 * 2 * BATCH * side**2 * channels**2 * 9

    def run(self) -> None:
        y = F.conv2d(self.x, self.weight, padding=1)
        torch.autograd.grad(y, (self.x, self.weight), self.grad)

    def rate(self, repeats: int = 6) -> float:
        """GFLOP/s: the best of a few repeats, for a peak is what is possible."""
        self.run()
        return self.operations / min(timed(self.run) for _ in range(repeats)) / 1e9


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


# --- Phase two: interleaved rounds --------------------------------------------------------------


@dataclass
class Rounds:
    """Images/s of every contender and GFLOP/s of every peak shape, a value a round."""

    speeds: dict[str, list[float]]
    peaks: list[list[float]]
    others: float = 0.0

    def speed(self, name: str) -> float:
        return statistics.median(self.speeds[name])

    def peak(self) -> float:
        """The best shape's median over the rounds."""
        return max(statistics.median(values) for values in self.peaks)


def measure_speed(training: Training, seconds: float) -> float:
    """Images a second over at least two steps and `seconds`, after one untimed step."""
    training.step()
    start, steps = time.perf_counter(), 0
    while steps < 2 or time.perf_counter() - start < seconds:
        training.step()
        steps += 1
    return steps * BATCH / (time.perf_counter() - start)


def run_round(trainings: dict[str, Training], into: Rounds, seconds: float) -> None:
    """One turn each: what slows the machine for a while slows all of them."""
    for convolution, values in zip(PEAK_SHAPES, into.peaks, strict=True):
        values.append(PeakConvolution(*convolution).rate())
    for name, training in trainings.items():
        into.speeds[name].append(measure_speed(training, seconds))


def run_rounds(trainings: dict[str, Training], rounds: int, seconds: float) -> Rounds:
    """All rounds, with the share of other processes over them."""
    result = Rounds({name: [] for name in trainings}, [[] for _ in PEAK_SHAPES])
    meter = CpuMeter()
    meter.start()
    for number in range(1, rounds + 1):
        run_round(trainings, result, seconds)
        latest = ", ".join(f"{name} {values[-1]:.1f}" for name, values in result.speeds.items())
        print(f"  round {number}: {latest}", flush=True)
    result.others = meter.others()
    return result


# --- The report ---------------------------------------------------------------------------------

TABLE_1 = """
Table 1: equal parameters. Ours is the `mnist` preset. It works on 2x2 patches, at 16x16 where
the peers work at 28x28, so it needs about a third of their operations: another architecture, and
much of the ratio comes from that. Table 2 is the like-for-like comparison."""

TABLE_2 = """
Table 2: equal parameters and equal operations. Ours works at full resolution, 28x28, with the
peers' widths, two blocks a level and attention in the middle."""

HEADER = (
    f"{'':24} {'configuration':28} {'best setting':19} {'images/s':>16} {'param':>7}"
    f" {'MFLOP':>6} {'GFLOP/s':>7} {'of peak':>7} {'ours is':>8}"
)


@dataclass(frozen=True)
class Report:
    """All that the tables need."""

    contenders: dict[str, Contender]
    sizes: dict[str, Size]
    trainings: dict[str, Training]
    rounds: Rounds

    @property
    def peers(self) -> list[str]:
        return [name for name in self.contenders if name not in ("mnist", "full")]

    def ratio(self, mine: str, peer: str) -> float:
        """How many times as fast as the peer ours is."""
        return self.rounds.speed(mine) / self.rounds.speed(peer)

    def gflops(self, name: str) -> float:
        return self.rounds.speed(name) * self.sizes[name].operations / 1e9

    def peak_share(self, name: str) -> float:
        return self.gflops(name) / self.rounds.peak()

    def row(self, mine: str, name: str) -> str:
        contender, size, speeds = self.contenders[name], self.sizes[name], self.rounds.speeds[name]
        spread = f"{self.rounds.speed(name):.1f} ({min(speeds):.0f}-{max(speeds):.0f})"
        return (
            f"{contender.name:24} {contender.about:28} {self.trainings[name].setting!s:19}"
            f" {spread:>16} {size.parameters / 1e6:6.3f}M {size.operations / 1e6:6.0f}"
            f" {self.gflops(name):7.0f} {self.peak_share(name):7.1%} {self.ratio(mine, name):7.2f}x"
        )

    def table(self, title: str, mine: str) -> None:
        print(title)
        print(HEADER)
        for name in (mine, *self.peers):
            print(self.row(mine, name))

    def summary(self) -> dict[str, float]:
        """The last line: ours over each peer's best setting, and ours over the machine's peak."""
        values = {f"vs_{peer}": self.ratio("mnist", peer) for peer in self.peers}
        values["vs_best_equal_flops"] = min(self.ratio("full", peer) for peer in self.peers)
        values["peak_share"] = self.peak_share("full")
        return {name: round(value, 3) for name, value in values.items()}


def report_machine(rounds: Rounds) -> None:
    """The peak, and a warning where the machine was not ours alone."""
    print(f"\nPeak of bf16 3x3 convolutions, forward and backward: {rounds.peak():.0f} GFLOP/s")
    print(
        "  "
        + ", ".join(
            f"{channels} channels {side}x{side}: {statistics.median(values):.0f}"
            for (channels, side), values in zip(PEAK_SHAPES, rounds.peaks, strict=True)
        )
    )
    print(f"Other processes used {rounds.others:.1%} of the processor during the rounds")
    if rounds.others > TOLERANCE:
        print("WARNING: that is more than 10 %: run it again on an idle machine")


def say_what_is_tried(both_layouts: bool) -> None:
    layouts = "both layouts" if both_layouts else "the layout that was best without compiling"
    print(
        "\nSettings tried: fp32 and bf16 autocast, NCHW and NHWC (channels_last), not compiled;"
        f"\nthen torch.compile in the precision that was best without it, in {layouts}."
        "\nNot tried: compiling in the other precision, and compiler modes but the default."
    )


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help=f"at least {MIN_ROUNDS}")
    parser.add_argument("--seconds", type=float, default=1.5, help="least time of a measurement")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--both-layouts", action="store_true", help="compile in both layouts")
    parsed = parser.parse_args(arguments)
    if parsed.rounds < MIN_ROUNDS:
        parser.error(f"--rounds must be at least {MIN_ROUNDS}")
    return parsed


def main() -> None:
    """Runs both phases, prints both tables and one line of JSON."""
    options = parse_arguments()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, batch {BATCH}, MNIST 28x28")
    contenders, images = load_contenders(), load_images()
    sizes = {name: measure_size(contender) for name, contender in contenders.items()}
    check_sizes(sizes)
    say_what_is_tried(options.both_layouts)
    trainings = {
        name: best_setting(contender, images, options.both_layouts)
        for name, contender in contenders.items()
    }
    print(f"\n{options.rounds} interleaved rounds, images/s", flush=True)
    report = Report(
        contenders, sizes, trainings, run_rounds(trainings, options.rounds, options.seconds)
    )
    report.table(TABLE_1, "mnist")
    report.table(TABLE_2, "full")
    report_machine(report.rounds)
    print(json.dumps(report.summary()))


if __name__ == "__main__":
    main()
