"""A training and its folder: progress bar, metrics file, sample grids, checkpoints, resuming."""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from ddpm_lite.checkpoint import CheckpointError, write_whole
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.pictures import save_grid
from ddpm_lite.processes import agreed
from ddpm_lite.train import Trainer, TrainingError, TrainState

METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "model.safetensors"
LOG_EVERY = 50
"""Steps between two lines of the metrics file; checkpoints are written at such a line only, so that
a resumed run writes the same lines."""


@dataclass(frozen=True)
class RunConfig:
    """Where a run lies and how often it writes."""

    folder: Path = Path("runs/mnist")
    """The run's folder."""
    resume: bool = False
    """Go on from the folder's checkpoint."""
    save_minutes: float = 5.0
    """Minutes between two checkpoints."""
    picture_steps: int = 1000
    """Steps between two grids of samples."""

    def __post_init__(self) -> None:
        if self.picture_steps < 1 or self.save_minutes < 0:
            raise ValueError("picture_steps must be at least 1, save_minutes at least 0")


def run(trainer: Trainer, config: RunConfig) -> Path:
    """Trains to the end and returns the file with the running average of the weights.

    Writes into the folder: metrics.jsonl, samples/*.png, checkpoint.safetensors every few minutes,
    and at the end model.safetensors. Raises TrainingError if the folder holds a run already and
    `resume` is not set, or if the loss is NaN (the last checkpoint is then still good), and
    CheckpointError if something cannot be written.
    """
    _prepare(trainer, config)
    with contextlib.closing(Log(trainer, config.folder / METRICS)) as log:
        _train(trainer, config, log)
    trainer.save(config.folder / CHECKPOINT)
    trainer.save_weights(config.folder / WEIGHTS)
    _draw_samples(trainer, config.folder)
    return config.folder / WEIGHTS


def _train(trainer: Trainer, config: RunConfig, log: "Log") -> None:
    saved = time.monotonic()
    for state in trainer.steps():
        log.add(state)
        if state.step % config.picture_steps == 0:
            _draw_samples(trainer, config.folder)
        minutes = (time.monotonic() - saved) / 60
        if state.step % LOG_EVERY == 0 and agreed(minutes >= config.save_minutes):
            trainer.save(config.folder / CHECKPOINT)
            saved = time.monotonic()


def _prepare(trainer: Trainer, config: RunConfig) -> None:
    checkpoint, metrics = config.folder / CHECKPOINT, config.folder / METRICS
    # the first process looks for all: it may write before the others have looked
    saved, begun = agreed(checkpoint.exists()), agreed(metrics.exists())
    if config.resume and saved:
        trainer.resume(checkpoint)
    elif saved or (begun and not config.resume):
        raise TrainingError(
            f"{config.folder} already holds a run; add --resume, or choose another --folder"
        )
    if trainer.rank == 0:
        write_whole(metrics, "".join(_lines_until(metrics, trainer.step)).encode())


def _lines_until(metrics: Path, step: int) -> list[str]:
    """The whole lines of a metrics file up to a step: a killed run may have written more."""
    if not metrics.exists():
        return []
    lines = metrics.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]


def _draw_samples(trainer: Trainer, folder: Path) -> None:
    if trainer.rank == 0:
        images = draw(trainer.model(), 64, DrawConfig(steps=20, precision=trainer.config.precision))
        save_grid(folder / "samples" / f"step_{trainer.step:06d}.png", images)


class Log:
    """The progress bar and the metrics file of a run; only the first process has them."""

    def __init__(self, trainer: Trainer, path: Path) -> None:
        self.trainer, self.path = trainer, path
        self.began, self.losses = time.monotonic(), list[float]()
        total = trainer.config.steps
        self.bar = tqdm(total=total, initial=trainer.step, unit="step", disable=trainer.rank > 0)

    def add(self, state: TrainState) -> None:
        """Counts one step; every LOG_EVERY steps, and at the last, writes a line."""
        self.losses.append(state.loss)
        self.bar.update()
        if state.step % LOG_EVERY == 0 or state.step == self.trainer.config.steps:
            self._write(state)

    def _write(self, state: TrainState) -> None:
        now = time.monotonic()
        speed = len(self.losses) * self.trainer.config.batch_size / (now - self.began)
        line = {
            "step": state.step,
            "loss": sum(self.losses) / len(self.losses),
            "grad_norm": state.grad_norm,
            "learning_rate": state.learning_rate,
            "images_per_second": round(speed, 1),
        }
        self.bar.set_postfix_str(f"loss {line['loss']:.4f}, {speed:.0f} images/s")
        self.began, self.losses = now, []
        if self.trainer.rank == 0:
            append_line(self.path, json.dumps(line))

    def close(self) -> None:
        """Ends the progress bar."""
        self.bar.close()


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file. Raises CheckpointError if it cannot be written."""
    try:
        with path.open("a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from None
