import contextlib
import itertools

import numpy as np
import pytest
import sympy as sp
from sympy import IndexedBase, Product, Sum, Symbol, log

from ddpm_lite.symbolic import rules
from ddpm_lite.symbolic.equality import difference
from ddpm_lite.symbolic.expectations import (
    LawError,
    bayes,
    expected,
    integrand,
    log_ratio,
)
from ddpm_lite.symbolic.objects import KL, Density, Expectation, Gaussian, Norm, Span

x, alpha = (IndexedBase(n, real=True) for n in ("x", r"\alpha"))
t, s, T = (Symbol(n, integer=True, positive=True) for n in "tsT")
Q, P, P_THETA = (Symbol(n) for n in ("q", "p", r"p_\theta"))
X, Z = Symbol("x", real=True), Symbol("z", real=True)


def q(variables, *given):
    return Density(Q, _list(variables), given)


def p(variables, *given):
    return Density(P_THETA, _list(variables), given)


def prior(variable):
    return Density(P, [variable], ())


def _list(variables):
    return variables if isinstance(variables, tuple) else (variables,)


def E(*parts):
    return Expectation(parts[:-1], parts[-1])


PATH = Span(x[1], x[T])
ALL = Span(x[0], x[T])
ELBO = E(q(PATH, x[0]), log(p(ALL) / q(PATH, x[0])))
LAST = KL(q(x[T], x[0]), prior(x[T]))
FIRST = E(q(x[1], x[0]), log(p(x[0], x[1])))


def posterior(u):
    return q(x[u - 1], x[u], x[0])


def denoising(first=2, last=T, law=lambda u: q(x[u], x[0])):
    kl = KL(posterior(t), p(x[t - 1], x[t]))
    return Sum(E(law(t), kl), (t, first, last))


def same(a, b):
    return difference(a, b) == 0


# --- The two decompositions ----------------------------------------------------------------------


def test_the_bound_written_out():
    steps = Product(p(x[t - 1], x[t]), (t, 1, T)) / Product(q(x[t], x[t - 1]), (t, 1, T))
    assert same(ELBO, E(q(PATH, x[0]), log(prior(x[T]) * steps)))
    assert not same(ELBO, E(q(PATH, x[0]), log(p(x[0]) * steps)))


def test_the_denoising_form():
    assert same(ELBO, FIRST - LAST - denoising())


@pytest.mark.parametrize(
    "wrong",
    [
        FIRST + LAST - denoising(),
        FIRST - LAST + denoising(),
        -FIRST - LAST - denoising(),
        FIRST - LAST - denoising(first=3),
        FIRST - LAST - denoising(last=T - 1),
        FIRST - LAST,
        FIRST - LAST - denoising() / 2,
        E(q(x[1], x[0]), log(p(x[0]))) - LAST - denoising(),
        FIRST - KL(q(x[T], x[0]), prior(x[0])) - denoising(),
    ],
)
def test_slips_in_the_denoising_form(wrong):
    with contextlib.suppress(LawError):
        assert not same(ELBO, wrong)


@pytest.mark.parametrize(
    "law", [lambda u: q(x[u - 1], x[0]), lambda u: q(x[u + 1], x[0]), lambda u: q(x[u], x[u - 1])]
)
def test_the_denoising_form_under_a_wrong_law(law):
    with pytest.raises(LawError):
        difference(ELBO, FIRST - LAST - denoising(law=law))


def test_the_posterior_starts_at_two():
    with pytest.raises(LawError, match="overlap"):
        integrand(denoising(first=1))


def test_the_consistency_form():
    end = E(q(x[T - 1], x[0]), KL(q(x[T], x[T - 1]), prior(x[T])))
    ratio = log(q(x[t], x[t - 1]) / p(x[t], x[t + 1]))
    three = E(q((x[t - 1], x[t], x[t + 1]), x[0]), ratio)
    assert same(ELBO, FIRST - end - Sum(three, (t, 1, T - 1)))
    assert not same(ELBO, FIRST - end - Sum(three, (t, 1, T)))
    split = E(q(x[t - 1], x[0]), q(x[t], x[t - 1]), q(x[t + 1], x[t]), ratio)
    assert same(ELBO, FIRST - end - Sum(split, (t, 1, T - 1)))


