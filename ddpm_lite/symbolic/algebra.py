"""When are two formulas equal? `difference` reduces to 0, or it is not proved: nothing is sampled.

Fixed for the whole book, and used here: beta_t = 1 - alpha_t, alpha_bar_t = alpha_t alpha_bar_{t-1}
and alpha_bar_0 = 1; every alpha lies between 0 and 1; norms of vectors expand bilinearly.

How: all of it becomes a fraction of polynomials in independent symbols. Roots and logarithms of
1 - alpha_bar_t and its like are made independent by naming r = sqrt(1 - alpha_bar_t), positive,
with r^2 replaced at the end. The numerator, expanded, is 0 or it is not.
"""

from collections.abc import Iterable
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.tensor.indexed import IndexException

from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import (
    Covariance,
    Expectation,
    Formal,
    Gaussian,
    Norm,
    Variance,
)

NOT_COMPARABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    IndexException,
    sp.PolynomialError,
)
"""What SymPy raises where two sides do not fit together: an index outside of a matrix, for one."""

_UNIT = frozenset(name for name, entry in TABLE.items() if entry.domain == "unit")
_ALPHA, _BETA, _ALPHA_BAR = r"\alpha", r"\beta", r"\bar{\alpha}"


def difference(a: Any, b: Any) -> Expr:
    """0 where a = b is proved, and else what is left of a - b. Matrices give a matrix."""
    a, b = sp.sympify(a), sp.sympify(b)
    if a == b:
        return sp.S.Zero
    if getattr(a, "is_Matrix", False) or getattr(b, "is_Matrix", False):
        return _matrix_difference(a, b)
    if isinstance(a, (sp.Tuple, sp.core.relational.Relational)) or isinstance(b, sp.Tuple):
        return sp.S.Zero if _same_parts(a, b) else sp.Symbol("lists_differ")
    if isinstance(a, Formal) and _same_parts(a, b):
        return sp.S.Zero
    return _scalar_difference(a, b)


def _same_parts(a: Any, b: Any) -> bool:
    """Whether two objects of one kind agree argument by argument."""
    alike = type(a) is type(b) and len(a.args) == len(b.args)
    return alike and all(difference(x, y) == 0 for x, y in zip(a.args, b.args, strict=True))


def _matrix_difference(a: Any, b: Any) -> Any:
    """Entry by entry where entries are known; else by SymPy's rules for matrix expressions."""
    if getattr(a, "shape", None) != getattr(b, "shape", None):
        return sp.Symbol("shapes_differ")
    if isinstance(a, sp.MatrixBase) and isinstance(b, sp.MatrixBase):
        left = (a - b).applyfunc(reduce_to_zero)
        return sp.S.Zero if left.is_zero_matrix else left
    left = sp.expand((a - b).doit()).doit()
    zero = isinstance(left, sp.ZeroMatrix) or getattr(left, "is_zero_matrix", None)
    return sp.S.Zero if zero else left


def _scalar_difference(a: Expr, b: Expr) -> Expr:
    left = reduce_to_zero(a - b)
    if left != 0 and (a - b).has(sp.Derivative, sp.Limit, sp.Integral):
        left = reduce_to_zero((a - b).doit())
    if left != 0 and (a - b).has(sp.exp, sp.Product, Gaussian) and _both_positive(a, b):
        left = sp.S.Zero if reduce_to_zero(_log(a) - _log(b)) == 0 else left
    return left


def _both_positive(a: Expr, b: Expr) -> bool:
    return all(_is_positive(_named_roots(e, {})) for e in (a, b))


def _is_positive(expression: Expr) -> bool:
    """SymPy's judgement; of sums of reals and of products of positives it must be told."""
    plain = expression.replace(
        lambda e: isinstance(e, sp.Sum) and bool(e.function.is_real), lambda e: sp.Dummy(real=True)
    ).replace(
        lambda e: isinstance(e, sp.Product) and bool(e.function.is_positive),
        lambda e: sp.Dummy(positive=True),
    )
    return bool(plain.is_positive)


def _log(expression: Expr) -> Expr:
    """The logarithm of a positive formula, a normal density at x written out."""
    from_densities = expression.replace(Gaussian, lambda x, m, v: sp.exp(log_normal(x, m, v)))
    return sp.log(from_densities)


