r"""One table: each formula, the line of the package that runs it, and how both give numbers.

The page "From formula to code" is drawn from it, the API reference takes its links from it, and
`tests/book/test_code.py` works out each row twice: by the formula, read from its chapter and
evaluated with 40 digits, and by the code, in float64. So none of the three can differ from another.

Where a formula has pictures, the code gets pictures of one pixel, and `NUMBERS` says which.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import mpmath
import sympy as sp
import torch
from sympy.core.function import AppliedUndef
from torch import Tensor

from ddpm_lite import diffusion, evaluate, sample, schedule
from ddpm_lite.diffusion import Gaussian
from ddpm_lite.schedule import NoiseSchedule
from ddpm_lite.symbolic.objects import Norm
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.reader import Claim, read, read_claims

BOOK = Path(__file__).parents[1]
PACKAGE = BOOK.parent / "ddpm_lite"

X_T, X_PREV, X_0, EPS, V = 0.7, -0.4, 0.3, 1.1, 0.9
X_0_HAT, EPS_HAT, FLOW = -0.2, -0.6, 0.8
"""What a network is made to predict."""
ETA, SCALE = 0.6, 2.5
CONDITIONED, UNCONDITIONED = 0.5, -0.3
"""What it puts out with its label and without."""

NUMBERS: Mapping[str, float] = {
    "x_t": X_T, "x_{t-1}": X_PREV, "x_0": X_0, r"\epsilon": EPS, r"\mathrm v": V,
    r"\mathrm f": FLOW,
    r"\hat x_0": X_0_HAT, r"\epsilon_\theta": EPS_HAT, r"\epsilon_\theta(x_t, t)": EPS_HAT,
    r"\eta": ETA, "w": SCALE, "I": 1, "d": 1,
}  # fmt: skip
"""The same number at every t, for the formula and for the code."""

Values: TypeAlias = "float | Sequence[float] | Sequence[mpmath.mpf] | Tensor"
Reading: TypeAlias = Callable[..., sp.Expr]
"""From the claims of each label to the expression that the code should agree with."""


# --- Which times ---------------------------------------------------------------------------------


def every(T: int) -> range:
    """All times."""
    return range(1, T + 1)


def from_2(T: int) -> range:
    """All but the first, where alpha_bar_{t-1} is 1 and a formula divides by 0."""
    return range(2, T + 1)


def first(T: int) -> range:
    """The first time."""
    return range(1, 2)


def last(T: int) -> range:
    """The last time, T."""
    return range(T, T + 1)


def but_last(T: int) -> range:
    """All but the last."""
    return range(1, T)


# --- A row ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A formula and the code that runs it."""

    code: str
    """A function of the package, such as `diffusion.q_step`."""
    line: str
    """The line of it that runs the formula, or a part of that line."""
    labels: str
    """The labels of the equations, separated by blanks; the first one is shown."""
    read: Reading
    """What the equations say, from a list of claims for each label."""
    run: Callable[[NoiseSchedule], Tensor]
    """What the code computes, one number for each of the times."""
    says: str = ""
    """What of the formula the line computes, where it is a part."""
    times: Callable[[int], range] = every
    """The times of a schedule of T steps at which both are worked out."""
    given: Callable[[NoiseSchedule], Mapping[str, Values]] = lambda schedule: {}
    """Numbers for further names of the formula, one for all times or one for each."""
    within: float = 1e-10
    """The largest relative difference."""
    crosses_zero: bool = False
    """Whether it changes its sign on the way: near 0 the difference counts by the largest value."""

    @property
    def name(self) -> str:
        """For the tests."""
        return f"{self.code}-{self.labels.split()[0]}"

    @property
    def owner(self) -> str:
        """The public function that a private one serves, or the function itself."""
        return OWNERS.get(self.code, self.code)

    @property
    def file(self) -> Path:
        """Where the function is defined."""
        return PACKAGE / f"{self.code.split('.')[0]}.py"

    def expression(self) -> sp.Expr:
        """The formula as it stands on the page."""
        return self.read(*(claims(label) for label in self.labels.split()))

    def proved(self, schedule: NoiseSchedule) -> Tensor:
        """The formula's numbers."""
        times = self.times(schedule.T)
        found = worked_out(self.expression(), schedule, self.given(schedule), times)
        return torch.tensor(found, dtype=torch.float64)


OWNERS = {
    "sample._half_log_snr": "sample.dpm_solver",
    "sample._extrapolate": "sample.dpm_solver",
    "sample.ancestral_step": "sample.ancestral",
    "sample.ddim_step": "sample.ddim",
}


@cache
def pages() -> dict[str, Page]:
    """The chapter of each label."""
    chapters = [Page(path) for path in sorted(BOOK.glob("[01]*.md"))]
    return {label: chapter for chapter in chapters for label in chapter.equations}


@cache
def claims(label: str) -> list[Claim]:
    """What an equation says."""
    return read_claims(pages()[label][label].latex)


def line_number(row: Row) -> int:
    """Where the line stands in its file. Raises ValueError unless the function has it once."""
    text = row.file.read_text(encoding="utf-8")
    names, body = row.code.split(".")[1:], ast.parse(text).body
    for name in names:
        node: Any = next(node for node in body if getattr(node, "name", "") == name)
        body = node.body
    lines = text.splitlines()
    found = [n for n in range(node.lineno, node.end_lineno + 1) if row.line in lines[n - 1]]
    if len(found) != 1:
        raise ValueError(f"{row.code} has the line {row.line!r} {len(found)} times")
    return found[0]


# --- Numbers for a formula -----------------------------------------------------------------------


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


# --- How a formula is read -----------------------------------------------------------------------


