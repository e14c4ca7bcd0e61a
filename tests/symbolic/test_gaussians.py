import itertools

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss
from scipy import integrate, stats

from ddpm_lite.symbolic.equality import difference
from ddpm_lite.symbolic.gaussians import (
    affine,
    complete_square,
    convolve,
    exponent,
    from_log,
    gaussian_integral,
    gaussian_kl,
    log_density,
    marginal,
    moment,
    product,
    quadratic,
    quotient,
    scale,
    sum_independent,
    tidy,
)
from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.objects import Dot, Gaussian, Norm
from ddpm_lite.symbolic.reader import read, symbols

x, y, z, x_t, x_prev, x_0 = symbols(r"x, y, z, x_t, x_{t-1}, x_0")
m_1, m_2, v_1, v_2, a, b, d, ident = symbols(r"\mu_1, \mu_2, v_1, v_2, a, b, d, I")
alpha, abar, abar_prev, eps, eps_1 = symbols(
    r"\alpha_t, \bar\alpha_t, \bar\alpha_{t-1}, \epsilon, \epsilon_1"
)

reals = st.floats(-3, 3).map(lambda number: round(number, 3))
positives = st.floats(0.1, 4).map(lambda number: round(number, 3))
few = settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.generate))


def close(found, expected):
    assert float(found) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def value(expression, numbers, size=None):
    """The number an expression has; vectors may be numpy arrays."""
    vectors = {k: v for k, v in numbers.items() if isinstance(v, np.ndarray)}
    scalars = {k: v for k, v in numbers.items() if k not in vectors}
    scalars |= {d: size} if size else {}
    plain = expand_norms(expression)
    dots = {dot: float(np.dot(*(vectors[u] for u in dot.args))) for dot in plain.atoms(Dot)}
    return float(plain.xreplace(dots).subs(scalars))


def density(gaussian, numbers):
    return stats.norm.pdf(
        *(value(e, numbers) for e in (gaussian.x, gaussian.mean)),
        value(gaussian.variance, numbers) ** 0.5,
    )


def normal(mean, variance):
    return torch.distributions.Normal(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(variance, dtype=torch.float64).sqrt()
    )


# ------------------------------------------------------------------------------ the one integral


def test_the_master_integral_is_what_sympy_integrates():
    A = sp.Symbol("A", positive=True)
    B, C = sp.symbols("B, C", real=True)
    integrand = sp.exp(-(A * x**2 - 2 * B * x + C) / 2)
    whole = sp.integrate(integrand, (x, -sp.oo, sp.oo))
    assert sp.simplify(gaussian_integral(A, B, C) - whole) == 0


@few
@given(positives, reals, reals)
def test_the_master_integral_is_what_quadrature_finds(A, B, C):
    found, _ = integrate.quad(
        lambda u: np.exp(-(A * u * u - 2 * B * u + C) / 2), B / A - 40, B / A + 40, points=[B / A]
    )
    close(gaussian_integral(*map(sp.Float, (A, B, C))), found)


# --------------------------------------------------------------------------------- log densities


@few
@given(reals, reals, positives)
def test_log_density_of_a_number(at, mean, variance):
    found = log_density(Gaussian(x, m_1, v_1)).subs({x: at, m_1: mean, v_1: variance})
    close(found, normal(mean, variance).log_prob(torch.tensor(at, dtype=torch.float64)))


@few
@given(st.lists(reals, min_size=3, max_size=3), positives)
def test_log_density_of_a_vector(mean, variance):
    at, mean = np.array([0.5, -1.0, 2.0]), np.array(mean)
    found = value(log_density(Gaussian(x, m_1, v_1 * ident)), {x: at, m_1: mean, v_1: variance}, 3)
    close(found, stats.multivariate_normal.logpdf(at, mean, variance))


