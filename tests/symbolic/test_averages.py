"""Means worked out from definitions: compared with hand-written integrals and with numbers."""

import numpy as np
import pytest
import sympy as sp

from ddpm_lite.symbolic.averages import (
    as_gaussian,
    at,
    average,
    averaged,
    by,
    conditioned,
    covariance,
    equation,
    first_off,
    integrated,
    last_off,
    law_of_draw,
    log_sum,
    marginal_means,
    mean_of,
    mixed,
    negated,
    one_by_one,
    shifted,
    total_mean,
    total_variance,
    unfolded,
    with_laws,
)
from ddpm_lite.symbolic.equality import ComparisonError, difference
from ddpm_lite.symbolic.objects import Expectation, Gaussian, Variance
from ddpm_lite.symbolic.proofs import ProofError
from ddpm_lite.symbolic.reader import read, symbols

x, y, z, a, b, v, t = symbols("x, y, z, a, b, v, t")
x_0, x_1, x_2, x_t, x_prev, x_next = symbols("x_0, x_1, x_2, x_t, x_{t-1}, x_{t+1}")
STEP = read(r"q(x_t \mid x_{t-1}) = \mathcal N(x_t; a x_{t-1} + b, v)")
KL = read(
    r"D_{\mathrm{KL}}(q(x) \,\|\, p(x)) = \mathbb{E}_{q(x)}\Bigl[\log \frac{q(x)}{p(x)}\Bigr]"
)


# --- Laws put in ---------------------------------------------------------------------------------


def test_a_law_is_one_for_every_time() -> None:
    found = with_laws(read(r"q(x_{t+1} \mid x_t) q(x_2 \mid x_1) q(x_t \mid x_0)"), STEP)
    assert found == (
        Gaussian(x_next, a * x_t + b, v) * Gaussian(x_2, a * x_1 + b, v) * read(r"q(x_t \mid x_0)")
    )


def test_a_multiple_of_a_gaussian_is_no_law() -> None:
    double = read(r"q(x_t \mid x_{t-1}) = 2 \mathcal N(x_t; a x_{t-1} + b, v)")
    with pytest.raises(ProofError, match="not a density"):
        with_laws(STEP.lhs, double)
    with pytest.raises(ProofError, match=r"not a density of .*: 2 .*mathcal"):
        with_laws(STEP.lhs, double)
    with pytest.raises(ProofError, match="not a density"):
        with_laws(read("q(x)"), read(r"q(x) = \mathcal N(y; a, v)"))
    with pytest.raises(ProofError, match="not a density"):
        with_laws(read("q(x_0)"), read(r"q(x_t) = \mathcal N(x_0; 0, 1)"))


def test_a_divergence_is_what_its_definition_says() -> None:
    gaussians = read(r"D_{\mathrm{KL}}(\mathcal N(x; a, v) \,\|\, \mathcal N(x; b, 1))")
    value = average(unfolded(gaussians, KL)).body
    assert difference(value, (v + (a - b) ** 2 - 1 - sp.log(v)) / 2) == 0
    turned = KL.rhs.xreplace({read("q(x)"): read("p(x)"), read("p(x)"): read("q(x)")})
    other = unfolded(gaussians, sp.Eq(KL.lhs, turned, evaluate=False))
    assert difference(average(other).body, value) != 0


def test_a_condition_is_added_to_each_density() -> None:
    rule = conditioned(read(r"q(x) = \int q(x \mid y)\,q(y)\,\mathrm{d}y"), z)
    assert (rule.lhs, rule.relations) == (read(r"q(x \mid z)"), ("=",))
    assert rule.rhs == read(r"\int q(x \mid z, y)\,q(y \mid z)\,\mathrm{d}y")


# --- Means ---------------------------------------------------------------------------------------


def test_the_tower_rule_averages_the_last_variable_first() -> None:
    law = read(r"q(x_{t-1}, x_t, x_{t+1} \mid x_0)")
    found = average(Expectation([law], x_t * x_next), STEP)
    assert found.laws == sp.Tuple(read(r"q(x_{t-1} \mid x_0)"))
    center = a * x_prev + b
    assert sp.expand(found.body - (a * (center**2 + v) + b * center)) == 0


def test_what_is_given_twice_is_not_averaged() -> None:
    """x_{t+1} tells something about x_t, so its mean is not the one of the law."""
    told = Expectation((STEP.lhs,), x_t, (x_next,))
    with pytest.raises(ProofError, match="belongs into the law"):
        average(told, STEP)
    with pytest.raises(ComparisonError, match="belongs into the law"):
        difference(told, Expectation((STEP.lhs,), x_t))