def test_the_consistency_term_is_no_divergence_given_both_neighbours():
    kl = KL(q(x[t], x[t - 1]), p(x[t], x[t + 1]))
    with pytest.raises(LawError, match="tells something"):
        integrand(Sum(E(q((x[t - 1], x[t + 1]), x[0]), kl), (t, 1, T - 1)))
    with pytest.raises(LawError):
        integrand(Sum(E(q(x[t - 1], x[0]), q(x[t + 1], x[t]), kl), (t, 1, T - 1)))


def test_the_gap_is_a_divergence():
    gap = KL(q(PATH, x[0]), p(PATH, x[0]))
    assert same(log(p(x[0])), ELBO + gap)
    assert not same(log(p(x[0])), ELBO - gap)
    assert not same(log(p(x[0])), ELBO)
    assert integrand(log(p(ALL)) - log(p(PATH, x[0])) - log(p(x[0]))) == 0


def test_the_telescoping_sum():
    ratio = log(q(x[t], x[0]) / q(x[t - 1], x[0]))
    path = q(PATH, x[0])
    assert same(E(path, Sum(ratio, (t, 2, T))), E(path, log(q(x[T], x[0]) / q(x[1], x[0]))))
    assert not same(E(path, Sum(ratio, (t, 2, T))), E(path, log(q(x[T], x[0]))))


def test_the_first_step_from_the_start_is_its_marginal():
    step, marginal = log(q(x[t], x[t - 1])), log(q(x[t], x[0]))
    one = Sum(step, (t, 1, T)) + Sum(marginal, (t, 2, T))
    other = Sum(step, (t, 2, T)) + Sum(marginal, (t, 1, T))
    assert integrand(E(q(PATH, x[0]), one)) == integrand(E(q(PATH, x[0]), other))


def test_what_does_not_run_counts_as_often_as_its_index_runs():
    mean = E(q(x[1], x[0]), Norm(x[1]))
    assert integrand(Sum(mean, (t, 1, T)) - T * mean) == 0
    assert integrand(Sum(mean, (t, 2, T)) - T * mean) != 0


def test_of_a_sum_within_a_sum_no_index_becomes_free():
    rows = Sum(Sum(log(p(x[s - 1], x[s])), (s, 1, t)), (t, 1, 2))
    found = integrand(E(q((x[1], x[2]), x[0]), rows))
    assert found.atoms(Sum)
    assert not found.free_symbols & found.atoms(sp.Dummy)


def test_sums_of_numbers_are_aligned_too():
    shifted = Sum(alpha[s], (s, 2, T)) - Sum(alpha[s + 1], (s, 1, T - 1))
    assert integrand(E(q(x[1], x[0]), Norm(x[1]) * shifted)) == 0


def test_shifted_sums_and_end_terms():
    path = q(PATH, x[0])
    whole = Sum(log(p(x[t - 1], x[t])), (t, 1, T))
    shifted = Sum(log(p(x[s], x[s + 1])), (s, 1, T - 1))
    assert same(E(path, whole), E(path, shifted + log(p(x[0], x[1]))))
    assert not same(E(path, whole), E(path, shifted))
    assert integrand(E(path, whole)) == integrand(E(path, shifted + log(p(x[0], x[1]))))


