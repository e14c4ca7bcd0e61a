r"""Small slips of the pen in LaTeX: a formula with one of them is a mutant; checks must catch it.

A slip changes one place: a sign, an index, \alpha for \bar\alpha, \alpha for \beta, a square root
dropped, a factor 2, numerator and denominator swapped, a power or a transpose dropped, a number, an
end of a sum, the two sides of a divergence.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_INDEX = r"(?:\{[^{}]*\}|[A-Za-z0-9])"


class Slip(NamedTuple):
    """What was changed, and the whole formula after the change."""

    name: str
    latex: str


_SWAPS = (
    ("a sign", r"(?<![\^_{(\[=&,;:|]\s)(?<![\^_{(\[=&,;:|])[ \t]*\+", " -"),
    ("a sign", r"-(?!\d*\})", "+"),
    ("t for t-1", r"(?<=[a-zT])\s*-\s*1(?=\s*[},:])", ""),
    ("t-1 for t", r"_(?:t|\{t\})(?![a-zA-Z])", "_{t-1}"),
    ("t-1 for t", r"_(?:s|\{s\})(?![a-zA-Z])", "_{s-1}"),
    ("1 for 0", r"_(?:0|\{0\})", "_1"),
    ("0 for 1", r"_(?:1|\{1\})", "_0"),
    ("alpha for alpha_bar", r"\\bar\s*(?:\{\s*\\alpha\s*\}|\\alpha)", r"\\alpha"),
    ("alpha_bar for alpha", r"(?<!\\bar)(?<!\\bar )(?<!\\bar\{)\\alpha", r"\\bar\\alpha"),
    ("beta for alpha", r"(?<!\\bar)(?<!\\bar )(?<!\\bar\{)\\alpha", r"\\beta"),
    ("alpha for beta", r"(?<!\\tilde)(?<!\\tilde )(?<!\\tilde\{)\\beta", r"\\alpha"),
    ("beta for beta_tilde", r"\\tilde\s*(?:\{\s*\\beta\s*\}|\\beta)", r"\\beta"),
    ("sigma for mu", r"(?<![a-z{])\\mu(?!_\\theta|_\{\\theta)", r"\\sigma"),
    ("a square dropped", r"\^\s*(?:2|\{2\})", ""),
    ("a transpose dropped", r"\^\s*(?:\\top|\{\\top\})", ""),
    ("an inverse dropped", r"\^\s*\{-1\}", ""),
    ("a factor 2", r"\\[td]?frac\s*12", "1 "),
    ("a factor 2", r"(?<![\^_.\d])2(?=\s*(?:\\pi|\\sigma|\\log|v|\\|\())", ""),
    ("a factor 2", r"=(?!\s*\d)", "= 2 "),
    ("a factor 2", r"=(?=\s*\d)", r"= 2 \\cdot "),
    ("a number", r"(?<![\d.^_])(\d)\.(\d)(?=\d*)", None),
    ("an end of a sum", r"\\(?:sum|prod)_\{[a-z]=(\d)", None),
    ("an end of a sum", r"\^(?:t|\{t\})(?![a-zA-Z])", "^{t-1}"),
    ("an end of a sum", r"\^(?:T|\{T\})(?![a-zA-Z])", "^{T-1}"),
    ("n+1 for n", r"\^\s*(?:n|\{n\})(?![a-zA-Z])", "^{n+1}"),
    ("m for n", r"(?<=[\^+_{])n(?=[}+\s])", "m"),
    ("j for i", r"(?<=_\{)i(?=[a-z]\})", "j"),
    ("x_t for x_0", r"x_(?:0|\{0\})", "x_t"),
    ("epsilon for x", r"(?<![a-zA-Z\\])x_(?=t|0|\{t)", r"\\epsilon_"),
    ("q for p", r"(?<![a-zA-Z\\])p_\\theta(?=\()", "q"),
    ("p for p_theta", r"(?<![a-zA-Z\\])p_\\theta(?=\()", "p"),
)  # fmt: skip


def slips(latex: str) -> Iterator[Slip]:
    """Every formula that is one slip away, without repeats."""
    seen = {_plain(latex)}
    for slip in (*_swapped(latex), *_roots(latex), *_fractions(latex), *_divergences(latex)):
        if _plain(slip.latex) not in seen:
            seen.add(_plain(slip.latex))
            yield slip


def stronger(latex: str) -> Iterator[Slip]:
    """Changes that make another statement of a premise, without repeats."""
    seen = {_plain(latex)}
    for slip in (*_patterns(latex), *_conditions(latex), *_without_a_claim(latex)):
        if _plain(slip.latex) not in seen:
            seen.add(_plain(slip.latex))
            yield slip


_STRONGER = (
    ("another operator", r"\\sum", r"\\prod"),
    ("another operator", r"\\prod", r"\\sum"),
    ("another operator", r"\\log", r"\\exp"),
    ("another operator", r"\\sin", r"\\cos"),
    ("another operator", r"\\cos", r"\\sin"),
    ("another operator", r"\\operatorname\{Var\}", r"\\mathbb{E}"),
    ("another operator", r"\+", r"\\cdot "),
    ("limits shifted", r"_\{([a-z])=1\}", r"_{\1=2}"),
    ("limits shifted", r"_\{([a-z])=2\}", r"_{\1=1}"),
    ("limits shifted", r"_\{-\\infty\}", "_{0}"),
    ("limits shifted", r"\^\{\\infty\}", "^{1}"),
    ("another law", r"\\mathcal\s*\{?N\}?(?:\\bigl|\\Bigl)?\(", None),
    ("another value", r"(?<=[=;])\s*0(?=\s*[,.\s]|$)", " 1"),
    ("another value", r"(?<=[=;])\s*1(?=\s*[,.\s]|$)", " 0"),
    ("another value", r"(?<=,)\s*1(?=\s*\))", " 2"),
    ("an index shifted", r"_(?:t|\{t\})(?![a-zA-Z])", "_{t+1}"),
    ("an index shifted", r"_\{t-1\}", "_{t+1}"),
)


def _patterns(latex: str) -> Iterator[Slip]:
    for name, pattern, new in _STRONGER:
        for match in re.finditer(pattern, latex):
            if new is None:
                yield from _other_law(latex, match.end(), name)
            else:
                yield Slip(name, latex[: match.start()] + match.expand(new) + latex[match.end() :])


def _other_law(latex: str, start: int, name: str) -> Iterator[Slip]:
    """A normal law with twice the variance: what stands after the last comma of its brackets."""
    depth, comma = 1, None
    for here in range(start, len(latex)):
        depth += (latex[here] in "({[") - (latex[here] in ")}]")
        if depth == 1 and latex[here] == ",":
            comma = here
        if depth == 0:
            if comma is not None:
                variance = latex[comma + 1 :]
                twice = r" 2 \cdot" if re.match(r"[\s\\]*\d", variance) else " 2"
                yield Slip(name, f"{latex[: comma + 1]}{twice} {variance}")
            return


_CONDITIONAL = re.compile(
    r"(?P<name>(?<![a-zA-Z])(?:p_\\theta|[pqP]))\((?P<of>(?:[^()]|\([^()]*\))*?)\s*\\mid\s*"
    r"(?P<given>(?:[^()]|\([^()]*\))*?)\)"
)


def _conditions(latex: str) -> Iterator[Slip]:
    """A condition dropped, or exchanged with what it is a condition of."""
    for match in _CONDITIONAL.finditer(latex):
        name, of, given = match["name"], match["of"], match["given"]
        for what, text in (
            ("a condition dropped", f"{name}({of})"),
            ("the sides of a bar exchanged", rf"{name}({given} \mid {of})"),
        ):
            yield Slip(what, latex[: match.start()] + text + latex[match.end() :])


def _without_a_claim(latex: str) -> Iterator[Slip]:
    """One of several claims left out."""
    parts = re.split(r"\\qquad", latex)
    for here in range(len(parts)) if len(parts) > 1 else ():
        kept = [p.strip().rstrip(",.") for n, p in enumerate(parts) if n != here]
        yield Slip("a claim dropped", r" , \qquad ".join(kept))


def _plain(latex: str) -> str:
    return re.sub(r"\s+", "", latex)


def _swapped(latex: str) -> Iterator[Slip]:
    for name, pattern, new in _SWAPS:
        for match in re.finditer(pattern, latex):
            text = _next_number(match) if new is None else match.expand(new)
            yield Slip(name, latex[: match.start()] + text + latex[match.end() :])


def _next_number(match: re.Match[str]) -> str:
    """The same text with its last digit one higher."""
    digit = match[match.lastindex or 0]
    place = match.end(match.lastindex or 0) - match.start()
    return match[0][: place - 1] + str((int(digit) + 1) % 10) + match[0][place:]


def _roots(latex: str) -> Iterator[Slip]:
    for match in re.finditer(r"\\sqrt\s*(?=\{)", latex):
        yield Slip("a square root dropped", latex[: match.start()] + latex[match.end() :])


def _fractions(latex: str) -> Iterator[Slip]:
    for match in re.finditer(r"\\[td]?frac\s*(?=\{)", latex):
        top = _group(latex, match.end())
        bottom = _group(latex, top) if latex[top : top + 1] == "{" else top
        if bottom > top and "partial" not in latex[match.end() : bottom]:
            swapped = latex[top:bottom] + latex[match.end() : top]
            changed = latex[: match.end()] + swapped + latex[bottom:]
            yield Slip("numerator and denominator swapped", changed)


def _group(latex: str, start: int) -> int:
    """Where the group that opens at `start` has ended."""
    depth = 0
    for here in range(start, len(latex)):
        depth += (latex[here] == "{") - (latex[here] == "}")
        if depth == 0:
            return here + 1
    return start


def _divergences(latex: str) -> Iterator[Slip]:
    """D_KL(p || q) for D_KL(q || p)."""
    sizes = r"(?:\\(?:[bB]ig+[lrm]?|left|right)\s*)?"
    side = r"(?:[^()]|\([^()]*\))*?"
    bars = r"\\[|,;! ]*\|[\\,;! ]*"
    pattern = rf"KL\}}\}}{sizes}\((?P<a>{side}){bars}(?P<b>{side}){sizes}\)"
    for match in re.finditer(pattern, latex):
        a, b = match.span("a"), match.span("b")
        changed = latex[: a[0]] + match["b"] + r"\,\|\," + match["a"] + latex[b[1] :]
        yield Slip("the two sides of a divergence swapped", changed)
