"""Formulas in running text: found, read, worked out, traced to the displays, or refused."""

import pytest
import sympy as sp

from ddpm_lite.symbolic.follows import premises_of, why
from ddpm_lite.symbolic.inline import (
    InlineVerdict,
    Known,
    Listing,
    dead,
    findings,
    judge,
    listed_in,
    reading_of,
)
from ddpm_lite.symbolic.page import Equation, equations_of
from ddpm_lite.symbolic.printed import holds
from ddpm_lite.symbolic.prose import formulas_in
from ddpm_lite.symbolic.reader import read, read_claims
from ddpm_lite.symbolic.slips import slips
from ddpm_lite.symbolic.tokens import ReadError

PAGE = r"""---
title: $a$
---
# A $\beta_t$ heading

Prose with $x_t$ and
$\alpha_t = 1$, `code $b$`, a \$ sign, {eq}`eq-$c$`.

$$
x = d
$$ (eq-x)

% a comment $e$

| $f$ | cell |

````{exercise} Title $h$
:label: ex-a
Inside $i
+ j$.
```python
"$k$"
```
````

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-a
    caption: 'First line $m$
      and $n$ last.'
---
print("$s$")
```

After $T$.
"""


# --- Finding --------------------------------------------------------------------------------------


def test_formulas_are_found_where_readers_see_them() -> None:
    found = [(formula.latex, formula.line) for formula in formulas_in(PAGE)]
    assert found == [
        (r"\beta_t", 4),
        ("x_t", 6),
        (r"\alpha_t = 1", 7),
        ("f", 15),
        ("h", 17),
        ("i + j", 19),
        ("m", 31),
        ("n", 32),
        ("T", 37),
    ]


# --- Numbers --------------------------------------------------------------------------------------


def verdict(latex: str, listed: InlineVerdict | None = None) -> InlineVerdict:
    return judge(latex, Known(), listed)


@pytest.mark.parametrize(
    "latex",
    [
        "2^{10} = 1024",
        r"\sqrt{0.9} \approx 0.949",
        r"0.28 = 1 - 0.72",
        r"\frac{1/2}{3/4} \cdot \frac12 = \frac13",
        r"(6.25+2.25+0.25)/3 = 35/12 \approx 2.92",
        r"1/0.03 \approx 33",
        r"3000 \cdot 64 = 192{,}000",
        r"1000 \cdot (0.011/0.005)^2 \approx 4{,}800",
        r"\frac{1}{24750} \approx 4.04 \cdot 10^{-5}",
        r"0.8836 + 0.258\,z \approx 0.884 + 0.258\,z",
        r"\log 0.6 \approx -0.511",
        r"1 < \sqrt 2 < 1.5",
    ],
)
def test_true_numbers_hold(latex: str) -> None:
    assert verdict(latex) == InlineVerdict("numbers")


@pytest.mark.parametrize(
    "latex",
    [
        "2^{10} = 1023",
        r"\sqrt{0.9} \approx 0.948",
        r"\sqrt{0.9} = 0.949",
        r"1/0.03 \approx 34",
        r"1/3 \approx 0.33333334",
        r"1000 \cdot (0.011/0.005)^2 \approx 4{,}900",
        r"\frac{1}{24750} \approx 4.05 \cdot 10^{-5}",
        r"0.8836 + 0.258\,z \approx 0.883 + 0.258\,z",
        r"35/12 = 2.9167 \approx 2.92",
        r"1.5 < \sqrt 2",
        r"\sqrt 2 \approx \sqrt{2.1}",
    ],
)
def test_false_numbers_are_refused_even_if_listed(latex: str) -> None:
    assert verdict(latex).fault
    if "z" not in latex:
        assert "is false" in verdict(latex, InlineVerdict("given")).fault


def test_a_tie_rounds_either_way_and_no_digit_is_no_claim() -> None:
    half, tenth = sp.Rational(25, 100), sp.Rational(1, 10)
    assert holds(half, r"\approx", sp.Rational(2, 10), [None, tenth])
    assert holds(half, r"\approx", sp.Rational(3, 10), [None, tenth])
    assert not holds(half, r"\approx", sp.Rational(4, 10), [None, tenth])
    assert holds(1, r"\propto", 1) is None


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "latex", [r"\alpha_t", r"x_1, \dots, x_T", "(x_0, x_t)", "[-1, 1]", "|a|", r"10{,}000"]
)
def test_what_claims_nothing_has_but_to_be_read(latex: str) -> None:
    assert verdict(latex) == InlineVerdict("term")


