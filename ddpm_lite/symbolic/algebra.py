r"""Scalar algebra: `left_over` reduces a - b to 0, or says what is left. Nothing is sampled.

This is a part of the engine. What a page may ask is `equality.difference`; what is assumed of the
symbols, and what equal means, stands there.

How: all of it becomes a fraction of polynomials in independent symbols. Roots and logarithms of
1 - alpha_bar_t and its like are made independent by naming r = sqrt(1 - alpha_bar_t), positive,
with r^2 replaced at the end. The numerator, expanded, is 0 or it is not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.tensor.indexed import IndexException

from ddpm_lite.symbolic.normals import log_density
from ddpm_lite.symbolic.norms import expand_norms
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.objects import Formal, Gaussian
from ddpm_lite.symbolic.rules import use

NOT_COMPARABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    IndexException,
    sp.PolynomialError,
)
"""What SymPy raises where two sides do not fit together: an index outside of a matrix, for one."""

_UNIT = frozenset(name for name, entry in TABLE.items() if entry.domain == "unit")
_ALPHA, _BETA, _ALPHA_BAR = r"\alpha", r"\beta", r"\bar{\alpha}"
POSTERIOR = r"\tilde{\beta}"
"""It is 0 at t = 1, and its logarithm is taken from t = 2 on."""


def left_over(a: Any, b: Any) -> Any:
    """0 where a = b follows by algebra, and else what is left of a - b. Matrices give a matrix.

    Laws are not touched: densities and expectations are unknown numbers, equal where they are
    written alike.
    """
    a, b = sp.sympify(a), sp.sympify(b)
    if a == b:
        return sp.S.Zero if is_defined(a) else a
    if getattr(a, "is_Matrix", False) or getattr(b, "is_Matrix", False):
        return _matrix_left_over(a, b)
    if not isinstance(a, Expr) or not isinstance(b, Expr):
        return sp.S.Zero if _same_parts(a, b) else sp.Symbol("lists_differ")
    if isinstance(a, Formal) and _same_parts(a, b):
        return sp.S.Zero
    return _scalar_left_over(a, b)


def is_defined(expression: Any) -> bool:
    """Whether it is free of 0/0 and of 1/0: SymPy finds those equal to themselves."""
    return not expression.has(sp.nan, sp.zoo)


def _same_parts(a: Any, b: Any) -> bool:
    """Whether two objects of one kind agree argument by argument."""
    alike = type(a) is type(b) and len(a.args) == len(b.args) and bool(a.args)
    return alike and all(left_over(x, y) == 0 for x, y in zip(a.args, b.args, strict=True))


def _matrix_left_over(a: Any, b: Any) -> Any:
    """Entry by entry where entries are known; else by SymPy's rules for matrix expressions."""
    if getattr(a, "shape", None) != getattr(b, "shape", None):
        return sp.Symbol("shapes_differ")
    if isinstance(a, sp.MatrixBase) and isinstance(b, sp.MatrixBase):
        left = (a - b).applyfunc(reduce_to_zero)
        return sp.S.Zero if left.is_zero_matrix else left
    left = sp.expand((a - b).doit()).doit()
    zero = isinstance(left, sp.ZeroMatrix) or getattr(left, "is_zero_matrix", None)
    return sp.S.Zero if zero else left


def _scalar_left_over(a: Expr, b: Expr) -> Expr:
    left = reduce_to_zero(a - b)
    if left != 0 and _can_be_done(a - b):
        done = rename_indices(a - b).doit()
        left = reduce_to_zero(done)
        if left != 0:  # mu^m / mu is mu^(m-1)
            left = reduce_to_zero(sp.powsimp(done, combine="exp"))
    if left != 0 and (a - b).has(sp.exp, sp.Product, Gaussian) and both_positive(a, b):
        left = sp.S.Zero if reduce_to_zero(_log(a) - _log(b)) == 0 else left
    return left


def _can_be_done(expression: Expr) -> bool:
    """Whether SymPy may find a derivative, a limit, an integral: of a law it knows no integral."""
    if expression.has(sp.Derivative, sp.Limit, sp.Trace, sp.Determinant):
        return True
    return any(not _over_a_law(integral) for integral in expression.atoms(sp.Integral))


