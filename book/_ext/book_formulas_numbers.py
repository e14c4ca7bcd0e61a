"""A formula worked out: its numbers at each time, with 40 digits, from the schedule's betas."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import mpmath
import sympy as sp
from book_formulas_given import NUMBERS, every
from sympy.core.function import AppliedUndef
from torch import Tensor

from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.objects import Norm
from ddpm_lite.symbolic.reader import read

Values: TypeAlias = "float | Sequence[float] | Sequence[mpmath.mpf] | Tensor"


@cache
def tables(schedule: NoiseSchedule) -> dict[str, list[mpmath.mpf]]:
    """What a schedule's betas say at each t, with 40 digits."""
    with mpmath.workdps(40):
        beta = [mpmath.mpf(b) for b in schedule.beta.tolist()]
        alpha = [1 - b for b in beta]
        bar = [mpmath.mpf(1)]
        for one in alpha:
            bar.append(bar[-1] * one)
        before, after = bar[:-1], bar[1:]
        tilde = [b * (1 - p) / (1 - a) for b, p, a in zip(beta, before, after, strict=True)]
        return {
            r"\beta_t": beta, r"\alpha_t": alpha, r"\tilde\beta_t": tilde,
            r"\bar\alpha_t": after, r"\bar\alpha_{t-1}": before,
            "t": [mpmath.mpf(t) for t in every(schedule.T)],
            "T": [mpmath.mpf(schedule.T)] * schedule.T,
        }  # fmt: skip


def worked_out(
    expression: sp.Expr,
    schedule: NoiseSchedule,
    given: Mapping[str, Values],
    times: range,
) -> list[float]:
    """The expression at each of the times."""
    columns = {name: [values[t - 1] for t in times] for name, values in tables(schedule).items()}
    columns |= {name: [value] * len(times) for name, value in NUMBERS.items()}
    columns |= {name: as_column(values, len(times)) for name, values in given.items()}
    by_symbol = {read(name): values for name, values in columns.items()}
    with mpmath.workdps(40):
        plain = with_function(expression.replace(Norm, sp.Abs), r"\Phi", sp.Function("ncdf"))
        for whole in plain.atoms(sp.Sum, sp.Product):
            by_symbol[whole] = [_running(whole, schedule, t) for t in times]
        return [float(number) for number in _numbers(plain, by_symbol)]


def as_column(values: Values, length: int) -> list[Any]:
    """One value for all times, or one for each."""
    if isinstance(values, (int, float, mpmath.mpf)):
        return [values] * length
    column = values.tolist() if isinstance(values, Tensor) else list(values)
    assert len(column) == length, f"{len(column)} values for {length} times"
    return column


def with_function(expression: sp.Expr, name: str, made: Callable[..., sp.Expr]) -> sp.Expr:
    """The expression with a function of this name worked out."""
    return expression.replace(
        lambda part: isinstance(part, AppliedUndef) and part.func.__name__ == name,
        lambda part: made(*part.args),
    )


def _numbers(expression: sp.Expr, columns: Mapping[sp.Expr, list[Any]]) -> list[mpmath.mpf]:
    names = [sp.Dummy(f"a{k}") for k in range(len(columns))]
    ready = expression.xreplace(dict(zip(columns, names, strict=True)))
    assert ready.free_symbols <= set(names), f"no number for {ready.free_symbols - set(names)}"
    function = sp.lambdify(names, ready, "mpmath")
    return [function(*row) for row in zip(*columns.values(), strict=True)]


@cache
def _running_all(whole: sp.Expr, schedule: NoiseSchedule) -> list[mpmath.mpf]:
    """A sum or product over s = 1..t, for each t."""
    index, lower, _ = whole.limits[0]
    assert lower == 1
    columns = {read(name): values for name, values in tables(schedule).items()}
    terms = _numbers(whole.function.subs(index, read("t")), columns)
    total, found = mpmath.mpf(isinstance(whole, sp.Product)), []
    for term in terms:
        total = total * term if isinstance(whole, sp.Product) else total + term
        found.append(total)
    return found


def _running(whole: sp.Expr, schedule: NoiseSchedule, t: int) -> mpmath.mpf:
    return _running_all(whole, schedule)[t - 1]
