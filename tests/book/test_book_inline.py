"""The formulas in running text: what is false, unproved or not listed stops the build."""

import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from small_book import SmallBook

from ddpm_lite.symbolic.inline import dead, findings
from ddpm_lite.symbolic.page import equations_of

BOOK = Path(__file__).parents[2] / "book"
DISPLAY = (
    "$$\n\\tilde\\beta_t = \\frac{1-\\bar\\alpha_{t-1}}{1-\\bar\\alpha_t}\\,\\beta_t\n$$ (eq-a)\n"
)
FAULTY = {
    "1-false": ("It is $2^{10} = 1023$.", r"\$2 \^ \{ 10 \} = 1023\$ is false"),
    "2-digit": (r"It is $\sqrt{0.9} \approx 0.948$.", r"\\approx 0.948\$ is false"),
    "3-unproved": (r"So $\beta_t = 1 + \alpha_t$.", "does not follow from the page"),
    "4-unread": (r"The sign $\square$ ends it.", "cannot be read, and is not listed"),
    "5-dead": ("Nothing.", r"\$x_t = 7\$ is listed as given, and stands nowhere"),
    "6-given": (r"With $\bar\alpha_0 = 2$.", "contradicts the definitions"),
}
LISTED = {"5-dead": {"given": ["x_t = 7"]}, "6-given": {"given": [r"\bar\alpha_0 = 2"]}}


@pytest.fixture
def book(tmp_path: Path) -> SmallBook:
    return SmallBook(tmp_path, "book_inline")


@pytest.mark.slow
def test_the_build_fails(book: SmallBook) -> None:
    for name, (text, _) in FAULTY.items():
        book.page(name, f"# A page\n\nWords.\n\n{text}\n")
    (book.root / "book" / "inline.yml").write_text(yaml.safe_dump({**LISTED, "absent": {}}))
    code, messages = book.build()
    assert code != 0
    for name, (_, complaint) in FAULTY.items():
        line = "" if name == "5-dead" else ":5"
        assert re.search(rf"{name}\.md{line}: WARNING: .*{complaint}", messages), name
    assert "inline.yml names the page absent" in messages


@pytest.mark.slow
def test_what_holds_is_counted(book: SmallBook) -> None:
    text = (
        f"# A page\n\nWith $t = 1$, $\\tilde\\beta_1 = 0$ by\n\n{DISPLAY}\nand $1 + 1 = 2$, where\n"
        "$\\square$ ends $\\alpha_t$, and $x_t = y$ is not checked.\n"
    )
    book.page("1-page", text)
    book.page("ledger", "# Ledger\n\n```{inline-ledger}\n```\n")
    listed = {
        "given": ["t = 1"],
        "notation": {"the end of a proof": [r"\square"]},
        "unchecked": {"for the test": ["x_t = y"]},
    }
    (book.root / "book" / "inline.yml").write_text(yaml.safe_dump({"1-page": listed}))
    assert book.build() == (0, "")
    ledger = BeautifulSoup(book.built("ledger"), "html.parser").select_one("div.body")
    assert ledger is not None
    rows = [[cell.text.strip() for cell in line.select("td")] for line in ledger.select("tr")]
    assert ["all", "6", "1", "1", "1", "1", "1", "0", "1"] in rows
    assert any(line[1:] == [r"\(x_t = y\)", "for the test"] for line in rows)


@pytest.mark.slow
def test_the_pages_of_the_book() -> None:
    """Each formula is proved, worked out or listed, and the list names nothing else."""
    texts = {page.stem: page.read_text() for page in sorted(BOOK.glob("*.md"))}
    displays = {e.label: e for text in texts.values() for e in equations_of(text) if e.label}
    listing = yaml.safe_load((BOOK / "inline.yml").read_text())
    assert set(listing) <= set(texts)
    wrong = []
    for name, text in texts.items():
        found = findings(text, listing.get(name, {}), displays)
        wrong += [f"{name}:{one.line}: {one.verdict.fault}" for one in found if one.verdict.fault]
        wrong += [
            f"{name}: {fault}" for fault in dead(listing.get(name, {}), (o.latex for o in found))
        ]
    assert wrong == []
