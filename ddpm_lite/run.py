"""A training and its folder: progress bar, metrics file, sample grids, checkpoints, resuming."""

import contextlib
import errno
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ddpm_lite.checkpoint import CheckpointError, DamagedError, check_writable, write_whole
from ddpm_lite.diffusion import check_numbers
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.labels import visible
from ddpm_lite.lock import in_use, locked, sign, signature
from ddpm_lite.pictures import save_grid
from ddpm_lite.processes import agreed, all_or_none, anyone, launch, restarts, world
from ddpm_lite.train import Trainer, TrainingError, TrainState

METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
BEFORE = "checkpoint_before.safetensors"
"""The checkpoint before the newest, for when that one is damaged."""
WEIGHTS = "model.safetensors"
KEPT = "kept"
"""Folder of the weights at doubled numbers of steps."""
FIRST_KEPT = 250
LOG_EVERY = 50
"""Steps between two lines of the metrics file; checkpoints are written at such a line only, so that
a run that was killed writes the same lines when it is resumed. A run that is asked to stop writes a
line and a checkpoint there and then."""

logger = logging.getLogger("ddpm_lite")


class Stopped(Exception):  # noqa: N818, as nothing went wrong
    """A training that was asked to stop and has saved itself; the text is one line."""

    def __init__(self, trainer: Trainer, number: int) -> None:
        super().__init__(
            f"stopped at step {trainer.step} of {trainer.config.steps}, which is saved; the same "
            "command with --resume goes on from there"
        )
        self.signal = number


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
    keep_doublings: bool = False
    """Whether to keep the averaged weights at 250, 500, 1000, 2000, ... steps too."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.picture_steps < 1 or self.save_minutes < 0:
            raise ValueError("picture_steps must be at least 1, save_minutes at least 0")


def run(trainer: Trainer, config: RunConfig) -> Path:
    """Trains to the end and returns the file with the running average of the weights.

    Writes into the folder: metrics.jsonl, samples/*.png, every few minutes checkpoint.safetensors,
    of which the one before is kept, and at the end model.safetensors. A line or a picture that
    cannot be written is told, and the training goes on. SIGINT, SIGTERM and SIGHUP end the step,
    save, and raise Stopped.

    Raises what `check_folder` does, TrainingError if the loss or a weight is NaN (the last
    checkpoint is then still good), and CheckpointError if at the end something cannot be written.
    """
    check_folder(config)
    with _alone(config.folder):
        _check_files(config)  # once more: a run may have ended in between
        with all_or_none():
            if world()[0] == 0:
                sign(config.folder, launch())
        if config.resume:
            _resume(trainer, config.folder)
        with _telling_what_is_kept(config.folder):
            _train_and_save(trainer, config)
        _draw_samples(trainer, config.folder)
    return config.folder / WEIGHTS


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other run writes into the folder during the body. Raises TrainingError if one does."""
    with contextlib.ExitStack() as held:
        with all_or_none():
            if world()[0] == 0 and not held.enter_context(locked(folder)):
                raise _in_use(folder)
        yield


def _in_use(folder: Path) -> TrainingError:
    return TrainingError(
        f"another run is writing into {folder} at this moment; wait for its end, stop it, or "
        "choose another --folder"
    )


@contextlib.contextmanager
def _telling_what_is_kept(folder: Path) -> Iterator[None]:
    try:
        yield
    except TrainingError as error:
        kept = "the last checkpoint is as it was, and --resume goes on from it"
        kept = kept if _holds(folder / CHECKPOINT) else "there is no checkpoint yet"
        raise TrainingError(f"{error}; {kept}") from None


def _train_and_save(trainer: Trainer, config: RunConfig) -> None:
    with stop_signals() as asked, logging_redirect_tqdm([logger]):
        with contextlib.closing(Log(trainer, config.folder / METRICS)) as log:
            _train(trainer, config, log, asked)
        trainer.save(config.folder / CHECKPOINT, keep=BEFORE)
        if trainer.step < trainer.config.steps:
            raise Stopped(trainer, asked[0] if asked else signal.SIGTERM)
        trainer.save_weights(config.folder / WEIGHTS)


def _train(trainer: Trainer, config: RunConfig, log: "Log", asked: list[int]) -> None:
    saved = time.perf_counter()
    for state in trainer.steps():
        stop = anyone(bool(asked))
        log.add(state, stop)
        if stop or state.step == trainer.config.steps:
            break  # what is left to be written comes after the loop
        if state.step % config.picture_steps == 0:
            _draw_samples(trainer, config.folder)
        if config.keep_doublings and is_doubling(state.step):
            with _going_on("weights are not kept"):
                trainer.save_weights(config.folder / KEPT / f"step_{state.step:06d}.safetensors")
        minutes = (time.perf_counter() - saved) / 60
        if state.step % LOG_EVERY == 0 and agreed(minutes >= config.save_minutes):
            with _going_on("no checkpoint"):
                trainer.save(config.folder / CHECKPOINT, keep=BEFORE)
            saved = time.perf_counter()


def is_doubling(step: int) -> bool:
    """Whether this is one of the steps 250, 500, 1000, 2000, ..."""
    doublings, rest = divmod(step, FIRST_KEPT)
    return rest == 0 and doublings > 0 and doublings & (doublings - 1) == 0


def after_restart(config: RunConfig) -> RunConfig:
    """What a run does that `torchrun` has started again: it goes on from what it had saved.

    Where it had saved nothing yet, it begins anew. If this `torchrun` began no run in the folder,
    what lies there is of another one, and is left for `check_folder` to refuse. Raises
    TrainingError if another run is at work there.
    """
    folder = config.folder
    if restarts() == 0 or not agreed(signature(folder) == launch()):
        return config
    if any(agreed(_holds(path)) for path in (folder / CHECKPOINT, before_in(folder))):
        return replace(config, resume=True)
    with _alone(folder), all_or_none():
        if world()[0] == 0:
            (folder / METRICS).unlink(missing_ok=True)
    return config


def check_folder(config: RunConfig) -> None:
    """Looks, before anything is loaded or computed, whether the run can use its folder.

    Raises TrainingError if another run is at work there, if the folder holds a run or weights and
    `resume` is not set, or holds nothing to resume and it is; CheckpointError if its files cannot
    be written.
    """
    # only the first process asks: another one's question might come when it takes the lock
    if agreed(world()[0] == 0 and in_use(config.folder)):
        raise _in_use(config.folder)
    _check_files(config)


def _check_files(config: RunConfig) -> None:
    folder = config.folder
    checkpoints = (folder / CHECKPOINT, before_in(folder))
    paths = (*checkpoints, folder / WEIGHTS, folder / METRICS)
    # the first process looks for all: it may write before the others have looked
    held = [path for path in paths if agreed(_holds(path))]
    saved = any(path in held for path in checkpoints)
    if config.resume and not saved:
        begin = "choose another --folder" if held else "leave out --resume"
        raise TrainingError(
            f"{folder} holds no {CHECKPOINT}, so there is nothing to resume; mend --folder, or "
            f"{begin} to begin"
        )
    if held and not config.resume:
        go_on = "add --resume, or " if saved else ""
        names = ", ".join(path.name for path in held)
        raise TrainingError(
            f"{folder} already holds a run ({names}); {go_on}choose another --folder"
        )
    for path in paths:
        check_writable(path)


def before_in(folder: Path) -> Path:
    """Where a run's checkpoint before the newest lies: beside it, and a link may lead elsewhere."""
    return Path(os.path.realpath(folder / CHECKPOINT)).with_name(BEFORE)


def _holds(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _resume(trainer: Trainer, folder: Path) -> None:
    notes, metrics = _take_up(trainer, folder), folder / METRICS
    for note in notes if trainer.rank == 0 else []:
        logger.warning("resumed otherwise than it was begun: %s", visible(note))
    with all_or_none():
        if trainer.rank == 0 and metrics.exists():
            write_whole(metrics, b"".join(_lines_until(metrics, trainer.step)))


def _take_up(trainer: Trainer, folder: Path) -> list[str]:
    """Goes on from the newest checkpoint, or from the one before if that is damaged or gone.

    The one before is then the newest again: a damaged one must not push it out. Raises
    CheckpointError, and leaves both as they are, if neither can be gone on from.
    """
    newest, before = folder / CHECKPOINT, before_in(folder)
    try:
        return trainer.resume(newest)
    except DamagedError as damage:
        if not before.is_file():
            raise
        with all_or_none():
            notes = _resume_before(trainer, before, damage)
        logger.warning("%s; goes on from the one before it, at step %d", damage, trainer.step)
    with all_or_none():  # all have read it
        if trainer.rank == 0:
            before.replace(newest.resolve())
    return notes


def _resume_before(trainer: Trainer, before: Path, damage: DamagedError) -> list[str]:
    try:
        return trainer.resume(before)
    except CheckpointError as error:
        raise CheckpointError(
            f"{damage}; the one before it cannot help: {error}; both are left as they are: put a "
            "copy back, or choose another --folder to begin anew"
        ) from None


def _lines_until(metrics: Path, step: int) -> list[bytes]:
    """The lines of a metrics file up to a step: a killed run may have written more.

    What a power cut left is left out: a part of a line, or bytes that are no line at all.
    """
    lines = metrics.read_bytes().splitlines(keepends=True)
    steps = [_step_of(line) for line in lines]
    if None in steps:
        logger.warning("%s: %d damaged lines left out", metrics, steps.count(None))
    return [line for line, at in zip(lines, steps, strict=True) if at is not None and at <= step]


def _step_of(line: bytes) -> int | None:
    """The step of a line of the metrics file; None if the line is damaged."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) and line.endswith(b"\n") else None


def _draw_samples(trainer: Trainer, folder: Path) -> None:
    if trainer.rank > 0:
        return
    at_once = trainer.batches.batch_size // trainer.config.accumulate  # as many as fit in training
    config = DrawConfig(
        steps=min(20, trainer.schedule.T),
        batch_size=min(64, at_once),
        precision=trainer.config.precision,
    )
    if not trainer.config.label_dropout:  # there is no unlabelled network that could guide
        config = replace(config, guidance_scale=1.0)
    with _going_on("no picture"):
        images = draw(trainer.model(), 64, config)
        save_grid(folder / "samples" / f"step_{trainer.step:06d}.png", images)


@contextlib.contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Tells of an error in the body, and goes on: it must not cost the training."""
    try:
        yield
    except TrainingError:  # the training itself cannot go on
        raise
    except Exception as error:
        logger.warning("%s, the training goes on: %s", what, " ".join(str(error).split()))


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Notes SIGINT, SIGTERM and SIGHUP in a list, instead of ending the process.

    A signal that is ignored stays so (nohup). A second SIGINT acts as ever, but under `torchrun`,
    which sends every signal once more.
    """
    asked, before = list[int](), dict[int, Any]()

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if number == signal.SIGINT and world()[1] == 1:
            signal.signal(number, before[number])
        with contextlib.suppress(OSError):  # print is not allowed in here
            os.write(2, b"\nddpm-lite: asked to stop; ends this step and saves\n")

    if threading.current_thread() is threading.main_thread():  # others get no signals
        numbers = [getattr(signal, n, None) for n in ("SIGINT", "SIGTERM", "SIGHUP")]
        for number in numbers:
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Log:
    """The progress bar and the metrics file of a run; only the first process has them."""

    def __init__(self, trainer: Trainer, path: Path) -> None:
        self.trainer, self.path = trainer, path
        self.began, self.losses = time.perf_counter(), list[float]()
        total = trainer.config.steps
        self.bar = tqdm(total=total, initial=trainer.step, unit="step", disable=trainer.rank > 0)

    def add(self, state: TrainState, last: bool = False) -> None:
        """Counts one step; every LOG_EVERY steps, and at the last, writes a line."""
        self.losses.append(state.loss)
        with contextlib.suppress(OSError):  # nobody may be left to see it
            self.bar.update()
        if last or state.step % LOG_EVERY == 0 or state.step == self.trainer.config.steps:
            self._write(state)

    def _write(self, state: TrainState) -> None:
        now = time.perf_counter()
        images = len(self.losses) * self.trainer.config.batch_size
        # a coarse clock may not have moved
        speed = round(images / (now - self.began), 1) if now > self.began else None
        line = {
            "step": state.step,
            "loss": sum(self.losses) / len(self.losses),
            "grad_norm": state.grad_norm,
            "learning_rate": state.learning_rate,
            "images_per_second": speed,
        }
        with contextlib.suppress(OSError):
            self.bar.set_postfix_str(f"loss {line['loss']:.4f}, {speed} images/s")
        self.began, self.losses = now, []
        if self.trainer.rank == 0:
            with _going_on("a line of the metrics is missing"):
                append_line(self.path, json.dumps(line))

    def close(self) -> None:
        """Ends the progress bar."""
        with contextlib.suppress(OSError):
            self.bar.close()


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file, whole or not at all. Raises CheckpointError if that fails."""
    content = f"{line}\n".encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(content) < len(content):  # what fits on the disk would spoil the next one
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from None
