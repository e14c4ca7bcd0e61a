"""Numbers as they are printed: rounding is told from equality, and the last digit counts."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.printed import coefficients_agree, holds, is_number, last_digit
from ddpm_lite.symbolic.tokens import tokens_of


@pytest.mark.parametrize(
    ("latex", "unit"),
    [
        ("0.36", "1/100"), ("7", "1"), ("4800", "100"), ("0", "1"), ("1.50", "1/100"),
        ("-0.36", "1/100"), (r"4.04 \cdot 10^{-5}", "1/10000000"), (r"4.04 \cdot 10^5", "1000"),
        (r"40 \cdot 10^{3}", "10000"), (r"4 \cdot 11^{3}", None), ("x", None), ("2 x", None),
        ("1 + 2", None), (r"2 \cdot 10", None),
    ],
)  # fmt: skip
def test_the_unit_of_the_last_digit(latex: str, unit: str | None) -> None:
    assert last_digit(tokens_of(latex)) == (None if unit is None else sp.Rational(unit))


@pytest.mark.parametrize(
    ("left", "relation", "right", "true"),
    [
        ("2 + 2", "=", "4", True), (r"\sqrt{8}", "=", r"2\sqrt2", True), ("2", "=", "3", False),
        ("2", r"\ne", "3", True), (r"\sqrt8", r"\ne", r"2\sqrt2", False),
        ("1", "<", "2", True), ("2", "<", "1", False), ("1", "<", "1", False),
        ("2", ">", "1", True), ("1", ">", "2", False), ("1", ">", "1", False),
        ("1", r"\le", "1", True), ("1", r"\le", "2", True), ("2", r"\le", "1", False),
        ("1", r"\ge", "1", True), ("2", r"\ge", "1", True), ("1", r"\ge", "2", False),
        (r"\sqrt2", "<", "1.41421356237309504881", True),
        ("1", r"\propto", "2", None), ("1", r"\sim", "1", None),
    ],
)  # fmt: skip
def test_relations_of_numbers(left: str, relation: str, right: str, true: bool | None) -> None:
    assert holds(read(left), relation, read(right)) is true


@pytest.mark.parametrize(
    ("value", "printed", "unit", "true"),
    [
        ("0.9485", "0.949", "0.001", True), ("0.9495", "0.949", "0.001", True),
        ("0.94951", "0.949", "0.001", False), ("0.94849", "0.949", "0.001", False),
        ("-0.9491", "-0.949", "0.001", True), ("0.949", "-0.949", "0.001", False),
        ("4751", "4800", "100", True), ("4851", "4800", "100", False),
    ],
)  # fmt: skip
def test_nearly_equal_is_to_half_of_the_last_digit(
    value: str, printed: str, unit: str, true: bool
) -> None:
    size = sp.Rational(unit)
    for units in ([None, size], [size, None], [size / 10, size]):
        assert holds(read(value), r"\approx", read(printed), units) is true
    assert holds(read(printed), r"\approx", read(printed), [None, None]) is False


@pytest.mark.parametrize(
    ("latex", "number"),
    [("2^{10}", True), (r"\sqrt2 + \pi", True), (r"\sum_{s=1}^{3} s", True), ("x", False),
     (r"\infty", False), (r"\lVert 2 \rVert", False), ("f(2)", False), (r"\lim_{x \to 0} 2", False),
     (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", False)],
)  # fmt: skip
def test_what_is_a_number(latex: str, number: bool) -> None:
    assert is_number(read(latex)) is number
    assert not is_number(sp.nan)


@pytest.mark.parametrize(
    ("left", "right", "agree"),
    [
        ("0.8836 + 0.258 z", "0.884 + 0.258 z", True),
        ("0.8836 + 0.258 z", "0.884 + 0.26 z", True),
        ("0.8836 + 0.258 z", "0.884 + 0.25 z", False),
        ("0.8836 + 0.258 z", "0.884", False),
        ("0.8836 + 0.258 z", "1 + 0 z", False),
        ("0.8836", "0.884 + 0.258 z", False),
        ("0.8836 + 0.258 z", "0.884 + 0.258 x", False),
        ("0.8836 z^2", "0.884 z", False),
        ("z/3", "z/3", False),  # no decimal fraction
        (r"\sqrt z", "z", False),
    ],
)
def test_the_decimals_of_a_formula(left: str, right: str, agree: bool) -> None:
    assert coefficients_agree(read(left), read(right)) is agree
