r"""Expectations under a Markov chain, compared by their integrands.

Everything is brought under one law, that of all variables together. The law of some of them is a
marginal of it, so that an expectation under it is one under the whole law, and E[f] - E[g] is
E[f - g]. `integrand` returns what then stands in the brackets, in a canonical form: two expressions
are equal if their integrands are the same.

    E_{q(x_1 | x_0)}[f(x_1)]                            f(x_1), as q(x_1 | x_0) is a marginal
    E_{q(x_t | x_0)}[KL(q(x_{t-1} | x_t, x_0) || p)]    log q(x_{t-1} | x_t, x_0) - log p

The second needs that q(x_t | x_0) q(x_{t-1} | x_t, x_0) is the law of the pair. A law may be
multiplied to another only if the chain allows it: what is given must separate the new variables
from all others. KL(q(x_t | x_{t-1}) || p) within an expectation over x_{t-1} and x_{t+1} raises
`LawError`, because x_{t+1} tells something about x_t too.

Logarithms of densities become sums of log q(x_t | x_s), s < t, and log q(x_t); those of any other
name, such as p_theta, run the other way: log p(x_s | x_t). So Bayes' theorem and the Markov
property hold by themselves. A sum over t becomes a difference of its partial sums, so that shifted
indices, terms split off and telescoping sums are all the same to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import sympy as sp
from sympy import Add, Expr, Indexed, Mul, Product, Sum, Symbol

from ddpm_lite.symbolic.algebra import is_positive, put
from ddpm_lite.symbolic.chains import (
    TOP,
    LawError,
    Piece,
    Sums,
    densities,
    in_order,
    joined,
    minus,
    named,
    piece_of,
    pieces_of,
    symbols_in,
    variables_in,
)
from ddpm_lite.symbolic.normals import log_density
from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import KL, Density, Expectation, Gaussian, Span
from ddpm_lite.symbolic.partial_sums import Term, collected
from ddpm_lite.symbolic.rules import use
from ddpm_lite.symbolic.scopes import Leaf, Scope, check_divergence, check_one_law

__all__ = ["LawError", "bayes", "expected", "integrand", "log_ratio"]

FORWARD = "q"
"""The law whose conditionals run forward in time; those of all others run backward."""
LATENT_AND_OBSERVED = ("z", "x")
"""The chain of a hierarchical autoencoder, and its z_0. No other variable begins a chain."""
MODEL, PRIOR = r"p_\theta", "p"
"""The law of p_theta(x_{t-1} | x_t) starts at p(x_T), or at p(z) where there is one step."""


def integrand(expression: Expr) -> Expr:
    """What stands in the brackets when all is one expectation; canonical.

    `expression` is a linear combination of Expectation, KL, Sum of them, and of what is no random
    variable or is given. Without any Expectation or KL it is a statement about the densities
    themselves. Raises LawError for what is no expectation under the law of the chain.
    """
    whole = _renamed(sp.sympify(expression))
    variables = [v for d in densities(whole) for v in (*d.variables, *d.given)]
    walk = _Walk(variables)
    terms = walk.terms(whole, Scope(), ())
    check_one_law(walk.leaves)
    return collected(terms, variables)


def log_ratio(a: Expr, b: Expr) -> Expr:
    """The logarithm of a / b, two products and quotients of densities; 0 if they are equal."""
    return integrand(_log(sp.sympify(a)) - _log(sp.sympify(b)))


def bayes(density: Density, variable: Expr) -> Expr:
    """Bayes' theorem: q(b | a, c) = q(a | b, c) q(b | c) / q(a | c), a being `variable`."""
    if variable not in density.given:
        raise ValueError(f"{variable} is not given in {density}")
    others = [v for v in density.given if v != variable]
    turned = Density(density.name, [variable], [*density.variables, *others])
    before = Density(density.name, density.variables, others)
    result = turned * before / Density(density.name, [variable], others)
    assert log_ratio(density, result) == 0
    return result


def expected(expectation: Expectation) -> Expr:
    """E_q[p/q] = p with the variables integrated out, for products and quotients of densities.

    Law times body must be one density of all its variables, or all but the ones given. Raises
    LawError where it is not.
    """
    inside = Mul(*expectation.laws, expectation.body)
    integrated = pieces_of(v for law in expectation.laws for v in law.variables)
    laws = densities(_renamed(Mul(*expectation.laws)))
    free = minus(pieces_of(v for law in laws for v in law.given), integrated)
    for density in _joint_candidates(inside, free):
        if log_ratio(inside, density) == 0:
            return _integrated_out(density, integrated)
    raise LawError(f"{inside} is no density of all its variables")


