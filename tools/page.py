"""Build one page of a built book anew: `make page PAGE=04`.

Its cells run again where a cell changed, or a formula or a table that they read, or the package;
after a change of prose alone their outputs come from the cache. Then Sphinx reads and writes
the page. What other pages tell of it, and the zip of the book, are left as they were.
"""

import os
import subprocess
import sys
from pathlib import Path

import colab
import run_chapters
from nbclient.exceptions import CellExecutionError
from run_chapters import BUILD

HOW = ["build", str(colab.ROOT), "-W", "-n", "--keep-going", "-q"]


def page_named(name: str) -> Path:
    """The page whose file name begins so. Raises ValueError where there is none, or more."""
    found = [page for page in sorted(colab.BOOK.glob("*.md")) if page.stem.startswith(name)]
    if len(found) != 1 or not name:
        raise ValueError(f"PAGE={name} names {len(found)} pages; say for example PAGE=04")
    return found[0]


def run_again(page: Path) -> None:
    """Run the cells, in the package as it is now, and keep what they show."""
    run_chapters.install(BUILD / "package")
    notebook, seconds = run_chapters.run(page, BUILD / "package")
    run_chapters.keep(page, notebook, seconds)
    page.touch()  # or Sphinx, which looks at the page alone, would show the old outputs


def main() -> int:
    """Run the cells if they need it, and have Sphinx build. Its exit code."""
    try:
        page = page_named(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not (BUILD / "html" / "book").is_dir():
        print("the book is not built; `make book` builds it", file=sys.stderr)
        return 2
    if not colab.CELL.search(page.read_text()):
        print(f"{page.name} has no cells")
    elif run_chapters.ran(page):
        print(f"{page.name}: no cell and no formula has changed, so nothing runs again")
    else:
        try:
            run_again(page)
        except CellExecutionError as error:
            print(error, file=sys.stderr)
            return 1
    environment = {**os.environ, "DDPM_LITE_ONE_PAGE": f"book/{page.stem}"}
    program = Path(sys.executable).with_name("jupyter-book")
    return subprocess.run([program, *HOW], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