@pytest.mark.parametrize(
    "inside",
    [
        r"\lVert \epsilon_\theta(x_t, t) \rVert^2",
        r"\langle x_t, \epsilon_\theta(x_t, t) \rangle",
        r"\lVert \epsilon - \epsilon_\theta(x_t, t) \rVert^2",
    ],
)
def test_a_function_of_what_is_drawn_has_no_mean_here(inside: str) -> None:
    law = read(r"q(x_t \mid x_{t-1}) = \mathcal N(x_t; \sqrt{\alpha_t} x_{t-1}, \beta_t I)")
    with pytest.raises((ValueError, ProofError), match=r"not a polynomial|may depend on"):
        average(Expectation((law.lhs,), read(inside)), law)


def test_noise_may_be_that_of_the_step_and_is_not_taken_out_of_its_mean() -> None:
    for inside in (r"\langle \epsilon, x_t \rangle", r"x_t \epsilon_t", r"X x_t"):
        with pytest.raises(ProofError, match="may depend on what is averaged"):
            average(Expectation((STEP.lhs,), read(inside)), STEP)


def test_the_mean_of_a_function_of_two_draws_agrees_with_numbers() -> None:
    rng = np.random.default_rng(0)
    one = 0.5 * 1.5 + 0.2 + np.sqrt(0.3) * rng.standard_normal(400_000)
    two = 0.5 * one + 0.2 + np.sqrt(0.3) * rng.standard_normal(400_000)
    found = average(Expectation([read(r"q(x_1, x_2 \mid x_0)")], (x_1 - 2 * x_2) ** 2), STEP)
    value = found.body.subs({a: 0.5, b: 0.2, v: 0.3, x_0: 1.5})
    assert abs(float(value) - ((one - 2 * two) ** 2).mean()) < 0.02


def test_what_is_not_the_law_of_neighbours_is_refused() -> None:
    assert [d.given for d in one_by_one(read(r"q(x_1, x_2 \mid x_0)"))] == [(x_1,), (x_0,)]
    with pytest.raises(ProofError, match="chain rule"):
        one_by_one(read(r"q(x_{t-1}, x_t \mid x_{t+1})"))


def test_a_covariance_is_that_of_the_chain() -> None:
    shared = covariance(x_t, x_next, *(with_laws(STEP.lhs.subs(t, k), STEP) for k in (t + 1, t)))
    assert sp.expand(shared - a * v) == 0


def test_each_term_has_the_mean_of_its_own_variables() -> None:
    path = Expectation([read(r"q(x_{1:T} \mid x_0)")], read(r"\log q(x_t) - \log q(x_1)"))
    assert marginal_means(path) == read(
        r"\mathbb{E}_{q(x_t \mid x_0)}[\log q(x_t)] - \mathbb{E}_{q(x_1 \mid x_0)}[\log q(x_1)]"
    )


def test_a_mean_within_a_mean_is_worked_out_by_the_same_laws() -> None:
    inner = Expectation([read(r"q(x_2 \mid x_1)")], x_2**2)
    found = average(Expectation([read(r"q(x_1 \mid x_0)")], inner * x_1), STEP)
    assert found.laws == ()
    one = a * x_0 + b  # E[x_1 ((a x_1 + b)^2 + v)], with E[x^2] = m^2 + v, E[x^3] = m^3 + 3 m v
    square, cube = one**2 + v, one**3 + 3 * one * v
    assert sp.expand(found.body - (a**2 * cube + 2 * a * b * square + (b**2 + v) * one)) == 0
    with pytest.raises(ProofError, match="no law is known"):
        average(Expectation([read(r"q(x_1 \mid x_0)")], inner * x_1))


# --- Integrals -----------------------------------------------------------------------------------


def test_an_integral_of_two_gaussians_is_their_marginal() -> None:
    whole = read(r"\int q(y \mid x)\,q(x)\,\mathrm{d}x")
    laws = (
        sp.Eq(read(r"q(y \mid x)"), Gaussian(y, a * x, v), evaluate=False),
        sp.Eq(read("q(x)"), Gaussian(x, b, 2), evaluate=False),
    )
    found = integrated(whole, *laws)
    assert found.x == y
    assert sp.expand(found.mean - a * b) == sp.expand(found.variance - v - 2 * a**2) == 0
    assert integrated(whole) == read("q(y)")
    assert integrated(read(r"\int q(y \mid x)\,q(x)\,\mathrm{d}y")) == read("q(x)")


