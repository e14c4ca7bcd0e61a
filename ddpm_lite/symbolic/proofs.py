"""Proofs for every t and every T: induction, telescoping sums, Markov chains, the gap of the ELBO.

Each function works out what it returns and raises ProofError, with the residual that did not
vanish, where a part of the proof fails. Equality is decided by algebra, exactly: densities
are compared as they are written, so that no rule about laws is used where it is to be proved.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import sympy as sp
from sympy.core.function import AppliedUndef

from ddpm_lite.symbolic.algebra import left_over, named_by
from ddpm_lite.symbolic.chains import piece_of
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.gaussians import IDENTITY, is_isotropic
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import KL, Density, Expectation, Formal, Gaussian, Span
from ddpm_lite.symbolic.rules import use

KNOWN = frozenset({r"\alpha", r"\beta", r"\bar{\alpha}"})
"""Families that `algebra` knows relations of."""

STEP = TABLE["t"].plain()
Sides: TypeAlias = Claim | sp.Eq | tuple[sp.Expr, sp.Expr]
Step: TypeAlias = Callable[[sp.Expr], sp.Expr]


class ProofError(Exception):
    """A part of a proof failed; the message says which part and what is left over."""


# -------------------------------------------------------------------------------------- induction


def by_induction(
    claim: Sides,
    base: sp.Expr,
    step: Step,
    variable: sp.Symbol = STEP,
    start: sp.Expr | int = 1,
) -> sp.Eq:
    """Prove claim = (lhs, rhs) for every variable >= start, and return it as an equation.

    `base` is the left side at the start and `step(previous)` the left side at `variable`, worked
    out from the left side at `variable - 1`; both come from the definition of the left side. A
    left side that is but a name (a symbol x_t, a density) is what they define; one that is written
    out (a sum, a power) is compared with them. Proved here: the base equals the right side at the
    start, and the step takes the right side at variable - 1 to the right side at variable.
    """
    left, right = _sides(claim, variable)
    before = _at(right, variable, variable - 1)
    _compare("base", base, evaluated(_at(right, variable, start)))
    _compare("step", step(before), unrolled(right, variable))
    _check_hypothesis_used(before, step)
    if not _is_only_named(left, base):
        _compare("start of the left side", evaluated(_at(left, variable, start)), base)
        recursion = step(_at(left, variable, variable - 1))
        _compare("recursion of the left side", unrolled(left, variable), recursion)
    return sp.Eq(left, right, evaluate=False)


def _at(expression: sp.Expr, variable: sp.Symbol, value: sp.Expr | int) -> sp.Expr:
    return named_by(expression, {variable: sp.sympify(value)})


def _sides(claim: Sides, variable: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Both sides of a claim that says something about the variable."""
    if isinstance(claim, sp.logic.boolalg.BooleanAtom):
        raise ProofError(f"claim: nothing to prove, SymPy has reduced it to {claim}")
    left, right = map(sp.sympify, _pair(claim))
    if left == right:
        raise ProofError(f"claim: both sides are {sp.latex(left)}")
    if not left.has(variable):
        raise ProofError(f"claim: {sp.latex(variable)} is not in {sp.latex(left)}")
    return left, right


def _pair(claim: Sides) -> tuple[sp.Expr, sp.Expr]:
    if isinstance(claim, Claim):
        if claim.relations != ("=",):
            raise ProofError(f"claim: not one equation, {claim.latex()}")
        return claim.lhs, claim.rhs
    return claim.args if isinstance(claim, sp.Eq) else claim


def _is_only_named(left: sp.Expr, base: sp.Expr) -> bool:
    """Whether nothing is known of it but what base and step say.

    So it is with a symbol, a density, or a matrix symbol where the base has the entries.
    """
    if isinstance(left, sp.Indexed):
        return str(left.base.label) not in KNOWN
    if isinstance(left, sp.MatrixExpr):
        return isinstance(base, sp.MatrixBase)
    return isinstance(left, (Formal, AppliedUndef)) and not isinstance(left, Gaussian)


def _check_hypothesis_used(before: sp.Expr, step: Step) -> None:
    """A step that gives the same whatever it starts from proves nothing by induction."""
    hypothesis = _unknown_like(before)
    if not step(hypothesis).has(*hypothesis.atoms(sp.Dummy, sp.MatrixSymbol)):
        raise ProofError("step: it does not use the hypothesis")


def _unknown_like(before: sp.Expr) -> sp.Expr:
    """Something of the same kind of which nothing is known."""
    if isinstance(before, Gaussian):
        mean, v = sp.Dummy(r"\mu", real=True), sp.Dummy(positive=True)
        return Gaussian(before.x, mean, v * (IDENTITY if is_isotropic(before) else 1))
    if isinstance(before, sp.MatrixBase):
        return sp.ImmutableMatrix(*before.shape, lambda i, j: sp.Dummy())
    if isinstance(before, sp.MatrixExpr):
        return sp.MatrixSymbol("H", *before.shape)
    return sp.Dummy(positive=True)


