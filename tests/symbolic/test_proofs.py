import itertools
import math

import numpy as np
import pytest
import sympy as sp

from ddpm_lite.symbolic import rules
from ddpm_lite.symbolic.algebra import left_over
from ddpm_lite.symbolic.gaussians import convolve
from ddpm_lite.symbolic.objects import Density, Expectation, Gaussian, Span
from ddpm_lite.symbolic.proofs import (
    ProofError,
    by_induction,
    chain_rule,
    evaluated,
    forget,
    jensen_gap,
    markov_factor,
    telescope,
    unrolled,
)
from ddpm_lite.symbolic.reader import read, symbols

t, s, k, n, T, ident = symbols("t, s, k, n, T, I")
x_t, x_prev, x_0, x_1 = symbols("x_t, x_{t-1}, x_0, x_1")
x, alpha, abar = (read(e).base for e in ("x_t", r"\alpha_t", r"\bar\alpha_t"))
forward = read("q(x_{1:T} \\mid x_0)")
model = read("p_\\theta(x_{0:T})")


# -------------------------------------------------------------------------------------- induction


def sum_to(claimed, **changes):
    """The sum of 1 to n, with the right base and step unless changed."""
    parts = {"base": sp.S.One, "step": lambda before: before + n, "variable": n} | changes
    return by_induction((sp.Sum(k, (k, 1, n)), claimed), **parts)


def test_a_true_claim_is_returned_as_an_equation():
    proof = sum_to(n * (n + 1) / 2)
    assert (proof.lhs, proof.rhs) == (sp.Sum(k, (k, 1, n)), n * (n + 1) / 2)


def test_a_claim_may_be_an_equation():
    x_n = read("x_n")
    claim = sp.Eq(x_n, n**2)
    assert by_induction(claim, sp.S.One, lambda before: before + 2 * n - 1, variable=n) == claim


@pytest.mark.parametrize(
    ("part", "claimed", "changes"),
    [
        ("^base: ", n * (n - 1) / 2, {}),
        ("^base: ", n * (n + 1) / 2 + 1, {}),
        ("^base: ", n * (n + 1) / 2, {"start": 2}),
        ("^step: ", n**2, {}),
        ("^step: ", n * (n + 1) / 2, {"step": lambda before: before + n - 1}),
        ("^step: it does not use", n * (n + 1) / 2, {"step": lambda before: n * (n + 1) / 2}),
        ("^start of the left side: ", 2 * n, {"base": 2, "step": lambda before: before + 2}),
        ("^recursion of the left side: ", n, {"step": lambda before: before + 1}),
    ],
)
def test_the_part_that_fails_is_named(part, claimed, changes):
    with pytest.raises(ProofError, match=part):
        sum_to(claimed, **changes)


def test_what_is_left_over_is_shown():
    with pytest.raises(
        ProofError, match=r"^step: found .*, claimed .*, left over - n\^\{2\} \+ n \+ "
    ):
        sum_to(n**2)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (sp.Eq(x_t, x_t), "nothing to prove"),
        ((x_t, x_t), "both sides are"),
        ((x_0, x_1), "t is not in"),
        ((sp.S.One, sp.S.One), "both sides are"),
        (read(r"x_t \le x_0"), "claim: not one equation"),
    ],
)
def test_a_claim_must_say_something(claim, message):
    with pytest.raises(ProofError, match=message):
        by_induction(claim, x_0, lambda before: before)


def test_a_power_is_compared_with_its_recursion():
    v = read("v")
    by_induction((v**n, v ** (n - 1) * v), v, lambda before: v * before, variable=n)
    with pytest.raises(ProofError, match=r"^recursion of the left side"):
        by_induction((v**n, v * n), v, lambda before: before + v, variable=n)


def test_the_known_families_are_no_free_names():
    with pytest.raises(ProofError, match=r"^recursion of the left side"):
        by_induction((abar[t], alpha[1] * t), alpha[1], lambda before: before + alpha[1])


def test_a_power_of_a_matrix():
    matrix = sp.Matrix([[2, 1], [0, 3]])
    power = sp.Matrix([[2**n, 3**n - 2**n], [0, 3**n]])
    name = sp.Function("R")(n)
    wrong = sp.Matrix([[2**n, n * (3**n - 2**n)], [0, 3**n]])

    def step(before):
        return before * matrix

    assert by_induction((name, power), matrix, step, variable=n).rhs == power
    with pytest.raises(ProofError, match=r"^step"):
        by_induction((name, wrong), matrix, step, variable=n)


