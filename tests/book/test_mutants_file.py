"""book/mutants.json, which the ledger page shows: it belongs to the pages as they are."""

import json
from pathlib import Path

from ddpm_lite.symbolic.mutants import digest
from ddpm_lite.symbolic.page import Page

BOOK = Path(__file__).parents[2] / "book"
WHOLE = json.loads((BOOK / "mutants.json").read_text())


def test_the_equations_are_those_that_were_tried() -> None:
    changed = [
        n for n, row in WHOLE["pages"].items() if digest(BOOK / f"{n}.md") != row["equations"]
    ]
    assert changed == [], "run `make mutants`"


def test_nearly_all_are_caught_and_the_rest_is_explained() -> None:
    assert WHOLE["mutants"] > 300
    assert WHOLE["caught"] >= 0.98 * WHOLE["mutants"]
    assert len(WHOLE["survivors"]) == WHOLE["mutants"] - WHOLE["caught"]
    assert all(survivor["reason"] for survivor in WHOLE["survivors"])


def test_nearly_all_changed_premises_are_noticed_and_the_rest_is_explained() -> None:
    assert WHOLE["premise_mutants"] > 500
    assert WHOLE["premise_caught"] >= 0.98 * WHOLE["premise_mutants"]
    assert all(survivor["reason"] for survivor in WHOLE["premise_survivors"])


def test_every_derived_equation_rests_on_something_or_is_an_identity() -> None:
    derived = {e.label for n in WHOLE["pages"] for e in Page(BOOK / f"{n}.md").equations.values()
               if e.kind == "derived"}  # fmt: skip
    assert WHOLE["rests_on"].keys() == derived
    assert WHOLE["groundless"] == []
