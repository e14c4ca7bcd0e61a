r"""From LaTeX to tokens: spacing and bracket sizes go, and the table names each symbol's kind.

Three things depend on where a word stands, and are settled here so that the grammar stays plain:
an `=` between brackets is not a claim, a letter before "(" may be a density or a function, and the
rows of `aligned` are either continued chains or new claims.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from lark import Token
from lark.lexer import Lexer

from ddpm_lite.symbolic.notation import TABLE


class ReadError(ValueError):
    """LaTeX that cannot be read; the text says what, and where.

    `expected` are the marks that could stand at the position; empty if that is not the trouble.
    """

    def __init__(self, message: str, latex: str, position: int, expected: Sequence[str] = ()):
        self.expected = tuple(expected)
        start = max(0, position - 20)
        self.reason, self.position = message, position
        around = f"{latex[start:position]} >>> {latex[position : position + 30]}"
        super().__init__(f"{message}, at position {position}: {' '.join(around.split())}")


_ACCENT = r"\\(?:bar|tilde|hat|mathbf|boldsymbol|mathrm|mathcal|mathbb|operatorname)"
_PIECES = {
    "SKIP": r"(?:\s|~|\.(?!\d)|\\[,;:! ]|\\(?:[bB]ig+[lrm]?|left|right|limits)(?![a-zA-Z]))+",
    "BEGIN": r"\\begin\{[a-z]+\*?\}",
    "END": r"\\end\{[a-z]+\*?\}",
    "TEXT": r"\\text\{[^}]*\}",
    "ACCENTED": _ACCENT + r"\s*(?:\{\s*(?:\\?[a-zA-Z]+)\s*\}|\\[a-zA-Z]+|[a-zA-Z])",
    "COMMAND": r"\\(?:[a-zA-Z]+|\\|\||\{|\})",
    "NUMBER": r"[0-9]+(?:\.[0-9]+)?",
    "LETTER": r"[a-zA-Z]",
    "SIGN": r"[-+/!^_(){}\[\],;:&=<>|]",
}
_WORDS = re.compile("|".join(f"(?P<{name}>{piece})" for name, piece in _PIECES.items()))

_COMMANDS = {
    **dict.fromkeys(
        ("le", "leq", "ge", "geq", "ne", "neq", "sim", "propto", "approx", "in"), "REL"
    ),
    **dict.fromkeys(("cdots", "dots", "ldots"), "DOTS"),
    **dict.fromkeys(("cdot", "times"), "CDOT"),
    **dict.fromkeys(("frac", "tfrac", "dfrac"), "FRAC"),
    **dict.fromkeys(("log", "ln", "exp", "sin", "cos", "tanh"), "ELEMENTARY"),
    **dict.fromkeys(("quad", "qquad"), "SEP"),
    **dict.fromkeys(("|", "Vert", "parallel"), "BARS"),
    **dict.fromkeys(("top", "intercal"), "TOP"),
    **dict.fromkeys(("mid", "vert"), "MID"),
    **{"odot": "ODOT", "sum": "SUM", "prod": "PROD", "int": "INT", "lim": "LIM", "sqrt": "SQRT"},
    **{"to": "TO", "partial": "PARTIAL", "infty": "INFINITY", "det": "WORD", "\\": "NEWROW"},
    **{"lVert": "LNORM", "rVert": "RNORM", "lvert": "LVERT", "rvert": "RVERT"},
    **{"langle": "LANGLE", "rangle": "RANGLE"},
}
_NAMED = {"Var": "OPERATOR", "Cov": "OPERATOR", "tr": "WORD", "diag": "FUNCTION", "d": "DIFF"}
_ARGUMENTS = {r"\frac": 2, r"\tfrac": 2, r"\dfrac": 2, r"\sqrt": 1}
_SIGNS = {
    "+": "PLUS", "-": "MINUS", "/": "SLASH", "!": "BANG", "^": "CIRCUMFLEX", "_": "UNDERSCORE",
    "(": "LPAR", ")": "RPAR", "{": "LBRACE", "}": "RBRACE", "[": "LSQB", "]": "RSQB",
    ",": "COMMA", ";": "SEMICOLON", ":": "COLON", "&": "AMPERSAND", "=": "EQUAL",
    "<": "REL", ">": "REL",
}  # fmt: skip
_CANONICAL = {r"\leq": r"\le", r"\geq": r"\ge", r"\neq": r"\ne", r"\ln": r"\log"}
_OPEN, _CLOSE = {"LPAR", "LBRACE", "LSQB", "LNORM", "LVERT", "LANGLE"}, {
    "RPAR", "RBRACE", "RSQB", "RNORM", "RVERT", "RANGLE",
}  # fmt: skip
_CONTINUES = {"REL", "PLUS", "MINUS", "CDOT"}


_DRAWN = (
    "text", "begin", "end", "left", "right", "middle", "limits", "displaystyle", "bigl", "bigr",
    "Bigl", "Bigr", "biggl", "biggr", "big", "Big", "bigm", "Bigm", "operatorname", "overline",
    "mathbb", "substack", "lfloor", "rfloor", "lceil", "rceil", "circ", "neg", "wedge", "vee",
    "equiv", *",;:! {}",
)  # fmt: skip
"""What else pages and SymPy write: it is drawn, and does nothing else."""


def commands() -> list[str]:
    """All commands, without their backslash, with which a formula may be drawn on a page."""
    of_table = re.findall(r"\\([a-zA-Z]+)", " ".join(TABLE))
    return sorted({*_COMMANDS, *of_table, *_DRAWN})


class Tokens(Lexer):
    """The lexer that Lark calls."""

    def __init__(self, lexer_conf: Any):
        """Lark's settings are not needed."""

    def lex(self, data: str) -> Iterator[Token]:  # type: ignore[override]
        """All tokens of one display."""
        yield from tokens_of(data)