def test_densities_are_equal_as_they_are_written():
    q = forward.name
    base, other = Density(q, [x_1], [x_0]), Density(q, [x_0], [x_1])
    assert left_over(base, base) == 0
    assert left_over(base, other) != 0
    assert left_over(base, Density(q, [x_1], [])) != 0


def forward_step(i, noise):
    return Gaussian(x[i], sp.sqrt(alpha[i]) * x[i - 1], noise(i) * ident)


def in_closed_form(mean, variance, noise=lambda i: 1 - alpha[i]):
    """q(x_t | x_0) = N(x_t; mean x_0, variance I), by induction over t."""
    claim = Density(read("q(x)").name, [x_t], [x_0]), Gaussian(x_t, mean * x_0, variance * ident)
    return by_induction(
        claim, forward_step(1, noise), lambda before: convolve(forward_step(t, noise), before)
    )


def test_the_forward_process_in_closed_form():
    in_closed_form(sp.sqrt(abar[t]), 1 - abar[t])
    whole = sp.Product(alpha[s], (s, 1, t))
    in_closed_form(sp.sqrt(whole), 1 - whole)


@pytest.mark.parametrize(
    ("part", "mean", "variance"),
    [
        ("base", -sp.sqrt(abar[t]), 1 - abar[t]),
        ("base", abar[t], 1 - abar[t]),
        ("base", sp.sqrt(abar[t]), 1 + abar[t]),
        ("base", sp.sqrt(abar[t - 1]), 1 - abar[t]),
        ("step", sp.sqrt(alpha[t]), 1 - alpha[t]),
        ("step", sp.sqrt(abar[t]), 1 - alpha[t]),
        ("step", sp.sqrt(abar[t]), t * (1 - abar[t])),
    ],
)
def test_no_other_closed_form(part, mean, variance):
    with pytest.raises(ProofError, match=f"^{part}: "):
        in_closed_form(mean, variance)


def test_no_closed_form_with_another_noise():
    with pytest.raises(ProofError):
        in_closed_form(sp.sqrt(abar[t]), 1 - abar[t], noise=lambda i: sp.S.One)


# ------------------------------------------------------------------------ finite sums and products


@pytest.mark.parametrize(
    "series",
    [
        sp.Sum(k**2, (k, 1, n)),
        sp.Sum(k * n, (k, 0, n)),
        sp.Product(1 + k, (k, 1, n)),
        sp.Product(1 + k, (k, 7 - n, 7)),
        sp.Sum(k, (k, 1, 5)) + n,
        sp.Sum(k * sp.Product(s + 1, (s, k + 1, n)), (k, 1, n)),
    ],
)
def test_a_term_is_taken_out(series):
    out = unrolled(series, n)
    for number in (2, 3, 5):
        assert out.subs(n, number).doit() == series.subs(n, number).doit()
    moves = series.has(sp.Product) or not series.has(5)
    assert (out != series) == moves


def test_only_series_are_evaluated():
    kept = sp.Integral(k, (k, 0, 1))
    assert evaluated(sp.Sum(k, (k, 1, 3)) + kept) == 6 + kept


def test_the_weights_of_all_noises():
    weights = sp.Sum((1 - alpha[s]) * sp.Product(alpha[k], (k, s + 1, t)), (s, 1, t))
    right = 1 - sp.Product(alpha[k], (k, 1, t))
    wrong = 1 - alpha[1] * sp.Product(alpha[k], (k, 1, t - 1))

    def step(before):
        return alpha[t] * before + 1 - alpha[t]

    by_induction((weights, right), 1 - alpha[1], step)
    with pytest.raises(ProofError, match="step"):
        by_induction((weights, wrong), 1 - alpha[1], step)


@pytest.mark.parametrize(("first", "last"), [(1, 4), (2, 2), (-3, 5)])
def test_a_telescoping_sum_in_numbers(first, last):
    f = s**3 - 2 ** (-s) + 5
    terms = sum(f.subs(s, i) - f.subs(s, i - 1) for i in range(first, last + 1))
    assert telescope(f, s, first, last) == terms


def test_a_telescoping_sum_in_symbols():
    f = sp.Function("f")
    assert telescope(f(s), s, 2, T) == f(T) - f(1)
    assert telescope(sp.log(abar[s]), s, k, t) == sp.log(abar[t]) - sp.log(abar[k - 1])


