"""A chapter's displayed equations, with label and kind, as they stand in its Markdown source."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

Kind = Literal["definition", "derived", "cited"]
KINDS: tuple[str, ...] = get_args(Kind)

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", re.M | re.S)
_KINDS = "|".join(KINDS)
_DISPLAY = re.compile(
    rf"^(?:%[ \t]*(?P<kind>{_KINDS})[ \t]*\n)?"
    r"\$\$[ \t]*\n(?P<latex>.*?)\n\$\$[ \t]*(?:\((?P<label>[^)\s]+)\))?[ \t]*$",
    re.M | re.S,
)


class PageError(ValueError):
    """A page whose equations break the contract; the text names page, line and label."""


@dataclass(frozen=True)
class Equation:
    """One displayed equation. `kind` and `label` are None where the page gives none."""

    label: str | None
    kind: str | None
    latex: str
    line: int
    """Line of the page on which its `$$` stands, from 1."""


def equations_of(text: str) -> list[Equation]:
    """All displayed equations of a page's source, in order; code blocks are left out."""
    prose = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    return [
        Equation(m["label"], m["kind"], m["latex"], prose.count("\n", 0, m.start("latex")))
        for m in _DISPLAY.finditer(prose)
    ]


class Page:
    """The labelled equations of one chapter.

    Raises PageError for a file that is not there, for a display without kind or label, and for a
    label that stands twice.
    """

    def __init__(self, path: str | Path):
        """Read the file at once."""
        self.path = Path(path)
        self.equations = self._by_label(equations_of(self._source()))

    @classmethod
    def from_text(cls, name: str, text: str) -> "Page":
        """The page of this name from its Markdown source, where there is no file.

        From here on the name stands for this text: cells say `use_page(name)` wherever they run.
        A file of the same name in a named folder is still read from there.
        """
        cls.at_hand[name] = text
        return cls(name)

    at_hand: ClassVar[dict[str, str]] = {}
    """Sources by the name that cells give to `use_page`; they stand for the files."""
    changed: ClassVar[dict[str, str]] = {}
    """Formulas that stand for those of the file, by label: for trials of what rests on them."""

    def _source(self) -> str:
        if str(self.path) in self.at_hand:
            return self.at_hand[str(self.path)]
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError as error:
            raise PageError(f"cannot read the page {self.path}: {error.strerror}") from None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def _by_label(self, equations: list[Equation]) -> dict[str, Equation]:
        found: dict[str, Equation] = {}
        for equation in equations:
            place = f"{self.path.name}, line {equation.line}"
            if equation.label is None or equation.kind is None:
                lacks = "label" if equation.label is None else "kind"
                raise PageError(f"{place}: the display has no {lacks}")
            if equation.label in found:
                raise PageError(f"{place}: the label {equation.label} stands twice")
            latex = self.changed.get(equation.label, equation.latex)
            found[equation.label] = replace(equation, latex=latex)
        return found

    def __getitem__(self, label: str) -> Equation:
        """The equation under that label."""
        if label not in self.equations:
            raise PageError(f"{self.path.name} has no equation {label!r}")
        return self.equations[label]
