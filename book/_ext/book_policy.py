"""A Content-Security-Policy for each built page: its own files and scripts run, and no others.

The policy stands in the page, as a `meta` tag, and in the file `_headers` in the site's root, which
Netlify, Cloudflare Pages and others read (GitHub Pages does not, hence the tag). Inline scripts are
the theme's and the widgets'; each is named by its hash, as it was written, so that none that
somebody smuggles in runs.

What is allowed beyond the book's own files, and why:

- `wasm-unsafe-eval`: the model's runtime and the proof machine are WebAssembly. JavaScript's own
  `eval` stays forbidden.
- `blob:` for scripts and workers: a widget's module stands in its page as text, because a page that
  is opened from a file may import none; the page makes a blob of it. Only a script that already
  runs can make one.
- `unsafe-inline` for styles: MathJax sizes and places each part of a formula by a style attribute.
- `data:` for pictures and fonts: figures hold their bitmaps, and the style sheet its letters.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

HEADERS = "_headers"
"""The file's name, in the root of the site."""

SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)
DATA = re.compile(r'\btype="application/json"|\bsrc=')
"""The attributes of a script of which nothing inline runs."""

META = re.compile(r'\n<meta http-equiv="Content-Security-Policy"[^>]*>')
CHARSET = re.compile(r"<meta charset=\"utf-8\" ?/?>")

BUTTON = re.compile(r'<button onclick="(?:window\.)?(\w+)\(\)"')
"""The theme's buttons in the header; book.js does what they are for."""

HANDLER = re.compile(r"<[a-z][^<>]*?\s(on[a-z]+)=[\"']", re.S)

FRAME = re.compile(r"^  const FRAME = `(.*?)`;$", re.M | re.S)
"""The frame that the proof machine works in; what a page may not run, its frames may not either."""

logger = logging.getLogger(__name__)


def hashes(html: str) -> list[str]:
    """The inline scripts of a page, as a policy names them."""
    texts = [text for attributes, text in SCRIPT.findall(html) if not DATA.search(attributes)]
    return list(dict.fromkeys(map(named, texts)))


def named(script: str) -> str:
    """A script by its hash."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(html: str, more: Iterable[str] = ()) -> str:
    """The policy of a page, in one line; `more` are hashes of scripts that its scripts write."""
    scripts = " ".join(["'self'", "blob:", "'wasm-unsafe-eval'", *hashes(html), *more])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            "worker-src blob:",
            "connect-src 'self' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "form-action 'self'",
            "base-uri 'none'",
        ]
    )


def without_handlers(html: str) -> str:
    """The page with names in the place of the theme's inline handlers, which no hash can allow."""
    return BUTTON.sub(r'<button data-click="\1"', html)


def guarded(html: str, more: Iterable[str] = ()) -> tuple[str, str]:
    """The page with its policy as a tag before all else, and the policy; the same if done again."""
    html = without_handlers(META.sub("", html))
    rules = policy(html, more)
    tag = f'\n<meta http-equiv="Content-Security-Policy" content="{rules}">'
    return CHARSET.sub(lambda found: found[0] + tag, html, count=1), rules


def frame_hashes(static: Path) -> list[str]:
    """What the frame of the proof machine runs."""
    client = static / "machine_client.js"
    found = FRAME.search(client.read_text(encoding="utf-8")) if client.is_file() else None
    return hashes(found[1]) if found else []


def header(path: str, rules: str) -> str:
    """The rule of a page in the file of headers; some hosts call `a.html` plain `a`."""
    places = [path, path.removesuffix(".html")]
    if path == "index.html" or path.endswith("/index.html"):  # and not genindex.html
        places.append(path.removesuffix("index.html"))
    return "".join(f"/{place}\n  Content-Security-Policy: {rules}\n" for place in places)


def write(app: Sphinx, error: Exception | None) -> None:
    """Guards all pages of the site, unless the build failed."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    more = frame_hashes(site / "_static")
    headers = []
    for page in sorted(site.rglob("*.html")):
        path = page.relative_to(site).as_posix()
        if path.startswith("_static/"):
            continue  # templates of the theme
        html = page.read_text(encoding="utf-8")
        text, rules = guarded(html, more)
        for name in sorted(set(HANDLER.findall(SCRIPT.sub("", text)))):
            logger.warning("%s has an inline handler, %s, that its policy blocks", path, name)
        if text != html:
            page.write_text(text, encoding="utf-8")
        headers.append(header(path, rules))
    (site / HEADERS).write_text("".join(headers), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, before the pages are packed into the zip."""
    app.connect("build-finished", write, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
