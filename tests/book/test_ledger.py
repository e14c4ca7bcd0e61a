"""The gate that lets no equation pass unproved, and the ledger that tells what was proved."""

import json
import re
from pathlib import Path

import pytest
from book_proofs import Page, ProofLine, Shown, faults, lines_in
from bs4 import BeautifulSoup
from small_book import HEADER, SmallBook

from ddpm_lite.symbolic.checks import LedgerEntry
from ddpm_lite.symbolic.page import equations_of

DEFINITION = "% definition\n$$\n\\alpha_t = 1 - \\beta_t\n$$ (eq-a)\n"
DERIVED = "% derived\n$$\n\\beta_t = 1 - \\alpha_t .\n$$ (eq-b)\n"
LINES = [
    ProofLine("eq-a", "definition", latex=r"\alpha_t = 1 - \beta_t"),
    ProofLine("eq-b", "derived", "algebra", 0.1, r"\beta_t = 1 - \alpha_t"),
]


def said(text: str, lines: list[ProofLine], shown: list[Shown] | None = None) -> str:
    """What the gate says of a page."""
    equations = equations_of(text)
    as_written = [Shown(e.label, e.line) for e in equations]
    found = faults(Page(equations, lines), as_written if shown is None else shown)
    return "; ".join(message for _, message in found)


def test_a_page_whose_equations_are_all_borne_out_passes() -> None:
    assert said(DEFINITION + DERIVED, LINES) == ""
    assert said("No equation at all, and $x = y$ within the text.", []) == ""


@pytest.mark.parametrize(
    ("text", "lines", "complaint"),
    [
        (DERIVED, [], 'eq-b is derived, but no cell has run check("eq-b")'),
        (DEFINITION, [], 'no cell has run definition("eq-a")'),
        (DEFINITION.replace("definition", "cited"), [], 'no cell has run cited("eq-a")'),
        (DERIVED.replace("% derived\n", ""), [LINES[1]], "eq-b has no kind"),
        (DERIVED.replace("% derived", "% believed"), [LINES[1]], "eq-b has no kind"),
        (DERIVED.replace("% derived", "% definition"), [LINES[1]], "no cell has run definition"),
        (DERIVED.replace(" (eq-b)", ""), [], "a displayed equation has no label"),
        (DEFINITION, LINES, "a cell runs check for eq-b"),
        (DERIVED + DERIVED, [LINES[1]], "eq-b is used 2 times"),
        (DERIVED.replace("1 -", "1 +"), [LINES[1]], "eq-b is another formula than the one"),
        (DERIVED, [ProofLine("eq-b", "cited", latex=LINES[1].latex)], "a cell says cited"),
    ],
)  # fmt: skip
def test_what_is_not_borne_out_is_told(text: str, lines: list[ProofLine], complaint: str) -> None:
    assert complaint in said(text, lines)


def test_a_display_that_the_reader_does_not_see_is_told() -> None:
    unlabelled = [Shown("eq-a", 1), Shown("eq-b", 5), Shown(None, 9)]
    assert "has no label" in said(DEFINITION + DERIVED, LINES, unlabelled)
    unseen = [Shown("eq-a", 1), Shown("eq-b", 5), Shown("eq-c", 9)]
    assert "eq-c is not written" in said(DEFINITION + DERIVED, LINES, unseen)


def test_the_gate_names_the_line() -> None:
    text = "One line.\n\n" + DERIVED
    assert [line for line, _ in faults(Page(equations_of(text), []), [])] == [4]


def test_a_line_of_the_engine_is_read_as_it_was_written() -> None:
    entry = LedgerEntry("eq-x", "derived", "a < b & c", 0.125, r"a < b \text{ ``c''}")
    found = lines_in(f"<p>before</p>{entry._repr_html_()}")
    assert found == [ProofLine("eq-x", "derived", "a < b & c", 0.125, entry.latex)]


def test_other_output_holds_no_lines() -> None:
    assert lines_in('<div class="proof-line answer-right">ex-1: right</div>') == []
    assert lines_in('<div data-label="eq-a" data-kind="derived">no</div>') == []


# --- Built ---------------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> SmallBook:
    return SmallBook(tmp_path, "book_ledger")


