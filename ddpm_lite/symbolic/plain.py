r"""Formulas typed without LaTeX, as in Python: sqrt(1 - abar_t) is \sqrt{1 - \bar{\alpha}_{t}}.

What is typed is parsed and written anew as LaTeX, for the page's reader to read and for the person
who typed it to see. Nothing is evaluated, and a name that the table lacks is a ReadError.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.tokens import ReadError

_FUNCTIONS = {
    "sqrt": r"\sqrt{{{}}}",
    "abs": r"\lvert {} \rvert",
    "norm": r"\lVert {} \rVert",
    **{name: rf"\{name}\left({{}}\right)" for name in ("exp", "log", "sin", "cos", "tanh")},
    "ln": r"\log\left({}\right)",
    "factorial": r"\left({}\right)!",
}
_OTHER_NAMES = {
    "abar": r"\bar{\alpha}", "alphabar": r"\bar{\alpha}", "eps": r"\epsilon",
    "eps_theta": r"\epsilon_\theta", "oo": r"\infty", "inf": r"\infty", "e": "e", "E": "e",
    "L_simple": "L_{simple}",
}  # fmt: skip
_ORDER = {"add": 1, "subtract": 1, "negate": 1, "multiply": 2, "divide": 3, "raised": 3}
"""How tightly each rule binds; the others need no brackets. A fraction has bars of its own."""


@cache
def names() -> dict[str, str]:
    r"""What may be typed for each symbol: alpha_bar, bar_alpha or abar for \bar{\alpha}."""
    found: dict[str, str] = {}
    for latex in TABLE:
        for name in _spelled(latex):
            found.setdefault(name, latex)
    return found | _OTHER_NAMES


def _spelled(latex: str) -> list[str]:
    accent = re.fullmatch(r"\\(bar|tilde|hat)\{\\?([a-zA-Z]+)\}", latex)
    if accent:
        return [f"{accent[2]}_{accent[1]}", f"{accent[1]}_{accent[2]}"]
    upright = re.fullmatch(r"\\mathrm\{([A-Za-z]{2,})\}", latex)
    if upright:
        return [upright[1]]
    plain = latex.replace("\\", "")
    return [plain] if re.fullmatch(r"[A-Za-z_]+", plain) else []


def to_latex(text: str) -> str:
    """The formula as LaTeX. Raises ReadError, with the place in what was typed."""
    try:
        tree = _parser().parse(text)
        return " = ".join(_Writer(text).latex(child) for child in tree.children)
    except UnexpectedInput as error:
        raise _located(error, text) from None
    except RecursionError:
        raise ReadError("too many parts within parts", text, 0) from None


@cache
def _parser() -> Lark:
    grammar = files("ddpm_lite.symbolic").joinpath("plain.lark").read_text()
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def _located(error: UnexpectedInput, text: str) -> ReadError:
    token = getattr(error, "token", None)
    if token is None:  # a character that begins no word
        position = error.pos_in_stream or 0
        return ReadError(f"cannot read {text[position]!r}", text, position)
    if token.type == "$END":
        return ReadError("the end is not expected here", text, len(text))
    advice = ""
    if token.type in ("NAME", "NUMBER", "LPAR") and "STAR" in error.accepts:  # type: ignore[attr-defined]
        advice = ": write * between two factors"
    return ReadError(f"{str(token)!r} is not expected here{advice}", text, token.start_pos)


class _Writer:
    """LaTeX of a parsed formula."""

    def __init__(self, text: str):
        self.text = text

    def latex(self, tree: Any) -> str:
        """Of a part."""
        write = getattr(self, tree.data)
        written: str = write(*tree.children)
        return written

    def inside(self, tree: Tree[Token], order: int) -> str:
        """Of a part, in brackets if it binds less tightly than what stands around it."""
        latex = self.latex(tree)
        return rf"\left({latex}\right)" if _ORDER.get(tree.data, 9) < order else latex

    def add(self, a: Any, b: Any) -> str:
        return f"{self.latex(a)} + {self.inside(b, 2)}"

    def subtract(self, a: Any, b: Any) -> str:
        return f"{self.latex(a)} - {self.inside(b, 2)}"

    def negate(self, a: Any) -> str:
        return f"-{self.inside(a, 2)}"

    def multiply(self, a: Any, b: Any) -> str:
        return rf"{self.inside(a, 2)} \cdot {self.inside(b, 3)}"

    def divide(self, a: Any, b: Any) -> str:
        return rf"\frac{{{self.latex(a)}}}{{{self.latex(b)}}}"

    def raised(self, a: Any, b: Any) -> str:
        base = self.latex(a)
        if a.data not in ("name", "indexed", "number"):
            base = rf"\left({base}\right)"
        return f"{base}^{{{self.latex(b)}}}"

    def number(self, token: Token) -> str:
        return str(token)

    def name(self, token: Token) -> str:
        symbol, indices = self.split(token)
        return symbol + (f"_{{{','.join(indices)}}}" if indices else "")

    def indexed(self, token: Token, *indices: Any) -> str:
        symbol, more = self.split(token)
        return f"{symbol}_{{{','.join([*more, *map(self.latex, indices)])}}}"

    def applied(self, token: Token, *arguments: Any) -> str:
        name, inner = str(token), ", ".join(map(self.latex, arguments))
        if name in _FUNCTIONS:
            if len(arguments) != 1:
                raise ReadError(f"{name} takes one argument", self.text, token.start_pos or 0)
            return _FUNCTIONS[name].format(inner)
        symbol = names().get(name, "")
        if symbol not in TABLE or TABLE[symbol].form not in ("function", "density"):
            advice = f"{name} is no function: write * between two factors"
            raise ReadError(advice, self.text, token.start_pos or 0)
        return rf"{symbol}\left({inner}\right)"

    def split(self, token: Token) -> tuple[str, list[str]]:
        """The symbol and its indices: abar_t, x_0 and x0 are read so."""
        parts = str(token).split("_")
        for count in range(len(parts), 0, -1):
            name, rest = "_".join(parts[:count]), parts[count:]
            if name in names() and all(map(_is_index, rest)):
                return names()[name], rest
        digits = re.fullmatch(r"([A-Za-z]+)([0-9]+)", str(token))
        if digits and digits[1] in names():
            return names()[digits[1]], [digits[2]]
        raise ReadError(f"{token} is not a symbol of the book", self.text, token.start_pos or 0)


def _is_index(part: str) -> bool:
    return part.isdigit() or part in TABLE
