"""check(): the formula on the page is the formula that was derived, or the cell fails.

A chapter's first cell names its page; after that `check` reads the LaTeX under a label, and
compares each member of each claim with what the cells have derived. Each call leaves one line
beside the cell and one entry in the ledger.
"""

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic.algebra import put
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.display import show_line
from ddpm_lite.symbolic.equality import ComparisonError, counterexample, difference, equal
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.notation import Entry as Row
from ddpm_lite.symbolic.objects import Covariance, Density, Expectation, Formal, Variance
from ddpm_lite.symbolic.page import Page, PageError
from ddpm_lite.symbolic.premises import hold
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.tokens import ReadError
from ddpm_lite.symbolic.witnesses import Witness, WitnessError
from ddpm_lite.symbolic.wording import in_words

_RELATIONS = {
    sp.Eq: "=", sp.Ge: r"\ge", sp.Le: r"\le", sp.Gt: ">", sp.Lt: "<", sp.Ne: r"\ne",
}  # fmt: skip


_MARKS = {
    "proved": "✓ proved",
    "identity": "✓ proved",
    "witnessed": "✓ proved",
    "compared": "✓ members compared",
    "assumed": "assumed",
}


@dataclass(frozen=True)
class Disagreement:
    """A member of a claim that is not what it must be."""

    member: Expr
    wanted: Any
    left: Any
    """What is left of their difference."""
    example: tuple[dict[Expr, Expr], Expr, Expr] | None
    """Numbers for the symbols, and both sides there (see `counterexample`)."""
    sides: tuple[str, str] = ("page", "derived")

    def __str__(self) -> str:
        what = "the page and the derivation" if self.sides[0] == "page" else "the two sides"
        lines = [f"{what} differ", f"  {self.sides[0]}: {in_words(self.member)}"]
        lines.append(f"  {self.sides[1]}: {in_words(self.wanted)}")
        lines.append(f"  difference: {in_words(self.left)}")
        if self.example:
            values, one, other = self.example
            at = ", ".join(f"{in_words(k)} = {v}" for k, v in values.items())
            one, other = sp.N(one, 6), sp.N(other, 6)
            lines.append(f"  at {at}: {self.sides[0]} {one}, {self.sides[1]} {other}")
        return "\n".join(lines)


class CheckError(AssertionError):
    """The page and the derivation differ; the text shows both and an example in numbers."""

    disagreement: Disagreement | None = None
    """The two sides, where it is they that differ."""


def _differ(label: str, found: Disagreement) -> CheckError:
    error = CheckError(f"{label}: {found}")
    error.disagreement = found
    return error


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the ledger."""

    label: str
    kind: str
    method: str
    seconds: float
    latex: str
    verdict: str = ""
    """What a check has found: "proved", "identity", "witnessed", "compared" (see `check`)."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.mark, self.label, self.method)))

    @property
    def mark(self) -> str:
        """The words that stand in front of the formula: they say no more than was checked."""
        return _MARKS.get(self.verdict, self.kind)

    def _repr_html_(self) -> str:
        mark = self.mark
        data = {"label": self.label, "kind": self.kind, "method": self.method}
        data["verdict"] = self.verdict
        data["seconds"] = f"{self.seconds:.3f}"
        attributes = " ".join(f'data-{k}="{html.escape(v)}"' for k, v in data.items())
        parts = [
            f'<span class="proof-mark">{mark}</span>',
            f'<span class="math notranslate nohighlight">{delimited(self.latex)}</span>',
            f'<span class="proof-method">{html.escape(self.method)}</span>',
        ]
        return f'<div class="proof-line proof-{self.kind}" {attributes}>{" ".join(parts)}</div>'


def delimited(latex: str) -> str:
    """HTML of a formula between the signs by which MathJax finds it.

    One with rows is displayed, because only then does MathJax break rows that are too wide.
    """
    left, right = ("\\[", "\\]") if "\\begin{" in latex else ("\\(", "\\)")
    return f"{left}{html.escape(latex)}{right}"


