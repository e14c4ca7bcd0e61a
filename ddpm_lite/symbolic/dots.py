"""Three dots between terms: the pattern that the terms around them follow, and its ends."""

import sympy as sp
from sympy import Expr


def pattern(before: list[Expr], last: Expr) -> tuple[Expr, Expr, Expr, Expr] | None:
    """(template, index, first, end): the terms are the template at first, first +- 1, ... end."""
    run = sp.Symbol("r", integer=True, positive=True)
    places = _differences(before[0], last)
    if not places:
        return None
    start, end = places
    template = (
        before[0].subs(start, run) if start.is_Symbol else _replace_index(before[0], start, run)
    )
    up = len(before) > 1 and template.subs(run, start + 1) == before[1]
    down = len(before) > 1 and template.subs(run, start - 1) == before[1]
    rising = up or (len(before) == 1 and bool((end - start).is_nonnegative))
    falling = down or (len(before) == 1 and bool((start - end).is_nonnegative))
    step = 1 if rising else -1
    if (
        template.subs(run, end) != last
        or not (rising or falling)
        or (step * (end - start) - len(before)).is_negative  # the last one is written already
        or (len(before) > 2 and not _runs(template, run, before, start, step))
    ):
        return None
    return (template, run, start, end) if rising else (template, run, end, start)


def _runs(template: Expr, run: Expr, before: list[Expr], start: Expr, step: int) -> bool:
    return all(template.subs(run, start + step * k) == b for k, b in enumerate(before))


def follows(operand: Expr, template: Expr, run: Expr) -> bool:
    """Whether it is of the pattern: the alpha_1 of alpha_1 alpha_3 ... alpha_6 is out of order."""
    return any(template.subs(run, index) == operand for index in _indices(operand))


def _differences(a: Expr, b: Expr) -> tuple[Expr, Expr] | None:
    """The one index in which two like terms differ: its value in `a` and in `b`."""
    found = set()
    for one, other in zip(_indices(a), _indices(b), strict=False):
        if one != other:
            found.add((one, other))
    return found.pop() if len(found) == 1 and len(_indices(a)) == len(_indices(b)) else None


def _indices(expression: Expr) -> list[Expr]:
    found = [a for a in sp.preorder_traversal(expression) if isinstance(a, sp.Indexed)]
    return [index for a in found for index in a.indices]


def _replace_index(expression: Expr, old: Expr, new: Expr) -> Expr:
    replaced: Expr = expression.replace(
        lambda e: isinstance(e, sp.Indexed) and old in e.indices,
        lambda e: e.base[tuple(new if i == old else i for i in e.indices)],
    )
    return replaced
