"""What Jupyter Book leaves to mend in a finished page: doubled scripts, names, dead buttons."""

import os
import re
from pathlib import Path
from typing import Any

from book_tables import with_marks
from sphinx.application import Sphinx

from ddpm_lite.widgets.files import PAGES

NAMES = {
    # deprecated: the list that it stands in has no items then
    'role="doc-biblioentry"': 'role="listitem"',
    # it reads "Show code cell source", and that is its name
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def drop_doubled_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Jupyter Book puts some inline scripts into a page twice, and the second one raises."""
    seen, kept = set(), []
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        key = (getattr(script, "filename", str(script)) or "", attributes.get("body"))
        if key not in seen:
            seen.add(key)
            kept.append(script)
    context["script_files"][:] = kept


UNUSED = re.compile(r"sphinx-thebe|sphinx-design|design-tabs|THEBE_JS_URL|thebe_selector")
"""Scripts and style sheets of extensions that Jupyter Book loads and the book does not use."""


KERNEL = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = .*?</script>', re.S
)
"""What they would need to know."""


def drop_unused(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """A page is lighter without them."""
    context["body"] = KERNEL.sub("", context.get("body", ""))
    for kind in ("script_files", "css_files"):
        files = context.get(kind, [])
        files[:] = [file for file in files if not UNUSED.search(_named(file))]


def _named(file: Any) -> str:
    """The address of a script or style sheet, or what stands in it."""
    attributes = getattr(file, "attributes", {})
    return f"{getattr(file, 'filename', file)} {attributes.get('body') or ''}"


# A formula and the mark beside it: a browser would break the line between them.
MARKED = re.compile(
    r"([(\[“]*)(<span class=\"math notranslate nohighlight\">[^<]*</span>)([.,;:!?)\]”]*)"
)
DISPLAYED = re.compile(r"<div class=\"math .*?</div>", re.S)


def keep_marks(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """No full stop or bracket stands alone on a line, cut off from its formula."""

    def joined(found: re.Match[str]) -> str:
        if not (found[1] or found[3]):
            return found[0]
        return f'<span class="book-nobr">{found[0]}</span>'

    body = MARKED.sub(joined, context.get("body", ""))
    context["body"] = DISPLAYED.sub(lambda found: with_marks(found[0]), body)


def mend_names(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Say what a thing is in the words that screen readers know, or that stand on the page."""
    for wrong, right in NAMES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def point_at_notebook(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Colab and Binder open the generated notebook; a page without one has no such buttons."""
    theme: dict[str, Any] = app.config.html_theme_options
    place = theme.get("repository_url", "").removeprefix("https://github.com/").strip("/")
    branch = theme.get("repository_branch") or "main"
    launch = theme.get("launch_buttons", {})
    notebook = f"book/colab/{Path(page).name}.ipynb"
    lab = f"lab/tree/{notebook}"
    addresses = {
        "Colab": f"{launch.get('colab_url')}/github/{place}/blob/{branch}/{notebook}",
        "Binder": f"{launch.get('binderhub_url')}/v2/gh/{place}/{branch}?urlpath={lab}",
    }
    exists = (Path(app.srcdir) / notebook).is_file()
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            group["buttons"] = [b for b in group["buttons"] if exists or b["text"] not in addresses]
            for button in group["buttons"]:
                button["url"] = addresses.get(button["text"], button["url"])
    groups = context.get("header_buttons", [])
    context["header_buttons"] = [group for group in groups if group.get("buttons") != []]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects them after the theme's own handlers; tells the cells that they run for a page."""
    os.environ[PAGES] = "1"
    # Threads that wait must not spin: beside another busy process a step of chapter 8's training
    # took 0.85 s on two spinning threads and 0.44 s on two that sleep (0.26 and 0.28 s when idle).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app.connect("html-page-context", mend_names)
    app.connect("html-page-context", keep_marks)
    app.connect("html-page-context", point_at_notebook, priority=600)
    app.connect("html-page-context", drop_doubled_scripts, priority=900)
    app.connect("html-page-context", drop_unused, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
