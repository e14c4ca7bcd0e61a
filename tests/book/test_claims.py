"""The claims of the sources: each has a place, and what is called wrong is wrong."""

from collections import Counter
from pathlib import Path
from typing import Any

import counterexamples as ce
import pytest
import sympy as sp
from book_claims import Place, claims_in, missing, places, places_in, slug_of
from book_errata import compared, shown, stated
from book_tables import contents
from small_book import SmallBook

from ddpm_lite.symbolic.page import equations_of
from ddpm_lite.symbolic.reader import read

BOOK = Path(__file__).parents[2] / "book"
CLAIMS = claims_in(BOOK)
ERRATA: dict[str, dict[str, Any]] = contents(BOOK / "errata.yml")
PAGES = sorted(BOOK.glob("*.md"))


def outcome(erratum: dict[str, Any], part: str) -> ce.Outcome:
    here = ce.world(erratum["at"], erratum.get("reverse", ()), erratum.get("data", ()))
    return ce.outcome(read(erratum[part]), here)


# --- The data ------------------------------------------------------------------------------------


def test_all_claims_are_here() -> None:
    verdicts = {"correct": 218, "imprecise": 47, "wrong": 32, "typo": 22, "figure": 4}
    assert Counter(claim.verdict for claim in CLAIMS) == verdicts
    assert len({claim.id for claim in CLAIMS}) == 323
    assert len({claim.anchor for claim in CLAIMS}) == 323


def test_what_is_amiss_is_said_of_each_slip() -> None:
    slips = [claim for claim in CLAIMS if claim.verdict in ("imprecise", "typo")]
    assert [claim.id for claim in slips if not (claim.note and claim.right)] == []


def test_every_claim_has_a_place() -> None:
    assert missing(BOOK, places(PAGES)) == []


def test_each_wrong_claim_has_its_erratum() -> None:
    assert set(ERRATA) == {claim.id for claim in CLAIMS if claim.verdict == "wrong"}


# --- The errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ERRATA)
def test_the_counterexample_disproves_the_claim(claim: str) -> None:
    wrong, right = (outcome(ERRATA[claim], part) for part in ("wrong", "right"))
    assert not wrong.holds
    assert right.holds
    if wrong.relation in ("=", r"\sim"):
        assert shown(wrong.left) != shown(wrong.right)
        assert shown(right.left) == shown(right.right)


@pytest.mark.parametrize("claim", ERRATA)
def test_the_correction_is_proved_in_the_book(claim: str) -> None:
    kinds = {e.label: e.kind for page in PAGES for e in equations_of(page.read_text())}
    for label in ERRATA[claim]["proved_by"].split():
        assert kinds.get(label) in ("derived", "definition"), label


@pytest.mark.parametrize("claim", ERRATA)
def test_the_source_itself_is_read(claim: str) -> None:
    erratum = ERRATA[claim]
    assert read(erratum.get("printed", erratum["wrong"])) != read(erratum["right"])


def test_a_statement_without_numbers_is_shown_with_the_one_that_has_them() -> None:
    merged = stated(ERRATA["S0-65"])
    assert [r"\sim" in one for one in merged] == [True, False]
    assert merged[1].startswith(r"\operatorname{Var}")
    assert {claim for claim in ERRATA if len(stated(ERRATA[claim])) == 2} == {
        "S0-65", "S2-22", "S4-36"
    }  # fmt: skip


def test_numbers_known_from_elsewhere() -> None:
    """Worked out by hand, or with another program, for the same values."""
    sides = {"S2-45": (0.2211, 33.73), "S2-49": (0.2211, 0.0814), "S2-55": (0.2211, 3.976)}
    sides |= {"S0-95": (0.381, 0.461), "S1-eq33": (1 / 3, 0.536), "S2-22": (-1.516, 1.558)}
    for claim, (left, right) in sides.items():
        found = outcome(ERRATA[claim], "wrong")
        assert float(found.left) == pytest.approx(left, rel=2e-3), claim
        assert float(found.right) == pytest.approx(right, rel=2e-3), claim


def test_numbers_are_shown_exactly_where_they_are_short() -> None:
    assert shown(sp.Rational(97, 160)) == r"\tfrac{97}{160}"
    assert shown(sp.Rational(1, 3000)) == "0.0003333"
    assert shown(sp.oo) == r"\infty"
    assert shown(sp.Tuple(0, sp.Rational(1, 2))) == r"\mathcal N(0, \tfrac{1}{2})"
    assert compared(ce.Outcome(sp.Integer(4), "=", sp.Integer(2))) == r"$4 \ne 2$"
    assert compared(ce.Outcome(sp.Integer(0), r"\ge", sp.Integer(0))) == r"$0 \ge 0$"


