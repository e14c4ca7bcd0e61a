r"""The marks of a formula that a reader can point at: letters, numbers, signs, names.

Brackets, roots and bars of fractions are no pieces: what stands in them is. `with_classes` writes
the formula anew with each piece in \class{piece-3}{...}, which MathJax hands on to the page.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from lark import Token

from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.tokens import braced, words_of

_SIGNS = frozenset("+-/!=<>")
_RELATIONS = (r"\le", r"\leq", r"\ge", r"\geq", r"\ne", r"\neq", r"\sim", r"\propto", r"\approx")
_NAMES = (r"\log", r"\ln", r"\exp", r"\sin", r"\cos", r"\tanh", r"\det", r"\infty", r"\partial")
_OTHERS = (r"\top", r"\in", r"\cdots", r"\dots", r"\ldots")
_COMMANDS = frozenset(_RELATIONS + _NAMES + _OTHERS)


class LatexPiece(NamedTuple):
    """Where a mark stands in the LaTeX."""

    start: int
    end: int
    is_index: bool
    """Whether it stands behind _ or ^ without braces; TeX then takes one mark only."""


def latex_pieces(latex: str) -> Iterator[LatexPiece]:
    r"""All pieces, in order. Raises ReadError. The 1 and 2 of \frac12 stand too close for it."""
    words = braced(list(words_of(latex)))
    for before, word, after in zip([None, *words], words, [*words[1:], None], strict=False):
        start = word.start_pos or 0
        end = start + len(word)
        loose = after == "}" and after.start_pos is None  # an argument without braces
        if _is_piece(word) and not loose and latex[start:end] == word:
            yield LatexPiece(start, end, before in ("_", "^"))


def _is_piece(word: Token) -> bool:
    if word.type in ("LETTER", "NUMBER", "ACCENTED"):
        return True
    return word in _SIGNS or word in _COMMANDS or word in TABLE


def with_classes(latex: str) -> str:
    """The same formula, in which each piece can be found on the page."""
    out, done = "", 0
    for number, (start, end, is_index) in enumerate(latex_pieces(latex)):
        piece = rf"\class{{piece-{number}}}{{{latex[start:end]}}}"
        out += latex[done:start] + (f"{{{piece}}}" if is_index else piece)
        done = end
    return out + latex[done:]


# --- Where two formulas differ -------------------------------------------------------------------


def place_of(original: str, changed: str) -> dict[str, Any]:
    """Where a changed formula differs: `start` and `end` there, and what was `right` at the place.

    The place is grown to whole words, and until each brace in it has its partner.
    """
    shorter = min(len(original), len(changed))
    start = next((n for n in range(shorter) if original[n] != changed[n]), shorter)
    tail = 0
    while tail < shorter - start and original[-1 - tail] == changed[-1 - tail]:
        tail += 1
    start, end = _whole(original, changed, start, len(changed) - tail)
    return {
        "start": start,
        "end": end,
        "right": original[start : len(original) - len(changed) + end],
    }


def _whole(original: str, changed: str, start: int, end: int) -> tuple[int, int]:
    words = [(w.start_pos or 0, (w.start_pos or 0) + len(w)) for w in words_of(changed)]
    start = next((a for a, b in words if a < start < b), start)
    end = next((b for a, b in words if a < end < b), end)
    for _ in words:
        both = changed[start:end], original[start : len(original) - len(changed) + end]
        closed, opened = (max(counts) for counts in zip(*map(_loose, both), strict=True))
        if not closed and not opened:
            break
        start = max((a for a, _ in words if a < start), default=0) if closed else start
        end = min((b for _, b in words if b > end), default=len(changed)) if opened else end
    if "{" in changed[start:end][:1]:  # the command of which it is the argument
        start = next((a for a, b in words if b == start and changed[a] == "\\"), start)
    return start, end


def _loose(latex: str) -> tuple[int, int]:
    """How many braces are closed that were not opened, and opened that are not closed."""
    closed = opened = 0
    for mark in latex:
        opened += mark == "{"
        if mark == "}":
            closed, opened = (closed, opened - 1) if opened else (closed + 1, opened)
    return closed, opened
