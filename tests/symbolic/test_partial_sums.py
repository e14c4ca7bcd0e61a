"""Sums in their canonical form: their value stays, and all ways to write one give one form."""

from typing import Any

import pytest
import sympy as sp
from sympy import Expr, IndexedBase, Sum, log

from ddpm_lite.symbolic.partial_sums import INDEX, Term, collected

T = sp.Symbol("T", integer=True, positive=True)
r, s, t = sp.symbols("r s t", integer=True, positive=True)
x, y, c = IndexedBase("x"), IndexedBase("y"), IndexedBase("c")
f = sp.Function("f")
CHAIN = [x[1], x[T]]


def joined(*terms: Term) -> Expr:
    return collected(list(terms), CHAIN)


def summed(body: Expr, *limits: tuple[Any, ...]) -> Term:
    return Term(body, tuple((i, sp.sympify(low), sp.sympify(high)) for i, low, high in limits))


def value(expression: Expr, top: int) -> float:
    """With numbers for all variables: prime-like ones, so that no two products agree by chance."""
    numbers = {"x": 2.0, "y": 3.0, "c": 5.0}
    plain = expression.subs(T, top).doit()
    plain = plain.replace(
        lambda e: isinstance(e, sp.Indexed),
        lambda e: sp.Float(numbers[str(e.base.label)] ** 0.5 + 1 / (3 + float(e.indices[0]))),
    )
    return float(plain)


def by_hand(terms: list[Term], top: int) -> float:
    """Each sum term by term, without SymPy's Sum."""
    total = 0.0
    for term in terms:
        bodies = [term.body]
        for index, low, high in reversed(term.limits):
            ends = (int(low.subs(T, top)), int(high.subs(T, top)))
            bodies = [b.subs(index, k) for b in bodies for k in range(ends[0], ends[1] + 1)]
        total += sum(value(body, top) for body in bodies)
    return total


SUMS = {
    "a range": [summed(log(x[s] / x[s - 1]), (s, 1, T))],
    "two ranges": [summed(log(x[s]), (s, 1, T)), summed(2 * log(x[s]), (s, 3, T))],
    "three ends": [
        summed(3 * log(x[s]), (s, 1, T - 1)),
        summed(-log(x[s]), (s, 2, T)),
        summed(5 * log(x[s]), (s, 6, T)),
    ],
    "a factor outside": [summed(c[0] * log(x[s]), (s, 2, T)), Term(c[0] * log(x[1]))],
    "a constant summand": [summed(c[1] + log(x[s]), (s, 2, T))],
    "constants alone": [summed(c[1], (s, 3, T)), summed(log(x[s]), (s, 3, T))],
    "a fixed variable": [summed(log(x[s] * x[0] + 1), (s, 1, T))],
    "another fixed variable": [summed(log(x[s] * x[2] + 1), (s, 3, T))],
    "points": [summed(log(x[s]), (s, 2, T - 1)), Term(log(x[1])), Term(-3 * log(x[T]))],
    "a point that is no logarithm": [summed(x[s], (s, 2, T)), Term(x[1])],
    "the index as a number": [summed(log(s + c[0]), (s, 2, T)), summed(s**2, (s, 1, T))],
    "two sums": [summed(y[r] * x[s], (r, 1, T), (s, 2, T))],
    "ends apart by a number": [summed(log(x[s]), (s, T - 2, T)), summed(log(x[s]), (s, 1, T))],
}


@pytest.mark.parametrize("top", [7, 9])
@pytest.mark.parametrize("name", SUMS)
def test_the_value_stays(name: str, top: int) -> None:
    terms = SUMS[name]
    assert value(joined(*terms), top) == pytest.approx(by_hand(terms, top), rel=1e-12)


