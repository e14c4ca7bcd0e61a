r"""The formulas $...$ in a page's running text: prose, headings, tables and captions."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^[ \t>]*(?P<fence>`{3,}|~{3,}|:{3,})[ \t]*(?P<word>\S*)(?P<title>.*)")
_CODE = ("code-cell", "literalinclude", "math", "raw", "code", "code-block", "bibliography")
"""Directives that hold no text; all others do."""
_HEADER = re.compile(r"\A---\n.*?\n---\n", re.S)
_HEADING = re.compile(r"^#+ ", re.M)
_DISPLAY = re.compile(r"^\$\$[ \t]*\n.*?\n\$\$[^\n]*$", re.M | re.S)
_COMMENT = re.compile(r"^%[^\n]*$", re.M)
_LITERAL = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", re.S)
_MATH = re.compile(r"(?<![\\$])\$(?![\s$])((?:\\.|(?!\n\s*\n)[^$\\])+?)(?<!\s)\$(?!\$)", re.S)


@dataclass(frozen=True)
class Formula:
    """One formula in running text, and the line of the page on which it begins, from 1."""

    latex: str
    line: int
    section: int
    """How many headings stand above it."""


def formulas_in(text: str) -> list[Formula]:
    """All of a page's source, in order, each with single spaces; displays and code are left out."""
    prose = prose_of(text)
    headings = [m.start() for m in _HEADING.finditer(prose)]
    return [
        Formula(
            one_line(m[1]),
            prose.count("\n", 0, m.start()) + 1,
            sum(heading <= m.start() for heading in headings),
        )
        for m in _MATH.finditer(prose)
    ]


def one_line(latex: str) -> str:
    """With single spaces: how formulas are listed and compared."""
    return " ".join(latex.split())


def prose_of(text: str) -> str:
    """The page with everything blank that is no prose; each line keeps its place."""
    text = _HEADER.sub(_blanked, text)
    text = "\n".join(_outside_code(text.split("\n")))
    for pattern in (_DISPLAY, _COMMENT, _LITERAL):
        text = pattern.sub(_blanked, text)
    return text


def _blanked(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _outside_code(lines: Iterable[str]) -> Iterator[str]:
    """Lines of text; of a code cell the caption alone, of other code nothing."""
    open_text: list[str] = []  # the fences of directives that hold text
    code, in_caption = "", False
    for line in lines:
        match = _FENCE.match(line)
        fence, word = (match["fence"], match["word"]) if match else ("", "")
        if code:
            in_caption = line.lstrip().startswith("caption:") or (in_caption and line[:6].isspace())
            code = "" if fence == code and not word else code
            yield line if code and in_caption else ""
        elif fence and not word and fence in open_text:
            del open_text[open_text.index(fence) :]
            yield ""
        elif match and word.startswith("{") and word.strip("{}") not in _CODE:
            open_text.append(fence)
            yield match["title"]
        elif fence:
            code = fence
            yield ""
        else:
            yield line