@pytest.mark.parametrize(
    "latex",
    [
        r"\int q(y \mid x)\,\mathrm{d}x",
        r"\int q(y \mid x)\,q(x)\,\mathrm{d}z",
        r"\int_0^1 q(y \mid x)\,q(x)\,\mathrm{d}x",
        r"q(y \mid x)\,q(x)",
    ],
)
def test_other_integrals_are_refused(latex: str) -> None:
    with pytest.raises(ProofError, match=r"no integral over all values: .*q|that of x: .*q"):
        integrated(read(latex))
    with pytest.raises(
        ProofError, match=r"no mixture over all values: .*q|not one|not the density"
    ):
        mixed(read(latex), sp.Eq(read(r"q(y \mid x)"), Gaussian(y, a * x, v), evaluate=False))


def test_a_mixture_is_taken_apart() -> None:
    law = sp.Eq(read(r"q(y \mid x)"), Gaussian(y, a * x, v), evaluate=False)
    whole = read(r"\int q(y \mid x)\,q(x)\,\mathrm{d}x")
    assert mixed(whole, law) == (Gaussian(y, a * x, v), read("q(x)"))
    with pytest.raises(ProofError, match=r"q\(x\) is not the density of what is averaged over"):
        mixed(read(r"\int q(y \mid x)\,q(x)\,\mathrm{d}y"), law)
    with pytest.raises(ProofError, match="not one Gaussian times one density"):
        mixed(read(r"\int 2 q(y \mid x)\,q(x)\,\mathrm{d}x"), law)


def test_a_product_of_gaussians_must_be_normalised() -> None:
    joint = Gaussian(y, x, v) * Gaussian(x, 0, 1)
    below = Gaussian(y, 0, 1 + v)
    law = as_gaussian(joint / below, x)
    assert sp.expand(law.mean - y / (1 + v)) == 0 or difference(law.mean, y / (1 + v)) == 0
    assert difference(law.variance, v / (1 + v)) == 0
    with pytest.raises(ProofError, match="off by"):
        as_gaussian(joint, x)


# --- Total mean and variance ---------------------------------------------------------------------


def test_total_mean_and_variance() -> None:
    of = read(r"q(x_0 \mid x_t)")
    law = Gaussian(y, a * x_0 + b, v)
    assert total_mean(law, of) == a * read(r"\mathbb{E}[x_0 \mid x_t]") + b
    assert total_variance(law, of) == v + a**2 * Variance(x_0, (x_t,))
    with pytest.raises(ProofError, match=r"the mean is not linear in .*: .*0.*2"):
        total_variance(Gaussian(y, x_0**2, v), of)
    with pytest.raises(ProofError, match="not linear"):
        mean_of(sp.tanh(x_0), of)


def test_a_draw_has_the_law_of_its_mean_and_scale() -> None:
    identity = symbols("I")[0]
    drawn = read(r"x_{t-1} = a x_t + \sigma_t z")
    assert law_of_draw(drawn, z) == read(r"\mathcal N(x_{t-1}; a x_t, \sigma_t^2 I)")
    assert law_of_draw(drawn, z) != Gaussian(x_prev, a * x_t, symbols(r"\sigma_t")[0] * identity)
    for wrong in ("a x_t + z^2", "a x_t", "z x_t z"):
        with pytest.raises(ProofError, match=r"not a mean and a multiple of z: .*\{x\}_|of z: z"):
            law_of_draw(read(f"x_{{t-1}} = {wrong}"), z)


# --- Equations and inequalities ------------------------------------------------------------------


def test_an_equation_is_proved_or_refused() -> None:
    assert equation((a + b) ** 2, a**2 + 2 * a * b + b**2).lhs == (a + b) ** 2
    equation(read(r"q(x_1, x_2)"), read(r"q(x_2 \mid x_1) q(x_1)"))
    with pytest.raises(ProofError, match=r"a \+ b is not a - b: left over 2 b"):
        equation(a + b, a - b)
    with pytest.raises(ProofError, match="is not"):
        equation(read(r"q(x_1, x_2)"), read(r"q(x_2 \mid x_1)"))


def test_a_name_is_replaced_by_what_a_claim_says_of_it() -> None:
    claim = read(r"x = a + a = 2 a \le b")
    assert by(3 * x, claim) == by(3 * x, read("x = 2 a")) == 6 * a
    assert by(x + y, read("x = 2 a"), sp.Eq(y, b, evaluate=False)) == 2 * a + b
    with pytest.raises(ProofError, match="x is not in y"):
        by(y, claim)
    with pytest.raises(ProofError, match="is not"):
        by(x, read("x = a + b = 2 a"))
    with pytest.raises(ProofError, match="not an equation"):
        by(x, read(r"x \le 2 a"))


