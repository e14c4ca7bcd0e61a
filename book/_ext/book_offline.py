"""The built site without a server: pages opened from a file, and all of them in one zip.

A page opened from a file may not fetch other files, only run them. So beside the model and its
runtime lies each of them as a script, which the sampler's widget loads on such a page; and so do
the files of the proof machine. Those the zip has as scripts only: they work with a server too, and
both forms would be 15 MB more to download.
"""

import base64
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from book_one_page import ONE_PAGE
from sphinx.application import Sphinx

from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import RUNTIME_FILES, model_file

ARCHIVE = "ddpm-lite-book.zip"
"""Its name, in the root of the site."""
MACHINE_WORKER = "machine_worker.js"


def wrap(static: Path, name: str) -> None:
    """Write a file of `_static` once more, as a script that puts it into `bookFiles`."""
    text = base64.b64encode((static / name).read_bytes()).decode()
    script = f'(globalThis.bookFiles ??= {{}})[{json.dumps(name)}] = "{text}";\n'
    (static / f"{name}.js").write_text(script, encoding="ascii")


def machine(static: Path) -> list[str]:
    """The files of the proof machine, as their names in `_static`; none if there is no machine."""
    files = [path for path in sorted((static / "machine").rglob("*")) if path.is_file()]
    wanted = [path for path in files if path.suffix not in (".js", ".txt")]
    return [path.relative_to(static).as_posix() for path in wanted]


def pack(site: Path, archive: Path, without: Iterable[Path] = ()) -> None:
    """The files of the site in one folder of a zip; what is folded is open there."""
    archive.unlink(missing_ok=True)
    files = sorted({path for path in site.rglob("*") if path.is_file()} - set(without))
    with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
        for path in files:
            place = Path(archive.stem) / path.relative_to(site)
            if path.suffix == ".html":
                packed.writestr(place.as_posix(), unfolded(path.read_text(encoding="utf-8")))
            else:
                packed.write(path, place)


def unfolded(page: str) -> str:
    """The page with its proofs and its sections for those who want it all open."""
    return re.sub(
        r'<details class="(proof-code|more-section)">', r'<details class="\1" open>', page
    )


def write(app: Sphinx, error: Exception | None) -> None:
    """Both, unless the build failed; `make page` keeps the zip of the last whole build."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    static = site / "_static"
    models = map(model_file, MODELS)
    for name in (*RUNTIME_FILES.values(), *models, *machine(static), MACHINE_WORKER):
        if (static / name).is_file():
            wrap(static, name)
    if ONE_PAGE in os.environ:
        return
    pack(site, site / ARCHIVE, without=[static / name for name in machine(static)])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, after all that writes files."""
    app.connect("build-finished", write, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
