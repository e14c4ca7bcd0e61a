"""Sets of variables of a chain: with numbers they are Python's sets, with symbols what is sure."""

import itertools
import random

import pytest
import sympy as sp

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.chains import (
    LawError,
    Piece,
    in_order,
    joined,
    least,
    minus,
    named,
    piece_of,
    pieces_of,
    separated,
    symbols_in,
    text_of,
    variables_in,
)

t, s, T = (read(name) for name in ("t", "s", "T"))
ENDS = [(lo, hi) for lo in range(5) for hi in range(lo, 5)]


def piece(lo: object, hi: object, base: str = "x") -> Piece:
    return Piece(base, sp.sympify(lo), sp.sympify(hi))


def members(pieces: list[Piece]) -> set[int]:
    return {i for p in pieces for i in range(int(p.lo), int(p.hi) + 1)}


def test_two_pieces_are_two_sets() -> None:
    for one, other in itertools.product(ENDS, repeat=2):
        a, b = piece(*one), piece(*other)
        in_a, in_b = members([a]), members([b])
        assert a.same(b) == (in_a == in_b)
        assert a.inside(b) == (in_a <= in_b)
        assert a.apart(b) == (not in_a & in_b)
        assert members(a.without(b)) == in_a - in_b
        for gap in (0, 1, 2):
            assert a.before(b, gap) == (min(in_b) - max(in_a) >= gap)
        assert a.before(b) == a.before(b, 1)
        assert a.apart(piece(*other, "z"))
        assert not a.before(piece(*other, "z"), -9)
        assert not a.inside(piece(*other, "z"))
        assert not a.same(piece(*other, "z"))


def test_no_variable_is_lost_and_none_is_left() -> None:
    rng = random.Random(0)
    for _ in range(60):
        one, taken = ([piece(*rng.choice(ENDS)) for _ in range(rng.randint(0, 3))] for _ in "ab")
        assert members(minus(one, taken)) == members(one) - members(taken)
        assert members(joined(one)) == members(one)


def test_neighbours_are_joined_and_others_are_not() -> None:
    assert joined([piece(3, 4), piece(0, 0), piece(1, 2)]) == [piece(0, 4)]
    assert joined([piece(t, T), piece(0, t - 1)]) == [piece(0, T)]
    assert len(joined([piece(0, 1), piece(3, 4)])) == 2
    assert len(joined([piece(0, 1), piece(2, 3, "z")])) == 2


def test_what_stands_between_separates() -> None:
    for low, between, high in itertools.product(range(4), repeat=3):
        found = separated(piece(low, low), piece(high, high), [piece(between, between)])
        assert found == (low <= between <= high or high <= between <= low)
    assert not separated(piece(0, 0), piece(2, 2), [])
    assert not separated(piece(0, 0), piece(2, 2), [piece(1, 1, "z")])
    assert separated(piece(t + 1, t + 1), piece(0, t - 1), [piece(t, t)])


@pytest.mark.parametrize(
    ("value", "limits", "wanted"),
    [
        (t, (), 2),
        (T, (), 2),
        (T - t, (), 1),
        (t - T, (), -sp.oo),
        (-t, (), -sp.oo),
        (3 - t + T, (), 4),
        (2 * t - 1, (), 3),
        (s, ((s, sp.Integer(1), T),), 1),
        (T - s, ((s, sp.Integer(1), T),), 0),
        (t - s, ((s, sp.Integer(1), t - 1),), 1),
        (s - t, ((s, t + 1, T),), 1),
        (sp.Integer(-4), (), -4),
    ],
)
def test_the_least_value(value: sp.Expr, limits: object, wanted: sp.Expr) -> None:
    assert least(sp.sympify(value), limits) == wanted


@pytest.mark.parametrize("value", [t**2, t * s, t / 2, sp.sqrt(t)])
def test_what_is_not_linear_is_refused(value: sp.Expr) -> None:
    with pytest.raises(LawError, match="not linear"):
        least(value, ())


def test_what_may_be_empty_counts_as_left() -> None:
    assert piece(1, 0).surely_empty()
    assert piece(t, t - 1).surely_empty()
    assert not piece(1, 1).surely_empty()
    assert not piece(2, t).surely_empty()
    assert not piece(3, t).surely_empty()
    assert piece(0, T).without(piece(1, T)) == [piece(0, 0)]
    assert piece(0, T).without(piece(t, t)) == [piece(0, t - 1), piece(t + 1, T)]
    assert piece(1, t).without(piece(1, T)) == []
    assert piece(t, T).without(piece(0, t - 1)) == [piece(t, T)]


def test_by_time_or_not_at_all() -> None:
    pieces = [piece(t + 1, T), piece(0, 0), piece(t, t), piece(1, t - 1)]
    assert in_order(pieces) == [pieces[1], pieces[3], pieces[2], pieces[0]]
    for wrong in ([piece(0, t), piece(t, T)], [piece(s, s), piece(t, t)],
                  [piece(0, 0), piece(1, 1, "z")]):  # fmt: skip
        with pytest.raises(LawError, match="overlap"):
            in_order(wrong)


def test_names() -> None:
    variables = [read(v) for v in ("x_t", "x_{1:T}", "x_{t-1}", "z", "x_{10}")]
    assert named(pieces_of(variables)) == "x_t, x_{1:T}, x_{t-1}, z, x_{10}"
    assert named([]) == "nothing"
    assert text_of(read(r"q(x_t \mid x_0, z)")) == "q(x_t | x_0, z)"
    assert text_of(read("q(x_t)")) == "q(x_t)"
    assert piece_of(read("z")).base != piece_of(read("z_1")).base
    span = piece_of(read("x_{1:T}"))
    assert (span.base, span.lo, span.hi) == ("x", 1, T)


@pytest.mark.parametrize(
    ("formula", "like", "found"),
    [
        ("x_t + y_t z", ["x_0"], ["x_t"]),
        ("x_t + x", ["x_0"], ["x_t"]),
        ("x_t + x", ["x"], ["x"]),
        ("x_t", ["x"], []),
        ("q(x_{1:T})", ["x_0"], ["x_{1:T}"]),
        ("q(x_{1:T}, z_1)", ["z_0"], ["z_1"]),
        ("q(x_{1:T})", ["z_0"], []),
        (r"q(x_{1:T} \mid x_0)", ["x_5"], ["x_{1:T}", "x_0"]),
    ],
)
def test_variables_of_the_same_names(formula: str, like: list[str], found: list[str]) -> None:
    known = [read(one) for one in like]
    assert set(variables_in(read(formula), known)) == {read(one) for one in found}


def test_all_symbols_but_the_names_of_laws() -> None:
    found = set(symbols_in(read(r"q(x_t \mid y) + a \beta_{s+1}")))
    assert found == {read(v) for v in ("x_t", "t", "y", "a", r"\beta_{s+1}", "s")}
