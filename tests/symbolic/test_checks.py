"""check(): what passes, and above all what must not."""

import sys
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from ddpm_lite.symbolic import (
    CheckError,
    PageError,
    answer,
    chain,
    check,
    cited,
    definition,
    display,
    proved,
    read,
    symbols,
    use_page,
)  # fmt: skip
from ddpm_lite.symbolic.checks import Ledger, Trial, _says_all, ledger, marked
from ddpm_lite.symbolic.page import Page, equations_of
from ddpm_lite.symbolic.witnesses import Positive

PAGE = r"""
# A page

% definition
$$
\alpha_t = 1 - \beta_t , \qquad \bar\alpha_0 = 1 .
$$ (eq-two-names)

% derived
$$
\alpha_t(1-\alpha_{t-1}) + (1-\alpha_t) = 1 - \alpha_t\alpha_{t-1} .
$$ (eq-two)

% derived
$$
\alpha_t \le 1 , \qquad x_0 = x_1 - \beta_t x_1 = \alpha_t x_1
$$ (eq-mixed)

% derived
$$
x_0 = x_1 + \beta_t x_1 = \alpha_t x_1
$$ (eq-wrong-middle)

% derived
$$
x = 2 x
$$ (eq-never)

% derived
$$
\alpha_t
$$ (eq-nothing)

% derived
$$
\alpha_t = \zeta
$$ (eq-strange)

% cited
$$
x_t = 0
$$ (eq-cited)

```python
$$
not = math
$$ (eq-in-code)
```
"""

a, b, beta, x_0, x_1 = symbols(r"\alpha_t, \alpha_{t-1}, \beta_t, x_0, x_1")


@pytest.fixture(autouse=True)
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    use_page(path)
    return path


def test_a_derived_result_passes_and_is_noted() -> None:
    check("eq-two", sp.expand(a * (1 - b) + (1 - a)), method="expanding")
    entry = ledger.entries["eq-two"]
    assert (entry.kind, entry.method) == ("derived", "expanding")
    assert 'data-label="eq-two"' in entry._repr_html_()


def test_every_claim_needs_its_result_and_its_relations() -> None:
    check("eq-mixed", sp.Le(a, 1), sp.Eq(x_0, (1 - beta) * x_1), method="by definition")
    check("eq-mixed", chain(a, "<=", 1), chain(x_0, "=", a * x_1), method="by definition")


@pytest.mark.parametrize(
    "results",
    [
        (),
        (1 - a,),
        (1 - a * b, 1 - a * b),
        (True,),
        (sp.true,),
        (None,),
        (sp.Eq(1 - a * b, 1),),
        (sp.Le(a * (1 - b) + 1 - a, 1 - a * b),),
    ],
)
def test_what_must_not_pass(results: tuple[object, ...]) -> None:
    with pytest.raises(CheckError):
        check("eq-two", *results, method="wrong")
    assert "eq-two" not in ledger.entries


@pytest.mark.parametrize(
    "results",
    [
        (a, x_0),
        (sp.Le(a, 1), sp.Eq(x_1, a * x_1)),
        (sp.Ge(a, 1), sp.Eq(x_0, a * x_1)),
        (sp.Le(a, 1), sp.Eq(x_0, beta * x_1)),
        (sp.Eq(x_0, a * x_1), sp.Le(a, 1)),
    ],
)
def test_relations_and_names_are_compared(results: tuple[object, ...]) -> None:
    with pytest.raises(CheckError):
        check("eq-mixed", *results, method="wrong")


@pytest.mark.parametrize("result", [sp.Eq(x_0, a * x_1), a * x_1, chain(x_0, "=", a * x_1)])
def test_each_member_is_compared(result: object) -> None:
    with pytest.raises(CheckError, match="eq-wrong-middle: the page and the derivation differ"):
        check("eq-wrong-middle", result, method="wrong")


def test_what_never_holds_is_refused_whatever_was_derived() -> None:
    x = symbols("x")[0]
    with pytest.raises(CheckError, match=r"(?s)eq-never: the two sides differ.*left: x.*right"):
        check("eq-never", chain(x, "=", 2 * x), method="wrong")


def test_a_trial_takes_its_premise_for_true_and_notes_what_fails() -> None:
    ledger.trial = Trial("eq-mixed", [])
    try:
        check("eq-mixed", a, method="unseen")
        check("eq-two", a, method="wrong")
        assert ledger.trial.failed == ["eq-two"]
    finally:
        ledger.trial = None
    for label in ("eq-mixed", "eq-two"):
        assert ledger.entries[label].verdict == "assumed"
        assert ledger.entries[label].seconds >= 0
    assert ledger.entries["eq-mixed"].seconds == 0