def _over_a_law(integral: sp.Integral) -> bool:
    laws = integral.function.atoms(Formal)
    return any(law.has(*integral.variables) for law in laws)


def both_positive(a: Expr, b: Expr) -> bool:
    """Whether both are surely positive, so that they are equal where their logarithms are."""
    return all(is_positive(_named_roots(e, {})) for e in (a, b))


def is_positive(expression: Expr) -> bool:
    """SymPy's judgement; of sums of reals and of products of positives it must be told."""
    plain = _plain_series(rename_indices(expression))
    later = {e: (e.indices[0] - 1).is_positive for e in _elements(plain, POSTERIOR)}
    plain = plain.xreplace(
        {e: sp.Dummy(nonnegative=True) for e, is_so in later.items() if not is_so}
    )
    return bool(plain.is_positive or _with_squares(plain, {}, strict=True).is_positive)


def is_nonnegative(expression: Expr) -> bool:
    """The same of what may be 0 as well, as 1 - alpha_bar_{t-1} is at t = 1."""
    plain = _plain_series(rename_indices(expression))
    return bool(plain.is_nonnegative or _with_squares(plain, {}).is_nonnegative)


def _plain_series(expression: Expr) -> Expr:
    """Numbers for sums and products, of which no more is known than their terms say."""
    return expression.replace(lambda e: isinstance(e, (sp.Sum, sp.Product)), _any_like)


def _any_like(series: Expr) -> Expr:
    """A number of which as much is known; nothing is of a series without end: what is its value?"""
    if any(end.is_infinite for _, *ends in series.limits for end in ends):
        return sp.Dummy()
    if isinstance(series, sp.Product) and is_positive(series.function):
        return sp.Dummy(positive=True)
    if is_nonnegative(series.function):
        return sp.Dummy(nonnegative=True)
    return sp.Dummy(real=True if series.function.is_real else None)


def _log(expression: Expr) -> Expr:
    """The logarithm of a positive formula, a normal density at x written out."""
    return sp.log(
        expression.replace(Gaussian, lambda *parts: sp.exp(log_density(Gaussian(*parts))))
    )


def reduce_to_zero(expression: Expr) -> Expr:
    """The expression in lowest terms under the book's fixed rules; 0 exactly if it is 0."""
    expression = apply_definitions(rename_indices(expand_norms(sp.sympify(expression))))
    named, roots = _split_logs(expression)
    merged = _merge_sums(rename_indices(_roots_back(named, roots)))
    expression = apply_definitions(merged)  # the ends of a sum may be alpha_bar_0
    named, roots = _split_logs(expression)
    if _numerator(named, roots) == 0:
        return sp.S.Zero
    return _roots_back(named, roots)


# --- The book's definitions ----------------------------------------------------------------------


def apply_definitions(expression: Expr) -> Expr:
    """beta, and all alpha_bar but the one with the smallest index, written in alphas.

    One that is many steps behind the one before it stays as well: nothing near it cancels.
    """
    expression = expression.replace(sp.Product, _product_of_alphas)
    expression = _replace_family(expression, _BETA, lambda i: 1 - _element(_ALPHA, i))
    bases = _bases(_elements(expression, _ALPHA_BAR))
    return _replace_family(expression, _ALPHA_BAR, lambda i: _alpha_bar(i, bases))


def _element(name: str, index: Expr) -> Expr:
    return TABLE[name].indexed(index)


def _elements(expression: Expr, name: str) -> set[Expr]:
    """Those with one index: of a second one nothing is known, and such an element stays."""
    found = (a for a in expression.atoms(sp.Indexed) if len(a.indices) == 1)
    return {a for a in found if str(a.base.label) == name}


def _replace_family(expression: Expr, name: str, rule: Any) -> Expr:
    found = _elements(expression, name)
    if found:
        use("eq-alpha")
    return expression.xreplace({a: rule(a.indices[0]) for a in found})


def _split_index(index: Expr) -> tuple[Expr, int]:
    """T - 1 is (t, -1); 3 is (0, 3)."""
    shift, symbol = sp.sympify(index).as_coeff_Add()
    if shift == int(shift):
        return symbol, int(shift)
    return index, 0


_MOST_STEPS = 50
"""An alpha_bar is written in so many alphas, no more; so many terms at an end are split off."""