def test_a_constant_telescopes_to_nothing():
    assert telescope(x_0, s, 1, T) == 0


# ---------------------------------------------------------------------------------- Markov chains


def random_chain(length=4, states=2):
    """The table of p(x_0, ..., x_3) of a Markov chain with other transitions in each step."""
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(states))
    for _ in range(length - 1):
        rows = rng.dirichlet(np.ones(states), size=states)
        table = table[..., None] * rows.reshape((1,) * (table.ndim - 1) + rows.shape)
    return table


def indices_of(variables):
    """The time steps of x_i and x_{i:j}."""
    for v in variables:
        ends = v.args if isinstance(v, Span) else (v, v)
        yield from range(int(ends[0].indices[0]), int(ends[1].indices[0]) + 1)


def conditional(table, density, path):
    """The probability of some steps of a path given others."""

    def joint(kept):
        others = tuple(i for i in range(table.ndim) if i not in kept)
        return table.sum(axis=others)[tuple(path[i] for i in sorted(kept))]

    given = set(indices_of(density.given))
    wanted = given | set(indices_of(density.variables))
    return joint(wanted) / (joint(given) if given else 1.0)


def number(expression, tables, path):
    """The value of a formula of densities along one path; `tables` by the densities' names."""
    found = expression.subs(T, 3).doit()
    values = {q: sp.Float(conditional(tables[q.name], q, path), 17) for q in found.atoms(Density)}
    return float(found.xreplace(values))


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    "latex", [r"q(x_{1:T} \mid x_0)", r"q(x_{2:T} \mid x_0)", "q(x_{0:T})", "q(x_{1:T})"]
)
def test_the_factors_multiply_to_the_joint_density(latex, backward):
    density, table = read(latex), random_chain()
    product = markov_factor(density, backward)
    assert product.has(sp.Product)
    for path in itertools.product(range(2), repeat=4):
        tables = {density.name: table}
        found, expected = (number(e, tables, path) for e in (product, density))
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_factors_as_ddpm_writes_them():
    q, p = forward.name, model.name
    step = sp.Product(Density(q, [x_t], [x_prev]), (t, 1, T))
    assert markov_factor(forward) == step
    assert markov_factor(forward, index=s) == step.xreplace({t: s})
    back = sp.Product(Density(p, [x_prev], [x_t]), (t, 1, T))
    assert markov_factor(model, backward=True) == Density(p, [x[T]], []) * back
    posterior = sp.Product(Density(q, [x_prev], [x_t, x_0]), (t, 2, T))
    assert markov_factor(forward, backward=True) == Density(q, [x[T]], [x_0]) * posterior


def test_the_chain_rule_holds_for_any_law():
    table = np.random.default_rng(1).dirichlet(np.ones(16)).reshape((2,) * 4)
    for backward, path in itertools.product((False, True), itertools.product((0, 1), repeat=4)):
        before, factor = chain_rule(forward, backward)
        product, whole = (
            number(e, {forward.name: table}, path) for e in (before * factor, forward)
        )
        assert product == pytest.approx(whole, rel=1e-12)


def test_the_markov_property_holds_for_chains_only():
    chain = random_chain()
    other = np.random.default_rng(1).dirichlet(np.ones(16)).reshape((2,) * 4)
    for backward in (False, True):
        factor = chain_rule(forward, backward)[1]
        short = forget(factor, backward)
        assert len(short.given) < len(factor.given) or not short.given.has(Span)
        for table, alike in ((chain, True), (other, False)):
            pairs = [
                [number(e, {forward.name: table}, path) for e in (factor, short)]
                for path in itertools.product((0, 1), repeat=4)
            ]
            assert np.allclose(*zip(*pairs, strict=True)) == alike


@pytest.mark.parametrize(
    "latex",
    [r"q(x_{1:t} \mid x_T)", r"q(x_{1:t} \mid x_{t+1})", r"q(x_{1:t} \mid x_1)",
     r"q(x_{1:t} \mid x_0, x_T)"],
)  # fmt: skip
def test_a_later_variable_that_is_given_is_not_forgotten(latex):
    with pytest.raises(ProofError, match="does not come before"):
        markov_factor(read(latex))
    with pytest.raises(ProofError, match="does not come before"):
        forget(chain_rule(read(latex))[1])


