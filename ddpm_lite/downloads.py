"""Files from the net, kept in a cache: what is there has the right SHA-256, or is not there."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from ddpm_lite.images import DataError, reason


@dataclass(frozen=True)
class Source:
    """A file to fetch: its name in the cache, its SHA-256, where it is to be had, best first."""

    name: str
    sha256: str
    addresses: tuple[str, ...]


def cache_folder() -> Path:
    """Where downloads are kept: $DDPM_LITE_CACHE, or the system's cache folder for ddpm_lite."""
    return Path(os.environ.get("DDPM_LITE_CACHE") or pooch.os_cache("ddpm_lite")).expanduser()


def fetch(source: Source) -> Path:
    """The file in the cache, downloaded if it is not there whole.

    pooch writes to a temporary file and renames it once the SHA-256 is right: what has been cut
    short is never taken for good. Raises DataError if no address gives the right bytes.
    """
    cache, tried = cache_folder(), []
    for address in source.addresses:
        try:
            get = pooch.HTTPDownloader(progressbar=True)
            known = f"sha256:{source.sha256}"
            return Path(pooch.retrieve(address, known, source.name, cache, downloader=get))
        except (OSError, ValueError) as error:  # the errors of requests are OSErrors
            tried.append(f"{address} ({reason(error)})")
    place = cache / source.name
    state = "the one in the cache is damaged and it" if place.exists() else "it"
    raise DataError(
        f"{source.name}: {state} could not be downloaded from {' or '.join(tried)}; look at the "
        f"network, or put it there by hand as {place} (DDPM_LITE_CACHE names another folder)"
    )