@pytest.mark.parametrize("size", [2, 3])
def test_log_density_with_a_covariance_matrix(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size)) + 2 * np.eye(size)
    at, mean = rng.normal(size=(2, size))
    names = sp.symbols(f"s0:{size * size}", real=True)
    columns = [sp.Matrix(sp.symbols(f"{k}0:{size}", real=True)) for k in "pm"]
    found = log_density(Gaussian(*columns, sp.Matrix(size, size, names)))
    numbers = [*at, *mean, *(root @ root.T).ravel()]
    found = found.subs(dict(zip([*columns[0], *columns[1], *names], numbers, strict=True)))
    close(found, stats.multivariate_normal.logpdf(at, mean, root @ root.T))


def test_a_scalar_times_the_identity_is_the_general_case():
    point, centre = (sp.Matrix(sp.symbols(f"{k}1:4", real=True)) for k in "pm")
    general = log_density(Gaussian(point, centre, v_1 * sp.eye(3)))
    special = log_density(Gaussian(x, m_1, v_1 * ident)).subs(d, 3)
    special = special.xreplace({Norm(x - m_1): sp.sqrt((point - centre).dot(point - centre))})
    assert sp.simplify(sp.expand_log(general - special)) == 0


def test_a_variance_must_be_a_multiple_of_the_identity():
    with pytest.raises(ValueError, match="v, v I or a matrix"):
        scale(Gaussian(x, m_1, ident + v_1))


# ---------------------------------------------------------------------------- completing the square


@few
@given(st.tuples(*[st.integers(1, 5)] * 2), st.tuples(*[st.integers(-5, 5)] * 3))
def test_a_square_is_the_polynomial_again(leading, others):
    polynomial = -leading[0] * (leading[1] * x + others[0] * y) ** 2 + others[1] * x * y + others[2]
    square = complete_square(polynomial, x)
    assert not sp.Tuple(*square).has(x)
    again = -square.a / 2 * (x - square.center) ** 2 + square.rest
    assert sp.expand(sp.together(again - polynomial)) == 0


def test_a_square_of_vectors_is_the_polynomial_again():
    polynomial = (
        -(Norm(x_t - sp.sqrt(alpha) * x_prev) ** 2) / (1 - alpha)
        - Norm(x_prev - a * x_0) ** 2 / v_1
        + Dot(x_prev, x_t)
        + Norm(x_0 - x_t) ** 2
    )
    square = complete_square(polynomial, x_prev)
    assert not sp.Tuple(*square).has(x_prev)
    again = -square.a / 2 * Norm(x_prev - square.center) ** 2 + square.rest
    assert sp.expand(sp.together(expand_norms(again - polynomial))) == 0


def test_the_coefficients_of_a_quadratic():
    assert quadratic(-(3 * x**2 - 2 * 5 * x + 7) / 2, x) == (3, 5, 7)
    vector = -(3 * Norm(x_0) ** 2 - 2 * Dot(x_0, 5 * eps) + 7) / 2
    assert quadratic(vector, x_0) == (3, 5 * eps, 7)


def test_hidden_higher_powers_that_cancel_do_not_count():
    assert complete_square(x**4 - (x**2 + 1) ** 2, x) == (4, 0, -1)


def test_the_plain_symbol_is_not_the_indexed_one():
    assert complete_square(-((x - x_0) ** 2), x) == (2, x_0, 0)
    assert complete_square(-(Norm(x - x_0) ** 2), x).center == x_0


@pytest.mark.parametrize(
    "expression",
    [
        x - 1,
        x**3,
        sp.Abs(x),
        sp.exp(x),
        Dot(x, z),
        Norm(x) ** 4,
        Dot(x, z) ** 2,
        -(Norm(x) ** 2) + sp.sin(x),
        -(Norm(x) ** 2) + Dot(z, sp.Function(r"\epsilon_\theta")(x)),
    ],
)
def test_no_square_without_degree_two(expression):
    with pytest.raises(ValueError, match="not of degree 2"):
        complete_square(expression, x)


