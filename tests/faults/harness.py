"""Real trainings in processes of their own, that things happen to: nothing may be lost.

A chain is one training that goes on with `--resume` after each fault until it is done. The state
that each fault leaves is compared, bit for bit, with that of an undisturbed training at the same
step, and so are the final weights.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import child
import torch
from PIL import Image

from ddpm_lite.checkpoint import CheckpointError, is_whole, read
from ddpm_lite.cli import with_classes
from ddpm_lite.data import load
from ddpm_lite.options import parse_train
from ddpm_lite.run import BEFORE, CHECKPOINT, LOG_EVERY, METRICS, WEIGHTS
from ddpm_lite.train import Trainer

STEPS = 300
PATIENCE = 300
"""Seconds that a process may take for anything, on a machine that is busy with other things."""


class Broken(Exception):  # noqa: N818
    """What should not have happened."""


# --- A training ----------------------------------------------------------------------------------


def pictures(folder: Path) -> Path:
    """Thirty-two small pictures of two kinds."""
    for kind, levels in (("dark", (0, 60)), ("bright", (180, 250))):
        (folder / kind).mkdir(parents=True)
        for number in range(16):
            picture = Image.linear_gradient("L").rotate(90 * (number % 4)).resize((8, 8))
            scaled = picture.point(lambda v, a=levels: a[0] + v * (a[1] - a[0]) // 255)
            scaled.save(folder / kind / f"{number}.png")
    return folder


def words(data: Path, folder: Path) -> list[str]:
    """A tiny training, without pictures on the way, that saves as often as it can."""
    return [
        "train", "tiny", "--data", str(data), "--folder", str(folder), "--steps", str(STEPS),
        "--batch-size", "8", "--precision", "float32", "--channels", "8", "8", "--groups", "4",
        "--side", "8", "--save-minutes", "0", "--picture-steps", str(10**9),
    ]  # fmt: skip


class Process:
    """A `ddpm-lite` with what it has printed; a fresh Python, or the copy of one (quicker)."""

    def __init__(self, log: Path, arguments: list[str], fresh: bool) -> None:
        self.log, self.fresh = log, fresh
        log.write_bytes(b"")
        if fresh:
            command = [sys.executable, str(Path(child.__file__)), str(log), *arguments]
            self._started: Any = subprocess.Popen(command)
        else:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["ddpm_lite.cli"])
            self._started = context.Process(target=child.become, args=(str(log), arguments))
            self._started.start()
        self.pid: int = self._started.pid

    def status(self) -> int | None:
        """The exit status, the negative number of the signal that ended it, or None so far."""
        return self._started.poll() if self.fresh else self._started.exitcode  # type: ignore[no-any-return]

    def wait(self) -> int:
        """The exit status, once there is one."""
        end = time.monotonic() + PATIENCE
        while (status := self.status()) is None:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise Broken(f"still at work after {PATIENCE} s")
            time.sleep(0.005)
        return status

    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def step(self) -> int:
        """The last step that its progress bar has shown."""
        shown = re.findall(rf"(\d+)/{STEPS} ", self.said())
        return int(shown[-1]) if shown else 0

    def send(self, number: int) -> bool:
        """Sends a signal, if it still runs."""
        if self.status() is None:
            os.kill(self.pid, number)
            return True
        return False


# --- What an undisturbed training looks like -----------------------------------------------------


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """One number for all tensors of a checkpoint."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def undisturbed(data: Path, at: Path) -> list[str]:
    """The digest of every step's checkpoint, from step 0; the last one is left in a file."""
    config = parse_train(words(data, at.parent)[1:])
    images = load(config.data, True, 8, 1)
    trainer = Trainer(with_classes(config.model, images), config.train, images, "cpu")
    digests = [""]
    for _ in trainer.steps():
        digests.append(digest(trainer._tensors()))
    trainer.save_weights(at)
    return digests


# --- Places and powers ---------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(around: Path) -> Iterator[tuple[Path, bool]]:
    """A folder of 8 MB, and True; an ordinary one, and False, where none can be mounted."""
    place = around / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = False
    if os.geteuid() == 0 and shutil.which("mount"):
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield place, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def permissions_bind() -> bool:
    """Whether a process of the harness can be kept from writing."""
    code = "import sys, child; sys.exit(not child.obey_permissions())"
    return subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent).returncode == 0


# --- Faults --------------------------------------------------------------------------------------


