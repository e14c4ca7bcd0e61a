"""Run the cells of all pages, several pages at a time: `python tools/run_chapters.py`.

Jupyter Book runs one page after another. Here as many run as the machine has cores, and Jupyter
Book finds their outputs in its cache. A chapter runs as it would in Colab: in an empty folder with
the files that its notebook writes there, and with the package as a wheel holds it. So what is shown
on the pages needs no checkout. Each page has one thread, since threads that wait for each other on
a busy machine are slower than one alone.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import colab
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import myst_nb_reader_plugin
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ddpm_lite.widgets.files import PAGES

BUILD = colab.ROOT / "_build"
LONGEST = "08_training"
"""The page that trains takes as long as all others together, and begins first."""


def pages() -> list[Path]:
    """The pages that have cells, the longest first."""
    found = [page for page in colab.BOOK.glob("*.md") if colab.CELL.search(page.read_text())]
    return sorted(found, key=lambda page: (page.stem != LONGEST, page.name))


def fingerprint(page: Path) -> str:
    """Of all that a page's outputs depend on: its cells, what they read, and the package."""
    text = page.read_text(encoding="utf-8")
    cells = [match[0] for match in colab.CELL.finditer(text)]
    read = [content for _, content in colab.needed_files(page, text)]
    package = sorted(path for path in (colab.ROOT / "ddpm_lite").rglob("*") if is_source(path))
    parts = [*map(str.encode, (*cells, *read)), *(path.read_bytes() for path in package)]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(digests).hexdigest()


def is_source(path: Path) -> bool:
    """Whether a file of the package is one that its wheel is made of."""
    return path.is_file() and path.suffix not in (".pyc", ".so")


def ran(page: Path) -> bool:
    """Whether the page has run as it is now."""
    file = BUILD / "ran.json"
    known: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    return known.get(page.name) == fingerprint(page)


def keep(page: Path, notebook: Any, seconds: float) -> None:
    """Put what a page shows into Jupyter Book's cache."""
    bundle = CacheBundleIn(notebook, str(page), data={"execution_seconds": seconds})
    cache = get_cache(BUILD / ".jupyter_cache")
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    note(page)


def note(page: Path) -> None:
    """Remember what the page has run with."""
    file = BUILD / "ran.json"
    known = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(known | {page.name: fingerprint(page)}, indent=1))


def install(folder: Path) -> None:
    """Put the package there as its wheel has it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    how = ["--no-deps", "--no-build-isolation", "--upgrade", "--target", str(folder)]
    subprocess.run([*pip, *how, str(colab.ROOT)], check=True)


def run(page: Path, package: Path) -> tuple[Any, float]:
    """The page's notebook with its outputs, and how many seconds they took.

    Raises CellExecutionError where a cell fails.
    """
    notebook = myst_nb_reader_plugin(str(page))
    limit = yaml.safe_load((colab.ROOT / "_config.yml").read_text())["execute"]["timeout"]
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", PAGES: "1"}
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        for name, content in colab.needed_files(page, page.read_text()):
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text(content)
        # without times in the cells, by which the cache would take them for others
        client = NotebookClient(
            notebook,
            timeout=limit,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
    return notebook, time.perf_counter() - began


def run_all(some: list[Path], package: Path) -> Iterator[tuple[Path, Any, float]]:
    """Each page with its notebook and its seconds, as they end."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(run, page, package): page for page in some}
        try:
            for done in as_completed(running):
                yield running[done], *done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> int:
    """Run all, and put what they show into Jupyter Book's cache. 1 where a cell fails."""
    install(BUILD / "package")
    try:
        for page, notebook, seconds in run_all(pages(), BUILD / "package"):
            keep(page, notebook, seconds)
            print(f"{page.stem:28} {seconds:6.1f} s", flush=True)
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