def test_from_log_undoes_log_density():
    for variance in (v_1, v_1 * ident):
        gaussian = Gaussian(x, m_1 - 2 * m_2, variance)
        assert difference(from_log(log_density(gaussian), x), gaussian) == 0
        assert from_log(log_density(gaussian), x).variance == variance
        assert sp.expand(from_log(exponent(gaussian), x).mean - m_1 + 2 * m_2) == 0


# --------------------------------------------------------- products, quotients, marginals, sums

PAIR = Gaussian(x, m_1, v_1), Gaussian(x, m_2, v_2)
PRODUCT, QUOTIENT = product(*PAIR), quotient(*PAIR)
MARGINAL = convolve(Gaussian(y, a * x + b, v_1), Gaussian(x, m_1, v_2))
MAPPED = affine(Gaussian(x, m_1, v_1), a, b, y)
VECTORS = Gaussian(x, a * z + m_1, v_1 * ident), Gaussian(x, m_2, v_2 * ident)
COMBINED = [(product(*VECTORS), 1), (quotient(*VECTORS), -1), (product(*VECTORS, z), 1)]
SUM = sum_independent(Gaussian(x, m_1, v_1), Gaussian(y, m_2, v_2), z)


@few
@given(reals, reals, reals, positives, positives)
def test_a_product_of_densities(at, mean_1, mean_2, variance_1, variance_2):
    first, second = PAIR
    gaussian, rest = PRODUCT
    numbers = {x: at, m_1: mean_1, m_2: mean_2, v_1: variance_1, v_2: variance_2}
    found = density(gaussian, numbers) * np.exp(value(rest, numbers))
    close(found, density(first, numbers) * density(second, numbers))


@few
@given(reals, reals, reals, positives, positives)
def test_a_quotient_of_densities(at, mean_1, mean_2, variance, more):
    first, second = PAIR
    gaussian, rest = QUOTIENT
    numbers = {x: at, m_1: mean_1, m_2: mean_2, v_1: variance, v_2: variance + more}
    found = np.log(density(gaussian, numbers)) + value(rest, numbers)
    close(found, np.log(density(first, numbers) / density(second, numbers)))


@settings(few, max_examples=4)
@given(reals, reals, reals, positives, positives)
def test_products_and_quotients_of_vectors(shift, mean_1, mean_2, variance, more):
    numbers = {x: np.array([0.3, shift]), m_1: np.array([1.0, mean_1]), a: 0.7, v_1: variance}
    numbers |= {m_2: np.array([mean_2, 0.2]), z: np.array([-1.0, 0.4]), v_2: variance + more}
    logs = [value(log_density(g), numbers, 2) for g in VECTORS]
    for (gaussian, rest), sign in COMBINED:
        found = value(log_density(gaussian) + rest, numbers, 2)
        close(found, logs[0] + sign * logs[1])
    assert [gaussian.x for (gaussian, _), _ in COMBINED] == [x, x, z]


def test_the_posterior_of_the_forward_process():
    step = Gaussian(x_t, sp.sqrt(alpha) * x_prev, (1 - alpha) * ident)
    before = Gaussian(x_prev, sp.sqrt(abar_prev) * x_0, (1 - abar_prev) * ident)
    gaussian, rest = product(step, before)
    # DDPM, equation 7
    mean = (sp.sqrt(abar_prev) * (1 - alpha) * x_0 + sp.sqrt(alpha) * (1 - abar_prev) * x_t) / (
        1 - abar
    )
    assert difference(gaussian.mean, mean) == 0
    assert difference(scale(gaussian), (1 - abar_prev) * (1 - alpha) / (1 - abar)) == 0
    assert (
        difference(rest, log_density(Gaussian(x_t, sp.sqrt(abar) * x_0, (1 - abar) * ident))) == 0
    )