def _joint_candidates(inside: Expr, free: list[Piece]) -> Iterable[Density]:
    variables = [v for d in densities(inside) for v in (*d.variables, *d.given)]
    bases = {piece_of(v).base: v for v in variables}
    everything = _union(pieces_of(variables))
    for name in sorted({d.name for d in densities(inside)}, key=str, reverse=True):
        for given in ([], free):
            rest = [_variable(p, bases) for p in minus(everything, given)]
            yield Density(name, rest, [_variable(p, bases) for p in given])


def _union(pieces: Iterable[Piece]) -> list[Piece]:
    """The same variables, each once, neighbours joined."""
    once: list[Piece] = []
    for piece in pieces:
        once = [*minus(once, [piece]), piece]
    return joined(once)


def _variable(piece: Piece, bases: dict[str, Expr]) -> Expr:
    like = bases[piece.base]
    base = like.args[0].base if isinstance(like, Span) else getattr(like, "base", None)
    if base is None:
        return like
    return base[piece.lo] if piece.lo == piece.hi else Span(base[piece.lo], base[piece.hi])


def _integrated_out(density: Density, integrated: list[Piece]) -> Expr:
    bases = {piece_of(v).base: v for v in density.variables}
    left = minus(pieces_of(density.variables), integrated)
    if not left:
        return sp.Integer(1)
    return Density(density.name, [_variable(p, bases) for p in left], density.given)


def _renamed(expression: Expr) -> Expr:
    """The model's start under the model's name; the x of a hierarchical autoencoder is its z_0."""
    named = expression.xreplace(_starts(expression))
    variables = {v for d in densities(named) for v in (*d.variables, *d.given)}
    bases = {v.base for v in variables if isinstance(v, Indexed)}
    bases |= {v.args[0].base for v in variables if isinstance(v, Span)}
    plain = {v for v in variables if isinstance(v, Symbol)}
    if len(bases) == len(plain) == 1:
        (base,), (alone,) = bases, plain
        observed = (str(base.label), alone.name) == LATENT_AND_OBSERVED
        if observed and not _holds(named, base[0]):
            named = named.xreplace({alone: base[0]})
    return named


def _holds(expression: Expr, variable: Expr) -> bool:
    """Whether a law in it may be one of this variable, also at an index that runs."""
    start = piece_of(variable)
    parts = [(expression, ()), *_series_in(expression, ())]
    laws = [(d, limits) for part, limits in parts for d in densities(_without_series(part))]
    pieces = [p for d, limits in laws for p in pieces_of((*d.variables, *d.given), limits)]
    return any(p.base == start.base and not p.apart(start) for p in pieces)


def _starts(expression: Expr) -> dict[Expr, Expr]:
    """p(x_T) becomes p_theta(x_T), where no other p than that one stands beside p_theta."""
    found = densities(expression)
    prior = [d for d in found if str(d.name) == PRIOR]
    model = [d for d in found if str(d.name) == MODEL]
    if not model or not all(_is_start(d, model) for d in prior):
        return {}
    return {d: Density(Symbol(MODEL), d.variables, d.given) for d in prior}


def _is_start(density: Density, model: list[Density]) -> bool:
    """Whether it is p(x_T), or p(z) of a latent z that the model draws from next."""
    if density.given or len(density.variables) != 1:
        return False
    (variable,) = density.variables
    if isinstance(variable, Indexed):
        return bool(str(variable.indices[0]) == TOP and len(variable.indices) == 1)
    return isinstance(variable, Symbol) and any(variable in d.given for d in model)