def tokens_of(latex: str) -> list[Token]:
    """The tokens of one display. Raises ReadError at what is no word, or no symbol of the table."""
    found = _drop_braces(_merge_subscripts(braced(list(words_of(latex))), latex))
    found = _rows(_kinds(found, latex), latex)
    return _claims(found)


_GAP = r"(?:\s|~|\\[,;:! ])"
_REFUSED = (
    (re.compile(r"[\^_]\s*\d\.?\d"), r"TeX takes one digit only: write x^{10}, or x^1 \cdot 0"),
    (re.compile(rf"\.{_GAP}+\d"), r"a dot within a formula: write 3.5, or 3 \cdot 5"),
    (re.compile(r"\d[eE][-+]?\d"), r"write 1e5 as 10^5, and e to a power as e^{5}"),
    (
        re.compile(r"\\[td]?frac\s*\{\s*d\s*[\\a-zA-Z][^{}]*\}\s*\{\s*d\s*[\\a-zA-Z]"),
        r"d is the number of coordinates; a derivative is \frac{\mathrm{d}}{\mathrm{d}x} y",
    ),
)
"""What could be read two ways, and how to write it."""


def _check_doubtful(latex: str) -> None:
    for pattern, advice in _REFUSED:
        if match := pattern.search(latex):
            raise ReadError(advice, latex, match.start())


def words_of(latex: str) -> Iterator[Token]:
    """The words of a display as they stand there, without spacing. Raises ReadError."""
    _check_doubtful(latex)
    position = 0
    while position < len(latex):
        match = _WORDS.match(latex, position)
        if match is None:
            raise ReadError(f"cannot read {latex[position]!r}", latex, position)
        kind, text = str(match.lastgroup), match[0]
        if kind != "SKIP":
            yield Token(kind, text, start_pos=position)
        position += len(text)


def braced(words: list[Token]) -> list[Token]:
    r"""Put braces around the arguments in \frac12 and \sqrt2: TeX takes them mark by mark."""
    out: list[Token] = []
    while words:
        word = words.pop(0)
        out.append(word)
        for _ in range(_ARGUMENTS.get(word, 0)):
            out += _argument(words)
    return out


