r"""The symbols of a page that a reader may click instead of typing: as LaTeX and as in Python."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from lark import Token

from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.plain import names, to_latex
from ddpm_lite.symbolic.tokens import ReadError, tokens_of

MOST_SYMBOLS = 12
"""More would be a keyboard, and no list."""


def palette(page: Page) -> list[tuple[str, str]]:
    r"""(LaTeX, as in Python) of what a page's formulas use most: (\bar{\alpha}_{t}, abar_t)."""
    used: Counter[str] = Counter()
    for equation in page.equations.values():
        with suppress(ReadError):
            used.update(_typed(tokens_of(equation.latex)))
    order = [name for name, _ in used.most_common()]
    order.sort(key=lambda name: len(name) == 1)  # last: one letter is as quickly typed
    found = []
    for name in order:
        with suppress(ReadError):  # x_{1:T} has no other way of writing
            found.append((to_latex(name), name))
    return found[:MOST_SYMBOLS]


def _typed(tokens: list[Token]) -> Iterator[str]:
    """Each symbol as it is written without LaTeX, with its index."""
    for here, token in enumerate(tokens):
        if token.type == "SYMBOL" and TABLE[token].form in ("scalar", "vector"):
            index = _index([str(t) for t in tokens[here + 1 : here + 7]])
            if index is not None and (name := _name(token)):
                yield name + index


def _name(latex: str) -> str:
    return min((name for name, one in names().items() if one == latex), key=len, default="")


def _index(after: list[str]) -> str | None:
    """_t or [t-1]; empty where there is no index, None where it is a longer one."""
    if not after or after[0] != "_":
        return ""
    if after[1] != "{":
        inside = after[1:2]
    elif "}" in after:
        inside = after[2 : after.index("}")]
    else:
        return None
    written = "".join(inside)
    return f"_{written}" if written.isalnum() and len(inside) == 1 else f"[{written}]"