def log_normal(x: Expr, mean: Expr, variance: Expr) -> Expr:
    """Log N(x; mean, variance): of a number, or of d coordinates where the variance is v I."""
    identity = TABLE["I"].plain()
    v = sp.expand(variance).coeff(identity)
    if v == 0:
        return -sp.log(2 * sp.pi * variance) / 2 - (x - mean) ** 2 / (2 * variance)
    d = TABLE["d"].plain()
    return -d * sp.log(2 * sp.pi * sp.factor(v)) / 2 - Norm(x - mean) ** 2 / (2 * sp.factor(v))


def reduce_to_zero(expression: Expr) -> Expr:
    """The expression in lowest terms under the book's fixed rules; 0 exactly if it is 0."""
    expression = expand_norms(apply_definitions(sp.sympify(expression)))
    named, roots = _split_logs(expression)
    expression = _merge_sums(_rename_indices(_roots_back(named, roots)))
    named, roots = _split_logs(expression)
    if _numerator(named, roots) == 0:
        return sp.S.Zero
    return _roots_back(named, roots)


# --- The book's definitions ----------------------------------------------------------------------


def apply_definitions(expression: Expr) -> Expr:
    """beta, and all alpha_bar but the one with the smallest index, written in alphas."""
    expression = expression.replace(sp.Product, _product_of_alphas)
    expression = _replace_family(expression, _BETA, lambda i: 1 - _element(_ALPHA, i))
    lowest = _lowest_indices(_elements(expression, _ALPHA_BAR))
    return _replace_family(expression, _ALPHA_BAR, lambda i: _alpha_bar(i, lowest))


def _element(name: str, index: Expr) -> Expr:
    return TABLE[name].indexed(index)


def _elements(expression: Expr, name: str) -> set[Expr]:
    return {a for a in expression.atoms(sp.Indexed) if str(a.base.label) == name}


def _replace_family(expression: Expr, name: str, rule: Any) -> Expr:
    return expression.xreplace({a: rule(a.indices[0]) for a in _elements(expression, name)})


def _split_index(index: Expr) -> tuple[Expr, int]:
    """T - 1 is (t, -1); 3 is (0, 3)."""
    shift, symbol = sp.sympify(index).as_coeff_Add()
    if shift == int(shift):
        return symbol, int(shift)
    return index, 0


def _lowest_indices(elements: Iterable[Expr]) -> dict[Expr, int]:
    lowest: dict[Expr, int] = {sp.S.Zero: 0}
    for element in elements:
        symbol, shift = _split_index(element.indices[0])
        lowest[symbol] = min(shift, lowest.get(symbol, shift))
    return lowest


def _alpha_bar(index: Expr, lowest: dict[Expr, int]) -> Expr:
    """alpha_bar_t = alpha_t alpha_{t-1} ... alpha_{l+1} alpha_bar_l for the lowest index l."""
    symbol, shift = _split_index(index)
    base = lowest[symbol]
    start = sp.S.One if symbol == 0 and base == 0 else _element(_ALPHA_BAR, symbol + base)
    return start * sp.prod(_element(_ALPHA, symbol + k) for k in range(base + 1, shift + 1))


def _product_of_alphas(body: Expr, *limits: Any) -> Expr:
    """prod_{s=a}^{b} alpha_s^p = (alpha_bar_b / alpha_bar_{a-1})^p; other products stay."""
    (s, first, last), *more = limits
    body = _replace_family(body, _BETA, lambda i: 1 - _element(_ALPHA, i))
    base, power = body.as_base_exp()
    if more or base != _element(_ALPHA, s) or power.has(s):
        return sp.Product(body, *limits)
    return (_element(_ALPHA_BAR, last) / _element(_ALPHA_BAR, first - 1)) ** power


# --- Sums ----------------------------------------------------------------------------------------


def _rename_indices(expression: Expr, depth: int = 0) -> Expr:
    """Running indices get one name by depth, so that equal sums are equal expressions."""
    if not expression.args or expression.is_Atom:
        return expression
    if isinstance(expression, (sp.Sum, sp.Product, sp.Integral)) and len(expression.limits) == 1:
        old, *ends = expression.limits[0]
        new = type(old)(f"i_{depth}", **_assumed(old))
        body = _rename_indices(expression.function.xreplace({old: new}), depth + 1)
        return expression.func(body, (new, *ends))
    if isinstance(expression, (sp.Indexed, sp.MatrixExpr)):
        return expression
    return expression.func(*(_rename_indices(a, depth) for a in expression.args))


def _assumed(symbol: Expr) -> dict[str, Any]:
    return dict(symbol.assumptions0) if isinstance(symbol, sp.Symbol) else {}


