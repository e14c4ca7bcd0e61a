"""Means worked out from the definitions on a page: tower rule, total variance, marginals, sums.

A derivation starts from a formula as it stands on the page, with densities such as q(x_t | x_{t-1})
in it. `with_laws` puts the page's Gaussians in, `average` and `integrated` work the means and the
integrals out, `total_mean` and `total_variance` average over what is not known. A formula that is
not of the form that a step needs raises ProofError: that is how a slip in a definition shows.
"""

from typing import Any, TypeAlias

import sympy as sp
from sympy import Expr

from ddpm_lite.symbolic.algebra import named_by
from ddpm_lite.symbolic.chains import in_order, piece_of, variables_in
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.equality import difference
from ddpm_lite.symbolic.expectations import expected, log_ratio
from ddpm_lite.symbolic.gaussians import (
    IDENTITY,
    convolve,
    from_log,
    log_density,
    moment,
    scale,
    substitute,
)
from ddpm_lite.symbolic.objects import KL, Density, Expectation, Gaussian, Variance
from ddpm_lite.symbolic.proofs import STEP, ProofError

Law: TypeAlias = Claim | sp.Eq
"""density = Gaussian, or any equation that says what a density is."""

_AT = sp.Dummy(real=True)
"""Stands for a variable while its coefficients are taken."""


# ------------------------------------------------------------------------ the page's laws put in


def with_laws(expression: Expr, *laws: Law) -> Expr:
    """The right side of a law for each density that is its left side, at whichever time.

    A law for q(x_t | x_{t-1}) is one for q(x_{t+1} | x_t) too. Other densities stay.
    """
    known = {d: _found(d, laws) for d in expression.atoms(Density)}
    replaced: Expr = expression.xreplace({d: law for d, law in known.items() if law is not None})
    return replaced


def _found(density: Density, laws: tuple[Law, ...]) -> Expr | None:
    for law in laws:
        for time in _times(density, law.lhs):
            if named_by(law.lhs, {STEP: time}) == density:
                return named_by(_normalised(law.lhs, law.rhs), {STEP: time})
    return None


def _normalised(density: Density, right: Expr) -> Expr:
    """A Gaussian with a factor in front, or of another variable, is not this density."""
    one = isinstance(right, Gaussian) and tuple(density.variables) == (right.x,)
    if right.has(Gaussian) and not one:
        raise ProofError(f"not a density of {density.variables}: {sp.latex(right)}")
    return right


def _times(density: Density, like: Expr) -> list[Expr]:
    """The time at which the law's density may be this one."""
    if not isinstance(like, Density) or len(density.variables) != 1:
        return [STEP]
    here, there = (piece_of(d.variables[0]).lo for d in (density, like))
    return [STEP, sp.expand(here - there + STEP)]


def unfolded(expression: Expr, divergence: Law) -> Expr:
    """Each divergence written out as its definition D(q || p) = E_q[...] says."""
    q, p = divergence.lhs.args
    out: Expr = expression.replace(KL, lambda a, b: divergence.rhs.xreplace({q: a, p: b}))
    return out


def conditioned(claim: Law, known: Expr) -> Claim:
    """The same rule with one more variable known throughout: q(x) becomes q(x | known)."""

    def also(name: Expr, variables: Any, given: Any) -> Density:
        return Density(name, variables, (known, *given))

    return Claim(tuple(m.replace(Density, also) for m in (claim.lhs, claim.rhs)), ("=",))


# --------------------------------------------------------------------------------- marginal laws


def one_by_one(law: Density) -> list[Density]:
    """A joint density of a chain as the densities of its single variables, the last one first.

    Each variable is given the one before it; the first is given what the whole law is given.
    Raises ProofError unless chain rule and Markov property give the law back.
    """
    ordered = _by_time(law.variables)
    befores = [law.given, *((v,) for v in ordered)]
    parts = [Density(law.name, (v,), b) for v, b in zip(ordered, befores, strict=False)]
    if log_ratio(law, sp.Mul(*parts)) != 0:
        raise ProofError(f"chain rule: {sp.latex(law)} is not the product of {parts}")
    return parts[::-1]


