"""Arithmetic where a letter may be a number or a matrix: what it gives, and what it refuses."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import arithmetic
from ddpm_lite.symbolic.arithmetic import (
    IDENTITY,
    alike,
    as_number,
    matrix_power,
    number_power,
    over,
    plus,
    root,
    shape_of,
    times,
)
from ddpm_lite.symbolic.objects import Covariance, Expectation, Hadamard, Variance

a, b, c = sp.symbols("a b c")
n = sp.Symbol("n", integer=True, positive=True)
k = sp.Symbol("k", integer=True, positive=True)
M, L = sp.MatrixSymbol("M", n, n), sp.MatrixSymbol("L", n, n)
v, w = sp.MatrixSymbol("v", n, 1), sp.MatrixSymbol("w", n, 1)
TWO = sp.Matrix([[1, 2], [3, 4]])
f = sp.Function("f")


class Odd:
    """Has a shape and is no matrix, as an array of NumPy."""

    shape = (2, 2)


def test_a_shape_is_that_of_a_matrix() -> None:
    assert shape_of(M) == (n, n)
    assert shape_of(TWO) == (2, 2)
    assert shape_of(a) is None
    assert shape_of(3) is None
    assert shape_of(Odd()) is None


def test_one_entry_is_a_number() -> None:
    assert as_number(sp.Matrix([[5]])) == 5
    assert as_number(v.T * v) == sp.Trace(v.T * v)
    assert as_number(TWO) == TWO
    assert as_number(a) == a


@pytest.mark.parametrize(
    ("one", "other", "product"),
    [
        (a, b, a * b),
        (a, M, a * M),
        (TWO, TWO, sp.Matrix([[7, 10], [15, 22]])),
        (M, v, M * v),
        (v.T * w, a, sp.Trace(v.T * w) * a),
        (a, sp.Matrix([[5]]), 5 * a),
        (sp.Matrix([[5]]), a, 5 * a),
    ],
)
def test_products(one: object, other: object, product: object) -> None:
    assert times(one, other) == product


@pytest.mark.parametrize(
    "hidden",
    [
        Expectation((), M),
        Variance(v),
        Covariance(v, w),
        Hadamard(M, L),
        2 * Variance(v) + 1,
        f(M),
        f(v.T),
        3 * sp.pi,
    ],
)
def test_the_order_of_hidden_matrices_is_not_guessed(hidden: sp.Expr) -> None:
    for other in (M, hidden):
        for pair in ((hidden, other), (other, hidden)):
            with pytest.raises(TypeError, match="does the order matter"):
                times(*pair)
            with pytest.raises(TypeError, match="does the order matter"):
                over(*pair)
    assert times(a, hidden) == a * hidden


@pytest.mark.parametrize("plain", [Variance(a), Covariance(a, b), f(a), Hadamard(a, b)])
def test_but_numbers_may_stand_beside_a_matrix(plain: sp.Expr) -> None:
    assert times(plain, M) == plain * M
    assert times(M, plain) == M * plain


def test_quotients() -> None:
    assert over(a, b) == a / b
    assert over(M, 2) == M / 2
    assert over(a * (b + 1), b + 1) == a
    assert over((b + c) ** 2 * a, (b + c) * a) == b + c


@pytest.mark.parametrize(
    "nothing",
    [
        a * (b + c) - a * b - a * c,
        (a + 1) ** 2 - a**2 - 2 * a - 1,
        sp.Sum(k, (k, 1, 3)) - 6,
        sp.Derivative(a**2, a) - 2 * a,
    ],
)
def test_a_divisor_that_is_nothing_is_not_cancelled(nothing: sp.Expr) -> None:
    for divisor in (nothing, a * nothing):
        with pytest.raises(ValueError, match="division by 0"):
            over(b * nothing, divisor)


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        (a, 1),
        (a + b + 1, 3),
        ((a + b) * (b + c + 1), 6),
        ((a + b + c) ** 4, 15),
        ((a + b) ** -3, 4),
        (sp.Sum(k * (a + b), (k, 3, 9)), 14),
        (sp.Sum(k, (k, 2, 2)), 1),
        (sp.Product(a + b, (k, 1, 5)), 10),
        (sp.Sum(k, (k, 1, n)), 1),
        (sp.Derivative((a + b) * c, a), 4),
        (sp.Derivative((a + b) * c, (a, 3)), 16),
    ],
)
def test_how_many_terms_there_are_at_most(expression: sp.Expr, terms: int) -> None:
    """By hand; of the powers the number of multisets, as (a + b + c)^4 has 15 terms."""
    assert arithmetic._terms(expression) == terms


def test_so_many_terms_and_no_more_are_multiplied_out() -> None:
    """(a + b)^999 has 1,000 terms, one power more 1,001."""
    assert arithmetic._MOST_TERMS == 1000
    assert arithmetic._terms((a + b) ** 999) == 1000
    row = sum(sp.symbols("p:1000"))
    assert over(c * row, row) == c
    with pytest.raises(ValueError, match="so large a divisor"):
        over(c * (row + a), row + a)


def test_powers_of_numbers_stay_small() -> None:
    assert number_power(sp.Integer(2), sp.Integer(3500)) == sp.Integer(2) ** 3500
    assert number_power(a, sp.Integer(9)) == a**9
    assert number_power(sp.Integer(4), sp.S.Half) == 2
    for base in (sp.Integer(2) ** 70, sp.Rational(1, 2**70), -(sp.Integer(2) ** 70)):
        for power in (99, -99):
            with pytest.raises(ValueError, match="too many digits"):
                number_power(base, sp.Integer(power))


def test_roots_of_numbers_stay_small() -> None:
    """500 bits are few enough, 501 are not."""
    most = sp.Integer(4) ** 249 * 2
    assert int(most).bit_length() == 500
    assert root(most) == sp.Integer(2) ** 249 * sp.sqrt(2)
    assert number_power(most, sp.Rational(1, 2)) == root(most)
    for large in (2 * most, 1 / (2 * most), -2 * most):
        with pytest.raises(ValueError, match="so large a number"):
            root(large)
        with pytest.raises(ValueError, match="so large a number"):
            number_power(large, sp.Rational(1, 3))
    with pytest.raises(ValueError, match="so large a number"):
        root(a + 2 * most)
    assert number_power(2 * most, a) == (2 * most) ** a


def test_powers_and_roots_of_matrices() -> None:
    assert matrix_power(TWO, sp.Integer(2)) == sp.Matrix([[7, 10], [15, 22]])
    assert matrix_power(M, sp.S.Half) == M**sp.S.Half
    assert matrix_power(M * L, sp.Integer(2)) == (M * L) ** 2
    assert root(M) == M**sp.S.Half
    four = sp.Matrix([[4, 0], [0, 9]])
    assert root(four) == sp.Matrix([[2, 0], [0, 3]])
    for product in (M * L, M**2):
        with pytest.raises(ValueError, match="whole powers"):
            matrix_power(product, sp.S.Half)
        with pytest.raises(ValueError, match="whole powers"):
            root(product)


def test_powers_of_matrices_with_letters_stay_small() -> None:
    letters = sp.Matrix([[a, 1], [0, 2]])
    assert matrix_power(letters, sp.Integer(6)) == letters**6
    with pytest.raises(ValueError, match="so large a power"):
        matrix_power(letters, sp.Integer(7))
    assert matrix_power(letters, sp.Integer(-1)) == letters**-1
    with pytest.raises(ValueError, match="so large a power"):
        matrix_power(letters, sp.Integer(-2))
    assert matrix_power(sp.Matrix([[a]]), sp.Integer(12)) == sp.Matrix([[a**12]])
    with pytest.raises(ValueError, match="so large a power"):
        matrix_power(sp.Matrix([[a]]), sp.Integer(13))
    assert matrix_power(TWO, sp.Integer(40)) == TWO**40


def test_sums_are_of_one_shape() -> None:
    assert plus(a, b) == a + b
    assert plus(M, L) == M + L
    assert plus(v.T * v, a) == sp.Trace(v.T * v) + a
    assert plus(M, a * IDENTITY) == M + a * sp.Identity(n)
    assert plus(TWO, a * IDENTITY) == sp.Matrix([[1 + a, 2], [3, 4 + a]])
    for one, other in ((M, v), (M, a), (v, a * IDENTITY), (M, a + IDENTITY), (TWO, M)):
        with pytest.raises(TypeError, match="shapes"):
            plus(one, other)


def test_a_shape_is_named_where_two_do_not_fit() -> None:
    with pytest.raises(TypeError, match=r"shapes \(2, 2\) and None"):
        plus(TWO, a)


def test_alike_leaves_what_is_alike() -> None:
    assert alike([v.T * v, w.T * w]) == [v.T * v, w.T * w]
    assert alike([v.T * v, a]) == [sp.Trace(v.T * v), a]
    assert alike([M, a * IDENTITY, v.T * v])[:2] == [M, a * sp.Identity(n)]
    assert alike([a, b]) == [a, b]