def side(found: list[Claim], claim: int = 0, member: int = -1) -> sp.Expr:
    """The last member of a claim, or another one."""
    return found[claim].members[member]


def mean(found: list[Claim]) -> sp.Expr:
    """Of the law on the right."""
    return side(found).mean


def variance(found: list[Claim]) -> sp.Expr:
    """Of the law on the right."""
    return side(found).variance


def factor(of: str, found: list[Claim]) -> sp.Expr:
    """What a name is multiplied with."""
    return sp.expand(side(found)).coeff(read(of))


def solved(name: str, found: list[Claim], claim: int = 0) -> sp.Expr:
    """The equation, solved for a name."""
    left, right = found[claim].members[:2]
    (solution,) = sp.solve(left - right, read(name))
    return solution


def put_in(expression: sp.Expr, **parts: sp.Expr) -> sp.Expr:
    """Another formula in the place of a name; `PLACES` says how the names are written."""
    return expression.subs({read(PLACES[name]): part for name, part in parts.items()})


PLACES = {
    "x_0": "x_0", "v": r"\mathrm v", "eps": r"\epsilon", "w_t": "w_t", "sigma": r"\sigma",
    "x_t": "x_t", "c": "c", "mu": r"\mu_\theta(x_t, t)", "last": "T", "length": r"\mu",
}  # fmt: skip


# --- What the code is given ----------------------------------------------------------------------


def filled(schedule: NoiseSchedule, value: float) -> Tensor:
    """A picture of one pixel for each time, (T, 1)."""
    return torch.full((schedule.T, 1), value, dtype=torch.float64)


def pixel(value: float) -> Tensor:
    """One picture of one pixel, (1, 1)."""
    return torch.full((1, 1), value, dtype=torch.float64)


def steps(schedule: NoiseSchedule) -> Tensor:
    """1..T."""
    return torch.arange(1, schedule.T + 1)


def one_by_one(function: Callable[[int], Tensor], times: range) -> Tensor:
    """For code that takes one t."""
    return torch.stack([function(t).reshape(()) for t in times])


def flat(numbers: Tensor) -> Tensor:
    """Pictures of one pixel as numbers."""
    return numbers.reshape(-1)


def constant(value: float) -> diffusion.Model:
    """A network that always says the same."""
    return lambda x_t, t: torch.full_like(x_t, value)


# --- schedule ------------------------------------------------------------------------------------

SCHEDULE = [
    Row(
        "schedule.NoiseSchedule.alpha", "return 1 - self.beta", "eq-alpha",
        side, lambda s: s.alpha,
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar", "return self.alpha.cumprod(0)", "eq-alpha",
        partial(side, claim=1), lambda s: s.alpha_bar,
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar_prev", "self.alpha_bar[:-1]", "eq-fwd-falls",
        partial(solved, r"\bar\alpha_{t-1}"), lambda s: s.alpha_bar_prev,
        says=r"solved for $\bar\alpha_{t-1}$",
    ),
    Row(
        "schedule.NoiseSchedule.alpha_bar_prev", "torch.ones(1", "eq-alpha",
        partial(side, claim=2), lambda s: s.alpha_bar_prev[:1], says="its beginning", times=first,
    ),
    Row(
        "schedule.NoiseSchedule.one_minus_alpha_bar", "-torch.expm1(", "eq-telescope",
        side, lambda s: s.one_minus_alpha_bar, says="the last member",
    ),
    Row(
        "schedule.NoiseSchedule.one_minus_alpha_bar",
        "torch.log1p(-self.beta).cumsum(0)", "eq-log-alpha-bar",
        lambda found: 1 - sp.exp(side(found, member=2)), lambda s: s.one_minus_alpha_bar,
        says="from the sum of the logarithms",
    ),
    Row(
        "schedule.NoiseSchedule.posterior_variance",
        "return self.beta * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-posterior-variance", side, lambda s: s.posterior_variance[1:], times=from_2,
    ),
    Row(
        "schedule.NoiseSchedule.posterior_variance",
        "return self.beta * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-post-first-step", side, lambda s: s.posterior_variance[:1],
        says="at the first step", times=first,
    ),
    Row(
        "schedule.NoiseSchedule.posterior_mean_x_0",
        "return self.alpha_bar_prev.sqrt() * self.beta / self.one_minus_alpha_bar",
        "eq-posterior-mean", partial(factor, "x_0"), lambda s: s.posterior_mean_x_0,
        says=r"the factor of $x_0$",
    ),
    Row(
        "schedule.NoiseSchedule.posterior_mean_x_t",
        "return self.alpha.sqrt() * self._one_minus_alpha_bar_prev / self.one_minus_alpha_bar",
        "eq-posterior-mean", partial(factor, "x_t"), lambda s: s.posterior_mean_x_t,
        says=r"the factor of $x_t$",
    ),
    Row(
        "schedule.NoiseSchedule.snr", "return self.alpha_bar / self.one_minus_alpha_bar", "eq-snr",
        side, lambda s: s.snr,
    ),
    Row(
        "schedule.linear", "return NoiseSchedule(_even(scale * first, scale * last, T))",
        "eq-scaled-linear", side, lambda s: schedule.linear(s.T).beta,
    ),
    Row(
        "schedule.from_alpha_bar", "1 - after / before", "eq-fwd-falls",
        partial(solved, r"\beta_t", claim=1), lambda s: _from_own_alpha_bar(s).beta,
        says=r"solved for $\beta_t$",
    ),
    Row(
        "schedule.cosine", "return math.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2",
        "eq-beyond-cosine", side, lambda s: schedule.cosine(s.T, offset=0.0).alpha_bar[:-1],
        says=r"for offset 0 and $t<T$, as the code keeps $\beta_T$ below 1",
        times=lambda T: range(1, T),
    ),
    Row(
        "schedule.shifted", "return NoiseSchedule(square * schedule.beta / whole)",
        "eq-colour-beta", side, lambda s: schedule.shifted(s, 3.0).beta,
        says="for $n = 9$, three times the side", given=lambda s: {"n": 9},
    ),
]  # fmt: skip


