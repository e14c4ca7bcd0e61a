r"""The formulas in running text: each is read, and what it claims is checked or accounted for.

A formula may claim nothing ($\alpha_t$, $x_1, \dots, x_T$): then it is enough that it can be read.
A claim about numbers is worked out. Any other claim follows from the equations that its page
displays or refers to (see `follows`), or it stands in the list book/inline.yml, page by page:

- `given`: what its sentence supposes or names, such as "with $\eta = 0$", "for $t \ge 2$"; what the
  same section says after it may rest on it;
- `notation`: what has no value, such as a bare $\propto$, with the reason;
- `wrong`: a formula that the text itself calls false;
- `unchecked`: a claim that this machine cannot check, with the reason.

`python tools/inline.py` counts them, and tells what is neither proved nor listed, what is false,
and what stands in the list in vain. The book is built with the same judgement.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from lark import Token

from ddpm_lite.symbolic import follows, printed
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.page import Equation, equations_of
from ddpm_lite.symbolic.prose import formulas_in
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.tokens import ReadError, tokens_of

InlineKind = Literal["term", "numbers", "follows", "given", "notation", "wrong", "unchecked"]
INLINE_KINDS: tuple[InlineKind, ...] = get_args(InlineKind)
LISTED: tuple[InlineKind, ...] = ("given", "notation", "wrong", "unchecked")
Listing: TypeAlias = Mapping[str, Any]
"""One page of the list: for each kind the formulas, or the formulas by reason."""
Members: TypeAlias = tuple[tuple[Token, ...], ...]


@dataclass(frozen=True)
class InlineVerdict:
    """What a formula is, how that was seen, and what is wrong with it, if anything."""

    kind: InlineKind | None
    how: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Finding:
    """A formula, the line on which it stands, and the verdict."""

    latex: str
    line: int
    verdict: InlineVerdict


# --- Reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """A formula's claims, and the tokens of each claim's members. A list has those of its items."""

    claims: tuple[Claim, ...]
    tokens: tuple[Members, ...]


@lru_cache(maxsize=8192)
def reading_of(latex: str) -> Reading:
    r"""Read a formula, or the items of a list such as x_1, \dots, x_T or (0.9, 0.8)."""
    plain = _spelled_out(latex)
    try:
        return _read(plain)
    except ReadError:
        items = [i for i in _items(plain) if i not in (r"\dots", r"\ldots")]
        if items == [plain]:
            raise
    parts = [_read(item) for item in items]
    return Reading(
        tuple(claim for part in parts for claim in part.claims),
        tuple(members for part in parts for members in part.tokens),
    )


def _spelled_out(latex: str) -> str:
    r"""10{,}000 is 10000, and |a| is \lvert a \rvert."""
    latex = re.sub(r"(?<=\d)\{,\}(?=\d{3})", "", latex)
    return re.sub(r"(?<!\\)\|([^|\\]*(?:\\[a-z]+[^|\\]*)*)(?<!\\)\|", r"\\lvert \1\\rvert ", latex)


def _read(latex: str) -> Reading:
    try:
        return Reading(tuple(read_claims(latex)), tuple(_members(tokens_of(latex))))
    except (IndexError, ValueError) as error:  # SymPy's, of what is grammatical and has no sense
        raise error if isinstance(error, ReadError) else ReadError(str(error), latex, 0) from None


def _members(tokens: Sequence[Token]) -> Iterator[Members]:
    """The tokens of each claim, cut at its relations."""
    claim: list[list[Token]] = [[]]
    depth = 0
    for token in [*tokens, Token("SEP", "")]:
        depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
        if token.type == "SEP":
            yield tuple(map(tuple, claim))
            claim = [[]]
        elif token.type == "REL" and depth == 0:
            claim.append([])
        else:
            claim[-1].append(token)


def _items(latex: str) -> list[str]:
    """What stands between the commas, without brackets around it all."""
    parts = _split(latex)
    inner = re.fullmatch(r"[(\[](.*)[)\]](?:\^\\top)?", latex)
    return _split(inner[1]) if len(parts) == 1 and inner else parts


def _split(latex: str) -> list[str]:
    parts, depth = [""], 0
    for char in re.sub(r"\\[ ,;]", " ", latex):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


# --- Judging --------------------------------------------------------------------------------------


@dataclass
class Known:
    """What a formula may rest on: displays, and what the section has supposed so far."""

    displays: Sequence[follows.Premise] = ()
    elsewhere: Sequence[follows.Premise] = ()
    """Displays of other pages: what they say word for word may be said again."""
    supposed: list[follows.Premise] = field(default_factory=list)
    values: dict[Any, Any] = field(default_factory=dict)

    def suppose(self, claims: Iterable[Claim]) -> None:
        """Take over what a formula says that is given, or has just been shown."""
        for premise in follows.premises_of("given", list(claims)):
            if premise.relation == "=" and printed.is_number(premise.right):
                self.values[premise.left] = premise.right
            else:
                self.supposed.append(premise)

    def forget(self) -> None:
        """A new section begins."""
        self.supposed, self.values = [], {}


def listed_in(listing: Listing) -> dict[str, InlineVerdict]:
    """What the list says of each formula that it names. Raises ValueError for an unknown kind."""
    unknown = set(listing) - set(LISTED)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no kind; write {', '.join(LISTED)}")
    found: dict[str, InlineVerdict] = {}
    for kind in LISTED:
        formulas = listing.get(kind) or {}
        by_reason = formulas if isinstance(formulas, Mapping) else {"": formulas}
        for reason, group in by_reason.items():
            found |= {str(latex): InlineVerdict(kind, reason) for latex in group}
    return found


def judge(latex: str, known: Known, listed: InlineVerdict | None = None) -> InlineVerdict:
    """The verdict on one formula of a page. What the list says never excuses a false number."""
    try:
        reading = reading_of(latex)
    except ReadError as error:
        if listed and listed.kind != "given":
            return listed
        place = "is listed as given" if listed else "is not listed"
        return InlineVerdict(None, fault=f"${latex}$ cannot be read, and {place}: {error.reason}")
    found = [
        _judge_relation(claim, members, place, known, listed)
        for claim, members in zip(reading.claims, reading.tokens, strict=True)
        for place in range(len(claim.relations))
    ]
    return _worst(found)


def _worst(found: Sequence[InlineVerdict]) -> InlineVerdict:
    """A chain is as good as its weakest relation."""
    faulty = next((verdict for verdict in found if verdict.fault), None)
    if faulty:
        return faulty
    kinds: list[InlineKind] = [v.kind for v in found if v.kind]
    reasons = ", ".join(dict.fromkeys(v.how for v in found if v.how))
    return InlineVerdict(max(kinds, key=INLINE_KINDS.index, default="term"), reasons)


def _judge_relation(
    claim: Claim,
    members: Members,
    place: int,
    known: Known,
    listed: InlineVerdict | None,
) -> InlineVerdict:
    left, right = claim.members[place : place + 2]
    relation, words = claim.relations[place], members[place : place + 2]
    told = f"${_text(words[0])} {relation} {_text(words[1])}$"
    if printed.is_number(left) and printed.is_number(right):
        units = [printed.last_digit(member) for member in words]
        true = printed.holds(left, relation, right, units)
        return InlineVerdict("numbers", fault="" if true else f"{told} is false")
    if relation == r"\approx" and printed.coefficients_agree(left, right):
        return InlineVerdict("numbers")
    if listed:
        false = follows.contradicts(left, relation, right)
        return InlineVerdict(None, fault=f"{told} contradicts the definitions") if false else listed
    premises = [*known.supposed, *known.displays]
    how = follows.why(left, relation, right, premises, known.values)
    how = how or follows.stated(left, relation, right, known.elsewhere)
    fault = "" if how else f"{told} does not follow from the page, and is not listed"
    return InlineVerdict("follows" if how else None, how or "", fault)


def _text(tokens: Iterable[Token]) -> str:
    return " ".join(tokens)


# --- Pages ----------------------------------------------------------------------------------------


def findings(text: str, listing: Listing, others: Mapping[str, Equation]) -> list[Finding]:
    """The verdict on each formula in a page's running text; `others`: displays by label."""
    known = Known(*premises_around(text, others))
    listed = listed_in(listing)
    found, section = [], 0
    for formula in formulas_in(text):
        if formula.section != section:
            known.forget()
        section = formula.section
        verdict = judge(formula.latex, known, listed.get(formula.latex))
        if verdict.kind in ("given", "follows"):
            known.suppose(reading_of(formula.latex).claims)
        found.append(Finding(formula.latex, formula.line, verdict))
    return found


def premises_around(
    text: str, others: Mapping[str, Equation]
) -> tuple[list[follows.Premise], list[follows.Premise]]:
    """What the page displays or refers to by {eq}; and what other pages display."""
    own = equations_of(text)
    labels = re.findall(r"\{eq\}`([^`]+)`", text)
    near = dict.fromkeys([*own, *(others[label] for label in labels if label in others)])
    far = [equation for equation in others.values() if equation not in near]
    return [p for e in near for p in _premises(e)], [p for e in far for p in _premises(e)]


@lru_cache(maxsize=4096)
def _premises(equation: Equation) -> tuple[follows.Premise, ...]:
    try:
        claims = read_claims(equation.latex)
    except ReadError:
        return ()  # a cell of the page has to read it, and says so
    return tuple(follows.premises_of(equation.label or "", claims))


def dead(listing: Listing, formulas: Iterable[str]) -> Iterator[str]:
    """What the list names and the page does not have."""
    present = set(formulas)
    for latex, verdict in listed_in(listing).items():
        if latex not in present:
            yield f"${latex}$ is listed as {verdict.kind}, and stands nowhere on the page"
