"""Training: a generator that yields its state once a step, after the update.

    for state in Trainer(model, config, images).steps():
        if state.step % 100 == 0:
            print(state.step, state.loss)

One process trains on one device; several, started by `torchrun`, share the work through PyTorch's
DistributedDataParallel. `run.py` adds what a long run needs.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ddpm_lite.checkpoint import (
    CheckpointError,
    load_optimizer,
    optimizer_tensors,
    read,
    write,
)
from ddpm_lite.data import Batches, Images
from ddpm_lite.diffusion import Weighting, check_name, training_loss
from ddpm_lite.model import (
    DiffusionModel,
    ModelConfig,
    Precision,
    autocast,
    best_device,
    load_weights,
)
from ddpm_lite.processes import gather, world
from ddpm_lite.unet import UNet


class TrainingError(Exception):
    """A training that cannot go on; the text is one line."""


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
        if self.learning_rate <= 0 or self.clip_norm <= 0:
            raise ValueError("learning_rate and clip_norm must be above 0")
        check_name(Weighting, self.weighting)
        check_name(TimeLaw, self.times)
        check_name(Precision, self.precision)
        if not (
            0 <= self.ema_decay < 1 and 0 <= self.label_dropout <= 1 and 0 <= self.cooldown <= 1
        ):
            raise ValueError("ema_decay must lie in [0, 1), label_dropout and cooldown in [0, 1]")


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
    rise = step / max(1, config.warmup_steps)
    fall = (config.steps - step + 1) / max(1.0, config.cooldown * config.steps)
    return config.learning_rate * min(1.0, rise, fall)


def draw_times(T: int, n: int, law: TimeLaw, generator: torch.Generator) -> Tensor:
    """Times in 1..T, int64 (n,). With "half_log" every second one is t by log(1 + 1/t) / log T.

    That is the integer part of T^u, u uniform; T itself has chance 0 there.
    """
    t = torch.randint(1, T + 1, (n,), generator=generator)
    if law == "half_log":
        t[1::2] = (T ** torch.rand(n // 2, generator=generator)).long()
    return t


class Trainer:
    """A network in training: its weights, their running average, the optimizer and the batches.

    `steps()` trains; `save` and `resume` make a stop invisible: on the CPU a resumed run goes on
    bit for bit. Raises ValueError if the images do not fit the network.
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
        self.device = torch.device(device) if device is not None else best_device()
        self.schedule = model.build_schedule()
        self.rank, self.processes = world()
        self._build_network()
        self._build_randomness(images)

    def _build_network(self) -> None:
        torch.manual_seed(self.config.seed)
        self.net = UNet(self.model_config.unet)
        self.net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(self.config.ema_decay)
        self.ema = AveragedModel(self.net, multi_avg_fn=average)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=0.0, weight_decay=self.config.weight_decay, fused=True
        )
        net: nn.Module = torch.compile(self.net) if self.config.compile else self.net  # type: ignore[assignment]
        self.parallel = DistributedDataParallel(net) if self.processes > 1 else net

    def _build_randomness(self, images: Images) -> None:
        """Every process draws the same batches, and its own times and noise."""
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
        seed = self.config.seed + 1_000_003 * self.rank
        self.times = torch.Generator().manual_seed(seed + 1)
        self.noise = torch.Generator(self.device).manual_seed(seed + 2)
        torch.manual_seed(seed)  # dropout

    def steps(self) -> Iterator[TrainState]:
        """Trains, one update a turn, until `config.steps`.

        Raises TrainingError, before the weights are touched, if the loss is not finite.
        """
        self.net.train()
        while self.step < self.config.steps:
            yield self._update()

    def _update(self) -> TrainState:
        rate = learning_rate_at(self.config, self.step + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        if not math.isfinite(loss) or not math.isfinite(float(norm)):
            raise TrainingError(
                f"the loss is {loss:.4g}, its gradient {float(norm):.4g} at step {self.step + 1}: "
                "lower --learning-rate, or use --precision float32"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update_parameters(self.net)
        self.step += 1
        return TrainState(self.step, loss, float(norm), rate)

    def _backward(self) -> float:
        """Puts the gradient of the mean loss of one batch into the weights; returns that loss."""
        x_0, labels = next(self.batches)
        parts = self.config.accumulate
        total = torch.zeros((), device=self.device)
        for part, (x, label) in enumerate(
            zip(x_0.chunk(parts), labels.chunk(parts), strict=True), 1
        ):
            if isinstance(self.parallel, DistributedDataParallel):
                self.parallel.require_backward_grad_sync = part == parts
            loss = self._loss(x, label).mean() / parts
            loss.backward()
            total += loss.detach()
        if self.processes > 1:
            dist.all_reduce(total)
            total /= self.processes
        return float(total)

    def _loss(self, x_0: Tensor, label: Tensor) -> Tensor:
        t = draw_times(self.schedule.T, len(x_0), self.config.times, self.times)
        eps = torch.randn(x_0.shape, generator=self.noise, device=self.device)
        net_label = self._drop(label) if self.model_config.unet.classes else None

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            x_t = x_t.contiguous(memory_format=torch.channels_last)
            with autocast(self.device, self.config.precision):
                out: Tensor = self.parallel(x_t, t, net_label)
            return out

        target, weighting = self.model_config.target, self.config.weighting
        return training_loss(self.schedule, model, x_0, t, eps, target, weighting)

    def _drop(self, label: Tensor) -> Tensor:
        """Some labels replaced by the label that means none."""
        dropped = torch.rand(len(label), generator=self.times) < self.config.label_dropout
        return label.masked_fill(dropped.to(label.device), self.model_config.unet.classes)

    def model(self) -> DiffusionModel:
        """The running average of the weights, ready to draw; it goes on changing with training."""
        return DiffusionModel(self._average().eval(), self.model_config, self.schedule)

    def _average(self) -> UNet:
        return cast(UNet, self.ema.module)

    def save(self, path: Path) -> None:
        """Writes everything that `resume` needs; every process calls it, the first one writes."""
        random = {f"rng.{k}": gather(v) for k, v in self._random_states().items()}
        if self.rank > 0:
            return
        tensors = {f"model.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self._average().state_dict().items()}
        tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"batches.{k}": v for k, v in self.batches.state_dict().items()} | random
        write(path, tensors, self._metadata())

    def save_weights(self, path: Path) -> None:
        """Writes the running average alone, in float16: an eighth of the size, enough to draw."""
        weights = {f"ema.{k}": v.half() for k, v in self._average().state_dict().items()}
        if self.rank == 0:
            write(path, weights, self._metadata())

    def _metadata(self) -> dict[str, Any]:
        return {
            "model": self.model_config.to_dict(),
            "train": asdict(self.config),
            "class_names": list(self.batches.images.class_names),
            "step": self.step,
            "torch": torch.__version__,
        }

    def _random_states(self) -> dict[str, Tensor]:
        states = {"times": self.times.get_state(), "noise": self.noise.get_state()}
        states["cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises CheckpointError if it is unreadable, of another network, or of another number of
        processes.
        """
        tensors, metadata = read(path)
        names = list(self.batches.images.class_names)
        if metadata.get("class_names") != names:
            raise CheckpointError(f"{path}: was trained on other data; resume it with the same")
        if metadata.get("model") != json.loads(json.dumps(self.model_config.to_dict())):
            raise CheckpointError(
                f"{path}: holds a model of another configuration; resume it with its own"
            )
        parts = {prefix: _under(tensors, prefix) for prefix in _PARTS}
        if not all(parts.values()):
            raise CheckpointError(f"{path}: holds weights only, not a training to resume")
        load_weights(self.net, parts["model."], path)
        load_weights(self._average(), parts["ema."], path)
        self.ema.n_averaged.fill_(metadata["step"])
        load_optimizer(self.optimizer, parts["optimizer."])
        self.batches.load_state_dict(parts["batches."])
        self._set_random_states(parts["rng."], path)
        self.step = int(metadata["step"])

    def _set_random_states(self, states: dict[str, Tensor], path: Path) -> None:
        if len(states["cpu"]) != self.processes or states.keys() != self._random_states().keys():
            raise CheckpointError(
                f"{path}: was written by {len(states['cpu'])} processes or on another kind of "
                "device; resume it on the same"
            )
        mine = {name: rows[self.rank].clone() for name, rows in states.items()}
        self.times.set_state(mine["times"])
        self.noise.set_state(mine["noise"])
        torch.set_rng_state(mine["cpu"])
        if "cuda" in mine:
            torch.cuda.set_rng_state(mine["cuda"], self.device)


_PARTS = ("model.", "ema.", "optimizer.", "batches.", "rng.")


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_images(model: ModelConfig, images: Images) -> None:
    shape = tuple(images.pixels.shape[1:])
    if shape != model.image_shape:
        raise ValueError(f"the images are {shape} but the network is made for {model.image_shape}")
    classes = model.unet.classes
    if classes and int(images.labels.max()) >= classes:
        raise ValueError(
            f"the images have {int(images.labels.max()) + 1} classes, the network {classes}; "
            "set its `classes`"
        )