def _bases(elements: Iterable[Expr]) -> dict[tuple[Expr, int], int]:
    """For each index of an alpha_bar the one, less or equal, from which it is written in alphas."""
    split = sorted({(sp.S.Zero, 0), *(_split_index(e.indices[0]) for e in elements)}, key=str)
    shifts: dict[Expr, list[int]] = {}
    for symbol, shift in split:
        shifts.setdefault(symbol, []).append(shift)
    found: dict[tuple[Expr, int], int] = {}
    for symbol, places in shifts.items():
        base = before = min(places)
        for place in sorted(places):
            base, before = (base if place - before <= _MOST_STEPS else place), place
            found[symbol, place] = base
    return found


def _alpha_bar(index: Expr, bases: Mapping[tuple[Expr, int], int]) -> Expr:
    """alpha_bar_t = alpha_t alpha_{t-1} ... alpha_{l+1} alpha_bar_l for the base l of its index."""
    symbol, shift = _split_index(index)
    base = bases[symbol, shift]
    start = sp.S.One if symbol == 0 and base == 0 else _element(_ALPHA_BAR, symbol + base)
    return start * sp.prod(_element(_ALPHA, symbol + k) for k in range(base + 1, shift + 1))


def _product_of_alphas(body: Expr, *limits: Any) -> Expr:
    """prod_{s=a}^{b} alpha_s^p = (alpha_bar_b / alpha_bar_{a-1})^p; other products stay."""
    (s, first, last), *more = limits
    body = _replace_family(body, _BETA, lambda i: 1 - _element(_ALPHA, i))
    base, power = body.as_base_exp()
    if more or base != _element(_ALPHA, s) or power.has(s):
        return sp.Product(body, *limits)
    use("eq-alpha")
    return (_element(_ALPHA_BAR, last) / _element(_ALPHA_BAR, first - 1)) ** power


# --- Sums ----------------------------------------------------------------------------------------


def rename_indices(expression: Expr, depth: int = 0) -> Expr:
    """Running indices get one name by depth, so that equal sums are equal expressions."""
    if not expression.args or expression.is_Atom:
        return expression
    if isinstance(expression, (sp.Sum, sp.Product, sp.Integral)) and len(expression.limits) == 1:
        old, *ends = expression.limits[0]
        depth = _first_free(expression, depth)
        like = sp.Dummy(real=True) if isinstance(expression, sp.Integral) else old
        body, new = _renamed(expression.function, old, depth, in_range(like, *ends))
        return expression.func(body, (new, *(rename_indices(end, depth) for end in ends)))
    if isinstance(expression, sp.Limit):
        body, old, goal, side = expression.args
        depth = _first_free(expression, depth)
        body, new = _renamed(body, old, depth, _on_the_way(old, goal))
        return sp.Limit(body, new, rename_indices(goal, depth), dir=side)
    if isinstance(expression, (sp.Indexed, sp.MatrixExpr)):
        return expression
    return expression.func(*(rename_indices(a, depth) for a in expression.args))


def _renamed(body: Expr, old: Expr, depth: int, known: dict[str, bool]) -> tuple[Expr, Expr]:
    """The body over a variable that is called by its depth, and this variable."""
    fresh = sp.Dummy(**known) if old.is_Symbol else old
    new = sp.Symbol(f"i_{depth}", **known) if old.is_Symbol else old
    return rename_indices(put(body, {old: fresh}), depth + 1).xreplace({fresh: new}), new


def _on_the_way(variable: Expr, goal: Expr) -> dict[str, bool]:
    """What is true of a variable on its way to a limit; whole numbers go to infinity only."""
    known = {"integer": True} if variable.is_integer and goal.is_infinite else {"real": True}
    return known | ({"positive": True} if variable.is_positive and goal.is_nonnegative else {})


def _first_free(expression: Expr, depth: int) -> int:
    """A depth whose name does not stand free in the expression, where it means another index."""
    taken = {s.name for s in expression.free_symbols if isinstance(s, sp.Symbol)}
    while f"i_{depth}" in taken:
        depth += 1
    return depth


