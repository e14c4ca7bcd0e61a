r"""The marks of a formula that a reader can point at: letters, numbers, signs, names.

Brackets, roots and bars of fractions are no pieces: what stands in them is. `marked` writes the
formula anew with each piece in \class{piece-3}{...}, which MathJax hands on to the page.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lark import Token

from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.tokens import braced, words_of

_SIGNS = frozenset("+-/!=<>")
_RELATIONS = (r"\le", r"\leq", r"\ge", r"\geq", r"\ne", r"\neq", r"\sim", r"\propto", r"\approx")
_NAMES = (r"\log", r"\ln", r"\exp", r"\sin", r"\cos", r"\tanh", r"\det", r"\infty", r"\partial")
_OTHERS = (r"\top", r"\in", r"\cdots", r"\dots", r"\ldots")
_COMMANDS = frozenset(_RELATIONS + _NAMES + _OTHERS)


class Piece(NamedTuple):
    """Where a mark stands in the LaTeX."""

    start: int
    end: int
    is_index: bool
    """Whether it stands behind _ or ^ without braces; TeX then takes one mark only."""


def pieces_of(latex: str) -> Iterator[Piece]:
    r"""All pieces, in order. Raises ReadError. The 1 and 2 of \frac12 stand too close for it."""
    words = braced(list(words_of(latex)))
    for before, word, after in zip([None, *words], words, [*words[1:], None], strict=False):
        start = word.start_pos or 0
        end = start + len(word)
        loose = after == "}" and after.start_pos is None  # an argument without braces
        if _is_piece(word) and not loose and latex[start:end] == word:
            yield Piece(start, end, before in ("_", "^"))


def _is_piece(word: Token) -> bool:
    if word.type in ("LETTER", "NUMBER", "ACCENTED"):
        return True
    return word in _SIGNS or word in _COMMANDS or word in TABLE


def marked(latex: str) -> str:
    """The same formula, in which each piece can be found on the page."""
    out, done = "", 0
    for number, (start, end, is_index) in enumerate(pieces_of(latex)):
        piece = rf"\class{{piece-{number}}}{{{latex[start:end]}}}"
        out += latex[done:start] + (f"{{{piece}}}" if is_index else piece)
        done = end
    return out + latex[done:]