class Ledger:
    """The page in use and what has been noted of it."""

    def __init__(self, page: Page | None = None):
        self._page = page
        self.entries: dict[str, LedgerEntry] = {}
        self.results: dict[str, tuple[Any, ...]] = {}
        self.witnesses: dict[str, list[Witness]] = {}
        self.read: list[str] = []
        """Labels of the premises that cells have read: definitions and proved equations."""
        self.trial: Trial | None = None

    @property
    def page(self) -> Page:
        """The page that use_page() named."""
        if self._page is None:
            raise PageError("no page is in use: call use_page(...) first")
        return self._page

    @property
    def has_page(self) -> bool:
        """Whether a page is in use."""
        return self._page is not None

    def claims(self, label: str, *kinds: str) -> list[Claim]:
        """The claims under a label, which must be of one of these kinds."""
        equation = self.page[label]
        if equation.kind not in kinds:
            raise PageError(f"{label} is marked {equation.kind}, not {' or '.join(kinds)}")
        try:
            return read_claims(equation.latex)
        except ReadError as error:
            place = f"{self.page.path.name}, line {equation.line}, {label}"
            raise PageError(f"{place}: {error}") from None

    def premise(self, label: str, *kinds: str) -> list[Claim]:
        """The claims under a label, noted as read."""
        self.read.append(label)
        return self.claims(label, *kinds)

    def note(self, label: str, method: str, seconds: float, verdict: str = "") -> LedgerEntry:
        """Enter a line, and show it."""
        equation = self.page[label]
        latex = _one_line(equation.latex)
        entry = LedgerEntry(label, str(equation.kind), method, seconds, latex, verdict)
        self.entries[label] = entry
        show_line(entry)
        return entry


@dataclass
class Trial:
    """A run of cells with one premise changed: checks that fail are noted, and the cells go on."""

    premise: str
    failed: list[str]


ledger = Ledger()


def use_page(page: str | Path | Page) -> None:
    """Name the page whose equations are checked from here on, and begin an empty ledger.

    A page is the path of its Markdown source, or has been made with `Page.from_text`.
    Raises PageError where a definition on it is not the rule that the proofs use (see `premises`).
    """
    page = page if isinstance(page, Page) else Page(page)
    trial = ledger.trial
    if trial is None:  # a trial asks what follows from another definition
        hold(page)
    ledger.__init__(page)  # type: ignore[misc]
    ledger.trial = trial


def check(
    label: str, *results: Any, method: str, witness: Witness | Sequence[Witness] = ()
) -> None:
    r"""Compare each claim under `label`, as it stands on the page, with a derived result.

    One result for each claim of the display, in order: an expression (every member of the chain
    must equal it), an Eq or another SymPy relation, a `chain`, or a Claim. Equal means that the
    difference is exactly 0 (see `equality`). `method` says in a few words how the result was found.
    The verdict is

    - "identity" where the members of each claim equal each other by the machine's own rules;
    - "witnessed" where the same holds of all members joined by =, and each relation between others
      is borne out by a witness to whom the page's own members are enough: no premise is needed;
    - "proved" where a member is a name, or more, that the cells have worked out from premises;
    - "compared" where a claim says <=, <, ~ and the like without a `witness`: then only its members
      were compared with the result, not the relation between them. There must be one witness for
      each such relation, in order, or none (see `witnesses`).

    Raises CheckError where page and result differ, where a claim cannot hold whatever its symbols
    are, or where the result was read from the page's own formula; PageError for a label that the
    page lacks or that is not marked `derived`.
    """
    start = time.perf_counter()
    witnesses = [witness] if isinstance(witness, Witness) else list(witness)
    if ledger.trial and ledger.trial.premise == label:  # taken for true, to see what rests on it
        ledger.results[label] = results
        ledger.note(label, method, 0.0, "assumed")
        return
    try:
        verdict = verdict_of(label, ledger.claims(label, "derived"), results, method, witnesses)
    except CheckError:
        if ledger.trial is None:
            raise
        ledger.trial.failed.append(label)
        verdict = "assumed"
    ledger.results[label] = results
    ledger.witnesses[label] = witnesses
    ledger.note(label, method, time.perf_counter() - start, verdict)


def verdict_of(
    label: str,
    claims: Sequence[Claim],
    results: Sequence[Any],
    method: str,
    witnesses: Sequence[Witness],
) -> str:
    """What `check` says of these claims. Raises CheckError as it does."""
    compare(label, claims, results)
    if not method.strip():
        raise CheckError(f"{label}: say by which method the result was found")
    identities = [_members_equal(label, claim) for claim in claims]
    relations = [(a, r, b) for c in claims for a, r, b in c.links() if r != "="]
    if not relations:
        return "identity" if all(identities) else "proved"
    if not witnesses:
        return "compared"
    if len(witnesses) != len(relations):
        raise CheckError(f"{label}: {len(relations)} relations, {len(witnesses)} witnesses")
    for (a, relation, b), one in zip(relations, witnesses, strict=True):
        _bear_witness(label, one, a, relation, b)
    alone = all(identities) and all(one.alone for one in witnesses)
    return "witnessed" if alone else "proved"


