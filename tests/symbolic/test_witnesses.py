"""Witnesses: what bears out an inequality, and what does not."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import read, symbols
from ddpm_lite.symbolic.objects import KL, Expectation
from ddpm_lite.symbolic.witnesses import (
    Convex,
    Divergence,
    Mean,
    Positive,
    Remainder,
    Touching,
    Witness,
    WitnessError,
    check_sign,
)

u = sp.Symbol("u", positive=True)
a, b = symbols(r"\alpha_t, \beta_t")
v_1, v_2 = symbols("v_1, v_2")
LOG = Convex(u, 1, gap=u - 1 - sp.log(u))


def test_a_positive_gap() -> None:
    Positive(v_1**2).verify(v_2, "<", v_2 + v_1**2)
    Positive(v_1**2).verify(v_2 + v_1**2, r"\ge", v_2)


@pytest.mark.parametrize(
    ("witness", "left", "relation", "right"),
    [
        (Positive(v_1**2), v_2 + v_1**2, "<", v_2),  # the wrong way round
        (Positive(v_1), v_2, "<", v_2 + 2 * v_1),  # another gap
        (Positive(v_1 - v_2), v_2, "<", v_1),  # the gap, but its sign is not known
        (Positive(sp.Symbol("w", real=True) ** 2), 0, "<", sp.Symbol("w", real=True) ** 2),
        (Positive(v_1), v_2, r"\sim", v_2 + v_1),
    ],
)
def test_what_is_no_positive_gap(
    witness: Positive, left: object, relation: str, right: object
) -> None:
    with pytest.raises(WitnessError):
        witness.verify(sp.sympify(left), relation, sp.sympify(right))


def test_the_sign_of_a_sum_is_that_of_its_terms() -> None:
    s, t, x_s = symbols("s, t, x_s")
    beta = read(r"\beta_s")
    check_sign(sp.Sum(beta, (s, 1, t)), strict=True)
    check_sign(sp.Sum(beta, (s, 2, t)), strict=False)
    check_sign(sp.Sum(x_s**2, (s, 1, t)), strict=False)
    for series, strict in (
        (sp.Sum(beta, (s, 2, t)), True),  # without a term for t = 1
        (sp.Sum(x_s**2, (s, 1, t)), True),
        (sp.Sum(x_s, (s, 1, t)), False),
        (sp.Sum(-beta, (s, 1, t)), False),
        (-sp.Sum(beta, (s, 1, t)), False),
    ):
        with pytest.raises(WitnessError, match=r"is not known to be (positive|nonnegative)"):
            check_sign(series, strict)


def test_only_what_puts_no_value_in_stands_alone() -> None:
    assert Positive(v_1).alone
    assert Divergence(KL(read("q(x)"), read("p(x)"))).alone
    assert not Positive(v_1, {v_2: v_1}).alone
    assert Remainder(v_1, 1, v_1).alone is False


def test_the_tangent_of_the_logarithm() -> None:
    Convex(u, 1).verify(sp.log(u), r"\le", u - 1)


@pytest.mark.parametrize(
    ("witness", "left", "right"),
    [
        (Convex(u, 2), sp.log(u), u - 1),  # touches elsewhere
        (Convex(u, 1), sp.log(u), 2 * (u - 1)),  # does not touch
        (Convex(u, 1), u - 1, sp.log(u)),  # concave
        (Convex(u, 1), sp.S.Zero, (u - 1) ** 3),  # no sign of the second derivative
    ],
)
def test_what_is_no_tangent(witness: Convex, left: sp.Expr, right: sp.Expr) -> None:
    with pytest.raises(WitnessError) as refused:
        witness.verify(left, r"\le", right)
    assert "u" in str(refused.value) or "[" in str(refused.value)


def test_a_function_touches_zero_where_it_is_convex_and_nowhere_else() -> None:
    """u^3/6 - u/2 - 1/3 and its slope are 0 at -1, it is convex for u > 0, and -2/3 at 1."""
    dips = u**3 / 6 - u / 2 - sp.Rational(1, 3)
    assert dips.subs(u, 1) < 0
    for point in (-1, 0, sp.Symbol("w", real=True)):
        with pytest.raises(WitnessError, match="is not known to be positive"):
            Convex(u, point).verify(sp.S.Zero, r"\le", dips)


def test_a_variable_that_may_be_negative_has_no_tangent() -> None:
    """x^3 - 3x + 2 touches 0 at 1 and is convex for x > 0; it is -16 at -3."""
    (x,) = symbols("x")
    dips = x**3 - 3 * x + 2
    assert dips.subs(x, -3) == -16
    with pytest.raises(WitnessError, match="x is not known to be positive"):
        Convex(x, 1).verify(dips, r"\ge", sp.S.Zero)
    Convex(u, 1).verify(dips.subs(x, u), r"\ge", sp.S.Zero)
    Convex(x, 1).verify(sp.log(x), r"\le", x - 1)  # has a value for x > 0 only


def test_a_range_is_that_of_the_table() -> None:
    (x,) = symbols("x")
    beta, before = symbols(r"\beta, \bar\alpha_{t-1}")
    w = sp.Symbol("w", positive=True)
    bend = Convex(u, 1, gap=u**3 - 3 * u + 2)
    for name, inside in ((x, w), (v_1, w), (beta, w), (beta, 1 / (2 + w)), (before, 1 / (1 + w))):
        wrong = Touching(bend, name, ranges={name: inside})
        with pytest.raises(WitnessError, match="is not known to be"):
            wrong.verify(name**3 - 3 * name + 2, r"\ge", sp.S.Zero)
    right = Touching(bend, beta, ranges={beta: 1 / (1 + w)})
    right.verify(beta**3 - 3 * beta + 2, r"\ge", sp.S.Zero)


def test_a_term_is_looked_at_in_the_range_of_its_index() -> None:
    """The sum of s - 1 from s = 0 to 1 is -1, although s is positive by the table."""
    s, n, one = symbols("s, n, v")
    below_0 = sp.Sum(s - 1, (s, 0, n))
    with pytest.raises(WitnessError, match="not known to be nonnegative"):
        Positive(below_0).verify(below_0, r"\ge", sp.S.Zero)
    gap = sp.Sum(one - 1 - sp.log(one) + s - 1, (s, 0, n))
    with pytest.raises(WitnessError, match="not known to be nonnegative"):
        Touching(LOG, one, rest=s - 1, over=(s, 0, n)).verify(gap, r"\ge", sp.S.Zero)
    from_1 = sp.Sum(gap.function, (s, 1, n))
    Touching(LOG, one, rest=s - 1, over=(s, 1, n)).verify(from_1, r"\ge", sp.S.Zero)


@pytest.mark.parametrize(
    ("sides", "gap"),
    [
        ((r"\frac12 q(x)", "p(x)"), r"\mathbb{E}_{q(x)}[\log \frac{q(x)}{p(x)}] - \log 2"),
        (("q(x)", "2 p(x)"), r"D_{\mathrm{KL}}(q(x) \,\|\, p(x)) - \log 2"),
    ],
)
def test_a_multiple_of_a_density_has_no_divergence(sides: tuple[str, str], gap: str) -> None:
    """They would be at least log 2 for all densities, and are 0 for q = p."""
    with pytest.raises(WitnessError, match="is none"):
        Divergence(KL(*map(read, sides))).verify(read(gap), r"\ge", sp.S.Zero)


def test_a_divergence_is_not_negative() -> None:
    q, p = read("q(x)"), read("p(x)")
    gap = read(r"\mathbb{E}_{q(x)}\bigl[\log \frac{q(x)}{p(x)}\bigr]")
    Divergence(KL(q, p)).verify(gap, r"\ge", sp.S.Zero)
    with pytest.raises(WitnessError):
        Divergence(KL(q, p)).verify(sp.S.Zero, r"\ge", gap)
    with pytest.raises(WitnessError):
        Divergence(KL(q, p)).verify(gap, ">", sp.S.Zero)


RATIO = read(r"\frac{p(x)}{q(x)}")
WITNESSES = [
    Divergence(KL(read("q(x)"), read("p(x)"))),
    Convex(u, 1),
    Mean(read("q(x)"), LOG, RATIO),
    Touching(LOG, v_1),
]


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("relation", ["<", ">"])
def test_what_touches_zero_is_not_above_it(witness: Witness, relation: str) -> None:
    with pytest.raises(WitnessError, match="is >= 0, no more"):
        witness.verify(sp.S.One, relation, sp.S.Zero)


@pytest.mark.parametrize("witness", [*WITNESSES, Positive(v_1)], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("relation", [r"\approx", r"\sim", "=", r"\ne"])
def test_only_an_order_has_a_gap(witness: Witness, relation: str) -> None:
    with pytest.raises(WitnessError, match="no witness bears out the relation"):
        witness.verify(v_2 + v_1, relation, v_2)


def test_a_function_that_is_not_given_shows_nothing() -> None:
    for witness in (Mean(read("q(x)"), Convex(u, 1), RATIO), Touching(Convex(u, 1), v_1)):
        with pytest.raises(WitnessError, match="is >= 0, no more"):
            witness.verify(sp.S.Zero, r"\le", v_1)


def test_a_value_is_for_a_name_and_not_for_its_family() -> None:
    c, c_1 = symbols("c, c_1")
    Positive(v_1, {c: v_1 + c_1}).verify(c_1, "<", c)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(WitnessError, match=r"the gap v_\{1\}|the gap .* is not the positive expr"):
        Positive(2 * v_1).verify(v_2, "<", v_2 + v_1)
    with pytest.raises(WitnessError, match="says nothing about <"):
        Remainder(v_1, 1, v_1).verify(sp.S.Zero, "<", v_1)
    with pytest.raises(WitnessError, match="cannot be compared with the positive expression"):
        Positive(v_1).verify(read("L"), r"\le", read("M"))


def test_a_divergence_by_a_name_and_its_mean() -> None:
    q, p, data = read(r"q(z \mid x)"), read(r"p(z \mid x)"), read("q(x)")
    short = read(r"\mathbb{E}_{q(z \mid x)}\bigl[\log \frac{q(z \mid x)}{p(z \mid x)}\bigr]")
    (name,) = symbols("c")
    Divergence(KL(q, p), {name: short}).verify(name, r"\ge", sp.S.Zero)
    Divergence(KL(q, p), over=data).verify(Expectation((data,), short), r"\ge", sp.S.Zero)
    for other in (Divergence(KL(p, q), {name: short}), Divergence(KL(q, p)),
                  Divergence(KL(q, p), {name: -short})):  # fmt: skip
        with pytest.raises(WitnessError):
            other.verify(name, r"\ge", sp.S.Zero)


def test_the_mean_of_what_is_not_negative() -> None:
    law, ratio = read("q(x)"), read(r"\frac{p(x)}{q(x)}")
    low, high = Expectation((law,), sp.log(ratio)), Expectation((law,), ratio - 1)
    Mean(law, LOG, ratio).verify(low, r"\le", high)
    with pytest.raises(WitnessError):
        Mean(law, LOG, ratio).verify(high, r"\le", low)
    with pytest.raises(WitnessError):
        Mean(law, Convex(u, 1, gap=sp.log(u) - u + 1), ratio).verify(high, r"\le", low)


def test_values_of_a_convex_function_and_what_is_not_negative() -> None:
    beta, d, s, T = symbols(r"\beta_s, d, s, T")
    w = sp.Symbol("w", positive=True)
    ratio, more = v_1 / v_2, a**2
    gap = d / 2 * (ratio - 1 - sp.log(ratio)) + more
    Touching(LOG, ratio, times=d / 2, rest=more).verify(gap, r"\ge", sp.S.Zero)
    lost = sp.Sum(-beta - sp.log(1 - beta), (s, 1, T))
    inside = {beta: 1 / (1 + w)}
    Touching(LOG, 1 - beta, over=(s, 1, T), ranges=inside).verify(lost, r"\ge", sp.S.Zero)
    for other, relation in (
        (Touching(LOG, ratio, times=-d / 2, rest=more), r"\ge"),  # the sign of a factor
        (Touching(LOG, ratio, times=d / 2, rest=more), r"\le"),
        (Touching(LOG, ratio, times=d / 2), r"\ge"),  # something left over
        (Touching(LOG, 1 / ratio, times=d / 2, rest=more), r"\ge"),
    ):
        with pytest.raises(WitnessError):
            other.verify(gap, relation, sp.S.Zero)
    with pytest.raises(WitnessError, match="not known to be positive"):
        Touching(LOG, 1 - beta, over=(s, 1, T)).verify(lost, r"\ge", sp.S.Zero)
    with pytest.raises(WitnessError):
        Touching(LOG, 1 - beta, over=(s, 2, T), ranges=inside).verify(lost, r"\ge", sp.S.Zero)


@pytest.mark.parametrize(
    ("right", "order", "holds"),
    [("1 + h", 2, True), ("1 + h", 1, False), ("1 + h", 3, False), ("1 + 2 h", 2, False),
     ("1 + h + h^2/2", 3, True), ("e^h", 2, False)],
)  # fmt: skip
def test_the_order_of_a_remainder(right: str, order: int, holds: bool) -> None:
    (h,) = symbols("h")
    witness = Remainder(h, order, sp.exp(h))
    if holds:
        witness.verify(sp.S.Zero, r"\approx", read(right))
        with pytest.raises(WitnessError):
            witness.verify(sp.S.Zero, r"\le", read(right))
    else:
        with pytest.raises(WitnessError, match=r"derivatives at 0 are .*,"):
            witness.verify(sp.S.Zero, r"\approx", read(right))