LINE = LedgerEntry("eq-b", "derived", "by hand", 0.0, r"\beta_t = 1 - \alpha_t")._repr_html_()
FAULTY = {
    "unchecked": (DERIVED, "no cell has run check"),
    "unread": (DEFINITION, "no cell has run definition"),
    "kindless": (DERIVED.replace("% derived\n", ""), "eq-b has no kind"),
    "unlabelled": (DERIVED.replace(" (eq-b)", ""), "has no label"),
    "one-line": ("A display within $$x = y$$ a line.\n", r"a stray \$"),
    "text-after": ("$$\nx = y\n$$ in the text.\n", r"a stray \$"),
    "amsmath": ("\\begin{align}\nx = y\n\\end{align}\n", "has no label"),
    "directive": ("```{math}\n:label: eq-b\nx = y\n```\n", "eq-b is not written"),
    "by-hand": (f"{DERIVED}\n```{{raw}} html\n{LINE}\n```\n\n{LINE}\n", "no cell has run check"),
}


@pytest.mark.slow
def test_the_build_fails(book: SmallBook) -> None:
    """One page for each fault; a single warning is enough to fail, as the last test shows."""
    for name, (text, _) in FAULTY.items():
        own = text.replace("eq-b", f"eq-{name}")
        book.page(name, f"# A page\n\n{own}\nText.\n")
    code, messages = book.build()
    assert code != 0
    for name, (_, complaint) in FAULTY.items():
        complaint = complaint.replace("eq-b", f"eq-{name}")
        assert re.search(rf"{name}\.md:\d+: WARNING: .*{complaint}", messages), name


CELL = """
```{code-cell} ipython3
from sympy import solve
from ddpm_lite.symbolic import check, definition, symbols, use_page
use_page("page.md")
alpha, beta = symbols(r"\\alpha_t, \\beta_t")
claim = definition("eq-a")[0]
check("eq-b", solve(claim.lhs - claim.rhs, beta)[0], method="solved")
```
"""
MUTANTS = {
    "mutants": 40,
    "caught": 39,
    "survivors": [
        {
            "page": "page",
            "label": "eq-b",
            "slip": "sign",
            "formula": r"\beta_t",
            "reason": "the same by symmetry",
        }
    ],
    "premise_mutants": 20,
    "premise_caught": 19,
    "premise_survivors": [
        {
            "page": "page",
            "label": "eq-a",
            "slip": "another law",
            "formula": r"\alpha_t",
            "reason": "the same law",
        }
    ],
    "rests_on": {"eq-b": ["eq-a"]},
}


@pytest.mark.slow
def test_what_was_proved_stands_in_the_ledger(book: SmallBook) -> None:
    book.page("page", f"{HEADER}\n{DEFINITION}\n{DERIVED}\n{CELL}")
    book.page("proof_ledger", "# Ledger\n\n```{proof-ledger}\n```\n")
    (book.root / "book" / "mutants.json").write_text(json.dumps(MUTANTS))
    code, messages = book.build()
    assert (code, messages.strip()) == (0, "")
    ledger = BeautifulSoup(book.built("proof_ledger"), "html.parser").select_one("div.body")
    assert ledger is not None
    assert "2 displayed equations: 1 derived, 1 definitions, 0 cited (0.0 %)" in ledger.text
    assert "Of the derived ones 1 are identities, 0 are relations that" in ledger.text
    assert "Of 40 slips put into derived equations, 39 were caught (97.5 %)" in ledger.text
    assert "Of 20 changes of definitions" in ledger.text
    assert "19 made something fail (95.0 %)" in ledger.text
    rows = [[cell.text.strip() for cell in row.select("td")] for row in ledger.select("tr")]
    assert ["(1.2)", "sign", r"\[\beta_t\]", "the same by symmetry"] in rows
    assert ["(1.1)", "another law", r"\[\alpha_t\]", "the same law"] in rows
    assert ["(1.1)", "definition", "", "", ""] in rows
    assert any(row[:4] == ["(1.2)", "derived: identity", "solved", "(1.1)"] for row in rows)
    assert ledger.select_one('a[href="page.html#equation-eq-b"]')

    # The cells have not changed, so their old outputs are used: the gate still sees the slip.
    slip = DERIVED.replace("1 -", "1 +")
    book.page("page", f"{HEADER}\n{DEFINITION}\n{slip}\n{CELL}")
    code, messages = book.build()
    assert code != 0
    assert "eq-b is another formula than the one that the cell read" in messages