def _from_own_alpha_bar(made: NoiseSchedule) -> NoiseSchedule:
    values = [1.0, *made.alpha_bar.tolist()]
    return schedule.from_alpha_bar(lambda u: values[round(u * made.T)], made.T)


# --- diffusion -----------------------------------------------------------------------------------


def _weight(of: str, weighting: diffusion.Weighting, first: int = 2) -> Callable[..., Tensor]:
    target: Any = of
    return lambda s: diffusion.loss_weight(s, target, weighting)[first - 1 :]


def _law(law: Gaussian, part: str) -> Tensor:
    return flat(getattr(law, part))


def _q_step(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_step(s, filled(s, X_PREV), steps(s)), part)


def _q_marginal(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_marginal(s, filled(s, X_0), steps(s)), part)


def _q_posterior(part: str, s: NoiseSchedule) -> Tensor:
    return _law(diffusion.q_posterior(s, filled(s, X_0), filled(s, X_T), steps(s)), part)


def _posterior_by_eps(s: NoiseSchedule) -> Tensor:
    x_t, t = filled(s, X_T), steps(s)
    x_0 = diffusion.x_0_from_eps(s, x_t, t, filled(s, EPS))
    return flat(diffusion.q_posterior(s, x_0, x_t, t).mean)


def _predict(target: diffusion.Target, output: float, part: str, s: NoiseSchedule) -> Tensor:
    told = diffusion.predict(s, filled(s, output), filled(s, X_T), steps(s), target)
    return flat(getattr(told, part))


def _slope(x: Tensor, t: Tensor) -> Tensor:
    """A network that looks at the picture."""
    return 0.5 * x - 0.2


def _with_slope(body: sp.Expr) -> sp.Expr:
    """The same in a formula."""
    return with_function(body, r"\epsilon_\theta", lambda x, t: x / 2 - sp.Rational(1, 5))


def _plain_loss(s: NoiseSchedule) -> Tensor:
    return diffusion.training_loss(s, _slope, filled(s, X_0), steps(s), filled(s, EPS))


def _divergence(s: NoiseSchedule) -> Tensor:
    q = Gaussian(filled(s, X_0), s.beta[:, None])
    p = Gaussian(filled(s, X_T), s.one_minus_alpha_bar[:, None])
    return flat(diffusion.gaussian_kl(q, p))


def _divergence_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        noise = [1 - bar for bar in tables(s)[r"\bar\alpha_t"]]
    return {r"\mu_1": X_0, r"\mu_2": X_T, "v_1": tables(s)[r"\beta_t"], "v_2": noise}


def _level(s: NoiseSchedule) -> Tensor:
    p = Gaussian(filled(s, X_T), s.beta[:, None])
    return flat(diffusion.discretised_log_likelihood(filled(s, X_0), p))


def _level_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        half = mpmath.mpf(1) / 255
        deviation = [mpmath.sqrt(beta) for beta in tables(s)[r"\beta_t"]]
        return {"a": X_0 - half, "b": X_0 + half, r"\mu": X_T, r"\sigma": deviation}


def _mass(s: NoiseSchedule) -> Tensor:
    return diffusion.log_normal_mass(-0.7 / s.beta.sqrt(), -0.3 / s.beta.sqrt())


def _mass_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return _level_numbers(s) | {"a": -0.7, "b": -0.3, r"\mu": 0}


def _p_step(s: NoiseSchedule) -> Gaussian:
    x_t, t = filled(s, X_T), steps(s)
    x_0 = diffusion.x_0_from_eps(s, x_t, t, filled(s, EPS_HAT))
    return diffusion.p_step(s, x_0, x_t, t, "posterior")


SHARE = 0.3
"""Of beta_t in a variance that a network says."""


def _learned_variance(s: NoiseSchedule) -> Tensor:
    said = filled(s, 2 * SHARE - 1)
    return flat(diffusion.learned_variance(s, said, _p_step(s).variance, steps(s)))[1:]


def _bound(s: NoiseSchedule) -> Tensor:
    """Of one pixel, for a network that always predicts the same picture."""
    x_0, eps, model = filled(s, X_0), filled(s, EPS), constant(X_0_HAT)
    return diffusion.bound_term(s, model, x_0, steps(s), eps, "x_0")


def _error_of_eps(found: list[Claim]) -> sp.Expr:
    """The error of the noise by that of the picture, from eq-train-x0-error."""
    return solved(r"\epsilon", found) - read(r"\epsilon_\theta")


def _bound_formula(term: list[Claim], error: list[Claim]) -> sp.Expr:
    divergence = side(term).replace(Norm, lambda _: _error_of_eps(error))
    return put_in(divergence, w_t=side(term, 1))


def _decoder(s: NoiseSchedule) -> Tensor:
    """The first term, for a network that predicts a picture above the true one."""
    x_0, eps, model = pixel(X_0), pixel(EPS), constant(X_T)
    return diffusion.bound_term(s, model, x_0, torch.tensor([1]), eps, "x_0", "beta")


def _decoder_numbers(s: NoiseSchedule) -> dict[str, Values]:
    found = _level_numbers(s)
    return found | {r"\sigma": as_column(found[r"\sigma"], s.T)[:1]}


