"""book/mutants.json, which the ledger page shows: it belongs to the pages as they are."""

import json
from pathlib import Path

from ddpm_lite.symbolic.mutants import digest

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