def _compare(part: str, found: sp.Expr, claimed: sp.Expr) -> None:
    rest = left_over(found, claimed)
    if rest != 0:
        texts = [sp.latex(e) for e in (found, claimed, rest)]
        raise ProofError("{}: found {}, claimed {}, left over {}".format(part, *texts))


# ------------------------------------------------------------------------ finite sums and products


def evaluated(expression: sp.Expr) -> sp.Expr:
    """The sums and products with known ends worked out, and powers of matrices; nothing else."""
    if isinstance(expression, sp.MatrixExpr):
        return expression.doit()
    done: sp.Expr = expression.replace(_is_series, lambda e: e.doit())
    return done


def unrolled(expression: sp.Expr, n: sp.Symbol) -> sp.Expr:
    """The one new term of each sum or product whose end moves by one from n - 1 to n, taken out."""
    if _is_series(expression):
        return _unrolled_series(expression, n)
    if not expression.args or not expression.has(sp.Sum, sp.Product):
        return expression
    built: sp.Expr = expression.func(*(unrolled(part, n) for part in expression.args))
    return built


def _unrolled_series(series: sp.Expr, n: sp.Symbol) -> sp.Expr:
    """A sum to n as the sum to n - 1 and a term; factors without its index go in front."""
    index, low, high = series.limits[0]
    before = (index, low.subs(n, n - 1), high.subs(n, n - 1))
    grown = (sp.expand(before[1] - low), sp.expand(high - before[2]))
    if grown not in {(0, 1), (1, 0)}:
        return series
    term = evaluated(_at(series.function, index, high if grown == (0, 1) else low))
    body = unrolled(series.function, n)
    if isinstance(series, sp.Product):
        return term * sp.Product(body, before)
    front, rest = body.as_independent(index, as_Add=False)
    return term + front * sp.Sum(rest, before)


def _is_series(expression: sp.Expr) -> bool:
    return isinstance(expression, (sp.Sum, sp.Product)) and len(expression.limits) == 1


def telescope(f: sp.Expr, s: sp.Symbol, first: sp.Expr | int, last: sp.Expr | int) -> sp.Expr:
    """The sum of f(s) - f(s - 1) from s = first to last: f(last) - f(first - 1), by induction.

    f is an expression in s; last is at least first.
    """
    i, n = sp.symbols("i, n", integer=True, cls=sp.Dummy)
    rise = named_by(f, {s: i}) - named_by(f, {s: i - 1})
    value = named_by(f, {s: n}) - named_by(f, {s: sp.sympify(first) - 1})
    by_induction(
        claim=(sp.Sum(rise, (i, first, n)), value),
        base=named_by(rise, {i: sp.sympify(first)}),
        step=lambda previous: previous + named_by(rise, {i: n}),
        variable=n,
        start=first,
    )
    return named_by(value, {n: sp.sympify(last)})


# ---------------------------------------------------------------------------------- Markov chains


def markov_factor(density: Density, backward: bool = False, index: sp.Symbol = STEP) -> sp.Expr:
    """The joint density of x_a, ..., x_b of a Markov chain as a product over `index`.

    q(x_{1:T} | x_0) becomes the product of q(x_t | x_{t-1}). Backward, from the last variable to
    the first, p(x_{0:T}) becomes p(x_T) times the product of p(x_{t-1} | x_t), and what is given
    stays given: q(x_T | x_0) times the product of q(x_{t-1} | x_t, x_0). By induction over the
    number of steps, each by the chain rule and the Markov property.
    """
    steps = sp.Dummy("n", integer=True, nonnegative=True)
    first, last = _span(density).args
    (a,), (b,) = first.indices, last.indices
    left = _run(density, (b - steps, b) if backward else (a, a + steps))
    right = _factored(left, index, backward)
    by_induction(
        claim=(left, right),
        base=_alone(left.subs(steps, 0)),
        step=lambda previous: previous * next_factor(left, steps, backward),
        variable=steps,
        start=0,
    )
    product: sp.Expr = right.subs(steps, b - a)
    return product


def next_factor(left: Density, steps: sp.Symbol, backward: bool) -> Density:
    """The factor by which one more step multiplies: by the chain rule and the Markov property."""
    before, conditional = chain_rule(left, backward)
    if before != left.subs(steps, steps - 1):
        raise ProofError(f"chain rule: {sp.latex(before)} is not one step shorter")
    return forget(conditional, backward)