def _terms(s: NoiseSchedule, x_0: Tensor) -> list[Tensor]:
    """L_0, ..., L_{T-1}, L_T of pictures, for a network that always predicts the same."""
    model, eps, every_time = constant(X_0_HAT), torch.zeros_like(x_0), range(1, s.T + 1)
    whole = [torch.full((len(x_0),), t) for t in every_time]
    terms = [diffusion.bound_term(s, model, x_0, t, eps, "x_0") for t in whole]
    return [*terms, diffusion.prior_term(s, x_0)]


FEW = 25
"""Steps of a schedule whose whole bound is summed: T evaluations for each number else."""


@cache
def _few() -> NoiseSchedule:
    return schedule.cosine(FEW)


def _terms_by(name: str) -> dict[str, Values]:
    terms = _terms(_few(), PICTURES.double())
    return {f"{name}_{{{k}}}": float(term[0]) for k, term in enumerate(terms)}


PICTURES = torch.full((2, 1, 1, 2), 200 / 127.5 - 1)
"""Two pictures of two pixels of one grey level."""


def _summed(formula: sp.Expr) -> sp.Expr:
    return formula.subs(read("T"), FEW).doit()


def _bits(s: NoiseSchedule) -> Tensor:
    nats = torch.arange(1, s.T + 1, dtype=torch.float64)
    return diffusion.bits_per_dim(nats, torch.zeros(s.T, 3))


def _whole_bound(s: NoiseSchedule) -> Tensor:
    terms = diffusion.elbo(_few(), constant(X_0_HAT), PICTURES.double(), "x_0")
    return terms.sum(0)[:1] * 2 * math.log(2)


def _only_sum(found: list[Claim]) -> sp.Expr:
    """The formula with its sum as one number."""
    (whole,) = side(found).atoms(sp.Sum)
    return side(found).subs(whole, read("t"))


