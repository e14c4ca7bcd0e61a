"""What Jupyter Book leaves to mend in a finished page: doubled scripts, names, a dead button."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

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


def mend_names(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Say what a thing is in the words that screen readers know, or that stand on the page."""
    for wrong, right in NAMES.items():
        context["body"] = context.get("body", "").replace(wrong, right)


def point_colab_at_notebook(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Colab opens notebooks only: link the generated one, or show no button where there is none."""
    notebook = Path("book/colab") / f"{Path(page).name}.ipynb"
    exists = (Path(app.srcdir) / notebook).is_file()
    theme: dict[str, Any] = app.config.html_theme_options
    place = theme.get("repository_url", "").removeprefix("https://github.com/").strip("/")
    branch = theme.get("repository_branch") or "main"
    groups = []
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            group["buttons"] = [b for b in group["buttons"] if exists or b.get("text") != "Colab"]
            for button in group["buttons"]:
                if button.get("text") == "Colab":
                    colab = app.config.html_theme_options["launch_buttons"]["colab_url"]
                    button["url"] = f"{colab}/github/{place}/blob/{branch}/{notebook.as_posix()}"
        if group.get("buttons") != []:
            groups.append(group)
    context["header_buttons"] = groups


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects them after the theme's own handlers."""
    app.connect("html-page-context", mend_names)
    app.connect("html-page-context", point_colab_at_notebook, priority=600)
    app.connect("html-page-context", drop_doubled_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
