"""Rules that derivations on the pages use step by step: laws of many variables, entries, sums.

Nothing here knows a formula of the book. What two variables have to do with each other comes from a
rule that the cell has read from its page, such as p(y | x) = p(x, y) / p(x); the functions only put
other variables in. ProofError where a rule does not fit.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.concrete.delta import deltasummation
from sympy.matrices.expressions.matexpr import MatrixElement

from ddpm_lite.symbolic.algebra import named_by
from ddpm_lite.symbolic.chains import Piece, in_order, joined, pieces_of, variables_in
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.equality import difference
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import Density, Expectation, Span
from ddpm_lite.symbolic.proofs import ProofError

# ------------------------------------------------------------------------- laws of many variables


def instance(rule: Any, variables: Mapping[sp.Expr, Sequence[sp.Expr]]) -> Any:
    """A rule for x and y with lists of variables of a chain put in, neighbours written as one span.

    `rule` is a formula, or a Claim, of which every member is taken. With x: [x_{0:t-1}] and
    y: [x_t], the density p(x, y) becomes p(x_{0:t}).
    """
    if isinstance(rule, Claim):
        return Claim(tuple(instance(m, variables) for m in rule.members), rule.relations)

    def put(name: sp.Expr, own: sp.Tuple, given: sp.Tuple) -> Density:
        listed = ([v for old in part for v in variables[old]] for part in (own, given))
        return _density(name, *(_in_time(part) for part in listed))

    return rule.replace(Density, put)


def sum_out(product: sp.Expr, gone: sp.Expr, rule: Claim) -> sp.Expr:
    r"""The product summed (or integrated) over the variables `gone`, a single one or a span.

    `rule` says how: p(x) = \int p(x, y) dy. The variables must stand in one factor alone, before
    its bar; all other factors come to stand in front of the sum.
    """
    integral = rule.rhs
    if rule.relations != ("=",) or not isinstance(integral, sp.Integral):
        raise ProofError("the rule is not of the form p(x) = integral of p(x, y) over y")
    ((y, *ends),) = integral.limits
    others = [v for v in integral.function.variables if v != y]
    if ends != [-sp.oo, sp.oo] or len(others) != 1:
        raise ProofError("the rule does not integrate one of two variables over all its values")
    holders = [d for d in product.atoms(Density) if _has(d, gone)]
    if len(holders) != 1 or product.as_powers_dict()[holders[0]] != 1 or holders[0].given:
        raise ProofError(f"{sp.latex(gone)} does not stand in one factor alone")
    rest = product / holders[0]
    (out,) = pieces_of([gone])
    if not all(piece.apart(out) for piece in pieces_of(variables_in(rest, [gone]))):
        raise ProofError(f"{sp.latex(rest)} would come to stand in front, and holds {gone}")
    values = {others[0]: _without(holders[0].variables, gone), y: [gone]}
    if not _same_variables(instance(integral.function, values), holders[0]):
        raise ProofError(f"the rule does not fit {sp.latex(holders[0])}")
    summed: sp.Expr = rest * instance(rule.lhs, values)
    return summed


def split(product: sp.Product, last: sp.Expr) -> sp.Expr:
    """A product over s = a, ..., b as one up to `last` times one from last + 1 on."""
    ((index, low, high),) = product.limits
    parts = ((index, low, last), (index, last + 1, high))
    return sp.Mul(*(sp.Product(product.function, limits) for limits in parts))


def in_states(expression: sp.Expr, states: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """Densities of a chain with countable states as probabilities of its states.

    `states` has the state of each variable: at x_t = j and x_0 = i, p(x_t | x_0) becomes
    P(X_t = j | X_0 = i).
    """

    def events(variables: sp.Tuple) -> list[sp.Expr]:
        return [sp.Eq(_named("X", v), states[v], evaluate=False) for v in variables]

    return expression.replace(
        Density, lambda _, own, given: Density(sp.Symbol("P"), events(own), events(given))
    )


def _named(letter: str, variable: sp.Expr) -> sp.Expr:
    return TABLE[letter].indexed(*variable.indices)


def _density(name: sp.Expr, own: Sequence[sp.Expr], given: Sequence[sp.Expr]) -> Density:
    made = Density(name, tuple(own), tuple(given))
    assert isinstance(made, Density)
    return made


def _in_time(variables: Sequence[sp.Expr]) -> list[sp.Expr]:
    """In the order of time; a span and its neighbour become one span."""
    ordered: list[Piece] = []
    for piece in in_order(pieces_of(variables)):
        before = ordered[-1] if ordered else None
        if before and _gap(before.hi, piece.lo) == 1 and not (_single(before) and _single(piece)):
            ordered[-1] = Piece(piece.base, before.lo, piece.hi)
        else:
            ordered.append(piece)
    return [v for piece in ordered for v in _variables(piece)]


def _gap(one: sp.Expr, other: sp.Expr) -> sp.Expr:
    return sp.expand(other - one)


def _single(piece: Piece) -> bool:
    return bool(_gap(piece.lo, piece.hi) == 0)


def _variables(piece: Piece) -> list[sp.Expr]:
    """x_a, or x_a and x_{a+1}, or the span x_{a:b}."""
    entry = TABLE[piece.base]
    first, last = entry.indexed(piece.lo), entry.indexed(piece.hi)
    if _single(piece):
        return [first]
    return [first, last] if _gap(piece.lo, piece.hi) == 1 else [Span(first, last)]


def _same_variables(one: Density, other: Density) -> bool:
    return all(
        joined(in_order(pieces_of(a))) == joined(in_order(pieces_of(b)))
        for a, b in zip(one.args[1:], other.args[1:], strict=True)
    ) and bool(one.name == other.name)


def _has(density: Density, gone: sp.Expr) -> bool:
    """Whether it holds some of the variables, or may."""
    (piece,) = pieces_of([gone])
    return any(not piece.apart(p) for p in pieces_of([*density.variables, *density.given]))


def _without(variables: sp.Tuple, gone: sp.Expr) -> list[sp.Expr]:
    """What is left of a list when a variable or a span inside one of its members is taken out."""
    (out,) = pieces_of([gone])
    left: list[sp.Expr] = []
    for variable, piece in zip(variables, pieces_of(variables), strict=True):
        if piece.apart(out):
            left.append(variable)
            continue
        ends = ((piece.lo, out.lo - 1), (out.hi + 1, piece.hi))
        parts = (Piece(piece.base, sp.expand(lo), sp.expand(hi)) for lo, hi in ends)
        left += [v for part in parts if _gap(part.lo, part.hi) != -1 for v in _variables(part)]
    return left


# ---------------------------------------------------------------------------- entries and moments


def entry(matrix: Any, i: sp.Expr, j: sp.Expr | None = None, index: sp.Expr | None = None) -> Any:
    r"""Entry i of a column, or i, j of a matrix; products as sums over `index` from 1 on.

    The coordinates of a bold letter have the plain letter: entry i of \mathbf{x} is x_i.
    """
    k = TABLE["k"].plain() if index is None else index
    found = matrix.doit()[i, 0 if j is None else j]  # SymPy counts from 0, the book from 1

    def from_one(body: sp.Expr, limits: sp.Tuple) -> sp.Sum:
        old, first, last = limits
        return sp.Sum(named_by(body, {old: k}), (k, first + 1, last + 1))

    return found.replace(sp.Sum, from_one).replace(_is_coordinate, _plain)


def _is_coordinate(e: Any) -> bool:
    return isinstance(e, MatrixElement) and e.parent.shape[1] == 1


def _plain(e: MatrixElement) -> sp.Expr:
    name = re.sub(r"^\\(?:mathbf|boldsymbol)\{(.*)\}$", r"\1", str(e.parent.name))
    return TABLE[name].indexed(e.i)


def linearity(expression: sp.Expr, noise: sp.Indexed) -> sp.Expr:
    """Expectations of sums as sums of expectations of the noise alone; innermost first.

    `noise` is any element of the noise; what is not noise is a number. Sums that are multiplied
    must run over different letters.
    """

    def apart(laws: Any, body: sp.Expr, given: Any) -> sp.Expr:
        return sp.Add(*(_term(t, noise, laws, given) for t in _terms(body)))

    return expression.replace(Expectation, apart)


def _terms(body: sp.Expr) -> tuple[sp.Expr, ...]:
    return tuple(sp.Add.make_args(sp.expand(body)))


def _term(term: sp.Expr, noise: sp.Indexed, laws: Any, given: Any) -> sp.Expr:
    limits: list[Any] = []
    inside = sp.S.One
    for factor in sp.Mul.make_args(term):
        if isinstance(factor, sp.Sum):
            limits, inside = [*factor.limits, *limits], inside * factor.function
        elif factor.is_Pow and factor.has(sp.Sum):
            raise ProofError("a sum times itself: let the two run over different letters")
        else:
            inside *= factor
    if len({limit[0] for limit in limits}) < len(limits):
        raise ProofError("two sums run over the same letter")
    random = [f for f in sp.Mul.make_args(inside) if _is_noise(f.as_base_exp()[0], noise)]
    rest = inside / sp.Mul(*random)
    mean = rest * Expectation(laws, sp.Mul(*random), given) if random else rest
    return sp.Sum(mean, *limits) if limits else mean


def _is_noise(e: sp.Expr, noise: sp.Indexed) -> bool:
    return isinstance(e, sp.Indexed) and bool(e.base == noise.base)


def standard(expression: sp.Expr) -> sp.Expr:
    """Means of independent noises with mean 0 and variance 1: E[z_k z_m] is 1 for k = m, else 0.

    The sum over m then keeps the one term m = k.
    """

    def mean(laws: Any, body: sp.Expr, given: Any) -> sp.Expr:
        factors = [f for f, power in body.as_powers_dict().items() for _ in range(int(power))]
        if (
            laws
            or given
            or len({_family(f) for f in factors}) != 1
            or None in map(_family, factors)
        ):
            raise ProofError(
                f"not the mean of one noise: {sp.latex(Expectation(laws, body, given))}"
            )
        if len(factors) > 2:
            raise ProofError(f"not of degree 2: {sp.latex(body)}")
        if len(factors) < 2:
            return sp.S.Zero
        return sp.KroneckerDelta(*(f.indices[0] for f in factors))

    found = expression.replace(Expectation, mean)
    return found.replace(sp.Sum, _without_delta)


def _family(factor: sp.Expr) -> sp.Expr | None:
    return factor.base if isinstance(factor, sp.Indexed) else None


def _without_delta(body: sp.Expr, *limits: sp.Tuple) -> sp.Expr:
    if body == 0:
        return sp.S.Zero
    first, *more = limits
    if body.has(sp.KroneckerDelta) and more:
        kept = deltasummation(body, tuple(first), no_piecewise=True)
        return sp.Sum(kept, *more)
    return sp.Sum(body, *limits)


# ------------------------------------------------------------------------------- binomial sums


def mean_of_power(expression: sp.Expr, noise: sp.Expr, index: sp.Symbol) -> sp.Sum:
    """E[c e^p (a + b e)^k] for the noise e and any k: the binomial sum, with E[e^j] as they are.

    Raises ProofError where the expression is no such product.
    """
    front, (power,) = _split_power(expression, noise)
    a, b = power.base.as_independent(noise, as_Add=True)
    slope, rest = b.as_independent(noise, as_Add=False)
    j, k = index, power.exp
    number, outer = front.as_independent(noise, as_Add=False)
    number *= sp.binomial(k, j) * a ** (k - j) * slope**j
    return sp.Sum(number * Expectation((), sp.powsimp(outer * rest**j)), (j, 0, k))


def _split_power(expression: sp.Expr, noise: sp.Expr) -> tuple[sp.Expr, list[sp.Expr]]:
    factors = sp.Mul.make_args(expression)
    powers = [f for f in factors if f.is_Pow and f.base.is_Add and f.base.has(noise)]
    front = sp.Mul(*(f for f in factors if f not in powers))
    if len(powers) != 1 or not sp.diff(powers[0].base, noise, 2) == 0:
        raise ProofError(f"not a power of a + b e: {sp.latex(expression)}")
    return front, powers


def derivative_of_sum(series: sp.Sum, variable: sp.Symbol) -> sp.Sum:
    """The derivative term by term, without the first or the last term where that is 0."""
    ((index, first, last),) = series.limits
    term = sp.simplify(series.function.diff(variable))
    if named_by(term, {index: first}) == 0:
        first += 1
    if named_by(term, {index: last}) == 0:
        last -= 1
    return sp.Sum(term, (index, first, last))


def same_terms(one: sp.Sum, other: sp.Sum) -> bool:
    """Whether two sums have as many terms, and these are equal one by one."""
    ((i, a, b),), ((j, c, d),) = one.limits, other.limits
    shifted = named_by(other.function, {j: i + c - a})
    quotient = sp.gammasimp(sp.powsimp(one.function / shifted).rewrite(sp.gamma))
    return bool(difference(b - a, d - c) == 0 and sp.powsimp(sp.simplify(quotient)) == 1)