def chain_rule(density: Density, backward: bool = False) -> tuple[Density, Density]:
    """q(x_{a:b} | g) = q(x_{a:b-1} | g) q(x_b | x_{a:b-1}, g); backward x_a is split off."""
    use("eq-markov-chain-rule")
    first, last = _span(density).args
    (a,), (b,) = first.indices, last.indices
    before = _run(density, (a + 1, b) if backward else (a, b - 1))
    given = (*before.variables, *density.given)
    return before, Density(density.name, (first if backward else last,), given)


def forget(conditional: Density, backward: bool = False) -> Density:
    """The Markov property: of the variables given, the neighbour decides alone.

    Forward the neighbour is the last of the span, and all earlier variables of the chain go.
    Backward it is the first of the span; what was given besides the span stays.
    """
    use("eq-markov-property")
    span, *given = conditional.given
    first, last = span.args
    _check_given(given, span, backward)
    others = [g for g in given if backward or not _same_chain(g, first)]
    return Density(conditional.name, conditional.variables, (first if backward else last, *others))


def _check_given(given: Iterable[sp.Expr], span: Span, backward: bool) -> None:
    """Forward, what is given and comes later tells something: it is not forgotten."""
    for one in given:
        chain = _same_chain(one, span.args[0]) and not backward
        if chain and not piece_of(one).before(piece_of(span)):
            raise ProofError(f"{sp.latex(one)} does not come before {sp.latex(span)}")


def _factored(left: Density, index: sp.Symbol, backward: bool) -> sp.Expr:
    """The right side of the claim: the first factor times the product of the others."""
    first, last = _span(left).args
    (a,), (b,), x = first.indices, last.indices, first.base
    pair = (x[index - 1], x[index]) if backward else (x[index], x[index - 1])
    _check_given(left.given, _span(left), backward)
    given = [g for g in left.given if backward or not _same_chain(g, first)]
    factor = Density(left.name, pair[:1], (pair[1], *given))
    head = Density(left.name, (last if backward else first,), left.given)
    if head == factor.subs(index, a):
        return sp.Product(factor, (index, a, b))
    return head * sp.Product(factor, (index, a + 1, b))


def _run(density: Density, ends: tuple[sp.Expr, sp.Expr]) -> Density:
    """The density with other ends of its span."""
    x = _span(density).args[0].base
    return Density(density.name, (Span(x[ends[0]], x[ends[1]]),), density.given)


def _alone(density: Density) -> Density:
    """x_{a:a} is x_a."""
    return Density(density.name, _span(density).args[:1], density.given)


def _span(density: Density) -> Span:
    if len(density.variables) != 1 or not isinstance(density.variables[0], Span):
        raise ProofError(f"not a density of variables x_a, ..., x_b: {sp.latex(density)}")
    return density.variables[0]


def _same_chain(variable: sp.Expr, of: sp.Expr) -> bool:
    return isinstance(variable, sp.Indexed) and bool(variable.base == of.base)


# ------------------------------------------------------------------------------- the ELBO's gap


def jensen_gap(joint: Density, proposal: Density) -> sp.Eq:
    """The gap: log p(x) - E_q[log(p(x, z) / q(z | x))] = KL(q(z | x) || p(z | x)), as an equation.

    `joint` is p(x, z) and `proposal` q(z | x); z may be a span, and x_0 with x_{1:T} is x_{0:T}.
    log p(x) does not hold z, so it may stand inside the expectation. There the integrands on both
    sides are compared, with p(x, z) = p(x) p(z | x).
    """
    use("eq-post-conditional")
    use("eq-elbo-kl")
    observed, latent = proposal.given, proposal.variables
    if joint.given or not _together(joint.variables, tuple(observed), tuple(latent)):
        raise ProofError(f"{sp.latex(joint)} is not joint in the variables of the proposal")
    evidence, posterior = Density(joint.name, observed, ()), Density(joint.name, latent, observed)
    inside = sp.log(evidence) - sp.log(evidence * posterior / proposal)
    _compare("integrand", sp.expand_log(inside), sp.expand_log(sp.log(proposal / posterior)))
    elbo = Expectation((proposal,), sp.log(joint / proposal))
    return sp.Eq(sp.log(evidence) - elbo, KL(proposal, posterior), evaluate=False)


def _together(joint: sp.Tuple, observed: tuple[sp.Expr, ...], latent: tuple[sp.Expr, ...]) -> bool:
    """Whether the joint variables are the observed and the latent ones, no more and no less."""
    if set(observed) & set(latent) or not observed:
        return False
    if set(joint) == {*observed, *latent}:
        return True
    if len(latent) != 1 or not isinstance(latent[0], Span):
        return False
    first, last = latent[0].args
    (before,) = (first.base[i - 1] for i in first.indices)
    return observed == (before,) and tuple(joint) == (Span(before, last),)