@dataclass
class Chain:
    """One training, in as many processes as the faults make of it."""

    data: Path
    folder: Path
    logs: Path
    moments: random.Random
    fresh: bool
    tmpfs: bool
    parts: list[Process] = field(default_factory=list)
    damaged: bool = False
    """Whether its newest checkpoint is damaged, so that the next process must not go on from it."""
    spared: bool = False
    """Whether a round found nothing to damage, and was no more than a kill."""

    def saved(self) -> list[Path]:
        """The checkpoints that there are, the newest first."""
        return [p for p in (self.folder / CHECKPOINT, self.folder / BEFORE) if p.exists()]

    def start(self, *more: str) -> Process:
        """Begins, or goes on if there is something to go on from."""
        if not self.saved():  # ended before the first checkpoint: one begins anew
            (self.folder / METRICS).unlink(missing_ok=True)
        go_on = ["--resume"] if self.saved() else []
        log = self.logs / f"{self.folder.name}_{len(self.parts)}"
        arguments = [*words(self.data, self.folder), *go_on, *more]
        self.parts.append(Process(log, arguments, self.fresh))
        return self.parts[-1]

    def end(self) -> None:
        """Ends what still runs after something has gone wrong."""
        for process in self.parts:
            if process.send(signal.SIGKILL):
                process.wait()

    def wait_for_a_moment(self, process: Process) -> None:
        """Waits until some step, or now and then for no step at all."""
        if self.moments.random() < 0.15:
            time.sleep(self.moments.uniform(0, 4 if self.fresh else 0.5))
            return
        end, begin = time.monotonic() + PATIENCE, None
        ahead = self.moments.randrange(1, 2 * LOG_EVERY)
        while process.status() is None and (begin is None or process.step() < begin + ahead):
            if begin is None and f"/{STEPS} " in process.said():
                begin = process.step()
            if time.monotonic() > end:
                raise Broken("no step was made")
            time.sleep(0.002)
        time.sleep(self.moments.uniform(0, 0.05))


def _expect(process: Process, statuses: dict[int, str]) -> None:
    """How it ended: the line that each status must come with."""
    status, said = process.wait(), process.said()
    if status not in statuses or statuses[status] not in said:
        raise Broken(f"ended with {status} and: {said[-600:]}")
    lines = re.findall(r"^ddpm-lite: (?!asked to stop)", said, re.MULTILINE)
    if status > 0 and len(lines) != 1:
        raise Broken(f"not one line: {said[-600:]}")


def left_alone(chain: Chain) -> Process:
    """Nothing happens, and it reaches its end."""
    process = chain.start()
    _expect(process, {0: "done: "})
    return process


def killed(chain: Chain) -> Process:
    """SIGKILL."""
    return _killed(chain, chain.start())


def _killed(chain: Chain, process: Process) -> Process:
    chain.wait_for_a_moment(process)
    process.send(signal.SIGKILL)
    _expect(process, {-signal.SIGKILL: "", 0: "done: "})
    return process


def _asked(chain: Chain, number: int, status: int) -> Process:
    """A signal that lets it save; before the first step it ends at once, and there is no more."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    began = f"/{STEPS} " in process.said()
    sent = process.send(number)
    ended = process.wait()
    if ended == status and "stopped at step" in process.said():
        told = int(re.findall(r"stopped at step (\d+)", process.said())[-1])
        if "--resume goes on" not in process.said() or read(chain.saved()[0])[1]["step"] != told:
            raise Broken(f"promises what is not so: {process.said()[-600:]}")
    elif sent and began and ended != 0 and not (chain.folder / WEIGHTS).exists():
        raise Broken(f"ended with {ended} and: {process.said()[-600:]}")
    return process


def terminated(chain: Chain) -> Process:
    """SIGTERM."""
    return _asked(chain, signal.SIGTERM, 128 + signal.SIGTERM)


def interrupted(chain: Chain) -> Process:
    """SIGINT."""
    return _asked(chain, signal.SIGINT, 128 + signal.SIGINT)


_NOT_WRITTEN = {
    -signal.SIGKILL: "",
    -signal.SIGTERM: "",  # before the first step
    0: "done: ",
    1: "cannot be written",
    128 + signal.SIGTERM: "stopped at step",
}


def _hindered(chain: Chain, hinder: Callable[[Process], None]) -> Process:
    """Something is in the way of writing, and after a while the process is asked to stop."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    hinder(process)
    time.sleep(chain.moments.uniform(0, 0.5))
    process.send(signal.SIGTERM if chain.moments.random() < 0.7 else signal.SIGKILL)
    _expect(process, _NOT_WRITTEN)
    return process


def disk_full(chain: Chain) -> Process:
    """No room for another byte; where no small disk can be mounted, a limit on files instead."""
    filler = chain.folder.parent / "filler"

    def hinder(process: Process) -> None:
        if not chain.tmpfs:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
            return
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    try:
        return _hindered(chain, hinder)
    finally:
        filler.unlink(missing_ok=True)


def read_only(chain: Chain) -> Process:
    """The folder may no longer be written."""

    def hinder(_: Process) -> None:
        if chain.folder.exists():
            chain.folder.chmod(0o555)

    try:
        return _hindered(chain, hinder)
    finally:
        if chain.folder.exists():
            chain.folder.chmod(0o755)


