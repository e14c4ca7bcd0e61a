"""Faults of the files: checkpoints that are cut, changed, gone or not to be read."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chain import Chain
from process import PATIENCE, Broken, Process, expect
from stops import kill

from ddpm_lite.checkpoint import is_whole
from ddpm_lite.run import BEFORE, CHECKPOINT, WEIGHTS


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
    kill(chain, process)
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
    expect(chain.start(), {1: words})
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
    kill(chain, process)
    chain.damaged = not (chain.folder / WEIGHTS).exists() and not is_whole(newest)
    return process


def _number(path: Path) -> int | None:
    """What tells a file from the one that had its name before; None while there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino
    return None