@dataclass
class _Walk:
    """Takes an expression apart into terms, and notes the law that each stands under."""

    variables: list[Expr]
    leaves: list[Leaf] = field(default_factory=list)

    def terms(self, expression: Expr, scope: Scope, limits: Sums) -> list[Term]:
        """The terms of an expression under a law."""
        if isinstance(expression, Add):
            return [t for part in expression.args for t in self.terms(part, scope, limits)]
        if isinstance(expression, Mul):
            return self._product(expression, scope, limits)
        if isinstance(expression, Sum):
            return self._sum(expression, scope, limits)
        if isinstance(expression, KL):
            return self._divergence(expression, scope, limits)
        if isinstance(expression, Expectation) and _has_law(expression):
            _check_given_in_law(expression)
            return self.terms(expression.body, scope.under(expression.laws, limits), limits)
        if isinstance(expression, sp.log):
            return self._logarithm(expression.args[0], scope, limits)
        return [self._leaf(expression, scope, limits)]

    def _product(self, product: Expr, scope: Scope, limits: Sums) -> list[Term]:
        expanded = sp.expand_mul(product, deep=False)
        if not isinstance(expanded, Mul):
            return self.terms(expanded, scope, limits)
        taken = [f for f in expanded.args if _is_linear_part(f)]
        if len(taken) != 1:
            return [self._leaf(expanded, scope, limits)]
        factor = Mul(*(f for f in expanded.args if f is not taken[0]))
        self._leaf(factor, scope, limits)
        if isinstance(taken[0], Sum):
            return self.terms(_into_sum(factor, taken[0]), scope, limits)
        parts = self.terms(taken[0], scope, limits)
        return [Term(sp.expand_mul(factor * part.body), part.limits) for part in parts]

    def _sum(self, series: Sum, scope: Scope, limits: Sums) -> list[Term]:
        body, inner = _opened(series, limits)
        return self.terms(body, scope, inner)

    def _divergence(self, kl: Expr, scope: Scope, limits: Sums) -> list[Term]:
        q, p = kl.args
        laws = densities(q)
        if not laws:
            return [self._leaf(kl, scope, limits)]
        use("eq-elbo-kl")
        inner = scope.under(laws, limits)
        check_divergence(kl, limits)
        difference = [self._logarithm(q, inner, limits), self._logarithm(p, inner, limits)]
        return difference[0] + [t._replace(body=-t.body) for t in difference[1]]

    def _logarithm(self, inside: Expr, scope: Scope, limits: Sums) -> list[Term]:
        """Logs of the factors that are surely positive, and one log of all others together."""
        self._note(inside, scope, limits, _used(inside, self.variables, limits))
        terms, others = [], sp.Integer(1)
        for factor in Mul.make_args(inside):
            parts = self._log_of_factor(factor, scope, limits)
            terms += parts or []
            others *= 1 if parts is not None else factor
        return [*terms, *([self._leaf(sp.log(others), scope, limits)] if others != 1 else [])]

    def _log_of_factor(self, factor: Expr, scope: Scope, limits: Sums) -> list[Term] | None:
        """None where the factor may be negative, or nothing is to be taken apart."""
        base, power = factor.as_base_exp()
        if isinstance(factor, sp.exp):
            return self.terms(factor.args[0], scope, limits)
        if isinstance(factor, Density):
            return _log_density(factor, limits)
        if isinstance(factor, Gaussian):
            return self.terms(expand_norms(log_density(factor)), scope, limits)
        if power != 1 and densities(base) and is_positive(base):
            parts = self._logarithm(base, scope, limits)
            return [t._replace(body=power * t.body) for t in parts]
        if isinstance(factor, Product) and is_positive(factor.function):
            return self._sum(Sum(_log(factor.function), *factor.limits), scope, limits)
        return [self._leaf(sp.log(factor), scope, limits)] if is_positive(factor) else None

    def _leaf(self, expression: Expr, scope: Scope, limits: Sums) -> Term:
        """What is not taken apart; its variables must be bound or given, also in sums within it."""
        used = _used(expression, self.variables, limits)
        for series, inner in _series_in(expression, limits):
            used += _used(series, self.variables, inner)
            if scope.known:
                _check_fixed(series, self.variables)
        return self._note(expression, scope, limits, used)

    def _note(self, expression: Expr, scope: Scope, limits: Sums, used: list[Piece]) -> Term:
        if expression.has(KL) or any(_has_law(e) for e in expression.atoms(Expectation)):
            raise LawError(f"{expression} is not linear in its expectations")
        if scope.known:
            _check_fixed(expression, self.variables)
        unknown = minus(used, scope.known) if scope.known else []
        if unknown:
            raise LawError(f"{named(unknown)} is free in the expectation of {expression}")
        self.leaves.append(Leaf(scope, [] if scope.known else used))
        return Term(expression, limits)


def _check_fixed(expression: Expr, variables: list[Expr]) -> None:
    """Within a law there may be its own variables and fixed numbers, and nothing else."""
    chain = {piece_of(v).base for v in variables}
    for symbol in symbols_in(_without_series(expression)):
        name = str(symbol.base.label) if isinstance(symbol, Indexed) else symbol.name
        if piece_of(symbol).base not in chain and name in TABLE and not TABLE[name].fixed:
            raise LawError(f"{name} may depend on what is averaged in {expression}")


def _used(expression: Expr, variables: list[Expr], limits: Sums) -> list[Piece]:
    """The variables of an expression but those in sums, which are looked at by themselves."""
    return pieces_of(variables_in(_without_series(expression), variables), limits)


def _without_series(expression: Expr) -> Expr:
    return expression.xreplace({s: sp.Integer(1) for s in expression.atoms(Product, Sum)})


def _series_in(expression: Expr, limits: Sums) -> Iterator[tuple[Expr, Sums]]:
    """What sums and products within an expression add up, each under its range."""
    if isinstance(expression, (Sum, Product)):
        body, inner = _opened(expression, limits)
        yield body, inner
        yield from _series_in(body, inner)
    else:
        for part in expression.args:
            yield from _series_in(part, limits)