def _bear_witness(label: str, one: Witness, a: Expr, relation: str, b: Expr) -> None:
    try:
        one.verify(a, relation, b)
    except WitnessError as error:
        raise CheckError(f"{label}: {error}") from None


def _members_equal(label: str, claim: Claim) -> bool:
    """Whether neighbours joined by = are equal by themselves. Raises CheckError if they never are.

    A name may be whatever the premises make it. But where the same plain symbols stand on both
    sides, or none, nothing is left to be named: numbers at which the sides differ refute the claim.
    """
    links = [(a, b) for a, relation, b in claim.links() if relation == "="]
    equal = [_equal(a, b) for a, b in links]
    for (a, b), same in zip(links, equal, strict=True):
        if not same and _says_all(a, b) and (example := counterexample(a, b)):
            left = difference(a, b)
            raise _differ(label, Disagreement(a, b, left, example, ("left", "right")))
    return all(equal)


def _equal(a: Expr, b: Expr) -> bool:
    try:
        return equal(a, b)
    except ComparisonError:  # a law that the cells have still to make known, say
        return False


def _says_all(a: Expr, b: Expr) -> bool:
    """Whether both sides are plain formulas in the same symbols."""
    plain = not sp.Tuple(a, b).has(Formal, AppliedUndef, sp.MatrixExpr, sp.MatrixBase)
    plain = plain and not sp.Tuple(a, b).has(sp.Integral, sp.Limit, sp.Derivative)
    return plain and _letters(a) == _letters(b)


def _letters(expression: Expr) -> set[Expr]:
    indexed: set[Expr] = expression.atoms(sp.Indexed)
    loose: set[Expr] = expression.xreplace(dict.fromkeys(indexed, sp.S.One)).free_symbols
    return indexed | loose


def definition(label: str) -> list[Claim]:
    """The claims of a definition on the page, for derivations to start from."""
    claims = ledger.premise(label, "definition")
    ledger.note(label, "", 0.0)
    return claims


def cited(label: str) -> list[Claim]:
    """The claims of a theorem that is used and not proved here."""
    claims = ledger.premise(label, "cited")
    ledger.note(label, "", 0.0)
    return claims


def proved(label: str) -> list[Claim]:
    """The claims of a derived equation, once it has been checked on this page."""
    if label not in ledger.entries:
        raise PageError(f"{label} has not been checked yet: results may not rest on it")
    return ledger.premise(label, "derived")


def chain(*parts: Any) -> Claim:
    """Members and relations in turn, as in `chain(a, "=", b, ">=", c)`."""
    signs = {">=": r"\ge", "<=": r"\le", "!=": r"\ne", "~": r"\sim"}
    if len(parts) < 3 or len(parts) % 2 == 0:
        raise ValueError("a chain is member, relation, member, ...")
    members = tuple(sp.sympify(p) for p in parts[::2])
    return Claim(members, tuple(signs.get(p, p) for p in parts[1::2]))


# --- Comparing -----------------------------------------------------------------------------------


def compare(label: str, claims: Sequence[Claim], results: Sequence[Any]) -> None:
    """Raise CheckError unless each claim is what its result says."""
    if not results or len(claims) != len(results):
        raise CheckError(f"{label}: {len(claims)} claims on the page, {len(results)} results")
    for claim, result in zip(claims, results, strict=True):
        if not claim.relations:
            raise CheckError(f"{label}: ${claim.latex()}$ claims nothing")
        if isinstance(result, Claim) and result.source and result.source == claim.source:
            raise CheckError(f"{label}: the result was read from the page's own formula")
        for member, wanted in _pairs(label, claim, result):
            _same(label, member, wanted)


def _pairs(label: str, claim: Claim, result: Any) -> list[tuple[Expr, Expr]]:
    """Each member of the claim with what it must equal."""
    if isinstance(result, (bool, type(None), sp.logic.boolalg.BooleanAtom)):
        raise CheckError(f"{label}: a result must be a formula, not {result}")
    wanted = _as_claim(result)
    if wanted is None:
        _only_equalities(label, claim)
        return [(member, result) for member in claim.members]
    if wanted.relations == ("=",) and set(claim.relations) == {"="}:
        return [(claim.lhs, wanted.lhs), *((m, wanted.rhs) for m in claim.members[1:])]
    if wanted.relations != claim.relations:
        raise CheckError(f"{label}: the page says {claim.relations}, proved {wanted.relations}")
    return list(zip(claim.members, wanted.members, strict=True))