ORDER = r"""
% derived
$$
x < x + \sigma , \qquad x + \beta_t \ge x
$$ (eq-order)

% derived
$$
x = y + \beta_t > y
$$ (eq-named)
"""


def test_a_relation_is_borne_out_by_its_witness_or_only_compared() -> None:
    use_page(Page.from_text("order.md", ORDER))
    x, sigma, y = symbols(r"x, \sigma, y")
    claims = (chain(x, "<", x + sigma), chain(x + beta, ">=", x))
    one, other = Positive(sigma), Positive(beta)
    check("eq-order", *claims, method="looked at")
    assert ledger.entries["eq-order"].verdict == "compared"
    assert ledger.entries["eq-order"].mark == "✓ members compared"
    check("eq-order", *claims, method="seen", witness=(one, other))
    assert ledger.entries["eq-order"].verdict == "witnessed"
    assert ledger.witnesses["eq-order"] == [one, other]
    for wrong in (one, (one,), (one, other, other)):
        with pytest.raises(CheckError, match=r"2 relations, [13] witnesses"):
            check("eq-order", *claims, method="seen", witness=wrong)
    for wrong in ((other, one), (one, Positive(sigma)), (Positive(2 * sigma), other)):
        with pytest.raises(CheckError, match="eq-order: the gap"):
            check("eq-order", *claims, method="seen", witness=wrong)
    named = chain(x, "=", y + beta, ">", y)
    check("eq-named", named, method="by name", witness=Positive(beta))
    assert ledger.entries["eq-named"].verdict == "proved"  # x is what the cells make of it


def test_without_a_page_nothing_is_checked() -> None:
    with pytest.raises(PageError, match="no page is in use"):
        Ledger().claims("eq-two", "derived")
    assert not Ledger().has_page
    assert ledger.has_page


def test_a_formula_of_several_lines_is_noted_on_one() -> None:
    use_page(Page.from_text("lines.md", "% derived\n$$\na\n  = a ,\n  .\n$$ (eq-a)\n"))
    check("eq-a", symbols("a")[0], method="so it is")
    assert ledger.entries["eq-a"].latex == "a = a"


def test_an_integral_is_not_refuted_by_numbers() -> None:
    """Where a side may take minutes to be worked out no numbers are put in."""
    for sides in ((r"\int_0^1 a x\,\mathrm{d}x", "a + x - x"), ("a", r"\lim_{x \to a} x^2")):
        assert not _says_all(*map(read, sides))
    assert _says_all(read("a + 1"), read("2 a"))
    assert not _says_all(read("a + 1"), read("2 b"))
    assert not _says_all(read("f(a)"), read("2 a"))


def test_a_chain_of_signs() -> None:
    written = chain(a, "<=", b, ">=", a, "!=", b, "~", a, "=", b, "<", a, r"\approx", b)
    assert written.relations == (r"\le", r"\ge", r"\ne", r"\sim", "=", "<", r"\approx")
    assert written.members == (a, b) * 4
    for parts in ((), (a,), (a, "="), (a, "=", b, "=")):
        with pytest.raises(ValueError, match="member, relation, member"):
            chain(*parts)


def test_the_message_shows_both_sides_and_numbers() -> None:
    with pytest.raises(CheckError, match=r"(?s)page: .*derived: .*difference: .*at .*page"):
        check("eq-two", 1 - a, method="wrong")


def test_a_formula_that_claims_nothing_proves_nothing() -> None:
    with pytest.raises(CheckError, match="claims nothing"):
        check("eq-nothing", a, method="none")


def test_no_method_no_check() -> None:
    with pytest.raises(CheckError, match="method"):
        check("eq-two", 1 - a * b, method=" ")


def test_labels_of_another_page_are_refused() -> None:
    with pytest.raises(PageError, match="no equation 'eq-elsewhere'"):
        check("eq-elsewhere", a, method="none")
    with pytest.raises(PageError, match="eq-in-code"):
        check("eq-in-code", a, method="none")


def test_kinds_are_kept_apart() -> None:
    for wrong in (
        lambda: check("eq-two-names", a, method="m"),
        lambda: definition("eq-two"),
        lambda: cited("eq-two-names"),
    ):
        with pytest.raises(PageError, match="is marked"):
            wrong()


def test_a_definition_comes_from_the_page() -> None:
    first, second = definition("eq-two-names")
    assert first.rhs == 1 - beta
    assert second.rhs == 1
    assert [str(claim.lhs) for claim in cited("eq-cited")] == ["x[t]"]
    assert ledger.read == ["eq-two-names", "eq-cited"]
    for label, kind in (("eq-two-names", "definition"), ("eq-cited", "cited")):
        entry = ledger.entries[label]
        assert (entry.kind, entry.mark, entry.method, entry.seconds) == (kind, kind, "", 0)


