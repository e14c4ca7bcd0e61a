"""Rules for derivations: what they give, held against other formulas, and what they refuse."""

from math import comb, factorial

import pytest
import sympy as sp

from ddpm_lite.symbolic import derive as de
from ddpm_lite.symbolic import read, symbols
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.objects import Expectation
from ddpm_lite.symbolic.proofs import ProofError
from ddpm_lite.symbolic.reader import read_claims

x, y, t, T, m, n, k, j = symbols("x, y, t, T, m, n, k, j")
x_0, x_t, x_prev = symbols("x_0, x_t, x_{t-1}")
eps, mu, sigma = symbols(r"\epsilon, \mu, \sigma")
(CONDITIONAL,) = read_claims(r"p(y \mid x) = \frac{p(x, y)}{p(x)}")
(MARGINAL,) = read_claims(r"p(x) = \int p(x, y)\,\mathrm{d}y")


# --- Laws of many variables ----------------------------------------------------------------------


def test_a_rule_takes_lists_of_variables() -> None:
    rule = de.instance(CONDITIONAL, {x: [read("x_{0:t-1}")], y: [x_t]})
    assert rule.lhs == read(r"p(x_t \mid x_{0:t-1})")
    assert rule.rhs == read(r"\frac{p(x_{0:t})}{p(x_{0:t-1})}")


def test_what_was_later_may_be_known() -> None:
    rule = de.instance(CONDITIONAL, {x: [read("x_{t:T}")], y: [x_prev]})
    assert rule.rhs == read(r"\frac{p(x_{t-1:T})}{p(x_{t:T})}")


def test_variables_apart_stay_apart() -> None:
    rule = de.instance(CONDITIONAL, {x: [x_prev, x_0], y: [x_t]})
    assert rule.rhs == read(r"\frac{p(x_0, x_{t-1}, x_t)}{p(x_0, x_{t-1})}")


@pytest.mark.parametrize(
    ("product", "gone", "left"),
    [
        (r"p(x_{0:T-1}) p(x_T \mid x_{T-1})", "x_{0:t-1}", r"p(x_{t:T-1}) p(x_T \mid x_{T-1})"),
        (r"p(x_{0:t-1}) p(x_t \mid x_{t-1})", "x_{1:t-2}", r"p(x_0, x_{t-1}) p(x_t \mid x_{t-1})"),
        (r"p(x_t, x_{t+1}, x_{t+2})", "x_{t+1}", "p(x_t, x_{t+2})"),
        (r"p(x_{t:t+2})", "x_{t+1}", "p(x_t, x_{t+2})"),
        (r"p(x_{t:t+m+n})", "x_{t+m+1:t+m+n-1}", "p(x_{t:t+m}, x_{t+m+n})"),
    ],
)
def test_summing_out(product: str, gone: str, left: str) -> None:
    assert de.sum_out(read(product), read(gone), MARGINAL) == read(left)


@pytest.mark.parametrize(
    ("product", "gone"),
    [
        (r"p(x_{0:t-1}) p(x_t \mid x_{t-1})", "x_{t-1}"),
        (r"p(x_0) p(x_t \mid x_{t-1})", "x_{t-1}"),
        (r"p(x_0)^2", "x_0"),
        (r"p(x_0)", "x_t"),
        (r"x_t p(x_0, x_t)", "x_t"),
        (r"\mathcal N(x_t; 0, 1) p(x_0, x_t)", "x_t"),
        (r"x_2 p(x_{0:3})", "x_{1:2}"),
    ],
)
def test_variables_in_two_factors_or_behind_the_bar_are_not_summed(product: str, gone: str) -> None:
    with pytest.raises(ProofError):
        de.sum_out(read(product), read(gone), MARGINAL)


@pytest.mark.parametrize(
    "rule",
    [
        r"p(x) = \int_{0}^{\infty} p(x, y)\,\mathrm{d}y",
        r"p(x) = 2 \int p(x, y)\,\mathrm{d}y",
        r"p(x) = \int p(x \mid y)\,\mathrm{d}y",
        r"p(x) = p(x, y)",
    ],
)
def test_a_wrong_rule_for_sums_does_not_fit(rule: str) -> None:
    with pytest.raises(ProofError, match=r"the rule does not (fit p\(|integrate)|not of the form"):
        de.sum_out(read("p(x_0, x_t)"), x_t, read_claims(rule)[0])


def test_a_rule_with_its_sides_mixed_up_gives_something_else() -> None:
    (mixed,) = read_claims(r"p(y) = \int p(x, y)\,\mathrm{d}y")
    assert de.sum_out(read("p(x_0, x_t)"), x_t, mixed) == read("p(x_t)")


def test_a_product_is_cut_in_two() -> None:
    whole = sp.Product(k + 1, (k, 1, 5))
    first, second = de.split(whole, sp.Integer(2)).args
    assert first.doit() * second.doit() == whole.doit() == 720


def test_densities_at_states_are_probabilities() -> None:
    i = read("i")
    found = de.in_states(read(r"p(x_0) p(x_t \mid x_0)"), {x_0: i, x_t: j})
    assert found == read(r"P(X_0 = i) P(X_t = j \mid X_0 = i)")


# --- Entries and moments -------------------------------------------------------------------------