def marginal_means(expectation: Expr) -> Expr:
    """E under the law of a whole path, term by term.

    A term holds only some of the variables. All others are integrated out, so its mean is that
    under the law of its own variables alone. The terms of a sum keep their index.
    """
    (path,) = expectation.laws
    parts = [term.as_coeff_Mul() for term in sp.Add.make_args(sp.expand(expectation.body))]
    return sp.Add(*(number * _marginal_mean(path, part) for number, part in parts))


def _marginal_mean(path: Density, body: Expr) -> Expr:
    if isinstance(body, sp.Sum):
        return sp.Sum(_marginal_mean(path, body.function), *body.limits)
    like = [v for d in body.atoms(Density) for v in (*d.variables, *d.given)]
    used = set(variables_in(body, like)) - set(path.given)
    return Expectation((Density(path.name, _by_time(used), path.given),), body)


def _by_time(variables: Any) -> list[Expr]:
    at = {piece_of(v): v for v in variables}
    return [at[piece] for piece in in_order(at)]


def integrated(integral: Expr, *laws: Law) -> Expr:
    """The integral of a product of two densities over the variable of one of them.

    Of two Gaussians it is a Gaussian; of p(y | x) p(x), without laws, it is the density p(y).
    """
    inside = with_laws(integral, *laws) if isinstance(integral, sp.Integral) else integral
    if not _is_over_all(inside):
        raise ProofError(f"no integral over all values: {sp.latex(integral)}")
    x, factors = inside.limits[0][0], sp.Mul.make_args(inside.function)
    of_x = [f for f in factors if isinstance(f, (Gaussian, Density)) and _variables(f) == (x,)]
    others = [f for f in factors if f not in of_x]
    if len(of_x) != 1 or len(others) != 1 or type(of_x[0]) is not type(others[0]):
        raise ProofError(f"not the density of something times that of x: {sp.latex(inside)}")
    if isinstance(of_x[0], Gaussian):
        return convolve(others[0], of_x[0])
    return expected(Expectation((of_x[0],), others[0]))


def _is_over_all(integral: Expr) -> bool:
    """Whether it is one integral, and over all values of its variable."""
    ends = [limit[1:] for limit in integral.limits] if isinstance(integral, sp.Integral) else []
    return ends == [(-sp.oo, sp.oo)]


def _variables(density: Expr) -> tuple[Expr, ...]:
    return (density.x,) if isinstance(density, Gaussian) else tuple(density.variables)


def logarithm(product: Expr) -> Expr:
    """The logarithm of a product and quotient of Gaussians, written out."""
    return _logs(sp.log(product))


def as_gaussian(product: Expr, x: Expr) -> Gaussian:
    """The Gaussian in x that a product and quotient of Gaussians is, the constant included."""
    law = from_log(logarithm(product), x)
    if (rest := difference(log_density(law), logarithm(product))) != 0:
        raise ProofError(f"no density of {sp.latex(x)}: the logarithm is off by {sp.latex(rest)}")
    return law


# ---------------------------------------------------------------------------- means under Gaussians


def average(expectation: Expr, *laws: Law) -> Expectation:
    """E[f] worked out as far as the laws are known: the last variable first, by the tower rule.

    `f` is a polynomial in the variables, or logarithms of Gaussians; it may hold further
    expectations. What is left is the mean, under the densities of which no law is given, of what
    the inner means have come to.
    """
    if expectation.given:
        raise ProofError(f"what is given belongs into the law: {sp.latex(expectation)}")
    for name in sorted(_noise_in(expectation), key=str):
        raise ProofError(f"{sp.latex(name)} may depend on what is averaged")
    waiting = [part for law in expectation.laws for part in _factors(law)]
    body = _averaged_inside(expectation.body, laws)
    unknown: list[Expr] = []
    for density in waiting:
        known = with_laws(density, *laws)
        if isinstance(known, Gaussian) and not unknown:
            body = _mean(body, known)
        else:
            unknown.append(density)
    return Expectation(unknown, body)


def _noise_in(expectation: Expr) -> set[Expr]:
    """Noises and random variables in the brackets that the laws say nothing of."""
    drawn = sp.Tuple(*expectation.laws).atoms(sp.Symbol, sp.Indexed)
    names = expectation.body.atoms(sp.Symbol, sp.Indexed) - drawn
    return {e for e in names if str(getattr(e, "base", e)) in _RANDOM and not e.is_Dummy}


_RANDOM = (r"\epsilon", "X", "Y")