# --- Densities -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (q(PATH, x[0]), Product(q(x[t], x[t - 1]), (t, 1, T))),
        (p(ALL), prior(x[T]) * Product(p(x[t - 1], x[t]), (t, 1, T))),
        (q(x[t], x[t - 1], x[0]), q(x[t], x[t - 1])),
        (posterior(t), q(x[t], x[t - 1]) * q(x[t - 1], x[0]) / q(x[t], x[0])),
        (q((x[t - 1], x[t]), x[0]), q(x[t], x[0]) * posterior(t)),
        (q((x[0], x[t])), q(x[0]) * q(x[t], x[0])),
        (q(x[t - 1], x[t]), q(x[t], x[t - 1]) * q(x[t - 1]) / q(x[t])),
        (p((X, Z)), p(X, Z) * prior(Z)),
        (p(Z, X), p(X, Z) * prior(Z) / p(X)),
    ],
)
def test_products_of_densities(left, right):
    assert log_ratio(left, right) == 0
    assert difference(left, right) == 0
    assert log_ratio(left, right**2) != 0
    assert log_ratio(left, right * q(x[2], x[1])) != 0


def test_densities_that_differ():
    assert log_ratio(q(x[t], x[t - 1]), q(x[t], x[0])) != 0
    assert log_ratio(q(x[t - 1], x[t]), posterior(t)) != 0
    assert log_ratio(q(x[t]), p(x[t])) != 0
    assert log_ratio(q(PATH, x[0]), Product(q(x[t], x[t - 1]), (t, 2, T))) != 0


# --- Autoencoders --------------------------------------------------------------------------------


def test_the_bound_of_an_autoencoder():
    law = q(Z, X)
    bound = E(law, log(p((X, Z)) / law))
    assert same(bound, E(law, log(p(X, Z))) - KL(law, prior(Z)))
    assert same(bound, log(p(X)) - KL(law, p(Z, X)))
    assert not same(bound, E(law, log(p(X, Z))) + KL(law, prior(Z)))


def test_a_hierarchy_of_latents():
    z = IndexedBase("z", real=True)
    law, path = q(Span(z[1], z[T]), X), Span(z[1], z[T])
    joint = prior(z[T]) * p(X, z[1]) * Product(p(z[t - 1], z[t]), (t, 2, T))
    assert log_ratio(p((X, path)), joint) == 0
    assert log_ratio(law, q(z[1], X) * Product(q(z[t], z[t - 1]), (t, 2, T))) == 0
    assert same(log(p(X)), E(law, log(p((X, path)) / law)) + KL(law, p(path, X)))


# --- Laws ----------------------------------------------------------------------------------------


def test_the_data_may_be_integrated_too():
    inner = E(q(PATH, x[0]), log(p(ALL) / q(PATH, x[0])))
    assert same(E(q(x[0]), inner), E(q(ALL), log(p(ALL) / q(PATH, x[0]))))
    with pytest.raises(LawError):
        difference(E(q(x[0]), inner), inner)
    with pytest.raises(LawError):
        difference(E(q(x[0]), log(p(x[0]))), log(p(x[0])))


def test_marginals():
    f = Norm(x[t]) ** 2
    assert same(E(q(x[t], x[0]), f), E(q(PATH, x[0]), f))
    assert same(E(q(x[t - 1], x[0]), q(x[t], x[t - 1]), f), E(q(x[t], x[0]), f))
    with pytest.raises(LawError):
        difference(E(posterior(t), Norm(x[t - 1])), E(q(x[t - 1], x[0]), Norm(x[t - 1])))
    with pytest.raises(LawError):
        difference(E(q(x[t], x[t - 1]), f), E(q(x[t], x[0]), f))


@pytest.mark.parametrize(
    "wrong",
    [
        E(q(x[t], x[0]), log(p(x[t - 1], x[t]))),
        E(q(x[1], x[0]), Norm(x[2])),
        E(q(x[t], x[0]), q(x[t], x[t - 1]), Norm(x[t])),
        E(q(x[1], x[0]), p(x[2], x[1]), Norm(x[2])),
        E(q(x[1], x[0]), log(p(x[0], x[1]))) * E(q(x[1], x[0]), log(p(x[0], x[1]))),
        E(q(x[1], x[0]), q(x[3], x[0]), Norm(x[1])),
        E(q((x[t], x[t], x[t + 1]), x[0]), Norm(x[t])),
        Sum(E(q((x[t], x[t + 1]), x[0]), log(q(x[t], x[t - 1]))), (t, 1, T - 1)),
    ],
)
def test_what_is_no_expectation_under_the_chain(wrong):
    with pytest.raises(LawError):
        integrand(wrong)