# --- How they are worked out ---------------------------------------------------------------------


def test_the_chain_has_the_laws_of_the_chapters() -> None:
    a, b = sp.Rational(4, 5), sp.Rational(9, 10)
    chain = ce.forward([a, b])
    x_0, x_2 = sp.symbols("x_0 x_2")
    mean, variance = chain.given([2], {0: x_0})
    assert sp.simplify(mean[0] - sp.sqrt(a * b) * x_0) == 0
    assert sp.simplify(variance[0] - (1 - a * b)) == 0
    mean, variance = chain.given([1], {0: x_0, 2: x_2})
    expected = (sp.sqrt(b) * (1 - a) * x_2 + sp.sqrt(a) * (1 - b) * x_0) / (1 - a * b)
    assert sp.simplify(mean[0] - expected) == 0
    assert sp.simplify(variance[0] - (1 - a) * (1 - b) / (1 - a * b)) == 0


def test_the_model_is_the_product_of_its_steps() -> None:
    world = ce.world(
        {"T": "2", "x_0": "1", "x_1": "2", "x_2": "3"}, [["1", "2", "3"], ["4", "5", "6"]]
    )
    steps = r"\mathcal N(x_2; 0, 1) \mathcal N(x_1; 4 x_2 + 5, 6) \mathcal N(x_0; x_1 + 2, 3)"
    assert ce.outcome(read(rf"p_\theta(x_{{0:T}}) = {steps}"), world).holds


def test_the_gap_of_the_bound_is_a_divergence() -> None:
    gap = r"""\log p_\theta(x_0) - \mathbb{E}_{q(x_{1:T} \mid x_0)}
        [\log\frac{p_\theta(x_{0:T})}{q(x_{1:T} \mid x_0)}]
        = D_{\mathrm{KL}}(q(x_{1:T} \mid x_0) \,\|\, p_\theta(x_{1:T} \mid x_0))"""
    erratum = ERRATA["S2-38"]
    assert ce.outcome(read(gap), ce.world(erratum["at"], erratum["reverse"])).holds


def test_a_false_statement_does_not_hold() -> None:
    world = ce.world({"x_0": "2"})
    assert not ce.outcome(read("x_0 = 3"), world).holds
    assert not ce.outcome(read("x_0 > 2"), world).holds
    assert ce.outcome(read(r"x_0 \ge 2"), world).holds


# --- Places --------------------------------------------------------------------------------------

TEXT = """# Title

% claims: S0-01

## Why $x$ *must* grow

$$
x = y
$$ (eq-one)

% claims: S0-02, S0-03

```{code-cell} ipython3
# Not a heading
% claims: S9-99
```

### Why it grows

% claims: S0-02
"""


def test_a_place_is_the_nearest_equation_or_heading_above() -> None:
    found = places_in("02_page.md", TEXT)
    equation = Place("02_page.md", label="eq-one")
    assert found["S0-01"] == [Place("02_page.md", title="Title", slug="title")]
    assert found["S0-02"][0] == found["S0-03"][0] == equation
    assert found["S0-02"][1].link == "[chapter 2: Why it grows](02_page.md#why-it-grows)"
    assert equation.link == "{eq}`eq-one`"
    assert "S9-99" not in found


def test_claims_without_a_place_and_unknown_names_are_told(tmp_path: Path) -> None:
    known = {claim.id: None for claim in CLAIMS if claim.id != "S0-08"}
    assert missing(BOOK, known) == ["claim S0-08 has no place in the book"]
    everything = dict.fromkeys([*known, "S0-08", "X-INT", "S7-01"])
    assert missing(BOOK, everything) == ["a page names claim S7-01, which does not exist"]


def test_anchors_are_those_of_the_built_pages(tmp_path: Path) -> None:
    titles = ["Why $x$ *must* grow", "Why `x` grows: it's so!", "Twice", "Twice", "A $\\beta$, b"]
    slugs: list[str] = []
    for title in titles:
        slugs.append(slug_of(title, slugs))
    book = SmallBook(tmp_path, "myst_nb")
    text = "\n\n".join(f"## {title}\n\nText." for title in titles)
    links = "\n".join(f"- [x](#{slug})" for slug in slugs)
    book.page("page", f"# A page\n\n{text}\n\n{links}\n")
    assert book.build() == (0, "")
