"""Training: a generator that yields its state once a step, after the update.

    for state in Trainer(model, config, images).steps():
        if state.step % 100 == 0:
            print(state.step, state.loss)

One process trains on one device; several, started by `torchrun`, share the work through PyTorch's
DistributedDataParallel. `run.py` adds what a long run needs.
"""

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ddpm_lite.checkpoint import load_optimizer, optimizer_tensors, read, write
from ddpm_lite.data import Batches, Images
from ddpm_lite.devices import keep_memory, to_device
from ddpm_lite.diffusion import Weighting, check_name, check_numbers, training_loss
from ddpm_lite.labels import class_names
from ddpm_lite.model import (
    DiffusionModel,
    ModelConfig,
    Precision,
    autocast,
    best_device,
    new_net,
)
from ddpm_lite.processes import all_or_none, world
from ddpm_lite.resume import Wanted, read_training

__all__ = ["TrainConfig", "TrainState", "Trainer"]


class TrainingError(Exception):
    """A training that cannot go on; the text is one line."""


ADVICE = "lower --learning-rate, or use --precision float32"
"""What to try when numbers are no longer finite."""

TimeLaw = Literal["uniform", "half_log"]
"""How times are drawn: uniformly, or every second one log-uniformly, small ones more often."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    steps: int = 4000
    """Updates of the weights."""
    batch_size: int = 64
    """Images an update, over all processes and accumulation together."""
    learning_rate: float = 1e-3
    """Largest learning rate of AdamW."""
    warmup_steps: int = 200
    """Updates in which the learning rate rises from 0."""
    cooldown: float = 1.0
    """The last share of the updates, in which the learning rate falls linearly to 0."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    ema_decay: float = 0.998
    """Share of the running average of the weights that stays at each update."""
    weighting: Weighting = "simple"
    """How the loss weighs the times: simple, min_snr or bound."""
    times: TimeLaw = "uniform"
    """How times are drawn: uniform, or half_log for a better bound, which small times decide."""
    label_dropout: float = 0.1
    """Share of the images that are shown without their label (needed for guidance)."""
    accumulate: int = 1
    """Passes over parts of the batch that make one update; more needs less memory."""
    flip: bool = False
    """Whether to mirror images at random."""
    holdout: float = 0.0
    """Share of the images that is not trained on, for `ddpm-lite evaluate` to judge by."""
    precision: Precision = "auto"
    """Numbers in the network: auto, float32 or bfloat16."""
    compile: bool = False
    """Whether to use torch.compile."""
    seed: int = 0
    """Of the weights, the batches, the times and the noise."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.accumulate) < 1:
            raise ValueError("steps, batch_size and accumulate must be at least 1")
        if self.batch_size % self.accumulate:
            raise ValueError("batch_size must be a multiple of accumulate")
        check_numbers(self)
        if self.learning_rate <= 0 or self.clip_norm <= 0:
            raise ValueError("learning_rate and clip_norm must be above 0")
        if self.weight_decay < 0 or self.warmup_steps < 0:
            raise ValueError("weight_decay and warmup_steps must be at least 0")
        check_name(Weighting, self.weighting)
        check_name(TimeLaw, self.times)
        check_name(Precision, self.precision)
        if not (
            0 <= self.ema_decay < 1 and 0 <= self.label_dropout <= 1 and 0 <= self.cooldown <= 1
        ):
            raise ValueError("ema_decay must lie in [0, 1), label_dropout and cooldown in [0, 1]")
        if not 0 <= self.holdout < 1:
            raise ValueError("holdout must lie in [0, 1)")


@dataclass(frozen=True)
class TrainState:
    """What one step did."""

    step: int
    """Updates so far, from 1."""
    loss: float
    """Mean of the weighted squared error over the batch."""
    grad_norm: float
    """Length of the gradient before clipping."""
    learning_rate: float
    """Of this update."""


def learning_rate_at(config: TrainConfig, step: int) -> float:
    """The learning rate of update `step`, 1..steps: up, flat, and linearly down to 0."""
    # small steps first: AdamW measures by averages of gradients, and these are of few as yet
    rise = step / max(1, config.warmup_steps)
    # small steps at the end, so that the weights come to rest in the middle of what they wander
    fall = (config.steps - step + 1) / max(1.0, config.cooldown * config.steps)
    return config.learning_rate * min(1.0, rise, fall)


def draw_times(T: int, n: int, law: TimeLaw, generator: torch.Generator, first: int = 0) -> Tensor:
    """Times in 1..T, int64 (n,). With "half_log" every second one is t by log(1 + 1/t) / log T.

    That is the integer part of T^u, u uniform; T itself has chance 0 there. `first` is the number
    of the first image among all that are trained on, from 0: those of odd number are the second
    ones, so that half of them are whatever the size of the parts that times are drawn for.
    """
    t = torch.randint(1, T + 1, (n,), generator=generator, device="cpu")  # (n,), 1..T
    if law == "half_log":
        second = t[1 - first % 2 :: 2]  # a view, (n / 2,): what is written into it stands in t
        u = torch.rand(len(second), generator=generator, dtype=torch.float32, device="cpu")
        second.copy_((T**u).long())  # each power of ten has the same chance
    return t


class Trainer:
    """A network in training: its weights, their running average, the optimizer and the batches.

    `steps()` trains; `save` and `resume` make a stop invisible: on the CPU a run that is resumed
    goes on bit for bit. Several processes, or `accumulate`, share the images and random numbers of
    one: but for rounding (and dropout) the losses are the same. Raises ValueError if the images do
    not fit the network.
    """

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        images: Images,
        device: torch.device | str | None = None,
    ) -> None:
        _check_images(model, images)
        self.model_config, self.config, self.step = model, config, 0
        self.earlier: list[Mapping[str, Any]] = []
        self.start: Mapping[str, str] = {}  # the model that it began with, if not at random
        self.device = torch.device(device) if device is not None else best_device()
        keep_memory()
        self.schedule = model.build_schedule()
        self.rank, self.processes = world()
        self._build_network()
        self._build_randomness(images.split(config.holdout)[0])

    def _build_network(self) -> None:
        torch.manual_seed(self.config.seed)  # every process begins with the same weights
        self.net = new_net(self.model_config.unet)
        self.net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # the weights that will draw: those of the last step alone still tremble from batch to batch
        self.average = copy.deepcopy(self.net)
        self._move_average = get_ema_multi_avg_fn(self.config.ema_decay)
        # lr is set anew at every step
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=0.0, weight_decay=self.config.weight_decay, fused=True
        )
        if self.config.compile:
            # before it is wrapped: "consider applying torch.compile to the inner module passed to
            # the wrapper" (docs.pytorch.org, "Where to apply torch.compile?", as of July 2025)
            self.net.compile()
        self.shared = DistributedDataParallel(self.net) if self.processes > 1 else None
        self.parallel: nn.Module = self.shared or self.net

    def _build_randomness(self, images: Images) -> None:
        """Every process gets its own share of each batch."""
        # images of one process in one pass through the network
        share, rest = divmod(self.config.batch_size, self.processes * self.config.accumulate)
        if rest:
            raise ValueError(
                f"batch_size {self.config.batch_size} cannot be shared by {self.processes} "
                f"processes in {self.config.accumulate} parts"
            )
        self.batches = Batches(
            images, share * self.config.accumulate, self.device, self.config.seed,
            flip=self.config.flip, rank=self.rank, world_size=self.processes,
        )  # fmt: skip
        # times are drawn where they are looked up, noise where the images are
        self.times, self.noise = torch.Generator(), torch.Generator(self.device)

    def _draw(self, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
        """Times, noise, and whether the label is dropped, for this process's images.

        They follow from the seed and the number of the step alone, and every process draws those of
        the whole batch and takes its share: so it does not matter how many processes there are, nor
        where a run was interrupted.
        """
        self.times.manual_seed(self._seed() + 1)
        self.noise.manual_seed(self._seed() + 2)
        n, first = self.config.batch_size, self.config.batch_size * self.step
        t = draw_times(self.schedule.T, n, self.config.times, self.times, first)  # (n,)
        u = torch.rand(n, generator=self.times, dtype=torch.float32, device="cpu")
        eps = self._draw_noise(torch.Size((n, *shape)))  # (n, C, H, W)
        mine = slice(self.rank, None, self.processes)  # as `Batches` shares the images
        return t[mine], eps[mine], (u < self.config.label_dropout)[mine]

    def _seed(self) -> int:
        return self.config.seed + 15_485_863 * self.step

    @contextlib.contextmanager
    def _own_dropout(self) -> Iterator[None]:
        """Dropout draws from PyTorch's own generators: they are borrowed, and given back."""
        devices = [self.device] if self.device.type == "cuda" else []
        dropout = self.model_config.unet.dropout > 0
        with torch.random.fork_rng(devices, enabled=dropout):
            if dropout:
                torch.manual_seed(self._seed() + 1_000_003 * self.rank)
            yield

    def steps(self) -> Iterator[TrainState]:
        """Trains, one update a turn, until `config.steps`.

        Raises TrainingError, before the weights are touched, if the loss is not finite.
        """
        self.net.train()  # dropout on; `model` hands out the average, which never has it
        while self.step < self.config.steps:
            yield self._update()

    def _update(self) -> TrainState:
        rate = learning_rate_at(self.config, self.step + 1)  # steps count from 1
        for group in self.optimizer.param_groups:  # there is one
            group["lr"] = rate
        with self._own_dropout():
            mean = self._backward()  # (), and a gradient of each weight's own shape in its .grad
        # now and then a batch has a huge gradient; shortened it keeps its direction
        length = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        loss, norm = torch.stack([mean, length]).tolist()  # the only time that a GPU is waited for
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(
                f"the loss is {loss:.4g}, its gradient {norm:.4g} at step {self.step + 1}: {ADVICE}"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._update_average()
        self.step += 1
        return TrainState(self.step, loss, norm, rate)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moves the running average towards the weights; after the first step it is the weights.

        PyTorch's `AveragedModel` does the same, but waits for the GPU to tell it a counter.
        """
        average: list[Tensor] = [*self.average.parameters()]
        weights: list[Tensor] = [*self.net.parameters()]
        if self.step == 0:  # an average with the random start would remember it for long
            torch._foreach_copy_(average, weights)
        else:
            self._move_average(average, weights, self.step)

    def _backward(self) -> Tensor:
        """Puts the gradient of one batch's mean loss into the weights; returns that loss, ()."""
        x_0, labels = next(self.batches)  # (B, C, H, W) in [-1, 1], and (B,)
        t, eps, dropped = self._draw(x_0.shape[1:])  # (B,), (B, C, H, W), (B,)
        # so one network learns both: images of a class, and images of any
        labels = labels.masked_fill(to_device(dropped, self.device), self.model_config.unet.classes)
        parts = self.config.accumulate
        size = len(x_0) // parts  # images in one pass: fewer need less memory
        total = torch.zeros((), dtype=torch.float32, device=self.device)
        for part in range(parts):
            these = slice(part * size, (part + 1) * size)
            if self.shared is not None:  # the processes share their gradients once, at the end
                self.shared.require_backward_grad_sync = part == parts - 1
            losses = self._loss(x_0[these], t[these], eps[these], labels[these])  # (size,)
            loss = losses.mean() / parts  # ()
            loss.backward()  # adds to the gradients of the parts before
            total += loss.detach()
        if self.processes > 1:  # each has the mean of its own images; the same number of them
            dist.all_reduce(total)
            total /= self.processes
        return total

    def _loss(self, x_0: Tensor, t: Tensor, eps: Tensor, label: Tensor) -> Tensor:
        net_label = label if self.model_config.unet.classes else None  # (B,)

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            # the channels of a pixel side by side in memory: convolutions are faster so
            x_t = x_t.contiguous(memory_format=torch.channels_last)
            with autocast(self.device, self.config.precision):
                out: Tensor = self.parallel(x_t, t, net_label)
            return out

        target, weighting = self.model_config.target, self.config.weighting
        return training_loss(self.schedule, model, x_0, t, eps, target, weighting)

    def _draw_noise(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.noise, dtype=torch.float32, device=self.device)

    def model(self) -> DiffusionModel:
        """The running average of the weights, ready to draw; it goes on changing with training."""
        own = {"class_names": self.batches.images.class_names}
        names = class_names(own, self.model_config.unet.classes)
        average = self.average.eval()
        return DiffusionModel(average, self.model_config, self.schedule, class_names=names)

    def save(self, path: Path, keep: str = "") -> None:
        """Writes everything that `resume` needs; every process calls it, the first one writes.

        With `keep` the file that was there stays beside it under that name. Raises TrainingError if
        something is not finite, CheckpointError if the file cannot be written, and ProcessError in
        the others then.
        """
        tensors = self._finite(self._tensors())
        with all_or_none():
            if self.rank == 0:
                write(path, tensors, self._metadata(), keep)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
        state = self.batches.state_dict()
        # the place among the images of all processes together, and the size of the whole batch
        state["place"] *= torch.tensor([self.processes, self.processes, 1], device="cpu")
        return tensors | {f"batches.{k}": v for k, v in state.items()}

    def save_weights(self, path: Path) -> None:
        """Writes the running average alone, in float16: an eighth of the size, enough to draw.

        Every process calls it, the first one writes; it raises what `save` does.
        """
        weights = {f"ema.{k}": v.half() for k, v in self.average.state_dict().items()}
        self._finite(weights)
        with all_or_none():
            if self.rank == 0:
                write(path, weights, self._metadata())

    def _finite(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors. Raises TrainingError, in every process, if a number is NaN or infinite.

        A step can have a finite loss and leave such weights or moments behind.
        """
        broken = [k for k, v in tensors.items() if not bool(v.isfinite().all())]
        if broken:
            raise TrainingError(
                f"NaN or infinite numbers at step {self.step} in {len(broken)} of {len(tensors)} "
                f"tensors, {min(broken)} first, which are not saved: {ADVICE}"
            )
        return tensors

    def _metadata(self) -> dict[str, Any]:
        images = self.batches.images
        return {
            "model": self.model_config.to_dict(),
            "train": asdict(self.config),
            "earlier": self.earlier,
            "start": self.start,
            "class_names": list(images.class_names),
            "data": {"images": len(images), "sha256": images.digest},
            "step": self.step,
            "torch": torch.__version__,
        }

    def differences(self, checkpoint: Path | Mapping[str, Any]) -> list[str]:
        """The options of training that a checkpoint, or its metadata, has with other values.

        Each as "option: stored -> now", in the order of `TrainConfig`; an option that is not stored
        is left out. Raises CheckpointError if the file is unreadable.
        """
        if isinstance(checkpoint, Path):
            checkpoint = read(checkpoint, only="no tensors")[1]
        stored, now = checkpoint.get("train", {}), asdict(self.config)
        return [f"{k}: {stored[k]} -> {v}" for k, v in now.items() if stored.get(k, v) != v]

    def resume(self, path: Path) -> list[str]:
        """Goes on from a checkpoint. Returns what is not as it was, a line each.

        These are the `differences`. It does not matter how many processes wrote it. Raises
        CheckpointError, and has changed nothing, if the file is unreadable or holds another
        network, other data (told by `Images.digest`), another batch size, or no training.
        """
        # all of the file is read and compared first: nothing here has changed if that fails
        images = self.batches.images
        wanted = Wanted(self.net, self.model_config, images, self.config.batch_size)
        saved = read_training(path, wanted)
        notes = self.differences({"train": saved.options})
        self.earlier, self.start = [*saved.earlier], saved.start
        if notes:
            self.earlier.append({"until": saved.step, "train": saved.options})
        self.net.load_state_dict(saved.weights)
        self.average.load_state_dict(saved.average)
        load_optimizer(self.optimizer, saved.moments)
        # an epoch's order of the images follows from its random state; so the place in it is enough
        place = [saved.seen // self.processes, self.batches.batch_size, len(images)]
        self.batches.load_state_dict(
            {"generator": saved.epoch, "place": torch.tensor(place, device="cpu")}
        )
        self.step = saved.step
        return notes


def _check_images(model: ModelConfig, images: Images) -> None:
    shape = tuple(images.pixels.shape[1:])  # (C, H, W)
    if shape != model.image_shape:
        raise ValueError(f"the images are {shape} but the network is made for {model.image_shape}")
    classes = model.unet.classes
    if classes and int(images.labels.max()) >= classes:
        raise ValueError(
            f"the images have {int(images.labels.max()) + 1} classes, the network {classes}; "
            "set its `classes`"
        )