DIFFUSION = [
    Row(
        "diffusion.q_step", "mean = schedule.at(schedule.alpha.sqrt(), t, x_prev) * x_prev",
        "eq-q-step", mean, partial(_q_step, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_step", "return Gaussian(mean, schedule.at(schedule.beta, t, x_prev))",
        "eq-q-step", variance, partial(_q_step, "variance"), says="the variance",
    ),
    Row(
        "diffusion.q_marginal", "mean = schedule.at(schedule.alpha_bar.sqrt(), t, x_0) * x_0",
        "eq-q-marginal", mean, partial(_q_marginal, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_marginal",
        "return Gaussian(mean, schedule.at(schedule.one_minus_alpha_bar, t, x_0))",
        "eq-q-marginal", variance, partial(_q_marginal, "variance"), says="the variance",
    ),
    Row(
        "diffusion.q_sample", "return signal * x_0 + noise * eps", "eq-closed-form", side,
        lambda s: flat(diffusion.q_sample(s, filled(s, X_0), steps(s), filled(s, EPS))),
    ),
    Row(
        "diffusion.q_posterior", "return Gaussian(of_x_0 * x_0 + of_x_t * x_t, variance)",
        "eq-posterior-mean", side, partial(_q_posterior, "mean"), says="the mean",
    ),
    Row(
        "diffusion.q_posterior", "variance = schedule.at(schedule.posterior_variance, t, x_t)",
        "eq-posterior-variance", side, lambda s: _q_posterior("variance", s)[1:],
        says="the variance", times=from_2,
    ),
    Row(
        "diffusion.q_posterior", "return Gaussian(of_x_0 * x_0 + of_x_t * x_t, variance)",
        "eq-posterior-eps", side, _posterior_by_eps,
        says="the mean by the noise, after `x_0_from_eps`",
    ),
    Row(
        "diffusion.x_0_from_eps", "return (x_t - noise * eps) / signal", "eq-post-solved", side,
        lambda s: flat(diffusion.x_0_from_eps(s, filled(s, X_T), steps(s), filled(s, EPS))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_x_0", "return (x_t - signal * x_0) / noise", "eq-post-solved",
        partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_x_0(s, filled(s, X_T), steps(s), filled(s, X_0))),
        says="the second claim",
    ),
    Row(
        "diffusion.velocity", "return signal * eps - noise * x_0", "eq-v", side,
        lambda s: flat(diffusion.velocity(s, filled(s, X_0), steps(s), filled(s, EPS))),
    ),
    Row(
        "diffusion.x_0_from_v", "return signal * x_t - noise * v", "eq-from-v", side,
        lambda s: flat(diffusion.x_0_from_v(s, filled(s, X_T), steps(s), filled(s, V))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_v", "return noise * x_t + signal * v", "eq-from-v",
        partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_v(s, filled(s, X_T), steps(s), filled(s, V))),
        says="the second claim",
    ),
    Row(
        "diffusion.x_0_from_flow", "return (x_t - noise * flow) / (signal + noise)",
        "eq-after-from-flow", side,
        lambda s: flat(diffusion.x_0_from_flow(s, filled(s, X_T), steps(s), filled(s, FLOW))),
        says="the first claim",
    ),
    Row(
        "diffusion.eps_from_flow", "return (x_t + signal * flow) / (signal + noise)",
        "eq-after-from-flow", partial(side, claim=1),
        lambda s: flat(diffusion.eps_from_flow(s, filled(s, X_T), steps(s), filled(s, FLOW))),
        says="the second claim",
    ),
    Row(
        "diffusion.predict", "return Prediction(x_0_from_eps(schedule, x_t, t, output), output)",
        "eq-x0-from-eps", side, partial(_predict, "eps", EPS_HAT, "x_0"), says="target `eps`",
    ),
    Row(
        "diffusion.predict", "return Prediction(output, eps_from_x_0(schedule, x_t, t, output))",
        "eq-post-solved", partial(side, claim=1), partial(_predict, "x_0", X_0, "eps"),
        says="target `x_0`",
    ),
    Row(
        "diffusion.predict",
        "x_0_from_v(schedule, x_t, t, output), eps_from_v(schedule, x_t, t, output)",
        "eq-from-v", side, partial(_predict, "v", V, "x_0"), says="target `v`",
    ),
    Row(
        "diffusion.predict",
        "x_0_from_flow(schedule, x_t, t, output), eps_from_flow(schedule, x_t, t, output)",
        "eq-after-from-flow", side, partial(_predict, "flow", FLOW, "x_0"), says="target `flow`",
    ),
    Row(
        "diffusion.target_of", "return eps - x_0", "eq-after-flow", side,
        lambda s: flat(diffusion.target_of(s, filled(s, X_0), steps(s), filled(s, EPS), "flow")),
        says="target `flow`",
    ),
    Row(
        "diffusion.target_of", "return velocity(schedule, x_0, t, eps)", "eq-v", side,
        lambda s: flat(diffusion.target_of(s, filled(s, X_0), steps(s), filled(s, EPS), "v")),
        says="target `v`",
    ),
    Row(
        "diffusion.loss_weight", "of_x_0 = (before - schedule.snr) / 2", "eq-elbo-weight",
        side, _weight("eps", "bound"), says="weighting `bound`, target `eps`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", 'per_x_0 = {"x_0": torch.ones_like(schedule.snr)',
        "eq-train-x0-error eq-elbo-weight",
        lambda error, weight: side(weight) / factor(r"\epsilon", error) ** 2,
        _weight("x_0", "bound"), says="weighting `bound`, target `x_0`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", "return of_x_0 / per_x_0[target]", "eq-errors eq-elbo-weight",
        lambda errors, weight: side(weight) * side(errors).subs(side(errors).atoms(Norm).pop(), 1),
        _weight("v", "bound"), says="weighting `bound`, target `v`", times=from_2,
    ),
    Row(
        "diffusion.loss_weight", "before = torch.cat(", "eq-gauss-log",
        lambda found: -side(found).diff(read("x"), 2) / 2,
        lambda s: diffusion.loss_weight(s, "x_0", "bound")[:1],
        says="weighting `bound`, target `x_0`, first step", times=first,
        given=lambda s: {r"\sigma": mpmath.sqrt(tables(s)[r"\beta_t"][0])},
    ),
    Row(
        "diffusion.loss_weight", "of_x_0 = schedule.snr.clamp(max=gamma)", "eq-beyond-factors",
        partial(side, claim=1), lambda s: diffusion.loss_weight(s, "v", "min_snr", gamma=1e300),
        says=r"weighting `min_snr`, target `v`, below $\gamma$",
    ),
    Row(
        "diffusion.training_loss",
        "error = (output - target_of(schedule, x_0, t, eps, target)).square().flatten(1).mean(1)",
        "eq-elbo-simple", lambda found: _with_slope(side(found).body), _plain_loss,
        says="what is averaged, for a network that is a straight line",
    ),
    Row(
        "diffusion.gaussian_kl", "return (ratio - 1 - ratio.log() + square / p.variance) / 2",
        "eq-elbo-gauss", partial(side, member=1), _divergence, says="one pixel, $d=1$",
        given=_divergence_numbers,
    ),
    Row(
        "diffusion.discretised_log_likelihood",
        "lower = ((x_0 - 1 / 255 - p.mean) / deviation)", "eq-gauss-interval",
        lambda found: sp.log(side(found)), _level, says="the logarithm, for one grey level",
        given=_level_numbers,
    ),
    Row(
        "diffusion.log_normal_mass", "mass: Tensor = log_upper +", "eq-gauss-interval",
        lambda found: sp.log(side(found)), _mass, says="the logarithm", given=_mass_numbers,
    ),
    Row(
        "diffusion.p_step", "mean = q_posterior(schedule, x_0, x_t, t).mean", "eq-elbo-mean",
        side, lambda s: flat(_p_step(s).mean), says="the mean, after `x_0_from_eps`",
    ),
    Row(
        "diffusion.p_step", "table = schedule.posterior_variance.clone()", "eq-elbo-posterior",
        partial(side, claim=1), lambda s: flat(_p_step(s).variance)[1:],
        says="the posterior variance", times=from_2,
    ),
    Row(
        "diffusion.learned_variance", "return (u * schedule.at(schedule.beta, t, said).log() +",
        "eq-eval-learned", side, _learned_variance, says="one pixel", times=from_2,
        given=lambda s: {"u": SHARE},
    ),
    Row(
        "diffusion.prior_term", "return gaussian_kl(q, standard).flatten(1).sum(1)", "eq-kl-end",
        side, lambda s: diffusion.prior_term(s, pixel(X_0)), says="one pixel", times=last,
        given=lambda s: {"x_T": X_T, r"\bar\alpha_T": tables(s)[r"\bar\alpha_t"][-1:]},
    ),
    Row(
        "diffusion.bound_term",
        "kl = gaussian_kl(Gaussian(q.mean, q_variance), p).flatten(1).sum(1)",
        "eq-train-term eq-train-x0-error", _bound_formula, lambda s: _bound(s)[1:],
        says="from the second step, one pixel", times=from_2,
    ),
    Row(
        "diffusion.bound_term", "decoder = -discretised_log_likelihood(x_0, p).flatten(1).sum(1)",
        "eq-gauss-interval", lambda found: -sp.log(side(found)), _decoder,
        says="the first step, minus its logarithm", times=first, given=_decoder_numbers,
    ),
    Row(
        "diffusion.elbo", "terms.append(prior_term(schedule, x_0))", "eq-elbo-total",
        lambda found: _summed(side(found)), _whole_bound, says=f"summed for $T={FEW}$",
        times=first, given=lambda s: _terms_by(r"\mathcal{L}"),
    ),
    Row(
        "diffusion.bits_per_dim", "return nats / (math.log(2) * x_0[0].numel())", "eq-eval-bits",
        _only_sum, _bits, given=lambda s: {"d": 3},
    ),
]  # fmt: skip


# --- sample --------------------------------------------------------------------------------------


def _guided(target: diffusion.Target, s: NoiseSchedule) -> Tensor:
    denoise = sample.denoiser(
        s, constant(CONDITIONED), target, constant(UNCONDITIONED), SCALE, clip=False
    )
    return one_by_one(lambda t: denoise(pixel(X_T), t), every(s.T))


def _outputs(of: str) -> Callable[[NoiseSchedule], dict[str, Values]]:
    return lambda s: {
        rf"{of}(x_t, t, c)": CONDITIONED,
        rf"{of}(x_t, t, \varnothing)": UNCONDITIONED,
    }


def _ancestral_step(part: str, s: NoiseSchedule, times: range) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ancestral_step(s, pixel(X_0_HAT), pixel(X_T), t, "posterior")
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, times)


def _bar_before(s: NoiseSchedule) -> list[mpmath.mpf]:
    return tables(s)[r"\bar\alpha_{t-1}"]


def _chain(s: NoiseSchedule, states: Sequence[sample.State]) -> tuple[list[float], Tensor]:
    """x_t for t = 1..T, and what the sampler made of each."""
    made = [float(state.x_t) for state in states]
    return [X_T, *made[:-1]][::-1], torch.tensor(made[::-1], dtype=torch.float64)


def _drawn(s: NoiseSchedule) -> list[float]:
    """The noise of each step of a sampler whose seed is 0, t = 1..T."""
    noise = sample._Noise(0)
    return [float(noise.like(pixel(0.0))) for _ in every(s.T)][::-1]


@cache
def _ancestral(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run, for a network that always predicts the same picture."""
    return _chain(s, list(sample.ancestral(lambda x, t: pixel(X_0_HAT), s, pixel(X_T))))


@cache
def _ddim(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run of T steps with noise."""
    run = sample.ddim(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T, ETA)
    return _chain(s, list(run))


@cache
def _consistency(s: NoiseSchedule) -> Tensor:
    """A whole run of T steps: what was noised anew to t = 1..T-1."""
    run = sample.consistency(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T)
    return _chain(s, list(run))[1][1:]


def _ancestral_numbers(s: NoiseSchedule) -> dict[str, Values]:
    with mpmath.workdps(40):
        deviation = [mpmath.sqrt(v) for v in tables(s)[r"\tilde\beta_t"]]
    return {
        "x_t": _ancestral(s)[0][1:], "z": _drawn(s)[1:], r"\sigma_t": deviation[1:],
        r"\bar\alpha_s": _bar_before(s)[1:],
    }  # fmt: skip


def _ddim_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return {
        "x_t": _ddim(s)[0][1:], r"\epsilon": _drawn(s)[1:], "x_0": X_0_HAT,
        r"\bar\alpha_s": _bar_before(s)[1:],
    }  # fmt: skip


def _noisy_formula(draw: list[Claim], law: list[Claim], spread: list[Claim]) -> sp.Expr:
    """A draw from DDIM's law, mu + sigma eps."""
    squared = side(spread)
    mu = mean(law).subs(read(r"\sigma") ** 2, squared)
    return put_in(side(draw), length=mu, sigma=sp.sqrt(squared))


def _halfway(s: NoiseSchedule) -> dict[str, Values]:
    """Steps from t to half of it."""
    bar = tables(s)[r"\bar\alpha_t"]
    return {r"\bar\alpha_s": [bar[t // 2 - 1] for t in from_2(s.T)]}


def _ddim_step(part: str, eta: float, s: NoiseSchedule) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ddim_step(s, pixel(X_0), pixel(X_T), t, t // 2, eta)
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, from_2(s.T))


def _with_eta(law: list[Claim], spread: list[Claim]) -> sp.Expr:
    return mean(law).subs(read(r"\sigma") ** 2, side(spread))


def _full_noise(part: str, s: NoiseSchedule) -> Tensor:
    def law(t: int) -> Tensor:
        step = sample.ddim_step(s, pixel(X_0), pixel(X_T), t, t - 1, 1.0)
        return torch.as_tensor(getattr(step, part))

    return one_by_one(law, from_2(s.T))


def _quiet(guess: list[Claim], noise: list[Claim]) -> sp.Expr:
    """The step without noise, with the noise that the guess of the picture stands for."""
    return side(guess).subs(read(r"\epsilon_\theta"), solved(r"\epsilon_\theta", noise))


def _clocks(s: NoiseSchedule, times: Sequence[int]) -> list[mpmath.mpf]:
    """lambda_t of eq-samp-clock."""
    bar = tables(s)[r"\bar\alpha_t"]
    with mpmath.workdps(40):
        return [mpmath.log(bar[t - 1] / (1 - bar[t - 1])) / 2 for t in times]


OLDER = 3
"""How many steps before the present one the older prediction is."""


def _two_back(T: int) -> range:
    return range(2, T - OLDER + 1)


def _second_order(s: NoiseSchedule) -> Tensor:
    def straight(t: int) -> Tensor:
        return sample._extrapolate(s, pixel(X_0), t, t // 2, t + OLDER, pixel(X_0_HAT))

    return one_by_one(straight, _two_back(s.T))


def _second_order_numbers(s: NoiseSchedule) -> dict[str, Values]:
    times = _two_back(s.T)
    now, older = _clocks(s, times), _clocks(s, [t + OLDER for t in times])
    ahead = _clocks(s, [t // 2 for t in times])
    with mpmath.workdps(40):
        h = [b - a for a, b in zip(now, ahead, strict=True)]
        r = [(a - o) / step for a, o, step in zip(now, older, h, strict=True)]
    return {"r": r, r"f(\lambda_t)": X_0, r"f(\lambda_t - r h)": X_0_HAT}


@cache
def _solver(s: NoiseSchedule) -> tuple[list[float], Tensor]:
    """A whole run of T steps. Where all predictions are the same, each step is of first order."""
    return _chain(s, list(sample.dpm_solver(lambda x, t: pixel(X_0_HAT), s, pixel(X_T), s.T)))


def _first_order(s: NoiseSchedule) -> Tensor:
    """What each step leads to, over its signal."""
    return _solver(s)[1][1:] / s.alpha_bar[:-1].sqrt()


def _first_order_numbers(s: NoiseSchedule) -> dict[str, Values]:
    times, bar = from_2(s.T), tables(s)[r"\bar\alpha_t"]
    now, ahead = _clocks(s, times), _clocks(s, [t - 1 for t in times])
    with mpmath.workdps(40):
        h = [b - a for a, b in zip(now, ahead, strict=True)]
        pairs = zip(_solver(s)[0][1:], bar[1:], strict=True)
        before = [x_t / mpmath.sqrt(signal) for x_t, signal in pairs]
    return {"h": h, r"f(\lambda_t)": X_0_HAT, r"g(\lambda_t)": before}


SAMPLE = [
    Row(
        "sample.denoiser", "output = without + guidance_scale * (output - without)",
        "eq-guidance eq-from-v", lambda guided, back: put_in(side(back), v=side(guided)),
        partial(_guided, "v"), says="target `v`, then `x_0_from_v`",
        given=_outputs(r"\mathrm v_\theta"),
    ),
    Row(
        "sample.denoiser", "output = without + guidance_scale * (output - without)",
        "eq-samp-guidance eq-post-solved",
        lambda guided, back: put_in(side(back), eps=side(guided)), partial(_guided, "eps"),
        says="target `eps`, then `x_0_from_eps`", crosses_zero=True,
        given=_outputs(r"\epsilon_\theta"),
    ),
    Row(
        "sample.ancestral_step", "mean, posterior = q_posterior(schedule, x_0, x_t, t)",
        "eq-samp-ancestral", mean, lambda s: _ancestral_step("mean", s, every(s.T)),
        says="the mean, for $s=t-1$", given=lambda s: {r"\bar\alpha_s": _bar_before(s)},
    ),
    Row(
        "sample.ancestral_step", 'mean, posterior if variance == "posterior"',
        "eq-samp-posterior", variance, lambda s: _ancestral_step("variance", s, from_2(s.T)),
        says="the variance, for $s=t-1$", times=from_2,
        given=lambda s: {r"\bar\alpha_s": _bar_before(s)[1:]},
    ),
    Row(
        "sample.ancestral", "x = p.mean + p.variance.sqrt() * noise.like(x)",
        "eq-elbo-draw eq-samp-ancestral",
        lambda draw, law: put_in(side(draw), mu=mean(law)), lambda s: _ancestral(s)[1][1:],
        says="each step of a whole run but the last", times=from_2, given=_ancestral_numbers,
    ),
    Row(
        "sample.ancestral", "if before > 0 else p.mean", "eq-post-first-step",
        partial(side, claim=1), lambda s: _ancestral(s)[1][:1],
        says="the last step, with the prediction for $x_0$", times=first,
        given=lambda s: {"x_0": X_0_HAT},
    ),
    Row(
        "sample.ddim_step", "mean = signal.to(x_t) * x_0 + direction.to(x_t) * eps",
        "eq-samp-ddim eq-samp-eta", _with_eta, partial(_ddim_step, "mean", ETA),
        says="the mean, with the variance below", times=from_2, given=_halfway,
    ),
    Row(
        "sample.ddim_step",
        "variance = eta**2 * kept / schedule.one_minus_alpha_bar[t - 1] * (1 - ratio)",
        "eq-samp-eta", side, partial(_ddim_step, "variance", ETA), says="the variance",
        times=from_2, given=_halfway,
    ),
    Row(
        "sample.ddim_step", "eps = eps_from_x_0(schedule, x_t, t, x_0)",
        "eq-samp-quiet eq-samp-guess", _quiet, partial(_ddim_step, "mean", 0.0),
        says=r"the mean, for $\eta=0$", times=from_2,
        given=lambda s: _halfway(s) | {r"\hat x_0": X_0},
    ),
    Row(
        "sample.ddim_step", "signal, direction = alpha_bar[before - 1].sqrt()", "eq-samp-ddpm",
        side, partial(_full_noise, "mean"), says=r"the mean, for $\eta=1$ and $s=t-1$",
        times=from_2,
    ),
    Row(
        "sample.ddim_step", "ratio = alpha_bar[t - 1] / alpha_bar[before - 1]", "eq-samp-ddpm",
        partial(side, claim=1), partial(_full_noise, "variance"),
        says=r"the variance, for $\eta=1$ and $s=t-1$", times=from_2,
    ),
    Row(
        "sample.ddim", "x = mean + variance.sqrt() * noise.like(x)",
        "eq-reparam-one eq-samp-ddim eq-samp-eta", _noisy_formula, lambda s: _ddim(s)[1][1:],
        says="each step of a whole run but the last", times=from_2, given=_ddim_numbers,
    ),
    Row(
        "sample.consistency", "x = q_sample(schedule, x_0, before, noise.like(x))",
        "eq-after-start", side, _consistency,
        says="each step of a whole run but the last, with the prediction for $x_0$ and new noise",
        times=but_last, given=lambda s: {"x_0": X_0_HAT, r"\epsilon": _drawn(s)[1:]},
    ),
    Row(
        "sample.dpm_solver", "x = ddim_step(schedule, straight, x, t, before, eta=0.0).mean",
        "eq-samp-first", side, _first_order,
        says=r"the first order, with $g(\lambda_t)=x_t/\sqrt{\bar\alpha_t}$", times=from_2,
        given=_first_order_numbers,
    ),
    Row(
        "sample._half_log_snr", "return float(schedule.snr[t - 1].log() / 2)", "eq-samp-clock",
        side,
        lambda s: torch.tensor(
            [sample._half_log_snr(s, t) for t in every(s.T)], dtype=torch.float64
        ),
        crosses_zero=True,
    ),
    Row(
        "sample._extrapolate", "return x_0 + (x_0 - older_x_0) * (ratio / 2)",
        "eq-samp-trial eq-samp-factor", lambda trial, c: put_in(side(trial), c=side(c)),
        _second_order, says="with the factor below", times=_two_back,
        given=_second_order_numbers,
    ),
    Row(
        "sample._extrapolate", "ratio = (_half_log_snr(schedule, before) - now)",
        "eq-samp-factor", side,
        lambda s: (_second_order(s) - X_0) / (X_0 - X_0_HAT), says="the factor",
        times=_two_back, given=_second_order_numbers,
    ),
]  # fmt: skip


# --- evaluate ------------------------------------------------------------------------------------


def _features(mean: float, deviation: float) -> Tensor:
    """Two numbers with this mean and this (unbiased) standard deviation, (2, 1)."""
    half = deviation / 2**0.5
    return torch.tensor([[mean - half], [mean + half]], dtype=torch.float64)


def _frechet(s: NoiseSchedule) -> Tensor:
    pairs = zip(s.beta.sqrt().tolist(), s.one_minus_alpha_bar.sqrt().tolist(), strict=True)
    found = [evaluate.frechet_distance(_features(X_0, b), _features(X_T, r)) for b, r in pairs]
    return torch.tensor(found, dtype=torch.float64)


def _frechet_numbers(s: NoiseSchedule) -> dict[str, Values]:
    return {"a": X_0, "b": s.beta.sqrt(), "c": X_T, "r": s.one_minus_alpha_bar.sqrt()}


@cache
def _likelihood() -> evaluate.Likelihood:
    """Of two pictures, each step of a short schedule by itself."""
    pixels = torch.full(PICTURES.shape, 200, dtype=torch.uint8)
    return evaluate.likelihood(_few(), constant(X_0_HAT), pixels, "x_0", exact=FEW)


def _parts(s: NoiseSchedule) -> Tensor:
    found = _likelihood()
    nats = (found.distortion + found.rate) * 2 * math.log(2)
    return torch.tensor([nats], dtype=torch.float64)


EVALUATE = [
    Row(
        "evaluate.frechet_distance",
        "(mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross",
        "eq-eval-frechet", side, _frechet, says="one feature", given=_frechet_numbers,
    ),
    Row(
        "evaluate.likelihood", "whole = (lengths[:, None] * steps).sum(0) + prior",
        "eq-eval-bits", lambda found: _summed(side(found)),
        lambda s: torch.tensor([_likelihood().bits_per_dim], dtype=torch.float64),
        says=f"summed for $T={FEW}$, in float32", times=first,
        given=lambda s: {"d": 2} | _terms_by("C"), within=1e-5,
    ),
    Row(
        "evaluate.likelihood", "rate=total - distortion", "eq-eval-split",
        lambda found: _summed(side(found)), _parts,
        says=f"summed for $T={FEW}$, in float32", times=first,
        given=lambda s: _terms_by("C"), within=1e-5,
    ),
]  # fmt: skip

ROWS: Mapping[str, list[Row]] = {
    "schedule": SCHEDULE,
    "diffusion": DIFFUSION,
    "sample": SAMPLE,
    "evaluate": EVALUATE,
}
"""The table, by module."""

WITHOUT: Mapping[str, str] = {
    "schedule.NoiseSchedule.T": "the length of a table",
    "schedule.NoiseSchedule.at": "looks a value up",
    "schedule.check_steps": "refuses a number",
    "schedule.quadratic": "a schedule of the literature; no chapter derives it",
    "schedule.sigmoid": "a schedule of the literature; no chapter derives it",
    "schedule.cosine_fine": "`cosine` with another offset",
    "diffusion.check_name": "refuses a word",
    "diffusion.check_numbers": "refuses numbers",
    "diffusion.Gaussian": "a pair of tensors",
    "diffusion.Prediction": "a pair of tensors",
    "sample.State": "what a sampler yields",
    "sample.initial_noise": r"draws from $\mathcal N(0, I)$",
    "sample.timesteps": "rounds evenly spaced times",
    "sample.last": "runs a sampler to its end",
    "evaluate.EvaluationError": "an error",
    "evaluate.Likelihood": "what `likelihood` found",
    "evaluate.stretches": "parts the times; they are counted by a test",
    "evaluate.SampleQuality": "what `sample_quality` found",
    "evaluate.sample_quality": "asks a classifier",
    "evaluate.frechet_floor": "the mean of `floor_draws`",
    "evaluate.floor_draws": "draws; that they shrink as $1/n$ is {eq}`eq-eval-mean`",
    "evaluate.inception_fid": "asks another package",
}
"""What has no row, and why."""