def put(expression: Expr, values: dict[Expr, Expr]) -> Expr:
    """Values for symbols; the symbol x does not stand for the x of x_t."""
    if expression in values:
        return values[expression]
    if isinstance(expression, sp.Indexed):
        return expression.base[tuple(put(i, values) for i in expression.indices)]
    if not expression.args or expression.is_Atom:
        return expression
    built: Expr = expression.func(*(put(part, values) for part in expression.args))
    return built


def named_by(expression: Expr, values: Mapping[Any, Any]) -> Expr:
    """Values for names, as `put` does it: not for the x of x_t. All else stays as it is written.

    A running index that is called like a name is none, and one that is called like something in a
    value gets another name. But what is said of x_t holds for the t of a sum. Raises ValueError
    where a name moves in a derivative or a limit.
    """
    expression, own = _apart(sp.sympify(expression), values)
    names = {name for name in values if isinstance(name, sp.Symbol)}
    families = {
        e: sp.Dummy()
        for e in expression.atoms(sp.Indexed)
        if e.base.label in names and e not in values
    }
    back = {
        d: e.base[tuple(i.xreplace(dict(values)) for i in e.indices)] for e, d in families.items()
    }
    done: Expr = expression.xreplace(families).xreplace(dict(values)).xreplace(back)
    return done.xreplace(own)


def _apart(expression: Expr, values: Mapping[Any, Any]) -> tuple[Expr, dict[Expr, Expr]]:
    """The expression, its running indices under names that no value has, and those to put back."""
    names = set(values)
    others = set().union(*(sp.sympify(v).free_symbols - k.free_symbols for k, v in values.items()))
    if names & {v for e in expression.atoms(sp.Derivative, sp.Limit) for v in _moved(e)}:
        raise ValueError("what moves in a derivative or a limit has no value")
    series = expression.atoms(ExprWithLimits)
    clash = {v for e in series for v in e.variables} & (names | others)
    fresh = {v: sp.Dummy(v.name, **v.assumptions0) for v in clash if v.is_Symbol}
    apart = _fresh(expression, fresh) if fresh else expression
    return apart, {d: v for v, d in fresh.items() if v not in others}


def _moved(change: Expr) -> tuple[Expr, ...]:
    return tuple(change.variables if isinstance(change, sp.Derivative) else change.args[1:2])


def _fresh(expression: Expr, fresh: Mapping[Expr, Expr]) -> Expr:
    """The same sums, products and integrals, over fresh names; what is free keeps its own."""
    if isinstance(expression, sp.Indexed) or not expression.has(ExprWithLimits):
        return expression
    if not isinstance(expression, ExprWithLimits):
        built: Expr = expression.func(*(_fresh(part, fresh) for part in expression.args))
        return built
    inside: dict[Expr, Expr] = {}
    limits = []
    for variable, *ends in reversed(expression.limits):
        moved = [_fresh(end, fresh).xreplace(inside) for end in ends]
        inside = inside | {variable: fresh.get(variable, variable)}
        limits.append((inside[variable], *moved))
    body = _fresh(expression.function, fresh).xreplace(inside)
    return expression.func(body, *reversed(limits))


def in_range(index: Expr, *ends: Expr) -> dict[str, bool]:
    """What may be assumed of a variable that runs between these ends; nothing more is true."""
    known = {"integer": True} if index.is_integer else {"real": True}
    below = ends if not index.is_integer else ends[:1]  # an integral may run backward, a sum not
    if below and all(end.is_positive for end in below):
        return known | {"positive": True}
    return (
        known | {"nonnegative": True} if below and all(e.is_nonnegative for e in below) else known
    )


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
            if all(map(_is_near, one[2:], group[0][2:])):
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


def _is_near(end: Expr, other: Expr) -> bool:
    """Whether the terms between two ends are few enough to be written out."""
    gap = end - other
    return bool(gap.is_Integer and abs(gap) <= _MOST_STEPS)


def _merge_group(group: list[Any]) -> tuple[Expr, Expr]:
    """One sum over the common part of the ranges, and the terms outside of it."""
    first = max((g[2] for g in group), key=lambda e: e - group[0][2])
    last = min((g[3] for g in group), key=lambda e: e - group[0][3])
    index, body, ends = sp.Dummy(**group[0][1].assumptions0), sp.S.Zero, sp.S.Zero
    for term, i, a, b in group:
        body += term.xreplace({i: index})
        ends += sp.Add(*(named_by(term, {i: a + k}) for k in range(int(first - a))))
        ends += sp.Add(*(named_by(term, {i: b - k}) for k in range(int(b - last))))
    body = reduce_to_zero(body)
    series = rename_indices(sp.Sum(body, (index, first, last)))
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