def _merge_sums(expression: Expr) -> Expr:
    """Sums over one range become one; ranges that differ by whole numbers are cut to the common."""
    expression = expression.expand() if expression.has(sp.Sum) else expression
    terms = sp.Add.make_args(expression)
    sums = [t for t in terms if _as_sum(t) is not None]
    if not sums:
        return expression
    rest = sp.Add(*(t for t in terms if _as_sum(t) is None))
    merged, left = _common_range([_as_sum(t) for t in sums])
    return rest + left + sp.Add(*merged)


def _as_sum(term: Expr) -> tuple[Expr, Expr, Expr, Expr] | None:
    """(body, index, first, last) of factor * Sum, the factor taken inside."""
    factor, series = sp.S.One, None
    for part in sp.Mul.make_args(term):
        if isinstance(part, sp.Sum) and series is None and len(part.limits) == 1:
            series = part
        else:
            factor *= part
    if series is None or factor.has(series.limits[0][0]):
        return None
    return (factor * series.function, *series.limits[0])


def _common_range(sums: list[Any]) -> tuple[list[Expr], Expr]:
    groups: list[list[Any]] = []
    for one in sums:
        for group in groups:
            if all(
                (a - b).is_integer and (a - b).is_number
                for a, b in zip(one[2:], group[0][2:], strict=True)
            ):
                group.append(one)
                break
        else:
            groups.append([one])
    merged, left = [], sp.S.Zero
    for group in groups:
        series, ends = _merge_group(group)
        merged.append(series)
        left += ends
    return merged, left


def _merge_group(group: list[Any]) -> tuple[Expr, Expr]:
    """One sum over the common part of the ranges, and the terms outside of it."""
    first = max((g[2] for g in group), key=lambda e: e - group[0][2])
    last = min((g[3] for g in group), key=lambda e: e - group[0][3])
    index, body, ends = group[0][1], sp.S.Zero, sp.S.Zero
    for term, i, a, b in group:
        term = term.xreplace({i: index})
        body += term
        ends += sp.Add(*(term.subs(index, a + k) for k in range(int(first - a))))
        ends += sp.Add(*(term.subs(index, b - k) for k in range(int(b - last))))
    body = reduce_to_zero(body)
    series = sp.Sum(body, (index, first, last))
    closed = series if body.has(index) else body * (last - first + 1)
    return (sp.S.Zero if body == 0 else closed), ends


# --- Roots and logarithms ------------------------------------------------------------------------