def _argument(words: list[Token]) -> list[Token]:
    """Take the next group, or the next single mark in braces, off the list."""
    if not words or words[0] == "{":
        return braced(_group(words))
    first = words[0]
    if first.type == "NUMBER" and len(first) > 1:
        words[0] = first.update(value=first[1:])
        first = first.update(value=first[0])
    else:
        words.pop(0)
    return [Token("SIGN", "{", start_pos=first.start_pos), first, Token("SIGN", "}")]


def _group(words: list[Token]) -> list[Token]:
    depth = 0
    for here, word in enumerate(words):
        depth += (word == "{") - (word == "}")
        if depth == 0:
            taken, words[:] = words[: here + 1], words[here + 1 :]
            return taken
    taken, words[:] = words[:], []
    return taken


def _inner(token: Token) -> str:
    r"""`bar`, `\alpha` of \bar{\alpha}, joined as the table writes it."""
    match = re.match(r"\\([a-z]+)\s*\{?\s*(\\?[a-zA-Z]+)\s*\}?$", token)
    assert match is not None
    return match[2] if match[1] == "operatorname" else rf"\{match[1]}{{{match[2]}}}"


def _merge_subscripts(words: list[Token], latex: str) -> list[Token]:
    r"""p_\theta and L_{\mathrm{simple}} are names, not elements of a family."""
    out: list[Token] = []
    while words:
        word = words.pop(0)
        if word.type == "ACCENTED":
            word = word.update(value=_inner(word))
        rest = [str(w) for w in words[:4]]
        if rest[:2] == ["_", r"\theta"]:
            word, words = word.update(value=word + r"_\theta"), words[2:]
        elif rest == ["_", "{", r"\theta", "}"]:
            word, words = word.update(value=word + r"_\theta"), words[4:]
        elif rest[:2] == ["_", "{"] and rest[3:] == ["}"] and rest[2].startswith(r"\mathrm"):
            tail = _inner(words[2])[8:-1]
            word, words = word.update(value=f"{word}_{{{tail}}}"), words[4:]
        elif rest[:2] == ["_", "{"]:  # L_{simple}, as SymPy prints it
            inside = list(takewhile(lambda w: w != "}", words[2:]))
            name = f"{word}_{{{''.join(inside)}}}"
            if name in TABLE:
                word, words = word.update(value=name), words[len(inside) + 3 :]
        out.append(word)
    return out


def _drop_braces(words: list[Token]) -> list[Token]:
    """{x}_t, as SymPy prints it, is x_t."""
    out: list[Token] = []
    for word in words:
        out.append(word)
        if [str(w) for w in out[-4::3]] == ["{", "_"] and out[-2] == "}" and _is_name(out[-3]):
            out[-4:] = [out[-3], out[-1]]
    return out


def _is_name(word: Token) -> bool:
    return word in TABLE and (len(word) > 1 or word.isalpha())


def _kinds(words: list[Token], latex: str) -> list[Token]:
    """Give each word the name of its terminal in the grammar."""
    out: list[Token] = []
    for here, word in enumerate(words):
        after = words[here + 1] if here + 1 < len(words) else Token("END", "")
        kind = _kind(word, after, out, latex)
        place = word.start_pos  # none of a brace that TeX sets: it stands where the mark does
        place = out[-1].start_pos if place is None and out else place
        out.append(Token(kind, _CANONICAL.get(word, str(word)), start_pos=place))
    return out


def _kind(word: Token, after: Token, before: list[Token], latex: str) -> str:
    if word.type in ("BEGIN", "END", "NUMBER"):
        return word.type
    if word.type == "SIGN" and word in _SIGNS:
        return _SIGNS[word]
    if word.type == "TEXT":
        return _text(word, latex)
    special = _special(word, after, before)
    if special:
        return special
    if word in TABLE:
        return _by_table(word, after)
    raise ReadError(f"{word} is not in the table of symbols", latex, word.start_pos or 0)


def _text(word: Token, latex: str) -> str:
    if word[6:-1].strip() in ("and", "or"):
        return "SEP"
    raise ReadError("words do not belong into a display", latex, word.start_pos or 0)


