"""Work in a process of its own: the copy of one that has read PyTorch already, which is quicker."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from small import MODEL, images

from ddpm_lite.lock import locked
from ddpm_lite.run import CHECKPOINT, METRICS, RunConfig, run
from ddpm_lite.train import TrainConfig, Trainer


def start(work: Callable[[Path], None], folder: Path) -> ForkServerProcess:
    """A process that does the work in the folder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ddpm_lite.cli"])
    started = context.Process(target=work, args=(folder,))
    started.start()
    return started


def hold(folder: Path) -> None:
    """Takes the folder's lock, writes down whether it has it, and is killed."""
    with locked(folder) as ours:
        (folder / "ours").write_text(str(ours))
        os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path) -> None:
    """Trains, or goes on with it, and saves as often as it can."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    config = TrainConfig(steps=400, batch_size=8, precision="float32", ema_decay=0.9)
    trainer = Trainer(MODEL, config, images(), "cpu")
    resume = (folder / CHECKPOINT).exists()
    (folder / METRICS).unlink(missing_ok=True) if not resume else None  # of a kill before it
    run(trainer, RunConfig(folder, resume, save_minutes=0, picture_steps=10**9))
