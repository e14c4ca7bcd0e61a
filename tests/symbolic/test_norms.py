import pytest
import sympy as sp

from ddpm_lite.symbolic.norms import coefficients, expand_norms
from ddpm_lite.symbolic.objects import Dot, Expectation, Norm
from ddpm_lite.symbolic.reader import symbols

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


def test_zero_is_a_vector():
    assert expand_norms(Norm(sp.S.Zero) ** 2 + Dot(sp.S.Zero, x_t)) == 0


def test_a_norm_by_itself_stays():
    assert expand_norms(Norm(x_t - x_0)) == Norm(x_t - x_0)


def test_a_vector_inside_a_scalar_is_no_atom():
    scalar = sp.exp(-(Norm(x_0) ** 2))
    assert coefficients(x_t * scalar) == {x_t: scalar}


@pytest.mark.parametrize("wrong", [alpha, x_t + 1, x_t**2, x_t * x_0])
def test_what_is_no_vector_has_no_norm(wrong):
    with pytest.raises(ValueError, match="not a sum of scalars times vectors"):
        expand_norms(Norm(wrong) ** 2)