@pytest.mark.parametrize("latex", [r"\square", r"x \oplus y", r"\sum_i x_i", "(x_0, ?)"])
def test_what_cannot_be_read_has_to_be_listed(latex: str) -> None:
    assert "cannot be read, and is not listed" in verdict(latex).fault
    assert verdict(latex, InlineVerdict("notation", "for the test")).kind == "notation"
    assert "cannot be read, and is listed as given" in verdict(latex, InlineVerdict("given")).fault


# --- What follows ---------------------------------------------------------------------------------

DISPLAYS = [
    *premises_of("eq-var", read_claims(
        r"\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t"
    )),
    *premises_of("eq-step", read_claims(
        r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t"
    )),
    *premises_of("eq-snr", read_claims(r"\mathrm{SNR}_t = \frac{\bar\alpha_t}{1-\bar\alpha_t}")),
    *premises_of("eq-letter", read_claims(r"B = \frac{1}{1-\bar\alpha_t}")),
    *premises_of("eq-falls", read_claims("y_t < y_{t-1}")),
    *premises_of("eq-order", read_claims(r"\bar\alpha_t < \bar\alpha_{t-1} < A")),
]  # fmt: skip


def how(latex: str) -> str | None:
    claim = read(latex)
    return why(claim.lhs, claim.relations[0], claim.rhs, DISPLAYS)


@pytest.mark.parametrize(
    ("latex", "reason"),
    [
        (r"\bar\alpha_t = \alpha_t\bar\alpha_{t-1}", "algebra"),
        (r"\bar\alpha_t < 1", "algebra"),
        (r"\bar\alpha_{t-1} \le 1", "algebra"),  # it is 1 at t = 1
        (r"\tilde\beta_1 = 0", "eq-var"),
        (r"\tilde\beta_t \le \beta_t", "eq-var"),
        (r"\frac{1}{1-\bar\alpha_t} = \mathrm{SNR}_t + 1", "eq-snr"),
        (r"x_{t-1} = (x_t - \sqrt{\beta_t}\,\epsilon_t)/\sqrt{\alpha_t}", "eq-step"),
        (r"x_{s+1} = \sqrt{\alpha_{s+1}}\,x_s + \sqrt{\beta_{s+1}}\,\epsilon_{s+1}", "eq-step"),
        (r"\bar\alpha_{s-1} > \bar\alpha_s", "algebra"),
        (r"\bar\alpha_t \le A", "eq-order"),
        ("y_{s-1} > y_s", "eq-falls"),
        (r"\mathrm{SNR}_t = B - 1", "eq-snr, eq-letter"),
    ],
)
def test_what_follows_is_seen_to(latex: str, reason: str) -> None:
    assert how(latex) == reason


@pytest.mark.parametrize(
    "latex",
    [
        r"\bar\alpha_t = \alpha_t\bar\alpha_{t+1}",
        r"\bar\alpha_{t-1} > 1",
        r"\bar\alpha_{t-1} < 1",
        r"\tilde\beta_1 = \beta_1",
        r"\tilde\beta_t \ge \beta_t",
        r"\mathrm{SNR}_t = \frac{1}{1-\bar\alpha_t}",
        r"x_{t-1} = (x_t - \sqrt{\beta_t}\,\epsilon)/\sqrt{\alpha_t}",
        r"A < \bar\alpha_t",
        r"\mathrm{SNR}_{t-1} = B - 1",
        r"x_t \sim \mathcal N(0, 1)",
        "x_0 = 1",
        r"\int x_t\,\mathrm{d}x_t = 0",
    ],
)
def test_what_does_not_follow_is_refused(latex: str) -> None:
    assert how(latex) is None


def is_readable(latex: str) -> bool:
    try:
        return bool(read(latex))
    except ReadError:
        return False


@pytest.mark.parametrize(
    "latex",
    [
        r"\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t} \beta_t",
        r"x_{t-1} = (x_t - \sqrt{\beta_t}\,\epsilon_t)/\sqrt{\alpha_t}",
        r"\frac{1}{1-\bar\alpha_t} = \mathrm{SNR}_t + 1",
    ],
)
def test_no_slip_of_the_pen_follows(latex: str) -> None:
    """Nothing that a slip makes of a true claim is proved from the displays."""
    readable = [slip.latex for slip in slips(latex) if is_readable(slip.latex)]
    assert len(readable) > 3
    assert [slip for slip in readable if how(slip)] == []


# --- Pages ----------------------------------------------------------------------------------------