@few
@given(reals, reals, reals, positives, positives, reals)
def test_a_marginal_is_an_integral(factor, mean, at, variance_1, variance_2, shift):
    numbers = {a: factor, b: shift, m_1: mean, y: at, v_1: variance_1, v_2: variance_2}

    def integrand(u):
        return stats.norm.pdf(at, factor * u + shift, variance_1**0.5) * stats.norm.pdf(
            u, mean, variance_2**0.5
        )

    line = np.linspace(mean - 25, mean + 25, 20_001)  # of bells this rule is exact
    found = np.trapezoid(integrand(line), line)
    assert density(MARGINAL, numbers) == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_a_marginal_of_vectors_has_the_parts_of_a_number():
    for one in (1, ident):
        of_z = marginal(Gaussian(z, a * x - x_0, v_1 * one), Gaussian(x, m_1, v_2 * one))
        assert of_z.x == z
        assert difference(of_z.mean, a * m_1 - x_0) == 0
        assert difference(of_z.variance, (a**2 * v_2 + v_1) * one) == 0


def test_one_step_of_the_forward_process():
    for one in (1, ident):
        step = Gaussian(x_t, sp.sqrt(alpha) * x_prev, (1 - alpha) * one)
        before = Gaussian(x_prev, sp.sqrt(abar_prev) * x_0, (1 - abar_prev) * one)
        after = convolve(step, before)
        assert difference(after, Gaussian(x_t, sp.sqrt(abar) * x_0, (1 - abar) * one)) == 0
        assert difference(after, Gaussian(x_t, sp.sqrt(abar) * x_0, (1 + abar) * one)) != 0


def test_what_rises_on_both_sides_is_no_density():
    for rising in (x**2, v_1 * x**2 - 2 * x, Norm(x - z) ** 2):
        with pytest.raises(ValueError, match="is no variance"):
            from_log(rising, x)
    with pytest.raises(ValueError, match="is no variance"):
        quotient(Gaussian(x, m_1, 2), Gaussian(x, m_2, 1))


def test_what_is_not_of_degree_two_is_named():
    for wrong in (3 * x + 1, sp.Integer(2), Dot(x, z)):
        with pytest.raises(ValueError, match=r"not of degree 2 in x: ") as refused:
            complete_square(wrong, x)
        assert str(refused.value).endswith(sp.latex(wrong))


def test_fractions_with_roots_are_brought_to_lowest_terms():
    one, other = sp.sqrt(v_1), sp.sqrt(v_2)
    assert tidy((v_1 - v_2) / (one - other)) == one + other
    assert tidy(v_1 / (one * (1 + one)) + 1 / (1 + one)) == 1
    assert tidy((v_1**2 - 1) / (v_1 - 1) / v_2) == (v_1 + 1) / v_2


def test_a_quotient_by_hand():
    """Of N(x; 0, 1) and N(x; 0, 2): -x^2/2 + x^2/4 = -x^2/4, so that the variance is 2."""
    gaussian, rest = quotient(Gaussian(x, 0, sp.Integer(1)), Gaussian(x, 0, sp.Integer(2)))
    assert (gaussian.x, gaussian.mean, gaussian.variance) == (x, 0, 2)
    found = sp.exp(rest) * sp.exp(-(x**2) / 4) / sp.sqrt(4 * sp.pi)
    wanted = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi) / (sp.exp(-(x**2) / 4) / sp.sqrt(4 * sp.pi))
    assert sp.simplify(found / wanted) == 1


def test_a_number_and_a_vector_do_not_mix():
    with pytest.raises(ValueError, match="the other a number's"):
        convolve(Gaussian(y, x, v_1), Gaussian(x, m_1, v_2 * ident))