def hung_up(chain: Chain) -> Process:
    """SIGHUP, as from a terminal that was closed."""
    return _asked(chain, signal.SIGHUP, 128 + signal.SIGHUP)


def second_run(chain: Chain) -> Process:
    """Another one in the same folder: it is refused, and the first one goes on."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    if f"/{STEPS} " in process.said() and process.send(signal.SIGSTOP):
        second = chain.start(*(["--resume"] if chain.moments.random() < 0.5 else []))
        try:
            _expect(second, {1: "another run is writing into"})
        finally:
            process.send(signal.SIGCONT)
    process.send(signal.SIGTERM)
    process.wait()
    return process


def _cut(path: Path, chance: random.Random) -> None:
    """Ends it somewhere."""
    os.truncate(path, chance.randrange(path.stat().st_size))


def _flip(path: Path, chance: random.Random) -> None:
    """Changes one to four of the bytes that stand for something, so that it must be noticed."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 5)):
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def _spoil(path: Path, chance: random.Random) -> None:
    """Damages it in one of both ways, and surely."""
    content = path.read_bytes()
    while is_whole(path):  # a space in the header may become another one
        path.write_bytes(content)
        chance.choice((_cut, _flip))(path, chance)


def _wait(process: Process, until: Callable[[], bool]) -> bool:
    """Waits for something; False if the process ended without."""
    end = time.monotonic() + PATIENCE
    while not until():
        if process.status() is not None:
            return until()
        if time.monotonic() > end:
            raise Broken("waited in vain")
        time.sleep(0.002)
    return True


def _killed_with_two(chain: Chain) -> tuple[Process, bool]:
    """Killed once there are two checkpoints; whether there are two good ones, and it was not done.

    What is damaged already has no part in another round: two faults at once are one of their own.
    """
    process = chain.start()
    _wait(process, lambda: len(chain.saved()) == 2)
    _killed(chain, process)
    going_on = len(chain.saved()) == 2 and not (chain.folder / WEIGHTS).exists()
    chain.spared = not (going_on and all(map(is_whole, chain.saved())))
    return process, not chain.spared


def _damaged(chain: Chain, damage: Callable[[Path, random.Random], None]) -> Process:
    """The newest is no longer what it was."""
    process, good = _killed_with_two(chain)
    if good:
        damage(chain.saved()[0], chain.moments)
        chain.damaged = True
    return process


def truncated(chain: Chain) -> Process:
    """Cut off somewhere."""
    return _damaged(chain, _cut)


def flipped(chain: Chain) -> Process:
    """One to four bytes changed."""
    return _damaged(chain, _flip)


def missing(chain: Chain) -> Process:
    """Gone."""
    return _damaged(chain, lambda path, _: path.unlink())


def older_damaged(chain: Chain) -> Process:
    """The one before the newest is damaged, which costs nothing."""
    process, good = _killed_with_two(chain)
    if good:
        _spoil(chain.saved()[1], chain.moments)
    return process


def _refused(chain: Chain, words: str) -> None:
    """Going on ends with one line that says these words, and every file stays as it is."""
    before = _state(chain)
    _expect(chain.start(), {1: words})
    if _state(chain) != before:
        raise Broken("what was refused was changed")


def _state(chain: Chain) -> list[tuple[str, int, int]]:
    """What tells whether a checkpoint was touched, though it may not be read."""
    stats = [(path.name, path.stat()) for path in chain.saved()]
    return [(name, stat.st_ino, stat.st_mtime_ns) for name, stat in stats]


def both_damaged(chain: Chain) -> Process:
    """Neither is good: it says so and touches neither. Then somebody puts copies back."""
    process, good = _killed_with_two(chain)
    if good:
        copies = {path: path.read_bytes() for path in chain.saved()}
        try:
            for path in copies:
                _spoil(path, chain.moments)
            _refused(chain, "both are left as they are")
        finally:
            for path, content in copies.items():
                path.write_bytes(content)
    return process


def unreadable(chain: Chain) -> Process:
    """The newest may not be read: it is not taken for damaged, or its steps would be lost."""
    process, good = _killed_with_two(chain)
    if good:
        newest = chain.saved()[0]
        newest.chmod(0o200)
        try:
            _refused(chain, "ermission denied")
        finally:
            newest.chmod(0o644)
    return process