STEP, PAIR = q(x[1], x[0]), q((x[1], x[2]), x[0])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (E(STEP, Norm(x[1])) - E(p(x[1], x[0]), Norm(x[1])), "under several laws"),
        (E(STEP, E(q(x[0], x[1]), Norm(x[0]))), "x_0 is integrated over and given"),
        (E(STEP, E(q(x[0], x[0]), Norm(x[0]))), "x_0 is integrated over and given"),
        (KL(PAIR, p(x[1])), "write the same variables"),
        (KL(STEP, p((x[1], x[2]))), "write the same variables"),
        (KL(STEP, p(x[1]) * p(x[1], x[0])), "no density of its variables"),
        (KL(PAIR, p(x[1], x[2]) * p(x[2], x[1])), "no density of its variables"),
        (KL(PAIR, Gaussian(x[1], x[2], 1) * Gaussian(x[2], x[1], 1)), "no density of its"),
    ],
)
def test_what_is_no_law_and_why(wrong, reason):
    with pytest.raises(LawError, match=reason):
        integrand(wrong)


def test_ends_in_no_order_are_told_apart_in_whichever_order_they_come():
    m = Symbol("m", integer=True, positive=True)
    path, f = q(PATH, x[0]), log(p(x[s - 1], x[s]))
    sums = [Sum(f, (s, 1, end)) for end in (t, m, T)]
    whole = [
        integrand(E(path, 2 * a - 3 * b + 5 * c - a)) - integrand(E(path, a + 5 * c - 3 * b))
        for a, b, c in itertools.permutations(sums)
    ]
    assert whole == [0] * 6
    assert integrand(E(path, sums[0] - sums[1])) == -integrand(E(path, sums[1] - sums[0])) != 0


def test_a_law_within_a_sum_is_given_what_is_there_at_every_index():
    path = q(Span(x[1], x[T - 1]), x[0])
    inner = KL(q(x[T], x[t], x[T - 1]), p(x[T]))
    with pytest.raises(LawError, match="is given x_t, which is not integrated over"):
        integrand(Sum(E(path, inner), (t, 1, T)))
    with pytest.raises(LawError, match="is given x_t, which is not integrated over"):
        integrand(E(path, Sum(inner, (t, 1, T))))
    with pytest.raises(LawError, match="overlap"):
        integrand(Sum(E(path, inner), (t, 1, T - 1)))


def test_a_series_within_a_function_is_looked_at_by_itself():
    law, row = q(x[1], x[0]), Sum(x[s], (s, 0, 1))
    assert integrand(E(law, sp.sin(row) * x[1])) == sp.sin(row) * x[1]
    assert integrand(E(law, sp.sin(Product(x[s], (s, 0, 1))))).has(Product)
    for wrong, reason in (
        (sp.sin(Sum(x[s], (s, 1, 2))), "x_s is free in"),
        (sp.sin(Product(x[s], (s, 1, 2))), "x_s is free in"),
        (sp.sin(Sum(x[s] * Z, (s, 0, 1))), "z may depend on"),
        (sp.sin(Sum(Sum(x[t + s], (t, 1, 1)), (s, 0, 1)) + 1), "is free in"),
    ):
        with pytest.raises(LawError, match=reason):
            integrand(E(law, wrong))
    steps = [Sum(E(q(x[t], x[0]), sp.sin(Sum(x[s], (s, t, end)))), (t, 1, T)) for end in (t, t + 1)]
    for series in steps:
        with pytest.raises(LawError, match="is free in"):
            integrand(series)