def _opened(series: Expr, limits: Sums) -> tuple[Expr, Sums]:
    """What a sum or product adds up, and the ranges around it; all its indices are new."""
    fresh: dict[Expr, Expr] = {}
    for index, *ends in reversed(series.limits):
        low, high = (put(end, fresh) for end in ends)
        fresh = fresh | {index: sp.Dummy(index.name, integer=True, positive=True)}
        limits = (*limits, (fresh[index], low, high))
    return put(series.function, fresh), limits


def _check_given_in_law(expectation: Expectation) -> None:
    """Under a law, what is given has its place there: a bar in the brackets would say it twice."""
    if expectation.given:
        raise LawError(f"what is given belongs into the law: ${sp.latex(expectation)}$")


def _has_law(expectation: Expectation) -> bool:
    laws = expectation.laws
    return bool(laws) and all(isinstance(law, Density) for law in laws)


def _is_linear_part(factor: Expr) -> bool:
    """Whether a factor is one that is taken apart: a sum, an expectation, a log of densities."""
    if isinstance(factor, Expectation):
        return _has_law(factor)
    if isinstance(factor, sp.log):
        return bool(densities(factor))
    return isinstance(factor, KL | Sum)


def _into_sum(factor: Expr, series: Sum) -> Expr:
    """A factor brought into a sum, whose indices are new so that they do not clash with it."""
    fresh = {
        limit[0]: sp.Dummy(limit[0].name, integer=True, positive=True) for limit in series.limits
    }
    renamed = series.xreplace(fresh)
    return Sum(factor * renamed.function, *renamed.limits)


def _log(product: Expr) -> Expr:
    """Its logarithm, not touched by SymPy."""
    return sp.log(product, evaluate=False)


def _log_density(density: Density, limits: Sums) -> list[Term]:
    """Log n(A | B) = log n(A, B) - log n(B), each along the chain."""
    given = pieces_of(density.given, limits)
    both = pieces_of(density.variables, limits) + given
    if given:
        use("eq-post-conditional")
    taken = [t._replace(body=-t.body) for t in _log_joint(density, given, limits)]
    return _log_joint(density, both, limits) + taken


def _log_joint(density: Density, pieces: list[Piece], limits: Sums) -> list[Term]:
    """The logarithm of a joint density as logs of single and of conditional densities."""
    variables = (*density.variables, *density.given)
    bases = {piece_of(v).base: v for v in variables}
    if len({p.base for p in pieces}) > 1:
        chosen = sorted((_variable(p, bases) for p in pieces), key=sp.default_sort_key)
        return [Term(sp.log(Density(density.name, chosen, ())), limits)]
    ordered = in_order(pieces)
    if not ordered:
        return []
    forward = str(density.name) == FORWARD
    edge = ordered[0].lo if forward else ordered[-1].hi
    like = Piece(ordered[0].base, edge, edge)
    terms = [Term(sp.log(Density(density.name, [_variable(like, bases)], ())), limits)]
    for piece in ordered:
        terms += _inside(density, piece, bases, limits)
    for early, late in pairwise(ordered):
        ends = (_point(early, early.hi, bases), _point(late, late.lo, bases))
        terms.append(Term(_transition(density, *ends), limits))
    return terms


def _inside(density: Density, piece: Piece, bases: dict[str, Expr], limits: Sums) -> list[Term]:
    """The steps within x_{lo:hi}, a sum from lo + 1 to hi."""
    if piece.lo == piece.hi:
        return []
    s = sp.Dummy("s", integer=True, positive=True)
    ends = (_point(piece, s - 1, bases), _point(piece, s, bases))
    return [Term(_transition(density, *ends), (*limits, (s, piece.lo + 1, piece.hi)))]


def _point(piece: Piece, index: Expr, bases: dict[str, Expr]) -> Expr:
    return _variable(Piece(piece.base, index, index), bases)


def _use_chain(density: Density, variable: Expr) -> None:
    """The factorisation that makes the law a chain: of q forward, of the model backward."""
    if str(getattr(variable, "base", "x")) == "z":
        use("eq-elbo-hierarchy")
    elif str(density.name) == FORWARD:
        use("eq-markov-property")
        use("eq-elbo-forward")
    else:
        use("eq-elbo-reverse")


def _transition(density: Density, early: Expr, late: Expr) -> Expr:
    """Log q(late | early), or log p(early | late)."""
    _use_chain(density, late)
    if str(density.name) == FORWARD:
        return sp.log(Density(density.name, [late], [early]))
    return sp.log(Density(density.name, [early], [late]))
