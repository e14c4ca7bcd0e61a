"""Files from the net, kept in a cache: what is there has the right SHA-256, or is not there."""

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ddpm_lite.images import DataError, reason

SILENCE, PATIENCE = 30.0, 3600.0
"""Seconds that a host may say nothing, and that a whole file may take."""


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
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("ddpm_lite")).expanduser()


def fetch(source: Source) -> Path:
    """The file in the cache, downloaded if it is not there whole.

    What comes is kept in memory, and written under its name in one step once its SHA-256 is right:
    what has been cut short is never taken for good, and a kill leaves nothing. Raises DataError if
    no address gives the right bytes.
    """
    place, tried = cache_folder() / source.name, []
    for address in source.addresses:
        try:
            if not (place.is_file() and _digest(place) == source.sha256):
                _keep(_download(address, source), place)
            return place
        except (OSError, ValueError) as error:
            tried.append(f"{address} ({reason(error)})")
    state = "the one in the cache is damaged and it" if place.exists() else "it"
    raise DataError(
        f"{source.name}: {state} could not be downloaded from {' or '.join(tried)}; look at the "
        f"network, or put it there by hand as {place} (DDPM_LITE_CACHE names another folder)"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(address: str, source: Source) -> bytearray:
    """The file as an address gives it, which may go on for ever, or stop for ever.

    Raises ValueError if it is another one, and the errors of requests, which are OSErrors.
    """
    import requests  # what only a download needs is read for one
    from tqdm import tqdm

    content, end = bytearray(), time.monotonic() + PATIENCE
    bar = tqdm(total=source.size, desc=source.name, unit="B", unit_scale=True, leave=False)
    with bar, requests.get(address, stream=True, timeout=SILENCE) as answer:
        answer.raise_for_status()
        for part in answer.iter_content(1024):
            content += part
            bar.update(len(part))
            if len(content) > source.size:
                break
            if time.monotonic() > end:
                raise TimeoutError
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise ValueError("wrong hash")
    return content


def _keep(content: bytearray, place: Path) -> None:
    """Writes a file into the cache; another process may write the same one at the same time."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        file = Path(folder) / place.name
        file.write_bytes(content)
        file.replace(place)