def test_a_latent_that_nothing_is_drawn_from_is_no_start_of_the_model():
    assert log_ratio(p(Z), prior(Z)) != 0
    assert log_ratio(p(Z, X) * prior(Z), p(Z, X) * p(Z)) != 0
    assert log_ratio(p(X, Z) * prior(Z), p(X, Z) * p(Z)) == 0
    assert log_ratio(p(X, Z) * Density(P, [Z], [X]), p(X, Z) * p(Z)) != 0
    assert log_ratio(p(x[T - 1], x[T]) * prior(x[T]), p((x[T - 1], x[T]))) == 0
    assert log_ratio(p(x[T - 1], x[T]) * prior(x[t]), p((x[T - 1], x[T]))) != 0


def test_no_law_is_renamed_beside_one_that_must_not_be():
    z = IndexedBase("z", real=True)
    assert log_ratio(p(X, z[1]), p(z[0], z[1])) != 0
    model = p(x[T - 1], x[T])
    assert log_ratio(model * prior(x[T]) * prior(x[1]), model * p(x[T]) * p(x[1])) != 0
    assert log_ratio(model * prior(x[T]) * p(x[1]), model * p(x[T]) * p(x[1])) == 0


def test_logarithms_of_exponentials_and_powers_are_taken_apart():
    law, f = q(x[1], x[0]), x[1] * alpha[2]
    whole = E(law, log(sp.exp(f) * law**3 / 5))
    assert same(whole, E(law, f) + 3 * E(law, log(law)) - sp.log(5))
    assert not same(whole, E(law, f) + 2 * E(law, log(law)) - sp.log(5))
    assert not same(whole, -E(law, f) + 3 * E(law, log(law)) - sp.log(5))
    weights = Sum(E(q(x[t], x[0]), log(sp.exp(x[t]) * q(x[t], x[0]))), (t, 1, T))
    assert same(weights, Sum(E(q(x[t], x[0]), x[t] + log(q(x[t], x[0]))), (t, 1, T)))


RULES = [
    ("eq-elbo-kl", lambda: integrand(KL(q(x[1], x[0]), p(x[1])))),
    ("eq-elbo-kl", lambda: integrand(E(q(x[0]), KL(q(x[1], x[0]), q(x[1]))))),
    ("eq-post-conditional", lambda: integrand(log(q(x[1], x[0])))),
    ("eq-markov-property", lambda: integrand(log(q((x[1], x[2]))))),
    ("eq-markov-property", lambda: integrand(E(q(x[1], x[0]), q(x[2], x[1]), x[2]))),
    ("eq-elbo-forward", lambda: integrand(log(q((x[1], x[2]))))),
    ("eq-elbo-reverse", lambda: integrand(log(p((x[1], x[2]))))),
    ("eq-elbo-hierarchy", lambda: integrand(log(p(Span(z_i[1], z_i[2]))))),
]
z_i = IndexedBase("z", real=True)


@pytest.mark.parametrize(("label", "work"), RULES)
def test_nothing_is_done_without_its_rule(label, work, monkeypatch):
    work()
    monkeypatch.setattr(rules, "withdrawn", {label})
    with pytest.raises(rules.RuleError, match=label):
        work()


def test_coefficients_and_other_terms():
    weight = alpha[t] / (1 - alpha[t])
    square = Norm(x[0] - x[t]) ** 2
    left = Sum(weight * E(q(x[t], x[0]), square + 1), (t, 2, T))
    right = Sum(E(q(x[s], x[0]), alpha[s] / (1 - alpha[s]) * (square.subs(t, s) + 1)), (s, 2, T))
    assert same(left, right)
    assert not same(left, right - E(q(x[2], x[0]), Norm(x[2])))


def test_law_times_ratio_integrates_to_the_marginal():
    assert expected(E(q(PATH, x[0]), p(ALL) / q(PATH, x[0]))) == p(x[0])
    assert expected(E(q(Z, X), p((X, Z)) / q(Z, X))) == p(X)
    assert expected(E(q(Z, X), p(Z, X) / q(Z, X))) == 1
    with pytest.raises(LawError):
        expected(E(q(PATH, x[0]), q(PATH, x[0]) / p(ALL)))