@few
@given(reals.filter(lambda factor: abs(factor) > 0.05), reals, reals, positives, reals)
def test_an_affine_map(factor, shift, mean, variance, at):
    numbers = {a: factor, b: shift, m_1: mean, v_1: variance, y: at}
    law = torch.distributions.TransformedDistribution(
        normal(mean, variance), [torch.distributions.AffineTransform(shift, factor)]
    )
    expected = law.log_prob(torch.tensor(at, dtype=torch.float64))
    close(value(log_density(MAPPED), numbers), expected)


def test_an_affine_map_of_vectors():
    mapped = affine(Gaussian(eps, 0, ident), sp.sqrt(1 - abar), sp.sqrt(abar) * x_0, x_t)
    assert difference(mapped, Gaussian(x_t, sp.sqrt(abar) * x_0, (1 - abar) * ident)) == 0
    assert mapped.variance.has(ident)


def test_a_map_to_a_point_has_no_density():
    with pytest.raises(ValueError, match="no density"):
        affine(Gaussian(x, m_1, v_1), sp.S.Zero, b, y)


@few
@given(reals, reals, reals, positives, positives)
def test_a_sum_of_independent_variables(at, mean_1, mean_2, variance_1, variance_2):
    numbers = {z: at, m_1: mean_1, m_2: mean_2, v_1: variance_1, v_2: variance_2}

    def integrand(u):
        return stats.norm.pdf(at - u, mean_1, variance_1**0.5) * stats.norm.pdf(
            u, mean_2, variance_2**0.5
        )

    found, _ = integrate.quad(integrand, mean_2 - 25, mean_2 + 25, points=[mean_2], limit=200)
    assert density(SUM, numbers) == pytest.approx(found, rel=1e-6, abs=1e-9)


# ------------------------------------------------------------------------ moments and divergence


@few
@given(st.lists(st.integers(-4, 4), min_size=7, max_size=7))
def test_moments_are_what_quadrature_finds(factors):
    polynomial = sum(c * eps**k for k, c in enumerate(factors)) * (eps_1**2 - 3 * eps_1)
    nodes, weights = hermegauss(8)
    weights = weights / weights.sum()
    p = sp.lambdify((eps, eps_1), polynomial.xreplace({eps_1: y}).subs(y, eps_1), "numpy")
    grid = np.meshgrid(nodes, nodes)
    close(moment(polynomial, (eps, eps_1)), weights @ (p(*grid) * np.ones((8, 8))) @ weights)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "expression",
    [
        Norm(eps) ** 4,
        Norm(eps) ** 6,
        Norm(eps - 2 * x_0) ** 4,
        Dot(eps, x_0) ** 2 * Norm(eps) ** 2,
        Norm(a * eps + eps_1 - x_0) ** 2,
        Dot(eps, eps_1) ** 2 * Dot(eps, x_0) * Dot(x_t, eps),
        Dot(eps, x_0) ** 3 + Dot(eps, eps_1),
    ],
)
def test_moments_of_vectors_are_moments_of_coordinates(expression, size):
    coordinates = {
        v: sp.symbols(f"{name}1:{size + 1}", real=True)
        for v, name in ((eps, "e"), (eps_1, "f"), (x_0, "p"), (x_t, "r"))
    }

    def in_coordinates(e):
        pairs = {
            dot: sum(p * q for p, q in zip(*(coordinates[u] for u in dot.args), strict=True))
            for dot in expand_norms(e).atoms(Dot)
        }
        return expand_norms(e).xreplace(pairs)

    found = in_coordinates(moment(expression, (eps, eps_1)).subs(d, size))
    numbers = [*coordinates[eps], *coordinates[eps_1]]
    assert sp.expand(found - moment(in_coordinates(expression), numbers)) == 0