def test_backward_what_is_given_stays_wherever_it_is():
    found = markov_factor(read(r"q(x_{1:3} \mid x_5)"), backward=True, index=s).doit()
    assert found == read(r"q(x_3 \mid x_5) q(x_1 \mid x_2, x_5) q(x_2 \mid x_3, x_5)")


RULES = [
    ("eq-markov-chain-rule", lambda: chain_rule(forward)),
    ("eq-markov-property", lambda: forget(read(r"q(x_t \mid x_{0:t-1})"))),
    ("eq-post-conditional", lambda: jensen_gap(read("p(x, z)"), read(r"q(z \mid x)"))),
    ("eq-elbo-kl", lambda: jensen_gap(read("p(x, z)"), read(r"q(z \mid x)"))),
]


@pytest.mark.parametrize(("label", "work"), RULES)
def test_nothing_is_done_without_its_rule(label, work, monkeypatch):
    work()
    monkeypatch.setattr(rules, "withdrawn", {label})
    with pytest.raises(rules.RuleError, match=label):
        work()


def test_another_variable_that_is_given_stays():
    found = markov_factor(read(r"q(x_{1:3} \mid z)"), index=s).doit()
    assert found == read(r"q(x_1 \mid z) q(x_2 \mid x_1, z) q(x_3 \mid x_2, z)")


def test_only_a_span_has_factors():
    with pytest.raises(ProofError, match="not a density of variables"):
        markov_factor(read(r"q(x_t \mid x_0)"))


# ------------------------------------------------------------------------------- the ELBO's gap


def expected(expression, tables, path):
    """The expectation over the latent states, those of x_0 as on the path."""
    (law,), body = expression.laws, expression.body
    total = 0.0
    for latent in itertools.product(range(2), repeat=3):
        whole = (path[0], *latent)
        total += number(law, tables, whole) * number(body, tables, whole)
    return total


def test_the_gap_is_the_divergence_in_numbers():
    gap = jensen_gap(model, forward)
    rng = np.random.default_rng(3)
    tables = {e.name: rng.dirichlet(np.ones(16)).reshape((2,) * 4) for e in (forward, model)}
    q, p = gap.rhs.args
    (elbo,) = gap.lhs.atoms(Expectation)
    assert gap.lhs.coeff(elbo) == -1
    for start in (0, 1):
        path = (start, 0, 0, 0)
        left = number(gap.lhs + elbo, tables, path) - expected(elbo, tables, path)
        right = expected(Expectation([q], sp.log(q / p)), tables, path)
        assert left == pytest.approx(right, rel=1e-10)
        assert right > 0


def test_the_gap_of_an_autoencoder():
    gap = jensen_gap(read("p(x, z)"), read(r"q(z \mid x)"))
    wanted = read(
        r"\log p(x) - \mathbb{E}_{q(z \mid x)}[\log(p(x, z) / q(z \mid x))]".replace(
            "p(x, z) / q(z \\mid x)", r"\frac{p(x, z)}{q(z \mid x)}"
        )
    )
    assert left_over(gap.lhs, wanted) == 0
    assert gap.rhs == read(r"D_{\mathrm{KL}}(q(z \mid x) \,\|\, p(z \mid x))")


@pytest.mark.parametrize(
    ("joint", "proposal"),
    [
        (r"p_\theta(x_{0:T})", r"q(x_{2:T} \mid x_0)"),
        (r"p_\theta(x_{1:T})", r"q(x_{1:T} \mid x_0)"),
        (r"p_\theta(x_{0:T})", r"q(x_{1:T} \mid x_1)"),
        (r"p(x, z)", r"q(z \mid z)"),
        (r"p(x, z)", r"q(z \mid y)"),
        (r"p(x, z)", "q(z)"),
        (r"p(x \mid z)", r"q(z \mid x)"),
    ],
)
def test_no_gap_where_the_variables_differ(joint, proposal):
    with pytest.raises(ProofError, match="not joint in the variables"):
        jensen_gap(read(joint), read(proposal))


def test_a_proof_of_a_factorial():
    """An induction from 0, whose claim is known to Python as well."""
    name = sp.Function("F")(n)
    claim = by_induction(
        (name, sp.Product(k, (k, 1, n))), 1, lambda before: before * n, variable=n, start=0
    )
    assert [claim.rhs.subs(n, i).doit() for i in range(5)] == [math.factorial(i) for i in range(5)]
