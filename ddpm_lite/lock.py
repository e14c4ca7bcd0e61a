"""One run a folder: a lock that the system takes away when its process ends, however it ends.

Where the system has no `flock` (Windows), or the folder's file system has none, two runs in one
folder are not noticed; of a file system without it a warning tells.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ddpm_lite.checkpoint import CheckpointError

fcntl: Any
try:
    import fcntl
except ImportError:
    fcntl = None

LOCK = ".lock"
"""A file in the folder, which stays; that it is there means nothing.

It says what started the run (`launch`).
"""

logger = logging.getLogger("ddpm_lite")


def in_use(folder: Path) -> bool:
    """Whether another process holds the folder's lock. Makes no file."""
    if fcntl is None or not (folder / LOCK).is_file():
        return False
    with contextlib.suppress(OSError), (folder / LOCK).open("rb") as file:
        return not _lock(file, fcntl.LOCK_SH)
    return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Holds the folder's lock in the body: True, or False where another process has it.

    Makes the folder. Raises CheckpointError if the lock's file cannot be written, or is something
    else than a file: it may be a link to one that is not ours, or a pipe that nobody reads.
    """
    with contextlib.ExitStack() as opened:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context(_place(folder).open("ab"))
        except OSError as error:
            raise _not_written(folder, error) from None
        yield fcntl is None or _lock(file, fcntl.LOCK_EX)


def alone(file: Any) -> bool:
    """Whether an open file is ours until it is closed; never, where the system has no locks."""
    return fcntl is not None and _lock(file, fcntl.LOCK_EX)


def sign(folder: Path, name: str) -> None:
    """Writes into the lock's file who has it. Raises CheckpointError as `locked` does."""
    try:
        _place(folder).write_text(name, encoding="utf-8")
    except OSError as error:
        raise _not_written(folder, error) from None


def _place(folder: Path) -> Path:
    place = folder / LOCK
    if place.is_symlink() or (place.exists() and not place.is_file()):
        raise CheckpointError(f"{place}: is no plain file and is left alone; remove it")
    return place


def _not_written(folder: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"{folder / LOCK}: cannot be written ({error.strerror})")


def signature(folder: Path) -> str:
    """Who had the lock last, as far as it signed."""
    with contextlib.suppress(OSError, ValueError):
        return (folder / LOCK).read_text(encoding="utf-8")
    return ""


def _lock(file: Any, kind: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        logger.warning(
            "%s: cannot be locked (%s); let only one process write into this folder",
            file.name,
            error.strerror,
        )
    return True
