"""The built site without a server: pages opened from a file, and all of them in one zip.

A page opened from a file may not fetch other files, only run them. So beside the model and its
runtime lies each of them as a script, which the sampler's widget loads on such a page.
"""

import base64
import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from sphinx.application import Sphinx

from ddpm_lite.widgets.sampler import MODEL_FILE, RUNTIME_FILES

ARCHIVE = "ddpm-lite-book.zip"
"""Its name, in the root of the site."""


def wrap(static: Path, name: str) -> None:
    """Write a file of `_static` once more, as a script that puts it into `bookFiles`."""
    text = base64.b64encode((static / name).read_bytes()).decode()
    script = f'(globalThis.bookFiles ??= {{}})[{json.dumps(name)}] = "{text}";\n'
    (static / f"{name}.js").write_text(script, encoding="ascii")


def pack(site: Path, archive: Path) -> None:
    """All files of the site in one folder of a zip."""
    archive.unlink(missing_ok=True)
    files = sorted(path for path in site.rglob("*") if path.is_file())
    with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
        for path in files:
            packed.write(path, Path(archive.stem) / path.relative_to(site))


def write(app: Sphinx, error: Exception | None) -> None:
    """Both, unless the build failed."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for name in (*RUNTIME_FILES.values(), MODEL_FILE):
        if (site / "_static" / name).is_file():
            wrap(site / "_static", name)
    pack(site, site / ARCHIVE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, after all that writes files."""
    app.connect("build-finished", write, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