def test_a_name_is_not_that_of_a_family() -> None:
    """x = 2 a says nothing of x_t, and the noise z is no z_t."""
    claim = read("x = 2 a")
    assert by(x + x_t, claim) == 2 * a + x_t
    assert by(read("x + f(x_0) + x_{1}"), read("x_0 = x")) == read("x + f(x) + x_1")
    with pytest.raises(ProofError, match="is not in"):
        by(3 * x_t, claim)
    assert by(2 * x, read("x = x")) == 2 * x  # two ways of writing one formula
    with pytest.raises(ProofError, match="is not in"):
        by(2 * y, read("x = x"))
    assert at(read("x_t = x + t"), {x: y, t: sp.Integer(2)}).members == (x_2, y + 2)
    drawn = read(r"x_{t-1} = a x_t + z_t + \sigma_t z")
    assert law_of_draw(drawn, z).mean == a * x_t + read("z_t")


def test_a_running_index_is_not_the_letter_put_in() -> None:
    """The sum of s t over s = 1, 2, 3 is 6 t, and 6 s where t is s."""
    (s,) = symbols("s")
    claim = read(r"C = \sum_{s=1}^{3} s t")
    assert at(claim, {t: s}).rhs.doit() == 6 * s
    assert at(claim, {s: sp.Integer(5)}).rhs == claim.rhs
    assert by(claim.rhs, read("t = s")).doit() == 6 * s
    law = read(r"q(x_t \mid x_{t-1}) = \mathcal N(x_t; \sum_{s=1}^{3} s t, 1)")
    found = with_laws(read(r"q(x_s \mid x_{s-1})"), law)
    assert found.mean.doit() == 6 * s
    two = sp.Sum(sp.sin(sp.Sum(t * s, (s, 1, 3))), (t, s, a))
    assert (first_off(two) - sp.Sum(two.function, (t, s + 1, a))).doit() == sp.sin(6 * s)


@pytest.mark.parametrize("rule", [first_off, last_off, lambda e: shifted(e, 1)])
def test_a_sum_over_two_indices_is_not_taken_for_one_over_the_first(rule) -> None:
    with pytest.raises(ProofError, match="a sum over two indices"):
        rule(read(r"\sum_{i=1}^{n} \sum_{j=1}^{n} x_i y_j"))


def test_what_is_said_of_a_time_holds_for_the_times_of_a_sum() -> None:
    assert by(read(r"\sum_{t=1}^{3} x_t"), read("x_t = t")).doit() == 6


def test_signs_turn_the_relation_and_means_keep_it() -> None:
    turned = negated(read(r"x = y \le z"))
    assert (turned.members, turned.relations) == ((-x, -z), (r"\ge",))
    law = read("q(x)")
    mean = averaged(turned, law)
    assert mean.members == (Expectation([law], -x), Expectation([law], -z))
    assert mean.relations == (r"\ge",)
    assert at(turned, {x: sp.Integer(1)}).members == (-1, -z)
    with pytest.raises(ProofError, match="direction"):
        negated(read(r"x \le y \ge z"))
    for other in (r"x \ne y", r"x \approx y", r"x \sim y", r"x = y \ne z"):
        with pytest.raises(ProofError, match="no relation that means keep"):
            averaged(read(other), law)
        with pytest.raises(ProofError, match="not one direction"):
            negated(read(other))
    for sign, turned_sign in ((r"\le", r"\ge"), (r"\ge", r"\le"), ("<", ">"), (">", "<")):
        assert negated(read(f"x {sign} y = z")).relations == (turned_sign,)
        assert averaged(read(f"x {sign} y"), law).relations == ((sign),)
    assert negated(read("x = y")).relations == averaged(read("x = y"), law).relations == ("=",)


# --- Sums ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule", [first_off, last_off, lambda e: shifted(e, 1), lambda e: shifted(e, -2)]
)
def test_sums_keep_their_value(rule) -> None:
    (T,) = symbols("T")
    series = read(r"\sum_{t=2}^{T} t x_t")
    assert sp.expand((rule(series) - series).subs(T, 7).doit()) == 0
    assert rule(series) != series


def test_the_logarithm_of_a_product_is_a_sum() -> None:
    apart = log_sum(read(r"\log \frac{p(x_0) \prod_{t=1}^{T} q(x_t)}{\prod_{t=1}^{T} p(x_t)}"))
    assert apart == read(r"\log p(x_0) + \sum_{t=1}^{T} \log q(x_t) - \sum_{t=1}^{T} \log p(x_t)")


def test_a_logarithm_of_what_may_be_negative_stays() -> None:
    for latex in (r"\log(\prod_{s=1}^{t} x_s)", r"\log(x_0 x_1)", r"\log(x_0^2)"):
        assert log_sum(read(latex)) == read(latex)