SAME: dict[str, tuple[list[Term], list[Term]]] = {
    "a shifted index": (
        [summed(log(x[s - 1]), (s, 2, T))],
        [summed(log(x[t]), (t, 1, T - 1))],
    ),
    "a term split off at the end": (
        [summed(log(x[s]), (s, 2, T - 1)), Term(log(x[T]))],
        [summed(log(x[s]), (s, 2, T))],
    ),
    "a term split off at the beginning": (
        [summed(log(x[s]), (s, 3, T)), Term(log(x[2]))],
        [summed(log(x[s]), (s, 2, T))],
    ),
    "beside a fixed variable": (
        [summed(log(x[s] * x[0]), (s, 2, T)), Term(log(x[1] * x[0]))],
        [summed(log(x[s] * x[0]), (s, 1, T))],
    ),
    "beside another fixed variable": (
        [summed(log(x[s] + x[2]), (s, 4, T)), Term(log(x[3] + x[2]))],
        [summed(log(x[s] + x[2]), (s, 3, T))],
    ),
    "the first step of a chain is of both families": (
        [summed(log(f(x[s], x[s - 1])), (s, 1, T)), summed(log(f(x[s], x[0])), (s, 2, T))],
        [summed(log(f(x[s], x[s - 1])), (s, 2, T)), summed(log(f(x[s], x[0])), (s, 1, T))],
    ),
    "and the first after another one": (
        [summed(log(f(x[s], x[s - 1])), (s, 3, T)), summed(log(f(x[s], x[2])), (s, 4, T))],
        [summed(log(f(x[s], x[s - 1])), (s, 4, T)), summed(log(f(x[s], x[2])), (s, 3, T))],
    ),
    "in two parts": (
        [summed(log(x[s]), (s, 1, 5)), summed(log(x[s]), (s, 6, T))],
        [summed(log(x[s]), (s, 1, T))],
    ),
    "a telescope": (
        [summed(log(x[s]), (s, 2, T)), summed(-log(x[s - 1]), (s, 2, T))],
        [Term(log(x[T])), Term(-log(x[1]))],
    ),
    "the latest variable counts": (
        [summed(log(x[s + 1] * x[s - 1]), (s, 1, T - 1))],
        [summed(log(x[s] * x[s - 2]), (s, 2, T))],
    ),
    "what is no variable of the chain does not": (
        [summed(log(x[s] * y[s + 3]), (s, 2, T)), Term(log(x[1] * y[4]))],
        [summed(log(x[s] * y[s + 3]), (s, 1, T))],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_ways_to_write_a_sum_have_one_form(name: str) -> None:
    one, other = SAME[name]
    assert joined(*one) == joined(*other)


def test_the_parts_run_from_one_end_to_the_next() -> None:
    terms = [summed(3 * log(x[s]), (s, 8, T)), summed(-log(x[s]), (s, 14, T))]
    family = log(x[INDEX])
    assert joined(*terms) == 3 * Sum(family, (INDEX, 8, 13)) + 2 * Sum(family, (INDEX, 14, T))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_few_summands_are_written_out(count: int) -> None:
    found = joined(summed(log(x[s]), (s, 1, count)))
    assert found == sum((log(x[k]) for k in range(1, count + 1)), start=sp.Integer(0))


def test_more_are_not() -> None:
    assert joined(summed(log(x[s]), (s, 1, 5))) == Sum(log(x[INDEX]), (INDEX, 1, 5))


def test_other_summands_do_not_meet() -> None:
    found = joined(summed(log(x[s]), (s, 2, T)), Term(log(y[1])), Term(log(x[9] + 1)))
    assert found == Sum(log(x[INDEX]), (INDEX, 2, T)) + log(y[1]) + log(x[9] + 1)


def test_no_letter_of_a_formula_is_the_index() -> None:
    """An s that is free in the summand stays apart from the s that runs."""
    found = joined(summed(log(x[r] + s), (r, 2, T)))
    assert found == Sum(log(x[INDEX] + s), (INDEX, 2, T))
    assert found.free_symbols >= {s, T}
