"""What a display says and does not say, and what follows from it by replacing names."""

import pytest

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.follows import Premise, contradicts, premises_of, stated, why
from ddpm_lite.symbolic.reader import read_claims


def displayed(*latex: str) -> list[Premise]:
    return [
        one for n, text in enumerate(latex) for one in premises_of(f"eq-{n}", read_claims(text))
    ]


def said(claim: str, *displays: str) -> str | None:
    one = read(claim)
    return stated(one.lhs, one.relations[0], one.rhs, displayed(*displays))


def how(claim: str, *displays: str) -> str | None:
    one = read(claim)
    return why(one.lhs, one.relations[0], one.rhs, displayed(*displays))


@pytest.mark.parametrize(
    ("chain", "pairs"),
    [
        ("a = b", ["a = b"]),
        ("a = b = c", ["a = b", "a = c", "b = c"]),
        (r"a < b \le c", ["a < b", "a < c", r"b \le c"]),
        (r"a \le b = c", [r"a \le b", r"a \le c", "b = c"]),
        (r"a > b \ge c = x", ["a > b", "a > c", "a > x", r"b \ge c", r"b \ge x", "c = x"]),
        ("a < b > c", ["a < b", "b > c"]),
        (r"a \approx b = c", [r"a \approx b", "b = c"]),
        (r"a \ne b", [r"a \ne b"]),
        (r"a \sim b", [r"a \sim b"]),
    ],
)
def test_all_that_a_chain_says(chain: str, pairs: list[str]) -> None:
    found = [(p.left, p.relation, p.right) for p in displayed(chain)]
    wanted = [(c.lhs, c.relations[0], c.rhs) for c in map(read, pairs)]
    assert found == wanted


@pytest.mark.parametrize(
    ("display", "claim"),
    [
        ("a = b", "b = a"),
        ("a < b", "b > a"),
        ("a > b", "b < a"),
        (r"a \le b", r"b \ge a"),
        (r"a \ge b", r"b \le a"),
        ("a < b", r"a \le b"),
        ("a > b", r"b \le a"),
        (r"a \approx b", r"b \approx a"),
        (r"a \ne b", r"b \ne a"),
        (r"a \sim b", r"a \sim b"),
        ("x_t = a x_{t-1}", "x_s = a x_{s-1}"),
        ("x_t = a x_{t-1}", "x_{t+1} = a x_t"),
        ("x_t = a x_{t-1}", "x_5 = a x_4"),
        ("x_{t+1} = a x_{t+2}", "x_s = a x_{s+1}"),
        ("x_{t-2} = a x_{t+2}", "x_s = a x_{s+4}"),
    ],
)
def test_what_a_display_says_word_for_word(display: str, claim: str) -> None:
    assert said(claim, display) == "eq-0"


@pytest.mark.parametrize(
    ("display", "claim"),
    [
        ("a = b", "a = c"),
        ("a < b", "b < a"),
        ("a < b", "a > b"),
        (r"a \le b", "a < b"),
        (r"a \le b", r"b \le a"),
        ("a = b", r"a \le b"),
        (r"a \sim b", r"b \sim a"),
        ("x_t = a x_{t-1}", "x_t = a x_{t-2}"),
        ("x_t = a x_{t-1}", "x_{t-1} = a x_t"),
        ("x_t = x_s + c", "x_j = x_i + c"),  # one index is moved, not two
        ("a = x_t", "a = x_s"),  # of another time nothing is said
    ],
)
def test_what_a_display_does_not_say(display: str, claim: str) -> None:
    assert said(claim, display) is None


@pytest.mark.parametrize(
    ("claim", "displays", "reason"),
    [
        (r"\beta_t \le 1 - \alpha_t", [], "algebra"),
        (r"1 - \alpha_t \ge \beta_t", [], "algebra"),
        (r"\bar\alpha_t < 1", [], "algebra"),
        (r"\bar\alpha_t > 0", [], "algebra"),
        (r"\bar\alpha_t > 1", [], None),
        (r"\alpha_t < 2", [], "algebra"),
        ("x = y + 5", ["y = b", "x = b + 5"], "eq-0, eq-1"),
        ("x = y + 6", ["y = b", "x = b + 5"], None),
        ("x = 5", ["y = 5", "x = y"], None),  # the claim does not speak of y
        ("x = y^2", ["x = a^2", "a = y"], "eq-0, eq-1"),
        ("x < 6", ["x = 5"], "eq-0"),
        ("x < 6", ["5 = x"], "eq-0"),
        (r"x \le 5", ["x = 5"], "eq-0"),
        (r"5 \ge x", ["x = 5"], "eq-0"),
        ("x < 5", ["x = 5"], None),
        ("x = 5", ["x < 5"], None),
        ("x = 5", [r"x \approx 5"], None),
        ("x = 1", ["x = x^2"], None),
        ("x_t = y_t", ["x = y"], None),  # x is not the x of x_t
        ("x_s = 1", ["s = 2 , \\qquad x_2 = 1"], None),
        (r"\sigma_s^2 = 1 - \alpha_s", [r"\sigma_t^2 = \beta_t"], "eq-0"),
        (r"\sigma_s^2 = 1 - \alpha_t", [r"\sigma_t^2 = \beta_t"], None),
        ("x + y = 5", [r"x = 2 = a \quad y = 3"], "eq-0"),
    ],
)
def test_what_follows(claim: str, displays: list[str], reason: str | None) -> None:
    assert how(claim, *displays) == reason


def test_values_are_put_in_for_the_names_that_have_one() -> None:
    known = {read(r"\alpha_t"): read(r"\frac12"), read(r"\bar\alpha_{t-1}"): read(r"\frac13")}
    for left, right, holds in (
        (r"\beta_t", r"\frac12", True),
        (r"\bar\alpha_t", r"\frac16", True),
        (r"\bar\alpha_t", r"\frac13", False),
        (r"\beta_{t-1}", r"\frac12", False),
    ):
        claim = read(f"{left} = {right}")
        assert (why(claim.lhs, "=", claim.rhs, [], known) == "values") is holds
    three = {read("x"): read("3"), read("y"): read("3")}
    assert why(read("x"), "=", read("y"), [], three) == "values"
    assert why(read("x_t"), "=", read("y_t"), [], three) is None
    seven = {read("s"): read("7")}
    series = read(r"\sum_{s=1}^{t} s = 7t")  # s runs there, and is no 7
    assert why(series.lhs, "=", series.rhs, [], seven) is None


@pytest.mark.parametrize(
    ("claim", "false"),
    [(r"\bar\alpha_0 = 0", True), (r"\alpha_t + \beta_t = 2", True), (r"\bar\alpha_0 = 1", False),
     (r"\bar\alpha_t = \frac12", False), (r"\bar\alpha_0 > 1", False), (r"x = \infty", False)],
)  # fmt: skip
def test_what_contradicts_the_definitions(claim: str, false: bool) -> None:
    one = read(claim)
    assert contradicts(one.lhs, one.relations[0], one.rhs) is false


def test_an_index_put_in_is_not_the_one_that_runs() -> None:
    """What stands there at s is the sum of i s, and not that of the squares."""
    display = r"y_t = \sum_{s=1}^{3} s t"
    assert how(r"y_s = \sum_{s=1}^{3} s^2", display) is None
    assert said(r"y_s = \sum_{s=1}^{3} s^2", display) is None
    assert how(r"y_s = \sum_{i=1}^{3} i s", display) == "eq-0"
