"""Works a formula out at given values, to show that it fails there, or that it holds.

The values belong to a small world in which everything can be computed: numbers for the alphas and
the x_t, the forward chain q started at a standard normal x_0, and a linear Gaussian model p of the
way back. Numbers are exact where the result is rational, and have thirty digits elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.objects import (
    KL,
    Density,
    Expectation,
    Gaussian,
    Hadamard,
    Normal,
    Span,
    Variance,
)
from ddpm_lite.symbolic.reader import read

DIGITS = 30
SAME = sp.Float("1e-20")
ALPHA, ALPHA_BAR, BETA = r"\alpha", r"\bar{\alpha}", r"\beta"


# --- Jointly normal variables --------------------------------------------------------------------


@dataclass(frozen=True)
class Normals:
    """x_0, x_1, ..., jointly normal."""

    mean: sp.Matrix
    covariance: sp.Matrix

    def given(self, times: Sequence[int], known: Mapping[int, sp.Expr]) -> tuple[Any, Any]:
        """Mean and covariance of some of them when others are known."""
        a, b = list(times), list(known)
        mean, covariance = self.mean.extract(a, [0]), self.covariance.extract(a, a)
        if not known:
            return mean, covariance
        gain = self.covariance.extract(a, b) * self.covariance.extract(b, b).inv()
        away = sp.Matrix(list(known.values())) - self.mean.extract(b, [0])
        return mean + gain * away, covariance - gain * self.covariance.extract(b, a)


def forward(alphas: Sequence[sp.Expr]) -> Normals:
    """The forward chain, started at a standard normal x_0."""
    covariance = sp.zeros(len(alphas) + 1)
    covariance[0, 0] = 1
    for t, alpha in enumerate(alphas, 1):
        for s in range(t):
            covariance[s, t] = covariance[t, s] = sp.sqrt(alpha) * covariance[s, t - 1]
        covariance[t, t] = alpha * covariance[t - 1, t - 1] + 1 - alpha
    return Normals(sp.zeros(len(alphas) + 1, 1), covariance)


def backward(steps: Sequence[Sequence[sp.Expr]]) -> Normals:
    """The model: x_T is standard normal, x_{t-1} is N(k x_t + h, w). A row (k, h, w) for each t."""
    T = len(steps)
    mean, covariance = sp.zeros(T + 1, 1), sp.zeros(T + 1)
    covariance[T, T] = 1
    for t in range(T, 0, -1):
        k, h, w = steps[t - 1]
        mean[t - 1] = k * mean[t] + h
        for s in range(t, T + 1):
            covariance[s, t - 1] = covariance[t - 1, s] = k * covariance[t, s]
        covariance[t - 1, t - 1] = k**2 * covariance[t, t] + w
    return Normals(mean, covariance)


def log_normal(x: sp.Matrix, mean: sp.Matrix, covariance: sp.Matrix) -> sp.Expr:
    """The logarithm of a normal density at x."""
    away = x - mean
    square = (away.T * covariance.inv() * away)[0, 0]
    log: sp.Expr = -square / 2 - sp.log((2 * sp.pi * covariance).det()) / 2
    return log


def mean_of(quadratic: Any, variables: Sequence[sp.Expr], mean: Any, covariance: Any) -> Any:
    """The expectation of a quadratic in jointly normal variables."""
    if quadratic.has(sp.oo):
        return sp.oo
    at_mean = quadratic.subs(dict(zip(variables, mean, strict=True)))
    return at_mean + (sp.hessian(quadratic, list(variables)) * covariance).trace() / 2


# --- The world of one counterexample -------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """The values of an erratum, and the laws that go with them."""

    values: dict[Any, Any]
    q: Normals
    p: Normals
    points: list[sp.Expr] = field(default_factory=list)
    """The values that x_0 takes, each as often as the others, where the data are points."""

    def law(self, density: Density) -> Normals:
        """The laws that a density belongs to."""
        return self.q if str(density.name) == "q" else self.p

    def at(self, expression: Any) -> Any:
        """The expression with all values put in; later values may be told by earlier ones."""
        for symbol, value in reversed(self.values.items()):
            expression = families(expression).subs(symbol, value)
        return families(expression)


def families(expression: Any) -> Any:
    r"""\bar\alpha_k as the product of \alpha_1 to \alpha_k, and \beta_k as 1 - \alpha_k."""
    rules: dict[str, Callable[[int], sp.Expr]] = {
        ALPHA_BAR: lambda k: sp.prod([element(ALPHA, s) for s in range(1, k + 1)]),
        BETA: lambda k: 1 - element(ALPHA, k),
    }
    found = {a for a in expression.atoms(sp.Indexed) if family(a) in rules}
    return expression.xreplace({a: rules[family(a)](time(a)) for a in found})


def family(element: sp.Expr) -> str:
    r"""The symbol without its index: \alpha of \alpha_t; empty if there is none."""
    return str(element.base.label) if isinstance(element, sp.Indexed) else ""


def element(name: str, k: int) -> sp.Expr:
    r"""\alpha_k and its kin."""
    value: sp.Expr = read(f"{name}_{{{k}}}")
    return value


def time(variable: sp.Expr) -> int:
    """The index k of x_k."""
    return int(variable.indices[0])


def world(at: Mapping[str, Any], reverse: Iterable[Any] = (), data: Iterable[str] = ()) -> World:
    """The world of an erratum from what errata.yml says of it."""
    values: dict[Any, Any] = {}
    for name, said in at.items():
        values[read(name)] = read(said) if isinstance(said, str) else computed(values, **said)
    alphas = {time(a): v for a, v in values.items() if family(a) == ALPHA}
    steps = [[read(number) for number in step] for step in reverse]
    q = forward([alphas[t] for t in sorted(alphas)])
    return World(values, q, backward(steps), [read(point) for point in data])


def computed(values: Mapping[Any, Any], by: str, of: str) -> sp.Expr:
    """A value that a function below finds from another value."""
    return FUNCTIONS[by](values[read(of)])


def smallest_eigenvalue(matrix: sp.Matrix) -> sp.Expr:
    """The least of the eigenvalues."""
    return min(matrix.eigenvals())


def smallest_entry(matrix: sp.Matrix) -> sp.Expr:
    """The least of the entries."""
    return min(matrix)


FUNCTIONS = {f.__name__: f for f in (smallest_eigenvalue, smallest_entry)}


# --- What SymPy has no name for ------------------------------------------------------------------


def spread(variables: Iterable[sp.Expr]) -> list[sp.Expr]:
    """The variables one by one: x_{1:3} is x_1, x_2, x_3."""
    found: list[sp.Expr] = []
    for v in variables:
        ends = [time(end) for end in v.args] if isinstance(v, Span) else []
        found += [v.args[0].base[k] for k in range(ends[0], ends[1] + 1)] if ends else [v]
    return found


def by_time(variables: Iterable[sp.Expr]) -> dict[int, sp.Expr]:
    """The variables under their times."""
    return {time(v): v for v in spread(variables)}


def log_density(density: Density, here: World) -> sp.Expr:
    """The logarithm of a density, a quadratic in its variables."""
    x, known = by_time(density.variables), by_time(density.given)
    return log_normal(sp.Matrix(list(x.values())), *here.law(density).given(list(x), known))


def logarithms(body: sp.Expr, here: World) -> sp.Expr:
    """The body of an expectation as a quadratic."""
    parts = sp.expand_log(body, force=True)
    parts = parts.replace(KL, lambda q, p: divergence(q, p, here))
    known = {sp.log(d): log_density(d, here) for d in parts.atoms(Density)}
    return sp.expand(parts.xreplace(known))


def divergence(q: Density, p: Density, here: World) -> sp.Expr:
    """The divergence of two densities of the same variables; infinite from a point mass."""
    if set(q.variables) & set(q.given):
        return sp.oo
    variables = by_time(q.variables)
    mean, covariance = here.law(q).given(list(variables), by_time(q.given))
    ratio = sp.expand(log_density(q, here) - log_density(p, here))
    return mean_of(ratio, list(variables.values()), mean, covariance)


def expectation(e: Expectation, here: World) -> sp.Expr:
    """Under the laws of the subscript, or given what stands behind the bar."""
    if not e.laws:
        return conditional_mean(e, here)
    variables = by_time(v for law in e.laws for v in law.variables)
    given = by_time(v for law in e.laws for v in law.given)
    known = {k: v for k, v in given.items() if k not in variables}
    mean, covariance = here.q.given(list(variables), known)
    return mean_of(logarithms(e.body, here), list(variables.values()), mean, covariance)


def conditional_mean(e: Expectation, here: World) -> sp.Expr:
    """The mean of one x_k given others: E[x_0 | x_1], or with values, E[x_0 | x_1 = 2]."""
    pairs = [(g.lhs, g.rhs) if isinstance(g, sp.Eq) else (g, g) for g in e.given]
    if here.points and time(e.body) == 0:
        return two_point_mean(pairs[0][1], here)
    mean, _ = here.q.given([time(e.body)], {time(x): value for x, value in pairs})
    return mean[0]


def two_point_mean(x: sp.Expr, here: World) -> sp.Expr:
    """The mean of x_0 given x_1 = x by Bayes, where x_0 is one of the points."""
    alpha = element(ALPHA, 1)
    weights = [sp.exp(-((x - sp.sqrt(alpha) * v) ** 2) / (2 * (1 - alpha))) for v in here.points]
    return sum(w * v for w, v in zip(weights, here.points, strict=True)) / sum(weights)


def variance(of: Any, here: World) -> Any:
    """Of a normal law, of x_k, of a matrix times a standard normal vector, of a sum of noises."""
    if isinstance(of, Normal):
        return of.variance
    if isinstance(of, Hadamard):
        return sp.diag(*[entry**2 for entry in sp.Matrix(of.args[0].doit()).diagonal()])
    if getattr(of, "is_Matrix", False):
        root = sp.Matrix(of.args[0].doit())
        return root * root.T
    if family(of) == "x":
        return here.q.covariance[time(of), time(of)]
    noises = [a for a in of.atoms(sp.Indexed) if family(a) == r"\epsilon"]
    return sum(sp.diff(of, noise) ** 2 for noise in noises)


WHOLE = (sp.Indexed, sp.MatrixBase, MatrixElement)
"""What is not taken apart."""


def worked_out(e: Any, here: World) -> Any:
    """The expression with densities, expectations, divergences and variances computed."""
    if isinstance(e, Expectation):
        return expectation(e, here)
    if isinstance(e, KL):
        return divergence(e.args[0], e.args[1], here)
    if isinstance(e, Variance):
        return variance(e.args[0], here)
    if isinstance(e, Density):
        return sp.exp(log_density(e, here))
    if isinstance(e, Gaussian):
        return density_at(e)
    if not e.args or isinstance(
        e, (sp.Indexed, sp.MatrixBase, sp.matrices.expressions.matexpr.MatrixElement)
    ):
        return e
    return e.func(*(worked_out(part, here) for part in e.args))


def density_at(g: Gaussian) -> sp.Expr:
    """The normal density of one coordinate."""
    v = g.variance.subs(read("I"), 1)
    return sp.exp(-((g.x - g.mean) ** 2) / (2 * v)) / sp.sqrt(2 * sp.pi * v)


# --- Numbers -------------------------------------------------------------------------------------


def law_of(e: sp.Expr) -> sp.Tuple:
    """Mean and variance of a sum of independent normal laws."""
    laws = sp.Add.make_args(e)
    return sp.Tuple(sum(n.mean for n in laws), sum(n.variance for n in laws))


def number(e: Any) -> Any:
    """A value as it is compared and shown: exact if rational."""
    if isinstance(e, (sp.Tuple, sp.MatrixBase)):
        return type(e)(*map(number, e)) if isinstance(e, sp.Tuple) else e.applyfunc(number)
    exact = sp.expand(e)
    return exact if exact.is_Rational or exact.is_infinite else sp.N(exact, DIGITS)


def value(member: Any, here: World) -> Any:
    """A member of a claim, as a number, a matrix or the mean and variance of a law."""
    whole = {k: v for k, v in here.values.items() if not k.is_Indexed or isinstance(v, Normal)}
    times = {k: v for k, v in whole.items() if k.is_Symbol and k.is_integer}
    member = worked_out(member.subs(times).subs(whole).doit(), here)
    return number(here.at(law_of(member) if member.has(Normal) else member).doit())


def near(a: Any, b: Any) -> bool:
    """Whether two values agree."""
    if isinstance(a, (sp.Tuple, sp.MatrixBase)):
        return all(near(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b or abs(a - b) < SAME)


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": near,
    r"\sim": near,
    "<": lambda a, b: bool(a < b),
    ">": lambda a, b: bool(a > b),
    r"\ge": lambda a, b: bool(a >= b),
    r"\le": lambda a, b: bool(a <= b),
}


@dataclass(frozen=True)
class Outcome:
    """The two sides of a claim at the values, and what the claim says of them."""

    left: Any
    relation: str
    right: Any

    @property
    def holds(self) -> bool:
        """Whether the claim is true of these values."""
        return RELATIONS[self.relation](self.left, self.right)


def outcome(claim: Claim, here: World) -> Outcome:
    """Both sides of a claim, worked out."""
    left, right = (value(member, here) for member in claim.members)
    return Outcome(left, claim.relations[0], right)