def _special(word: Token, after: Token, before: list[Token]) -> str | None:
    name = word[8:-1] if word.startswith(r"\mathrm{") else str(word)
    if name in _NAMED and word.type == "ACCENTED":
        fraction = [t.type for t in before[-2:]] in (["FRAC", "LBRACE"], ["RBRACE", "LBRACE"])
        return "PARTIAL" if name == "d" and fraction else _NAMED[name]
    if word == r"\mathcal{N}":
        return "NORMAL"
    if word == r"\mathbb{E}":
        return "EXPECT"
    if word == "D_{KL}":
        return "KL"
    if word == "e":
        return "EULER"
    return _COMMANDS.get(word[1:]) if word.type == "COMMAND" and word not in TABLE else None


def _by_table(word: Token, after: Token) -> str:
    form = TABLE[word].form
    if after == "(" and (form == "density" or word == "P"):
        return "DENSITY"
    return "FUNCTION" if after == "(" and form == "function" else "SYMBOL"


def _check_row(tokens: list[Token], here: int, latex: str) -> None:
    """A row that begins with a minus continues the claim above, or is a claim; never both."""
    rest = tokens[here + 1 :]
    first = next((t for t in rest if t.type != "AMPERSAND"), None)
    if first is None or first.type != "MINUS":
        return
    depth = 0
    for token in rest:
        depth += (token.type in _OPEN) - (token.type in _CLOSE)
        if depth == 0 and token.type in ("NEWROW", "SEP"):
            return
        if depth == 0 and token.type in ("EQUAL", "REL"):
            advice = "begin the row with what stands left of the relation above, or use 0 - ..."
            raise ReadError(f"is this minus part of the row above? {advice}", latex,
                            first.start_pos or 0)  # fmt: skip


def _rows(tokens: list[Token], latex: str) -> list[Token]:
    r"""Rows of matrices stay; in `aligned`, & goes and \\ ends a claim unless the chain goes on."""
    out: list[Token] = []
    matrices = aligned = 0
    for here, token in enumerate(tokens):
        if token.type in ("BEGIN", "END") and "matrix" in token:
            matrices += 1 if token.type == "BEGIN" else -1
            out.append(token.update(type="MATRIX" if token.type == "BEGIN" else "ENDMATRIX"))
        elif token.type in ("BEGIN", "END"):
            if token[token.index("{") :] != "{aligned}":
                raise ReadError(f"{token} is not read", latex, token.start_pos or 0)
            aligned += 1 if token.type == "BEGIN" else -1
        elif token.type == "AMPERSAND" and not matrices and not aligned:
            raise ReadError("& stands in a matrix or in aligned", latex, token.start_pos or 0)
        elif token.type == "NEWROW":
            if not matrices:
                _check_row(tokens, here, latex)
            out.append(token.update(type="ROW" if matrices else "SEP"))
        elif token.type != "AMPERSAND" or matrices:
            out.append(token)
    return out


def _claims(tokens: list[Token]) -> list[Token]:
    """Turn `=` outside of all brackets into a relation, and tidy the marks between claims."""
    out: list[Token] = []
    depth = 0
    for token in tokens:
        depth += (token.type in _OPEN | {"MATRIX"}) - (token.type in _CLOSE | {"ENDMATRIX"})
        if depth == 0 and token.type in ("EQUAL", "TO"):
            token = token.update(type="REL")
        out.append(token)
    return _tidy(out)


def _tidy(tokens: list[Token]) -> list[Token]:
    """One SEP between claims, none at the ends, none where a chain goes on in the next row."""
    out: list[Token] = []
    for here, token in enumerate(tokens):
        following = next((t for t in tokens[here + 1 :] if t.type != "SEP"), None)
        spacing = token.type == "COMMA" and (following is None or tokens[here + 1].type == "SEP")
        spacing |= here > 0 and tokens[here - 1] == "\\\\" and token.type == "SEP"  # indentation
        if spacing or (token.type == "SEP" and _needless(token, out, following)):
            continue
        out.append(token)
    return out


def _needless(token: Token, before: list[Token], following: Token | None) -> bool:
    if not before or following is None or before[-1].type == "SEP":
        return True
    return token == "\\\\" and following.type in _CONTINUES