def test_bayes():
    assert bayes(q(x[t], x[t - 1], x[0]), x[t - 1]) == posterior(t) * q(x[t], x[0]) / q(
        x[t - 1], x[0]
    )
    with pytest.raises(ValueError, match="is not given"):
        bayes(q(x[t], x[t - 1]), x[0])


def test_expected_value_of_a_constant():
    assert integrand(E(q(x[1], x[0]), sp.Integer(3))) == 3


# --- A chain of four variables with two states: every accepted expression has the value it says ---

N = 4


def _random_chain(rng):
    table = rng.dirichlet((2, 2))
    for _ in range(N - 1):
        table = table[..., None] * rng.dirichlet((2, 2), 2)
    return table


TABLES = {name: _random_chain(np.random.default_rng(seed)) for seed, name in enumerate("qp")}


def _places(variables):
    return {int(v.indices[0]) for v in variables}


def _sum(array, over):
    shape = np.broadcast_shapes(np.shape(array), tuple(2 if i in over else 1 for i in range(N)))
    return np.broadcast_to(array, shape).sum(axis=tuple(over), keepdims=True)


def _density(density):
    given = _places(density.given)
    both, table = given | _places(density.variables), TABLES[str(density.name)[0]]
    return _sum(table, set(range(N)) - both) / _sum(table, set(range(N)) - given)


def value(e):
    """The numbers of an expression over a grid of the states of all its free variables."""
    if isinstance(e, Density):
        return _density(e)
    if isinstance(e, KL):
        return value(Expectation([e.args[0]], log(e.args[0] / e.args[1])))
    if isinstance(e, Expectation):
        law = np.prod(np.broadcast_arrays(*map(_density, e.laws)), axis=0)
        return _sum(law * value(e.body), _places([v for one in e.laws for v in one.variables]))
    if isinstance(e, sp.log):
        return np.log(value(e.args[0]))
    if isinstance(e, sp.Pow):
        return value(e.base) ** float(e.exp)
    if isinstance(e, sp.Add | sp.Mul):
        parts = np.broadcast_arrays(*map(value, e.args))
        return np.sum(parts, axis=0) if isinstance(e, sp.Add) else np.prod(parts, axis=0)
    return float(e)


def random_expectation(rng):
    """A divergence, often one that is not allowed, within an expectation given one variable."""
    places = [int(i) for i in rng.permutation(N)]
    split = rng.integers(2, N)
    law = Density(Symbol("q"), [x[i] for i in places[1:split]], [x[places[0]]])
    new, known = places[split], rng.choice(places[:split], rng.integers(1, 3), replace=False)
    p_given = [x[int(i)] for i in rng.choice(places[:split], rng.integers(0, 3), replace=False)]
    kl = KL(
        Density(Symbol("q"), [x[new]], [x[int(i)] for i in known]),
        Density(Symbol("p"), [x[new]], p_given),
    )
    return Expectation([law], kl + 2 * log(q(x[places[1]], x[places[0]])))


def test_accepted_expressions_have_the_value_of_their_integrand():
    rng, accepted = np.random.default_rng(5), 0
    for _ in range(80):
        e = random_expectation(rng)
        try:
            inside = integrand(e)
        except LawError:
            continue
        accepted += 1
        laws = [*e.laws, *(kl.args[0] for kl in e.atoms(KL))]
        bound = _places([v for law in laws for v in law.variables])
        free = _places(e.atoms(sp.Indexed)) - bound
        joint = _sum(TABLES["q"], set(range(N)) - bound - free)
        right = _sum(joint / _sum(joint, bound) * value(inside), bound)
        np.testing.assert_allclose(value(e), right, atol=1e-12, err_msg=str(e))
    assert 20 < accepted < 70