def test_results_rest_only_on_what_was_checked() -> None:
    with pytest.raises(PageError, match="not been checked"):
        proved("eq-two")
    check("eq-two", 1 - a * b, method="expanding")
    assert proved("eq-two")[0].rhs == 1 - a * b


def test_unreadable_latex_names_page_line_and_label(page: Path) -> None:
    with pytest.raises(PageError, match=r"page.md, line \d+, eq-strange: .*zeta.*position"):
        check("eq-strange", a, method="none")


def test_a_new_page_begins_an_empty_ledger(page: Path) -> None:
    check("eq-two", 1 - a * b, method="expanding")
    use_page(page)
    assert ledger.entries == {}


def test_a_changed_page_fails(page: Path) -> None:
    page.write_text(PAGE.replace(r"1 - \alpha_t\alpha_{t-1}", r"1 - \alpha_t\alpha_t"))
    use_page(page)
    with pytest.raises(CheckError):
        check("eq-two", 1 - a * b, method="expanding")


@pytest.mark.parametrize(
    ("text", "lacks"),
    [("$$\nx = 1\n$$ (eq-a)\n", "kind"), ("% derived\n$$\nx = 1\n$$\n", "label")],
)
def test_a_display_without_kind_or_label_is_refused(tmp_path: Path, text: str, lacks: str) -> None:
    (tmp_path / "bad.md").write_text(text)
    with pytest.raises(PageError, match=f"no {lacks}"):
        Page(tmp_path / "bad.md")


def test_a_label_stands_once(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("% derived\n$$\nx = 1\n$$ (eq-a)\n\n" * 2)
    with pytest.raises(PageError, match="twice"):
        Page(tmp_path / "bad.md")


def test_a_missing_page_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="cannot read"):
        use_page(tmp_path / "none.md")


def test_lines_count_from_one() -> None:
    first = equations_of(PAGE)[0]
    assert PAGE.splitlines()[first.line - 1] == "$$"


def test_answers_are_marked_with_a_hint_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer("ex-1", r"1 - \beta_t", a)
    assert not answer("ex-1", a * b, a, hint="One step only.")
    out = capsys.readouterr().out
    assert "One step only." in out
    assert "yours gives" in out


@pytest.mark.parametrize(
    ("answered", "right"),
    [
        ("y = 3", True),
        ("f(x) = 3", True),
        (r"\mathbb{E}[X] = 3", True),
        (r"q(x) = 3", True),
        (r"\mathcal N(0; 0, 1) = 3", False),  # a number of its own: 0.399
        (r"D_{\mathrm{KL}}(q(x) \,\|\, q(x)) = 3", False),
        (r"\lVert x \rVert = 3", False),
        (r"\langle x, x \rangle = 3", False),
    ],
)
def test_an_answer_may_begin_with_a_name_and_with_nothing_else(answered: str, right: bool) -> None:
    assert marked(answered, sp.Integer(3))[1] is right


def test_a_page_is_used_from_its_text() -> None:
    use_page(Page.from_text("nowhere.md", PAGE.replace("eq-two)", "eq-three)")))
    check("eq-three", 1 - a * b, method="by heart")
    assert str(ledger.entries["eq-three"]) == "✓ proved eq-three by heart"
    use_page("nowhere.md")  # as a cell says it
    assert "eq-three" in ledger.page.equations


def test_a_page_from_its_text_hides_no_file_of_that_name(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    Page.from_text("page.md", "% cited\n$$\na\n$$ (eq-a)\n")
    assert "eq-two" in Page(file).equations
    assert "eq-a" in Page("page.md").equations


def test_lines_are_plain_text_where_nothing_displays_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    answer("ex-a", r"\alpha_t", a)
    answer("ex-a", r"2", sp.Integer(3))
    assert capsys.readouterr().out.splitlines()[0] == "✓ ex-a: right"
    lines: list[Any] = []
    monkeypatch.setattr(display, "hook", lines.append)
    check("eq-two", 1 - a * b, method="by heart")
    assert lines == [ledger.entries["eq-two"]]
    assert capsys.readouterr().out == ""


def test_an_error_holds_the_two_sides_too() -> None:
    with pytest.raises(CheckError) as refused:
        check("eq-two", 1 + a * b, method="a slip")
    found = refused.value.disagreement
    assert found is not None
    assert sp.expand(found.left + 2 * a * b) == 0
    values, one, other = found.example  # type: ignore[misc]
    assert one == (1 - a * b).subs(values) != other == (1 + a * b).subs(values)