def _factors(law: Expr) -> list[Expr]:
    return one_by_one(law) if isinstance(law, Density) and len(law.variables) > 1 else [law]


def _averaged_inside(body: Expr, laws: tuple[Law, ...]) -> Expr:
    """The body with its own expectations worked out, and its logarithms written out."""

    def inner(*parts: Any) -> Expr:
        done = average(Expectation(*parts), *laws)
        if done.laws:
            raise ProofError(f"no law is known for {sp.latex(done.laws)}")
        return done.body

    done = body.replace(Expectation, inner)
    return _logs(with_laws(done, *laws))


def _logs(expression: Expr) -> Expr:
    """Logarithms of products of Gaussians as polynomials."""
    apart = sp.expand_log(expression)
    out: Expr = apart.replace(
        lambda e: isinstance(e, sp.log) and isinstance(e.args[0], Gaussian),
        lambda e: log_density(e.args[0]),
    )
    return out


def _mean(body: Expr, law: Gaussian) -> Expr:
    noise = sp.Dummy(r"\epsilon", real=True)
    return moment(substitute(body, law.x, law.mean + sp.sqrt(scale(law)) * noise), noise)


def law_of_draw(draw: Law, noise: Expr) -> Gaussian:
    """The density of x = mean + sigma z, for a standard normal z of as many coordinates as x."""
    at_noise = sp.expand(substitute(draw.rhs, noise, _AT))
    sigma = sp.diff(at_noise, _AT)
    if sigma.has(_AT) or sigma == 0:
        raise ProofError(f"not a mean and a multiple of {sp.latex(noise)}: {sp.latex(draw.rhs)}")
    mean = substitute(draw.rhs, noise, sp.S.Zero)
    return Gaussian(draw.lhs, mean, sigma**2 * IDENTITY)


def covariance(a: Expr, b: Expr, *laws: Gaussian) -> Expr:
    """Cov[a, b] of polynomials in the variables of the laws, the last variable's law first."""

    def mean(value: Expr) -> Expr:
        for law in laws:
            value = _mean(value, law)
        return value

    gap: Expr = sp.factor(sp.expand(mean(a * b) - mean(a) * mean(b)))
    return gap


# --------------------------------------------------------------------- what is not known: averaged


def mixed(mixture: Expr, *laws: Law) -> tuple[Gaussian, Density]:
    """The two factors in a mixture: the Gaussian of y given x, and the density of x.

    The mixture is an integral of their product over x, as in q(y) = int q(y | x) q(x) dx.
    """
    inside = with_laws(mixture, *laws)
    if not _is_over_all(inside):
        raise ProofError(f"no mixture over all values: {sp.latex(mixture)}")
    factors = sp.Mul.make_args(inside.function)
    gaussians = [f for f in factors if isinstance(f, Gaussian)]
    densities = [f for f in factors if isinstance(f, Density)]
    if not len(gaussians) == len(densities) == 1 or len(factors) != 2:
        raise ProofError(f"not one Gaussian times one density: {sp.latex(inside)}")
    if tuple(densities[0].variables) != (inside.limits[0][0],):
        raise ProofError(f"{sp.latex(densities[0])} is not the density of what is averaged over")
    return gaussians[0], densities[0]


def total_mean(law: Gaussian, of: Density) -> Expr:
    """E[y], where y has the law for a known x, and x the density `of`: the mean of the means."""
    return mean_of(law.mean, of)


def total_variance(law: Gaussian, of: Density) -> Expr:
    """Var[y]: the mean of the law's variance, plus the variance of its mean."""
    (x,) = of.variables
    slope = sp.diff(_plain(law.mean, x), _AT)
    if slope.has(_AT):
        raise ProofError(f"the mean is not linear in {sp.latex(x)}: {sp.latex(law.mean)}")
    return mean_of(law.variance, of) + slope**2 * Variance(x, of.given)


def mean_of(expression: Expr, of: Density) -> Expr:
    """E[a + b x] = a + b E[x] under the density of x; of degree 1 in x, or it is refused."""
    (x,) = of.variables
    plain = sp.expand(_plain(expression, x))
    slope = sp.diff(plain, _AT)
    if slope.has(_AT):
        raise ProofError(f"not linear in {sp.latex(x)}: {sp.latex(expression)}")
    return named_by(plain, {_AT: sp.S.Zero}) + slope * Expectation((), x, of.given)