def test_a_sum_over_all_times_holds_the_time_itself():
    """E[x_1 + ... + x_T] over a standard normal x_t is not the sum: that still has x_t in it."""
    with pytest.raises(ValueError, match="may be one of the terms"):
        moment(read(r"\sum_{s=1}^{T} \epsilon_s"), read(r"\epsilon_t"))
    for ends in ("{s=1}^{t}", "{s=t}^{T}"):
        with pytest.raises(ValueError, match="may be one of the terms"):
            moment(read(rf"\sum_{ends} \epsilon_s"), read(r"\epsilon_t"))
    before = read(r"\sum_{s=1}^{t-1} \epsilon_s")
    assert moment(before + read(r"\epsilon_t"), read(r"\epsilon_t")) == before


@pytest.mark.parametrize("wrong", [sp.exp(eps), 1 / eps, eps**a, eps * Dot(eps, x_0), Norm(eps)])
def test_no_moment_but_of_polynomials(wrong):
    with pytest.raises(ValueError, match="not a p"):
        moment(wrong, eps)


@pytest.mark.parametrize(
    "latex",
    [
        r"\lVert \epsilon_\theta(\epsilon, t) \rVert^2",
        r"\langle \epsilon_\theta(\epsilon, t), x_0 \rangle",
        r"\langle \epsilon_\theta(\epsilon, t), \epsilon \rangle",
        r"\lVert \epsilon - \epsilon_\theta(\epsilon, t) \rVert^2",
        r"\lVert \epsilon \odot x_0 \rVert^2",
    ],
)
def test_noise_in_a_function_is_not_averaged(latex):
    """Not even to 0: E <f(e), x> is <E f(e), x>, and E |e * x|^2 is |x|^2."""
    with pytest.raises(ValueError, match="not a polynomial"):
        moment(read(latex), eps)


@few
@given(reals, reals, positives, positives)
def test_the_divergence_of_numbers(mean_1, mean_2, variance_1, variance_2):
    found = gaussian_kl(Gaussian(x, m_1, v_1), Gaussian(x, m_2, v_2))
    numbers = {m_1: mean_1, m_2: mean_2, v_1: variance_1, v_2: variance_2}
    laws = normal(mean_1, variance_1), normal(mean_2, variance_2)
    close(value(found, numbers), torch.distributions.kl_divergence(*laws))


@few
@given(*[st.lists(reals, min_size=3, max_size=3)] * 2, positives, positives)
def test_the_divergence_of_vectors(mean_1, mean_2, variance_1, variance_2):
    found = gaussian_kl(Gaussian(x, m_1, v_1 * ident), Gaussian(x, m_2, v_2 * ident))
    numbers = {m_1: np.array(mean_1), m_2: np.array(mean_2), v_1: variance_1, v_2: variance_2}
    laws = [
        torch.distributions.MultivariateNormal(
            torch.tensor(m, dtype=torch.float64), v * torch.eye(3, dtype=torch.float64)
        )
        for m, v in ((mean_1, variance_1), (mean_2, variance_2))
    ]
    close(value(found, numbers, 3), torch.distributions.kl_divergence(*laws))


def test_a_mean_with_noise_in_it_is_not_taken_for_the_variable():
    for one, square in ((1, (eps - eps_1) ** 2), (ident, Norm(eps - eps_1) ** 2)):
        q, p = Gaussian(x, a * eps, v_1 * one), Gaussian(x, a * eps_1, v_1 * one)
        assert difference(gaussian_kl(q, p), a**2 * square / (2 * v_1)) == 0


def test_no_divergence_of_different_variables():
    for other in (Gaussian(y, m_2, v_2), Gaussian(x, m_2, v_2 * ident)):
        with pytest.raises(ValueError, match="of the same variable"):
            gaussian_kl(Gaussian(x, m_1, v_1), other)


def test_nothing_depends_on_the_order_of_independent_variables():
    pairs = itertools.permutations([Gaussian(x, m_1, v_1 * ident), Gaussian(x_0, m_2, v_2 * ident)])
    sums = [sum_independent(first, second, z) for first, second in pairs]
    assert difference(*sums) == 0
    assert difference(sums[0], Gaussian(z, m_1 + m_2, (v_1 + v_2) * ident)) == 0