def _as_claim(result: Any) -> Claim | None:
    if isinstance(result, Claim):
        return result
    relation = next((sign for kind, sign in _RELATIONS.items() if isinstance(result, kind)), None)
    return Claim((result.lhs, result.rhs), (relation,)) if relation else None


def _only_equalities(label: str, claim: Claim) -> None:
    if set(claim.relations) != {"="}:
        raise CheckError(f"{label}: the page says {claim.relations}; only equality was proved")


def _same(label: str, member: Expr, wanted: Any) -> None:
    try:
        left = difference(member, wanted)
    except ComparisonError as error:
        raise CheckError(f"{label}: page and result cannot be compared: {error}") from error
    if left != 0:
        example = counterexample(member, wanted)
        raise _differ(label, Disagreement(member, wanted, left, example))


# --- Exercises -----------------------------------------------------------------------------------


def answer(exercise: str, expression: Any, solution: Any, hint: str = "") -> "Mark":
    """Mark a reader's answer: true and a tick where it equals `solution`, else a counterexample.

    The answer is LaTeX, or a SymPy expression whose symbols are those of the table by their names:
    one formula, or one chain of equalities, all of whose members but the first must be right.
    """
    try:
        given, right = marked(expression, solution)
    except (ReadError, ComparisonError) as error:
        text = f"{exercise}: not yet. {error} {hint}".rstrip()
        show_line(Line(text, False))
        return Mark(False)
    text = f"{exercise}: right" if right else _not_yet(exercise, given, solution, hint)
    show_line(Line(text, right))
    return Mark(right)


def marked(expression: Any, solution: Any) -> tuple[Expr, bool]:
    """The member that is marked, the first wrong one if there is one, and whether it is right.

    Raises ReadError and ComparisonError.
    """
    claim = _one_claim(expression)
    if set(claim.relations) - {"="}:
        raise ComparisonError("An answer is a formula or an equation, no inequality.")
    named = claim.members[1:] if _only_names(claim.members[0], solution) else ()
    named = named or claim.members
    wrong = [member for member in named if difference(member, solution) != 0]
    return (wrong or named)[0], not wrong


def _one_claim(expression: Any) -> Claim:
    if not isinstance(expression, str):
        return Claim((_by_name(expression),), ())
    claims = read_claims(expression)
    if len(claims) != 1:
        raise ComparisonError(f"An answer is one formula, and here are {len(claims)}.")
    return claims[0]


def _only_names(member: Expr, solution: Any) -> bool:
    """Whether it only says what the answer is called, as the y of y = 2x."""
    names = (sp.Symbol, sp.Indexed, AppliedUndef, Density, Expectation, Variance, Covariance)
    return isinstance(member, names) and not sp.sympify(solution).has(member)


def _by_name(expression: Any) -> Any:
    """The table's symbols in the place of those that a reader made with sp.Symbol("x")."""
    given = sp.sympify(expression)
    if not isinstance(given, sp.Basic):
        return given
    families = {e: _row_of(str(e.base.label)) for e in given.atoms(sp.Indexed)}
    given = given.xreplace({e: row.indexed(*e.indices) for e, row in families.items() if row})
    plain = {s: _row_of(s.name) for s in given.atoms(sp.Symbol)}
    return put(given, {s: row.plain() for s, row in plain.items() if row})


def _row_of(name: str) -> Row | None:
    r"""The row of x, or of sigma for \sigma; none for a matrix, whose size must be its own."""
    row = TABLE.get(name) or TABLE.get("\\" + name)
    return row if row and row.form != "matrix" else None


@dataclass(frozen=True)
class Mark:
    """Whether an answer was right; as the last line of a cell it shows nothing more."""

    right: bool

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        """The line beside the cell has said it."""


def _not_yet(exercise: str, given: Expr, solution: Any, hint: str) -> str:
    found = counterexample(given, solution)
    at = ""
    if found:
        values, one, other = found
        places = ", ".join(f"{in_words(k)} = {v}" for k, v in values.items())
        at = f" At {places} yours gives {sp.N(one, 6)}, and it should be {sp.N(other, 6)}."
    return f"{exercise}: not yet.{at} {hint}".rstrip()


@dataclass(frozen=True)
class Line:
    """What `answer` says beside the cell."""

    text: str
    right: bool

    def __str__(self) -> str:
        return f"{'✓' if self.right else '✗'} {self.text}"

    def _repr_html_(self) -> str:
        kind = "right" if self.right else "wrong"
        return f'<div class="proof-line answer-{kind}">{html.escape(str(self))}</div>'


def _one_line(latex: str) -> str:
    return " ".join(latex.replace("\n", " ").split()).rstrip(" .,")