def _named_roots(expression: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    """Under roots and logarithms, factors such as 1 - alpha_bar_t become squares r^2, r > 0."""

    def rule(base: Expr) -> Expr:
        return _with_squares(base, roots)

    named = expression.replace(
        lambda e: e.is_Pow and not e.exp.is_integer and not e.base.is_Atom,
        lambda e: rule(e.base) ** e.exp,
    )
    return named.replace(
        lambda e: isinstance(e, sp.log) and not e.args[0].is_Atom, lambda e: sp.log(rule(e.args[0]))
    )


def _with_squares(base: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    if base.has(sp.exp, sp.log) or base.has(sp.Sum, sp.Product, sp.Integral):
        return base
    whole = sp.together(base)
    try:
        constant, factors = sp.factor_list(sp.numer(whole))
        below_constant, below = sp.factor_list(sp.denom(whole))
    except sp.PolynomialError:  # a power with a symbolic exponent, say
        return base
    out = sp.sympify(constant) / below_constant
    sign = sp.S.One
    for factor, power in [*factors, *((f, -p) for f, p in below)]:
        positive, flip = _positive_part(factor)
        sign *= flip**power
        if positive is not None and not positive.is_positive:
            out *= roots.setdefault(positive, sp.Dummy(f"r{len(roots)}", positive=True)) ** (
                2 * power
            )
        else:
            out *= (factor * flip) ** power
    return sign * out


def _positive_part(factor: Expr) -> tuple[Expr | None, Expr]:
    """1 - (product of numbers between 0 and 1) is positive; its opposite is negative."""
    for flip in (sp.S.One, sp.S.NegativeOne):
        rest = sp.expand(1 - flip * factor)
        if rest != 0 and not rest.is_Add and _in_unit(rest):
            return sp.expand(flip * factor), flip
    return None, sp.S.One


def _in_unit(monomial: Expr) -> bool:
    """A product of positive whole powers (or halves) of elements between 0 and 1."""
    parts = [part.as_base_exp() for part in sp.Mul.make_args(monomial)]
    return all(
        isinstance(base, (sp.Indexed, sp.Symbol)) and _family(base) in _UNIT and power.is_positive
        for base, power in parts
    )


def _family(atom: Expr) -> str:
    return str(atom.base.label) if isinstance(atom, sp.Indexed) else str(atom)


def _split_logs(expression: Expr) -> tuple[Expr, dict[Expr, sp.Dummy]]:
    """log(ab) = log a + log b for positive factors, log exp a = a; and the roots it named."""
    roots: dict[Expr, sp.Dummy] = {}
    expression = _named_roots(expression, roots)
    expression = expression.replace(sp.log, lambda a: sp.log(sp.factor(a) if a.is_Add else a))
    expression = sp.expand_log(expression)
    products = expression.replace(
        lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.Product),
        lambda e: sp.Sum(sp.expand_log(sp.log(e.args[0].function)), *e.args[0].limits),
    )
    return products, roots


def _roots_back(expression: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    return sp.sympify(expression).xreplace({r: sp.sqrt(f) for f, r in roots.items()})


def _numerator(expression: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    """The numerator over one denominator, expanded, squares of named roots put back."""
    top = sp.expand(sp.numer(sp.together(expression)))
    for _ in range(len(roots) + 1):
        for factor, root in roots.items():
            top = _fold_root(top, root, factor)
    return sp.expand(sp.powsimp(top)) if top.has(sp.exp) else top


def _fold_root(expression: Expr, root: sp.Dummy, square: Expr) -> Expr:
    """r^(2k + 1) becomes square^k r."""
    if not expression.has(root):
        return expression
    return sp.expand(
        expression.replace(
            lambda e: e.is_Pow and e.base == root and e.exp.is_Integer and e.exp > 1,
            lambda e: square ** (int(e.exp) // 2) * root ** (int(e.exp) % 2),
        )
    )


# --- Counterexamples -----------------------------------------------------------------------------


def counterexample(a: Any, b: Any) -> tuple[dict[Expr, Expr], Expr, Expr] | None:
    """Numbers for the symbols at which a and b differ: what a reader can check by hand, no proof.

    (values, a there, b there); None where both cannot be worked out as numbers.
    """
    if sp.Tuple(sp.sympify(a), sp.sympify(b)).has(sp.Integral, sp.Limit):
        return None  # working it out may take minutes
    try:
        pair = _without_sums(sp.Tuple(sp.sympify(a), sp.sympify(b)))
    except NOT_COMPARABLE:
        return None
    pair = _named_means(pair)
    if pair.has(Formal, sp.Derivative, sp.MatrixExpr, sp.MatrixBase):
        return None
    for seed in range(4):
        values = _values(pair, seed)
        try:
            left, right = (sp.sympify(e).xreplace(values) for e in pair)
        except NOT_COMPARABLE:
            return None
        if left.is_number and right.is_number and abs(sp.N(left - right)) > 1e-9:
            return values, left, right
    return None


def _named_means(pair: sp.Tuple) -> sp.Tuple:
    """Var[X] and E[X] as numbers of their own, where the same ones stand on both sides."""
    kinds = (Covariance, Expectation, Variance)
    means = [set(e.atoms(*kinds)) for e in pair]
    if means[0] != means[1] or any(m.has(*kinds) for e in means[0] for m in e.args):
        return pair
    names = {m: sp.Symbol(sp.latex(m), positive=True) for m in means[0]}
    named: sp.Tuple = pair.xreplace(names)
    return named


def _without_sums(pair: sp.Tuple) -> sp.Tuple:
    """Both sides under the book's rules; sums and products written out at small indices."""
    if pair.has(sp.Sum, sp.Product, sp.Derivative):
        small = {s: sp.Integer(3) for s in pair.free_symbols if s.is_integer and s.is_Symbol}
        pair = sp.Tuple(*(e.subs(small).doit() for e in pair))
    ready: sp.Tuple = expand_norms(apply_definitions(pair))
    return ready


def _values(pair: sp.Tuple, seed: int) -> dict[Expr, Expr]:
    """A small number for each symbol: 1/2 to 9/10 between 0 and 1, whole for an index."""
    values: dict[Expr, Expr] = {}
    indexed = pair.atoms(sp.Indexed)
    loose = {s for s in pair.free_symbols if s.is_Symbol} - {
        s for a in indexed for s in a.free_symbols
    }
    for k, atom in enumerate(sorted(indexed | loose, key=sp.default_sort_key)):
        if _family(atom) in _UNIT:
            values[atom] = sp.Rational(9 - (k + seed) % 5, 10)
        else:
            values[atom] = (
                sp.Integer(3) if atom.is_integer else sp.Rational(3 + 2 * k + seed, 2 + k)
            )
    return values