def _plain(expression: Expr, x: Expr) -> Expr:
    return substitute(expression, x, _AT)


# -------------------------------------------------------------------------- equations, inequalities


def equation(a: Expr, b: Expr) -> sp.Eq:
    """The equation a = b, once it is proved: the two differ by 0, or have the same integrands."""
    rest = difference(a, b)
    if rest != 0:
        raise ProofError(f"{sp.latex(a)} is not {sp.latex(b)}: left over {sp.latex(rest)}")
    return sp.Eq(a, b, evaluate=False)


def by(expression: Expr, *claims: Law) -> Expr:
    """The expression with the left side of each claim replaced by what it equals.

    Raises ProofError where a claim is not about the expression, or its own members differ.
    """
    for claim in claims:
        value = _equal_to(claim)
        changed = named_by(expression, {claim.lhs: value})
        if not expression.has(claim.lhs) or (changed == expression and value != claim.lhs):
            raise ProofError(f"{sp.latex(claim.lhs)} is not in {sp.latex(expression)}")
        expression = changed
    return expression


def _equal_to(claim: Law) -> Expr:
    """The last of the members that the claim says to be equal to its first."""
    if isinstance(claim, sp.Eq):
        return claim.rhs
    equal = [claim.lhs]
    for member, relation in zip(claim.members[1:], claim.relations, strict=True):
        if relation != "=":
            break
        equal.append(member)
    if len(equal) < 2:
        raise ProofError(f"not an equation: {claim.latex()}")
    for member in equal[1:-1]:
        equation(member, equal[-1])
    return equal[-1]


def at(claim: Claim, values: dict[Expr, Expr]) -> Claim:
    """The claim with values put in."""
    return Claim(tuple(named_by(m, values) for m in claim.members), claim.relations)


def negated(claim: Claim) -> Claim:
    """First and last member with their signs turned, and so the relation between them."""
    turn = {r"\ge": r"\le", r"\le": r"\ge", ">": "<", "<": ">"}
    strict = [r for r in claim.relations if r != "="]
    if len(set(strict)) > 1 or any(r not in turn for r in strict):
        raise ProofError(f"not one direction: {claim.latex()}")
    return Claim((-claim.lhs, -claim.rhs), (turn[strict[0]] if strict else "=",))


def averaged(claim: Claim, law: Density) -> Claim:
    """The mean of both sides: where f <= g everywhere, E[f] <= E[g]."""
    if not {*claim.relations} <= {"=", r"\le", r"\ge", "<", ">"}:
        raise ProofError(f"no relation that means keep: {claim.latex()}")
    return Claim(tuple(Expectation((law,), m) for m in claim.members), claim.relations)


# --------------------------------------------------------------------------------- sums taken apart


def log_sum(expression: Expr) -> Expr:
    """The logarithm of products as sums of logarithms, quotients as differences."""
    done = sp.expand_log(expression)  # of what is surely positive, and of nothing else
    return sp.expand(done.replace(sp.Sum, lambda body, ends: _one_sum_each(body, ends)))


def _one_sum_each(body: Expr, ends: Any) -> Expr:
    return sp.Add(*(sp.Sum(term, ends) for term in sp.Add.make_args(sp.expand(body))))


def first_off(expression: Expr) -> Expr:
    """The first term of each sum split off."""
    return _each_sum(expression, lambda f, i, a, b: named_by(f, {i: a}) + sp.Sum(f, (i, a + 1, b)))


def last_off(expression: Expr) -> Expr:
    """The last term of each sum split off."""
    return _each_sum(expression, lambda f, i, a, b: named_by(f, {i: b}) + sp.Sum(f, (i, a, b - 1)))


def shifted(expression: Expr, by: int) -> Expr:
    """The index of each sum moved back: the sum of f(i) from a to b is that of f(i + by)."""
    return _each_sum(
        expression, lambda f, i, a, b: sp.Sum(named_by(f, {i: i + by}), (i, a - by, b - by))
    )


def _one_range(series: Expr) -> sp.Tuple:
    if len(series.limits) != 1:
        raise ProofError(f"a sum over two indices: {sp.latex(series)}")
    return series.limits[0]


def _each_sum(expression: Expr, rule: Any) -> Expr:
    done: Expr = expression.replace(
        lambda e: isinstance(e, sp.Sum), lambda e: rule(e.function, *_one_range(e))
    )
    return done
