"""Run the cells of all pages, several pages at a time: `python tools/run_chapters.py`.

Jupyter Book runs one page after another. Here as many run as the machine has cores, and Jupyter
Book finds their outputs in its cache. A chapter runs as it would in Colab: in an empty folder with
the files that its notebook writes there, and with the package as a wheel holds it. So what is shown
on the pages needs no checkout. Each page has one thread, since threads that wait for each other on
a busy machine are slower than one alone.
"""

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

from ddpm_lite.widgets.sampler import PAGES

BUILD = colab.ROOT / "_build"
LONGEST = "08_training"
"""The page that trains takes as long as all others together, and begins first."""


def pages() -> list[Path]:
    """The pages that have cells, the longest first."""
    found = [page for page in colab.BOOK.glob("*.md") if colab.CELL.search(page.read_text())]
    return sorted(found, key=lambda page: (page.stem != LONGEST, page.name))


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
    cache = get_cache(BUILD / ".jupyter_cache")
    try:
        for page, notebook, seconds in run_all(pages(), BUILD / "package"):
            bundle = CacheBundleIn(notebook, str(page), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            print(f"{page.stem:28} {seconds:6.1f} s", flush=True)
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