def _with_squares(base: Expr, roots: dict[Expr, sp.Dummy], strict: bool = False) -> Expr:
    """Factors such as 1 - alpha_bar_t as squares; with `strict`, only those that are never 0.

    The others are 0 at one index only: what is equal, or not negative, besides is so there too.
    """
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
        positive, flip = _positive_part(factor, strict)
        sign *= flip**power
        if positive is not None and not positive.is_positive:
            out *= roots.setdefault(positive, sp.Dummy(f"r{len(roots)}", positive=True)) ** (
                2 * power
            )
        else:
            out *= (factor * flip) ** power
    return sign * out


def _positive_part(factor: Expr, strict: bool) -> tuple[Expr | None, Expr]:
    """1 - (product of numbers between 0 and 1) is positive; its opposite is negative.

    If not `strict`, one of the numbers may be 1, and then it is not negative.
    """
    for flip in (sp.S.One, sp.S.NegativeOne):
        rest = sp.expand(1 - flip * factor)
        if rest != 0 and not rest.is_Add and _in_unit(rest, strict):
            return sp.expand(flip * factor), flip
    return None, sp.S.One


def _in_unit(monomial: Expr, strict: bool) -> bool:
    """A product of positive whole powers (or halves) of elements between 0 and 1.

    One that is never 1 keeps the product from it; if not `strict`, the product may be 1.
    """
    parts = [part.as_base_exp() for part in sp.Mul.make_args(monomial)]
    return all(
        isinstance(base, (sp.Indexed, sp.Symbol)) and is_unit(base) and power.is_positive
        for base, power in parts
    ) and (not strict or any(is_between_0_and_1(base) for base, _ in parts))


def is_unit(atom: Expr) -> bool:
    """Whether the table calls a symbol, or an element of a family, between 0 and 1."""
    return (str(atom.base.label) if isinstance(atom, sp.Indexed) else str(atom)) in _UNIT


def is_between_0_and_1(atom: Expr) -> bool:
    """Whether it surely is, and never 1, as alpha_bar_0 is."""
    if isinstance(atom, sp.Indexed) and str(atom.base.label) == _ALPHA_BAR:
        return bool(atom.indices[0].is_positive)
    return is_unit(atom)


def _split_logs(expression: Expr) -> tuple[Expr, dict[Expr, sp.Dummy]]:
    """log(ab) = log a + log b for positive factors, log exp a = a; and the roots it named."""
    roots: dict[Expr, sp.Dummy] = {}
    expression = _named_roots(expression, roots)
    expression = expression.replace(sp.log, lambda a: sp.log(sp.factor(a) if a.is_Add else a))
    expression = sp.expand_log(expression)
    products = expression.replace(_is_log_of_positives, _sum_of_logs)
    return _named_roots(products, roots), roots


def _is_log_of_positives(expression: Expr) -> bool:
    """Whether it is the logarithm of a product all of whose factors are surely positive."""
    product = expression.args[0] if isinstance(expression, sp.log) else None
    return isinstance(product, sp.Product) and is_positive(product.function)


def _sum_of_logs(logarithm: Expr) -> Expr:
    product = logarithm.args[0]
    return sp.Sum(sp.expand_log(sp.log(product.function)), *product.limits)


def _roots_back(expression: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    return sp.sympify(expression).xreplace({r: sp.sqrt(f) for f, r in roots.items()})


def _numerator(expression: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    """The numerator over one denominator, expanded, squares of named roots put back.

    Where the denominator is 0 the fraction means nothing, and no numerator makes it 0.
    """
    top, bottom = sp.fraction(sp.together(expression))
    folded = _folded(top, roots)
    return sp.nan if folded == 0 and _folded(bottom, roots) == 0 else folded


def _folded(part: Expr, roots: dict[Expr, sp.Dummy]) -> Expr:
    part = sp.expand(part)
    for _ in range(len(roots) + 1):
        for factor, root in roots.items():
            part = _fold_root(part, root, factor)
    return sp.expand(sp.powsimp(part)) if part.has(sp.exp) else part


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
