import pytest
import sympy as sp

from ddpm_lite.symbolic import rules
from ddpm_lite.symbolic.norms import atoms, coefficients, expand_norms
from ddpm_lite.symbolic.objects import Dot, Expectation, Hadamard, Norm
from ddpm_lite.symbolic.reader import read, symbols

x_t, x_0, eps, guess = symbols(r"x_t, x_0, \epsilon, \epsilon_\theta(x_t, t)")
a, b, alpha = symbols(r"a, b, \alpha_t")


def in_the_plane(expression, *vectors):
    """Norms and inner products worked out with two coordinates for each vector."""
    points = {v: sp.Matrix(sp.symbols(f"p{i}_1:3", real=True)) for i, v in enumerate(vectors)}

    def vector(e):
        return sum((sp.diff(e, v) * p for v, p in points.items()), sp.zeros(2, 1))

    done = expression.replace(Norm, lambda v: sp.sqrt(vector(v).dot(vector(v))))
    return done.replace(Dot, lambda u, v: vector(u).dot(vector(v)))


@pytest.mark.parametrize(
    "expression",
    [
        Norm(x_t - sp.sqrt(alpha) * x_0) ** 2 / (1 - alpha),
        Norm(a * (x_t - b * (x_0 - eps)) / (1 - b)) ** 2,
        Norm(a * x_t - eps) ** 4 + b,
        Dot(a * x_t - x_0, 3 * eps + x_t) - Norm(x_0) ** 2,
    ],
)
def test_an_expansion_holds_in_coordinates(expression):
    expanded = expand_norms(expression)
    assert not expanded.has(Norm)
    assert all(len(v.args) == 2 and not v.is_Add and not v.is_Mul for v in expanded.atoms(Dot))
    vectors = (x_t, x_0, eps)
    residue = in_the_plane(expanded, *vectors) - in_the_plane(expression, *vectors)
    assert sp.simplify(residue) == 0


def test_a_cross_term_has_its_sign():
    expected = Dot(eps, eps) - 2 * Dot(eps, guess) + Dot(guess, guess)
    assert expand_norms(Norm(eps - guess) ** 2) == expected


def test_an_expected_vector_is_an_atom():
    mean = Expectation((), eps, (x_t,))
    assert coefficients(a * mean - 2 * eps) == {mean: a, eps: -2}


def test_a_sum_and_a_product_entry_by_entry_are_atoms():
    series = sp.Sum(read("x_s"), (read("s"), 1, read("t")))
    both = Hadamard(x_t, x_0)
    assert coefficients(a * series - b * both) == {series: a, both: -b}
    assert atoms(series + both + b) == {series, both}
    assert atoms(sp.Sum(alpha, (read("s"), 1, read("t")))) == set()
    assert atoms(Expectation((), alpha, ())) == set()


def test_what_cancels_is_no_product_of_vectors():
    nothing = x_0 * (a + 1) - a * x_0 - x_0
    assert coefficients(x_t + x_t * nothing) == {x_t: 1, x_0: 0}


def test_only_even_positive_powers_are_expanded():
    for power in (1, 3, -2, b):
        assert expand_norms(Norm(x_t - x_0) ** power) == Norm(x_t - x_0) ** power


@pytest.mark.parametrize("formula", [Norm(x_t) ** 2, Dot(x_t, x_0)])
def test_the_rule_of_norms_is_used_for_norms_and_inner_products(formula, monkeypatch):
    monkeypatch.setattr(rules, "withdrawn", {"eq-gauss-norm"})
    assert expand_norms(a + b) == a + b
    with pytest.raises(rules.RuleError):
        expand_norms(a * formula)


def test_zero_is_a_vector():
    assert expand_norms(Norm(sp.S.Zero) ** 2 + Dot(sp.S.Zero, x_t)) == 0


def test_a_norm_by_itself_stays():
    assert expand_norms(Norm(x_t - x_0)) == Norm(x_t - x_0)


def test_a_vector_inside_a_scalar_is_no_atom():
    scalar = sp.exp(-(Norm(x_0) ** 2))
    assert coefficients(x_t * scalar) == {x_t: scalar}


@pytest.mark.parametrize("wrong", [alpha, x_t + 1, x_t**2, x_t * x_0])
def test_what_is_no_vector_has_no_norm(wrong):
    with pytest.raises(ValueError, match="not a sum of scalars times vectors") as refused:
        expand_norms(Norm(wrong) ** 2)
    assert str(refused.value).endswith(f": {sp.latex(wrong)}")