def damaged_alive(chain: Chain) -> Process:
    """The newest is damaged while the training is at work, twice, and then it is killed.

    In between it saves, and must not put the damaged one in the place of the good one before.
    """
    process, newest, older = chain.start(), chain.folder / CHECKPOINT, chain.folder / BEFORE
    for again in (False, True):
        _wait(process, lambda: len(chain.saved()) == 2)
        number = _number(newest)
        # just after it was written, and long before it is moved
        _wait(process, lambda n=number: _number(newest) not in (None, n))  # type: ignore[misc]
        if not process.send(signal.SIGSTOP):
            chain.spared = True
            return process
        try:
            if again and not is_whole(older):
                raise Broken("a damaged checkpoint was kept as the one before")
            _spoil(newest, chain.moments)
        finally:
            process.send(signal.SIGCONT)
    _killed(chain, process)
    chain.damaged = not (chain.folder / WEIGHTS).exists() and not is_whole(newest)
    return process


def _number(path: Path) -> int | None:
    """What tells a file from the one that had its name before; None while there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino
    return None


FAULTS = (
    killed, terminated, interrupted, hung_up, second_run, disk_full, read_only, unreadable,
    truncated, flipped, missing, older_damaged, both_damaged, damaged_alive,
)  # fmt: skip
FORBIDDEN = (read_only, unreadable)
"""Those that need a system whose permissions bind."""


# --- Rounds --------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of all rounds."""

    rounds: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    most_lost: int = 0
    fell_back: int = 0
    spared: int = 0

    def line(self, seed: int, more: dict[str, Any]) -> str:
        """The JSON line."""
        rounds = sum(self.rounds.values())
        counts = {"rounds": rounds, "survived": rounds - len(self.broken)}
        lost = {"most_steps_lost": self.most_lost, "fell_back": self.fell_back}
        counts |= {"spared": self.spared, "seed": seed}
        return json.dumps(counts | lost | more | {"faults": dict(self.rounds)})


class Harness:
    """Runs chains, one fault a round, and notes what is not as it should be."""

    def __init__(self, around: Path, disk: Path, tmpfs: bool, seed: int, fresh: bool) -> None:
        self.around, self.disk, self.tmpfs, self.fresh = around, disk, tmpfs, fresh
        self.moments, self.outcome, self.chains = random.Random(seed), Outcome(), 0
        torch.set_num_threads(1)
        self.data = pictures(around / "pictures")
        self.digests = undisturbed(self.data, around / WEIGHTS)
        self._begin()

    def _begin(self) -> None:
        self.chains += 1
        folder = self.disk / f"chain{self.chains}"
        self.chain = Chain(self.data, folder, self.around, self.moments, self.fresh, self.tmpfs)

    def run(self, faults: list[Callable[[Chain], Process]]) -> Outcome:
        """One round a fault; at the end the last chain is trained to its end."""
        for fault in faults:
            if self._done():
                self._compare()
                self._begin()
            self._round(fault)
        if not self._done():
            self._round(left_alone)
        self._compare()
        return self.outcome

    def _done(self) -> bool:
        return (self.chain.folder / WEIGHTS).exists()

    def _seen(self, fault: Callable[[Chain], Process]) -> Process:
        """What happens to a process, which may not go on from a checkpoint that is damaged."""
        damaged, self.chain.damaged, self.chain.spared = self.chain.damaged, False, False
        process = fault(self.chain)
        self.outcome.spared += self.chain.spared
        said = process.said()
        fell_back = "goes on from the one before it" in said
        self.outcome.fell_back += fell_back
        if damaged and not fell_back:
            if f"/{STEPS} " in said:
                raise Broken(f"went on from a damaged checkpoint: {said[-600:]}")
            self.chain.damaged = True  # ended before it had read any
        return process

    def _round(self, fault: Callable[[Chain], Process]) -> None:
        name = fault.__name__
        if fault is not left_alone:
            self.outcome.rounds[name] += 1
        try:
            process = self._seen(fault)
            self.outcome.most_lost = max(self.outcome.most_lost, process.step() - self._check())
        except (Broken, CheckpointError) as error:
            self._note(name, str(error))
            self.chain.end()

    def _check(self) -> int:
        """The step of the last good state, which must be that of the undisturbed training."""
        for path in self.chain.saved():
            with contextlib.suppress(CheckpointError):
                tensors, metadata = read(path)
                step: int = metadata["step"]
                if digest(tensors) != self.digests[step]:
                    raise Broken(f"{path.name} is not what step {step} should be")
                return step
        if self.chain.saved():
            raise Broken("no checkpoint is good")
        return 0

    def _compare(self) -> None:
        """The weights at the end are those of the undisturbed training, bit for bit.

        The files may differ: safetensors writes the parts of its header in any order.
        """
        end = self.chain.folder / WEIGHTS
        if not end.exists() or digest(read(end)[0]) != digest(read(self.around / WEIGHTS)[0]):
            self._note("the end", f"{end} differs from the undisturbed one")
        shutil.rmtree(self.chain.folder, ignore_errors=True)

    def _note(self, fault: str, what: str) -> None:
        self.outcome.broken.append(f"round {sum(self.outcome.rounds.values())}, {fault}: {what}")
        print(self.outcome.broken[-1], file=sys.stderr, flush=True)