L, Z, MU = symbols(r"L, \mathbf{z}, \boldsymbol{\mu}")
i, z_k, z_m = symbols("i, z_k, z_m")


def test_rows_run_from_one() -> None:
    assert de.entry(MU + L * Z, i) == read(r"\mu_i + \sum_{k=1}^{n} L_{ik} z_k")
    assert de.entry(MU - L.T * Z, i) == read(r"\mu_i - \sum_{k=1}^{n} L_{ki} z_k")
    assert de.entry(L * L.T, i, j) == read(r"\sum_{k=1}^{n} L_{ik} L_{jk}")


def test_the_mean_of_a_product_of_two_rows() -> None:
    rows = de.entry(L * Z, i), de.entry(L * Z, j, index=m)
    double = de.linearity(Expectation((), rows[0] * rows[1]), z_k)
    wanted = read(r"\sum_{k=1}^{n} \sum_{m=1}^{n} L_{ik} L_{jm} \mathbb{E}[z_k z_m]")
    assert double == wanted
    assert de.standard(double) == read(r"\sum_{k=1}^{n} L_{ik} L_{jk}")
    assert de.standard(de.linearity(Expectation((), 3 + rows[0]), z_k)) == 3


def test_two_sums_over_the_same_letter_are_refused() -> None:
    row = de.entry(L * Z, i)
    for body in (row**2, row * de.entry(L.T * Z, j)):
        with pytest.raises(ProofError):
            de.linearity(Expectation((), body), z_k)


@pytest.mark.parametrize(
    "mean",
    [
        Expectation((), z_k**2 * z_m),
        Expectation((), sp.Integer(3)),
        Expectation((), z_k * x),
        Expectation((), z_k * read(r"\beta_m")),
        Expectation((), z_k * z_m, (x,)),
        Expectation((read("q(x)"),), z_k),
    ],
)
def test_other_means_are_not_guessed(mean: Expectation) -> None:
    with pytest.raises(ProofError):
        de.standard(mean)


def test_what_is_known_stays_known_where_sums_are_taken_out() -> None:
    law = read("q(x)")
    found = de.linearity(Expectation((law,), 3 * z_k + x, (y,)), z_k)
    assert found == 3 * Expectation((law,), z_k, (y,)) + x


# --- Binomial sums -------------------------------------------------------------------------------


def normal_moment(power: int) -> int:
    """E[eps^p], by the factorials."""
    half = power // 2
    return 0 if power % 2 else factorial(power) // (2**half * factorial(half))


def value(series: sp.Sum, power: int) -> sp.Expr:
    """A sum at a whole number k, with the moments of the normal law put in."""
    written = series.subs(k, power).doit()
    return sp.expand(written.replace(Expectation, lambda _, b, g: normal_moment(sp.degree(b, eps))))


@pytest.mark.parametrize("power", [1, 2, 5])
def test_the_mean_of_a_power(power: int) -> None:
    wanted = sum(
        comb(power, q) * mu ** (power - q) * sigma**q * normal_moment(q) for q in range(power + 1)
    )
    found = value(de.mean_of_power((mu + sigma * eps) ** k, eps, j), power)
    assert sp.expand(found - wanted) == 0


@pytest.mark.parametrize("knob", [mu, sigma])
def test_derivative_and_mean_change_places(knob: sp.Symbol) -> None:
    f = (mu + sigma * eps) ** k
    outside = de.derivative_of_sum(de.mean_of_power(f, eps, j), knob)
    inside = de.mean_of_power(sp.powsimp(f.diff(knob)), eps, j)
    assert de.same_terms(outside, inside)
    for other in (2 * f, f * eps, f.subs(k, k + 1), f.subs(sigma, -sigma)):
        wrong = sp.powsimp(other.diff(knob))
        assert not de.same_terms(outside, de.mean_of_power(wrong, eps, j))


def test_what_is_no_power_of_the_noise_is_refused() -> None:
    for wrong in (sp.sin(eps), (mu + eps**2) ** k, sp.Heaviside(mu + sigma * eps)):
        with pytest.raises(ProofError):
            de.mean_of_power(wrong, eps, j)


def test_a_claim_stays_a_claim() -> None:
    found = de.instance(CONDITIONAL, {x: [x_0], y: [x_t]})
    assert isinstance(found, Claim)
    assert found.relations == ("=",)


def test_terms_are_compared_one_by_one_wherever_the_sums_begin() -> None:
    def series(first: int, shift: int = 0) -> sp.Sum:
        term = sp.binomial(n, k - first + 1 + shift) * mu ** (k - first + 1 + shift)
        return sp.Sum(term, (k, first, n + first - 1))

    for first in (0, 1, 3):
        for other in (0, 2, 5):
            assert de.same_terms(series(first), series(other))
            assert not de.same_terms(series(first), series(other, 1))
    longer = sp.Sum(series(1).function, (k, 1, n + 1))
    assert not de.same_terms(series(1), longer)


def test_squares_of_the_noise_have_mean_one() -> None:
    squares = sp.Sum(x * Expectation((), z_k**2), (k, 1, n))
    assert de.standard(squares) == sp.Sum(x, (k, 1, n))
    assert de.standard(sp.Sum(x * Expectation((), z_k), (k, 1, n))) == 0
