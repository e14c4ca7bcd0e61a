"""Sections "for those who want it all": folded under their heading, open on paper and in the zip.

A page marks such a section by a class on the lines before its heading. The first reading of the
book needs none of them:

    ```{rst-class} more
    ```
    ## The same in matrices
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

OPEN = '<details class="more-section"><summary>For those who want it all</summary>'


def fold(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Puts all but the heading of each marked section into a fold."""
    for section in doctree.findall(nodes.section):
        if "more" in section["classes"]:
            after_title = section.first_child_matching_class(nodes.title) + 1
            section.insert(after_title, nodes.raw("", OPEN, format="html"))
            section += nodes.raw("", "</details>", format="html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Runs on each page before it is written."""
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
