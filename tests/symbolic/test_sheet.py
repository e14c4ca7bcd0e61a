"""A reader's own sheet: what follows from its definitions, and which definitions cannot stand."""

import pytest

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.sheet import Sheet, SheetError


def judged(*lines: str) -> str:
    """The verdict of the last line."""
    sheet = Sheet()
    for line in lines[:-1]:
        sheet.define(line)
    return " ".join(verdict.kind for verdict in sheet.judge(lines[-1]))


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (("a = 1 - \\beta", "a + \\beta = 1"), "equal"),
        (("a = 1 - \\beta", "a - \\beta = 1"), "different"),
        (("a = 2", "b = a + 1", "b = 3"), "equal"),
        (("g_t = 1/t", r"g_{t-1} - g_t = \frac{1}{t(t-1)}"), "equal"),
        (("g_t = 1/t", r"g_{t-1} - g_t = \frac{1}{t(t+1)}"), "different"),
        (("x_t = x_{t-1} + \\epsilon_t", "x_t - \\epsilon_t = x_{t-1}"), "equal"),
        (("x_t = x_{t-1} + \\epsilon_t", "x_t = x_{t-1}"), "different"),
        (("a = 2", "a_1 = 2"), "different"),  # another name
        ((r"\sigma = 2", r"\sigma_t = 2"), "different"),
        ((r"\sigma = 2", r"\sigma \sigma_t = 2 \sigma_t"), "equal"),
        ((r"w_{ij} = i - j", r"w_{ji} = j - i"), "equal"),
        ((r"w_{ij} = i - j", r"w_{ji} = i - j"), "undecided"),
        ((r"g_t = 1/t", r"\sum_{t=1}^{n} t g_t = n"), "equal"),
        ((r"\alpha_t \ge 1 - \beta_t",), "equal"),
        ((r"\alpha_t \le 1 - \beta_t",), "equal"),
        ((r"\alpha_t > 1 - \beta_t",), "different"),
        ((r"\delta = \frac12", r"2 \delta = 1"), "equal"),
        ((r"\delta = \beta_t", r"\delta + \alpha_t = 1"), "equal"),
        ((r"\sigma = \sqrt{1 - \bar\alpha_t}", r"\sigma^2 + \bar\alpha_t = 1"), "equal"),
        (("n = 3", "n + 1 = 4"), "equal"),
        ((r"q(x_t) = \frac{1}{0}",), "undecided"),
        ((r"a = \sqrt{1 - v}", r"\frac{\partial}{\partial v} a^2 = -1"), "equal"),
        ((r"\alpha_t + \beta_t = 1",), "equal"),
        ((r"\alpha_t + \beta_t = 2",), "different"),
        ((r"\bar\alpha_t = \alpha_t \bar\alpha_{t-1} = \bar\alpha_t",), "equal"),
        ((r"(x-y)^2 \ge 0",), "equal"),
        ((r"(x-y)^2 > 0",), "undecided"),
        ((r"x^2 + y^2 \ge 2xy",), "equal"),
        ((r"2xy \le x^2 + y^2",), "equal"),
        ((r"x > y",), "different"),
        ((r"\beta_t > 1",), "different"),
        ((r"1 > 1",), "different"),
        ((r"1 \ge 1",), "equal"),
        ((r"x \sim \mathcal N(0, 1)",), "undecided"),
        (("x + 1",), "undecided"),
        (("a = a , \\qquad b = 2 b",), "equal different"),
    ],
)
def test_verdicts(lines: tuple[str, ...], verdict: str) -> None:
    assert judged(*lines) == verdict


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (r"\sigma = -1", "positive"),
        (r"\sigma = a", "positive"),
        (r"\delta = 2", "between 0 and 1"),
        (r"\delta = \sigma", "between 0 and 1"),
        (r"\delta = -\frac12", "between 0 and 1"),
        (r"n = 0", "whole"),
        (r"n = \sigma", "whole"),
        (r"n = \frac12", "whole"),
        (r"\alpha_t = 1 + \beta_t", r"\\alpha.* has a rule|has a rule for .*\\alpha"),
        (r"\beta = \frac12", "has a rule"),
        (r"\bar\alpha_0 = 0", "has a rule"),
        (r"a = a + 1", "in it"),
        (r"a = \sqrt{-1}", "no real number"),
        (r"a = \frac{1}{0}", "no real number"),
        (r"x_0 = 3", "vector"),
        (r"a + b = 3", "begins with a name"),
        (r"a > 3", "a definition is"),
        (r"a", "a definition is"),
        (r"a = b = 3", "a definition is"),
        (r"b = 5", "already"),
    ],
)
def test_what_cannot_stand(line: str, word: str) -> None:
    sheet = Sheet()
    sheet.define("b = 4")
    with pytest.raises(SheetError, match=word):
        sheet.define(line)


@pytest.mark.parametrize(
    ("definition", "claim"),
    [
        ("b = i", r"\sum_{i=1}^{n} b = n i"),
        ("i = 3", r"\sum_{i=1}^{n} i = 3 n"),
        ("b = i", r"\prod_{i=1}^{n} b = i^n"),
        ("a = b", r"\frac{\partial}{\partial a} (a b) = 2 b"),
        ("a = 3", r"\lim_{a \to 0} a = 3"),
        (r"\mu = y", r"\int_0^1 \mu \,\mathrm{d}y = y"),
        (r"x_t = x_{t-1}", r"\mathbb E_{q(x_t)}[x_t] = x_{t-1}"),
    ],
)
def test_a_value_never_takes_another_meaning(definition: str, claim: str) -> None:
    with pytest.raises(SheetError):
        judged(definition, claim)


def test_a_name_that_may_be_anything_is_pointed_out() -> None:
    (verdict,) = Sheet().judge("x_t = 3")
    assert "definition" in verdict.message


@pytest.mark.parametrize("line", ["x_t = x_t + 1", "a + 1 = 2", "2 = a", "x_t = a + x_t"])
def test_what_is_no_definition_is_not_taken_for_one(line: str) -> None:
    (verdict,) = Sheet().judge(line)
    assert verdict.kind != "equal"
    assert "definition" not in verdict.message


def test_a_verdict_holds_the_two_members_and_what_is_left() -> None:
    sheet = Sheet()
    sheet.define("a = 3")
    (differ,) = sheet.judge("a + x = 2 a")
    assert differ.pair == (read("3 + x"), read("6"))
    assert differ.left == read("x - 3")
    (below,) = sheet.judge("a < 2")
    assert (below.kind, below.pair) == ("different", (2, 3))
    (unknown,) = sheet.judge("x > y - b")
    assert unknown.pair == (read("x"), read("y - b"))
    (undefined,) = sheet.judge(r"x = \infty")
    assert (undefined.kind, undefined.pair) == ("undecided", (read("x"), read(r"\infty")))