TEXT = r"""# Page

Let $\alpha_t = \bar\alpha_{t-1} = \frac12$. Then $\beta_t = \frac12$, and $\bar\alpha_t = \frac14$.

## Next

Here $\bar\alpha_t = \frac14$ says nothing that is known.
"""
LISTED: Listing = {"given": [r"\alpha_t = \bar\alpha_{t-1} = \frac12"]}


def test_what_a_section_supposes_ends_with_it() -> None:
    found = findings(TEXT, LISTED, {})
    assert [one.verdict.kind for one in found] == ["given", "follows", "follows", None]
    assert (found[-1].line, "does not follow" in found[-1].verdict.fault) == (7, True)
    false = findings(TEXT.replace(r"\frac14", r"\frac13"), LISTED, {})
    assert [one.verdict.kind for one in false] == ["given", "follows", None, None]


def test_the_list_names_kinds_reasons_and_nothing_in_vain() -> None:
    listing = {"given": ["t = 1"], "notation": {"a sign": [r"\square"]}}
    assert listed_in(listing) == {
        "t = 1": InlineVerdict("given"),
        r"\square": InlineVerdict("notation", "a sign"),
    }
    assert list(dead(listing, ["t = 1"])) == [
        r"$\square$ is listed as notation, and stands nowhere on the page"
    ]
    with pytest.raises(ValueError, match="ignored: no kind"):
        listed_in({"ignored": []})


def test_the_list_cannot_contradict_the_definitions() -> None:
    assert "contradicts" in verdict(r"\bar\alpha_0 = 0", InlineVerdict("given")).fault
    assert verdict(r"\bar\alpha_3 = 0.5", InlineVerdict("given")).kind == "given"


def equations(text: str) -> dict[str, Equation]:
    return {one.label: one for one in equations_of(text) if one.label}


ELSEWHERE = r"""
% definition
$$
r = 2 s
$$ (eq-there)

% definition
$$
u = 3 r
$$ (eq-far)

% definition
$$
\zeta
$$ (eq-unreadable)
"""


def test_other_pages_say_word_for_word_and_a_reference_brings_them_near() -> None:
    others = equations(ELSEWHERE)
    for text, kinds in (
        ("$r = 2 s$", ["follows"]),
        ("$r + 1 = 2 s + 1$", [None]),
        ("By {eq}`eq-there` $r + 1 = 2 s + 1$", ["follows"]),
        ("By {eq}`eq-far` $r + 1 = 2 s + 1$", [None]),
        ("By {eq}`eq-nowhere` $u = 3 r$ and $u = 6 s$", ["follows", None]),
    ):
        assert [one.verdict.kind for one in findings(text, {}, others)] == kinds, text


def test_a_chain_is_as_good_as_its_weakest_relation() -> None:
    (found,) = findings("$2 + 2 = 4 = 5$", {}, {})
    assert found.verdict.fault == "$4 = 5$ is false"
    (mixed,) = findings(r"$\alpha_t + \beta_t = 1 = 2 - 1$", {}, {})
    assert mixed.verdict == InlineVerdict("follows", "algebra")
    given: Listing = {"given": ["r = 2 s"], "unchecked": {"too long": ["u = 3 r"]}}
    kinds = [one.verdict for one in findings("$r = 2 s$ $u = 3 r$ $s = r / 2$", given, {})]
    assert [one.kind for one in kinds] == ["given", "unchecked", "follows"]
    assert kinds[1].how == "too long"


@pytest.mark.parametrize(
    ("latex", "items"),
    [
        ("(0.9, 0.8)", 2),
        ("[0.9, 0.8]", 2),
        (r"(x_1, \dots, x_T)^\top", 2),
        (r"x_1, \ldots, x_T", 2),
        ("f(x, y)", 1),
        (r"x = 1, y = 2 ,\ z", 3),
        (r"q(x, y), \{x\}", None),
        ("(x, ?)", None),
    ],
)
def test_lists_are_read_item_by_item(latex: str, items: int | None) -> None:
    if items is None:
        with pytest.raises(ReadError):
            reading_of(latex)
    else:
        assert len(reading_of(latex).claims) == len(reading_of(latex).tokens) == items


@pytest.mark.parametrize(
    ("latex", "members"),
    [
        ("a = b < c", ["a", "b", "c"]),
        ("f(a) = [b]", ["f ( a )", "[ b ]"]),
        (r"P(X_1 = i) = a", ["P ( X _ 1 = i )", "a"]),
        ("|a| = b", [r"\lvert a \rvert", "b"]),
        ("10{,}000 = a", ["10000", "a"]),
    ],
)
def test_the_tokens_of_each_member(latex: str, members: list[str]) -> None:
    (claim,) = reading_of(latex).tokens
    assert [" ".join(member) for member in claim] == members
