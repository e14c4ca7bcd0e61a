"""Premises bind: a page's definition of a rule must be the rule that the machine works with.

`hold` compares each such definition, as it stands on the page, with `rules.RULES`: the same claims,
member by member, or the page cannot be used. `agrees` asks the other half, whether the machine does
what a definition says: it works both sides out with its own functions. A test asks it of every
rule, and the mutation run of every changed definition.
"""

from collections.abc import Callable

import sympy as sp

from ddpm_lite.symbolic.algebra import NOT_COMPARABLE
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.equality import ComparisonError, equal
from ddpm_lite.symbolic.gaussians import log_density, moment
from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import Density, Dot, Expectation, Gaussian
from ddpm_lite.symbolic.page import Page, PageError
from ddpm_lite.symbolic.proofs import ProofError, chain_rule, forget
from ddpm_lite.symbolic.reader import read_claims
from ddpm_lite.symbolic.rules import RULES
from ddpm_lite.symbolic.tokens import ReadError


def hold(page: Page) -> None:
    """Raises PageError, with both versions, where a definition on the page is not the rule."""
    for label in RULES.keys() & page.equations.keys():
        equation = page[label]
        try:
            same = rule_claims(label, equation.latex) == rule_claims(label, RULES[label].latex)
        except ReadError as error:
            raise PageError(f"{page.name}, line {equation.line}, {label}: {error}") from None
        if not same:
            raise PageError(
                f"{page.name}, line {equation.line}: {label} is not the rule that the proofs use\n"
                f"  page:  {' '.join(equation.latex.split())}\n  rule:  {RULES[label].latex}"
            )


def rule_claims(label: str, latex: str) -> list[Claim]:
    """The claims of a display that are the rule, running indices renamed."""
    claims = read_claims(latex)
    wanted = RULES[label].claims
    if wanted is not None and len(claims) > max(wanted):
        claims = [claims[i] for i in wanted]
    return [Claim(tuple(map(_plain_indices, c.members)), c.relations) for c in claims]


def _plain_indices(expression: sp.Expr) -> sp.Expr:
    """The same with one name for each running index: the product over s is that over r."""
    series = expression.atoms(sp.Sum, sp.Product, sp.Integral)
    indices = sorted({one.limits[0][0] for one in series}, key=str)
    return expression.xreplace({old: sp.Dummy(f"i{n}", dummy_index=n, **old.assumptions0)
                                for n, old in enumerate(indices)})  # fmt: skip


def agrees(label: str, latex: str) -> bool:
    """Whether the machine's own functions do what this definition of the rule says."""
    try:
        claims = rule_claims(label, latex)
        same_number = len(claims) == len(rule_claims(label, RULES[label].latex))
        return same_number and all(_holds(label, claim) for claim in claims)
    except (*NOT_COMPARABLE, ComparisonError, ReadError, ProofError):
        return False


def _holds(label: str, claim: Claim) -> bool:
    if set(claim.relations) != {"="} or not _defines(label, claim):
        return False
    compare = _BY_LABEL.get(label, equal)
    return all(compare(a, b) for a, b in zip(claim.members, claim.members[1:], strict=False))


def _defines(label: str, claim: Claim) -> bool:
    """Whether it defines what the rule defines: a = a agrees with everything, and says nothing."""
    rules = rule_claims(label, RULES[label].latex)
    return any(claim.lhs == rule.lhs for rule in rules) and claim.lhs not in claim.members[1:]


def _same_log(a: sp.Expr, b: sp.Expr) -> bool:
    """The logarithm of a density, by the machine and by the page."""
    (density,) = a.atoms(Gaussian)
    return bool(a == sp.log(density) and equal(log_density(density), b))


def _same_norm(a: sp.Expr, b: sp.Expr) -> bool:
    """Norms: inner products written out in coordinates."""
    (index, _, last), *_ = b.limits
    inner = expand_norms(a).replace(Dot, lambda u, v: _coordinate(u, index) * _coordinate(v, index))
    whole = isinstance(b, sp.Sum) and b.limits[0][1:] == (1, TABLE["d"].plain())
    return whole and sp.expand(inner - b.function) == 0 and last == TABLE["d"].plain()


def _coordinate(vector: sp.Expr, index: sp.Expr) -> sp.Expr:
    return TABLE[str(vector)].indexed(index)


def _same_conditional(a: sp.Expr, b: sp.Expr) -> bool:
    """The Markov property: what `forget` leaves of the condition."""
    return bool(forget(a) == b)


def _same_chain(a: sp.Expr, b: sp.Expr) -> bool:
    return bool(sp.Mul(*chain_rule(a)) == b)


def _same_mean(a: sp.Expr, b: sp.Expr) -> bool:
    """Means: the integrals of powers against the bell are the moments that `moment` gives.

    And a variance is the mean squared distance from the mean.
    """
    if not isinstance(a, Expectation):
        X = next(iter(a.args))
        return bool(b == Expectation((), (X - Expectation((), X)) ** 2))
    (x, low, high), *_ = b.limits
    eps = sp.Dummy(real=True)
    bell = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    ends = (low, high) == (-sp.oo, sp.oo)
    return ends and all(
        sp.integrate(_applied(b.function, {"g": x**k, "p": bell}), (x, low, high))
        == moment(eps**k, eps)
        for k in range(5)
    )


def _applied(body: sp.Expr, values: dict[str, sp.Expr]) -> sp.Expr:
    """The body with g(x) and p(x) put in."""
    named = {f: values[_name(f)] for f in body.atoms(sp.Function, Density) if _name(f) in values}
    return body.xreplace(named)


def _name(part: sp.Expr) -> str:
    return str(part.name if isinstance(part, Density) else part.func)


_BY_LABEL: dict[str, Callable[[sp.Expr, sp.Expr], bool]] = {
    "eq-gauss-isotropic": _same_log,
    "eq-gauss-norm": _same_norm,
    "eq-markov-property": _same_conditional,
    "eq-markov-chain-rule": _same_chain,
    "eq-gauss-expectation": _same_mean,
}
