"""How a line reaches the reader: displayed in a notebook, printed elsewhere, or by a hook."""

import sys
from collections.abc import Callable
from typing import Any


def show_line(line: Any) -> None:
    """Show it beside the cell that is running."""
    hook(line)


def in_notebook_or_print(line: Any) -> None:
    """Display it where IPython runs the cell; print it elsewhere.

    Who runs a notebook has loaded IPython already, so nothing is imported for it.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(line)
    else:
        ipython.display.display(line)


hook: Callable[[Any], None] = in_notebook_or_print
"""What `show_line` calls; a page that runs cells by itself puts its own function here."""
