"""The API reference: what autodoc makes of the docstrings, with a way to each proved formula.

The docstrings are plain English, in which a single backtick marks a name, and `|x|` or `x_` mean
what they say. reStructuredText reads all that otherwise, so they are translated line by line.
"""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from book_formulas import ROWS
from sphinx.application import Sphinx

SPECIAL = re.compile(r"([\\*_|])")
"""What reStructuredText takes for markup."""


def translated(line: str) -> str:
    """A line of a docstring as reStructuredText: names as code, all else as it stands."""
    parts = line.split("`")
    parts[::2] = [SPECIAL.sub(r"\\\1", words) for words in parts[::2]]
    return "``".join(parts)


def formulas_of(name: str) -> list[str]:
    """The labels of the equations that a function runs, each once; also for its private helpers."""
    code = name.removeprefix("ddpm_lite.")
    rows = [row for row in ROWS.get(code.split(".")[0], []) if row.owner == code]
    return list(dict.fromkeys(label for row in rows for label in row.labels.split()))


def ways(name: str) -> Iterator[str]:
    """The last line of an entry: where its formulas are proved."""
    if labels := formulas_of(name):
        yield ""
        yield f"Runs {', '.join(f':eq:`{label}`' for label in labels)}; see :doc:`formula_to_code`."


def process_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Translates a docstring where it stands; of a module's nothing is shown."""
    lines[:] = [] if what == "module" else [*map(translated, lines), *ways(name)]


def process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, given: str | None, back: str | None
) -> tuple[str | None, str | None]:
    """The fields of a dataclass stand below it, with types and defaults: once is enough."""
    return (None, None) if what == "class" and is_dataclass(obj) else (given, back)


PARAMETERS = re.compile(r"<dl>\n<dd>(<em class=\"sig-param\">.*?)</dd>\n</dl>", re.S)
"""The parameters of a signature of several lines, which Sphinx makes a list without terms."""


def mend_signatures(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """One line each; a list of definitions that defines nothing would confuse screen readers."""

    def lines(found: re.Match[str]) -> str:
        parts = found[1].split("</dd>\n<dd>")
        return "".join(f'<span class="book-parameter">{part}</span>' for part in parts)

    context["body"] = PARAMETERS.sub(lines, context.get("body", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds autodoc and the pages of the source, and connects both."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("html-page-context", mend_signatures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
