"""Files from the net, kept in a cache: what is there has the right SHA-256, or is not there.

What has come of a file that was broken off is kept beside it, and the next try asks for the rest.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedRandom
from pathlib import Path
from typing import Any

from ddpm_lite.images import DataError, reason
from ddpm_lite.lock import alone

SILENCE, PATIENCE = 30.0, 3600.0
"""Seconds that a host may say nothing, and that a whole file may take from it."""
TRIES = 10
"""How often an address is asked to go on, as long as something comes each time."""


@dataclass(frozen=True)
class Source:
    """A file to fetch: its name in the cache, its bytes, their SHA-256, and where it is to be had.

    The best address comes first.
    """

    name: str
    size: int
    sha256: str
    addresses: tuple[str, ...]


def cache_folder() -> Path:
    """Where downloads are kept: $DDPM_LITE_CACHE, or the system's cache folder for ddpm_lite."""
    if named := os.environ.get("DDPM_LITE_CACHE"):
        with contextlib.suppress(RuntimeError):  # of a user who is not known here
            return Path(named).expanduser()
        return Path(named)
    import pooch

    return Path(pooch.os_cache("ddpm_lite")).expanduser()


class _AnotherError(ValueError):
    """An answer that is not the file, as can be told before any of it is read."""


def fetch(source: Source) -> Path:
    """The file in the cache, downloaded if it is not there whole.

    It gets its name in one step once its SHA-256 is right: what has been cut short is never taken
    for good. Until then it lies in a hidden file, from which the next try goes on after an
    interruption or a kill. Raises DataError if no address gives the right bytes.
    """
    place, tried = cache_folder() / source.name, []
    for address in source.addresses:
        try:
            if not (place.is_file() and _has(place, source)):
                place.parent.mkdir(parents=True, exist_ok=True)
                with _part(place) as part:
                    _complete(part, address, source)
            return place
        except (OSError, ValueError) as error:
            said = str(error) if isinstance(error, _AnotherError) else reason(error)
            tried.append(f"{address} ({said})")
    state = "the one in the cache is damaged and it" if place.exists() else "it"
    raise DataError(
        f"{source.name}: {state} could not be downloaded from {' or '.join(tried)}; look at the "
        f"network{_told_of(_place_of_part(place), source)}, or put it there by hand as {place} "
        "(DDPM_LITE_CACHE names another folder)"
    )


def _has(path: Path, source: Source) -> bool:
    with path.open("rb") as file:
        return _is(file, source)


def _is(file: BufferedIOBase, source: Source) -> bool:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256


def _told_of(part: Path, source: Source) -> str:
    """That a part is kept, if one is."""
    with contextlib.suppress(OSError):
        held = part.stat().st_size
        return f" and try again ({held:,} of {source.size:,} bytes are here and are kept)"
    return ""


def _place_of_part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


@contextlib.contextmanager
def _part(place: Path) -> Iterator[BufferedRandom]:
    """What has come of a file so far, to complete; when the body is done it takes its place.

    An error in the body leaves it for the next time. While another process is at it, and where the
    system has no locks, it is one of our own, which is not kept.
    """
    path = _place_of_part(place)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        if alone(file) and _is_at(path, file):
            try:
                yield file
                file.flush()
                path.replace(place)  # before another process may have it
            finally:
                if not file.seek(0, os.SEEK_END):
                    path.unlink(missing_ok=True)
            return
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        own = Path(folder) / place.name
        with own.open("w+b") as file:
            yield file
        own.replace(place)


def _is_at(path: Path, file: BufferedRandom) -> bool:
    """Whether an open file still has this name: another process may have completed it just now."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _complete(part: BufferedRandom, address: str, source: Source) -> None:
    """Adds to a part what is missing, in several tries as long as each of them brings something.

    Raises ValueError if it is another file, and has then emptied the part, and OSError, of which
    the errors of requests are some, if it is broken off.
    """
    end = time.monotonic() + PATIENCE
    for _ in range(TRIES):
        held = _size(part)
        try:
            _add(part, address, source, end)
        except OSError:
            if _size(part) <= held or time.monotonic() > end:
                raise
            continue
        if _is(part, source):
            return
        part.truncate(0)
        if held == 0:
            raise ValueError("wrong hash")
        # else what was held may have been wrong: once more, from the start
    raise TimeoutError


def _size(part: BufferedRandom) -> int:
    return part.seek(0, os.SEEK_END)


def _add(part: BufferedRandom, address: str, source: Source, end: float) -> None:
    """Asks for what is missing of a part, or for all where the host does not go on from there."""
    froms = (held := _size(part), 0)
    if held < source.size and not any(_read(part, address, source, k, end) for k in froms):
        raise _AnotherError("it gives other parts than it was asked for")
    if _size(part) < source.size:
        raise ConnectionError  # of an answer without a length nobody else can tell


def _read(part: BufferedRandom, address: str, source: Source, held: int, end: float) -> bool:
    """Asks for a file from some byte on, and writes what comes, which may go on or stop for ever.

    False, and nothing is written, if the answer begins at another byte that is not the first.
    """
    import requests  # what only a download needs is read for one
    from tqdm import tqdm

    # packed by the way it would have other bytes to count
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    with requests.get(address, stream=True, timeout=SILENCE, headers=headers) as answer:
        begin = _begin(answer)
        if begin not in (0, held):
            return False
        answer.raise_for_status()
        _check(answer, source.size - begin)
        part.seek(begin)  # an answer that begins anew and ends early leaves what is held beyond
        with tqdm(
            total=source.size, initial=begin, desc=source.name, unit="B", unit_scale=True,
            leave=False,
        ) as bar:  # fmt: skip
            for some in answer.iter_content(1024):
                part.write(some)
                bar.update(len(some))
                begin += len(some)
                if begin > source.size:
                    break
                if time.monotonic() > end:
                    raise TimeoutError
    return True


def _begin(answer: Any) -> int:
    """The byte at which an answer begins; -1 if it has none of those that were asked for."""
    if answer.status_code == 206:  # Partial Content (RFC 9110, section 15.3.7)
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        return int(found[1]) if found else -1
    return -1 if answer.status_code == 416 else 0  # Range Not Satisfiable


def _check(answer: Any, size: int) -> None:
    """Raises _AnotherError for an answer that cannot be of so many bytes of a file.

    What is held of the right file must not be lost to the page that a proxy sends instead.
    """
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise _AnotherError("a page comes in its place; does this network want a login?")
    length = answer.headers.get("Content-Length")
    if length not in (None, str(size)) and "Content-Encoding" not in answer.headers:
        raise _AnotherError(f"{length} bytes come in place of {size}")
