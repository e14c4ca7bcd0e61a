"""The code runs the formula on the page: every coefficient, every t, every schedule.

The LaTeX is read from the chapters under its label, where a cell proves it, and worked out with 40
digits from the schedule's betas. What the package computes in float64 must agree to 1e-10 relative.
"""

from functools import cache
from pathlib import Path

import mpmath
import pytest
import sympy as sp
import torch

from ddpm_lite.diffusion import (
    eps_from_x_0,
    q_marginal,
    q_posterior,
    q_sample,
    q_step,
    x_0_from_eps,
)  # fmt: skip
from ddpm_lite.schedule import SCHEDULES, linear
from ddpm_lite.symbolic.objects import Gaussian
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.reader import read_claims, symbols

BOOK = Path(__file__).parents[2] / "book"
NAMES = symbols(
    r"\alpha_t, \beta_t, \bar\alpha_t, \bar\alpha_{t-1}, x_t, x_{t-1}, x_0, \epsilon, I"
)
X_T, X_PREV, X_0, EPS = 0.7, -0.4, 0.3, 1.1
TOLERANCE = 1e-10


@cache
def rhs(page: str, label: str, claim: int = 0) -> sp.Expr:
    """The last member of a claim, as it stands on the page; it must be a derived equation there."""
    equation = Page(BOOK / page)[label]
    assert equation.kind in ("derived", "definition")
    return read_claims(equation.latex)[claim].rhs


@cache
def numbers(name: str) -> list[tuple[mpmath.mpf, ...]]:
    """alpha, beta, alpha_bar and alpha_bar of the step before, for each t, with 40 digits."""
    with mpmath.workdps(40):
        rows, bar = [], mpmath.mpf(1)
        for beta in SCHEDULES[name](1000).beta.tolist():
            alpha = 1 - mpmath.mpf(beta)
            rows.append((alpha, mpmath.mpf(beta), bar * alpha, bar))
            bar *= alpha
        return rows


def evaluate(expression: sp.Expr, name: str, first: int = 1) -> list[float]:
    """The expression at every t >= first."""
    plain = [sp.Dummy(f"a{k}") for k in range(len(NAMES))]
    ready = expression.xreplace(dict(zip(NAMES, plain, strict=True)))
    assert ready.free_symbols <= set(plain), ready.free_symbols
    function = sp.lambdify(plain, ready, "mpmath")
    rest = [mpmath.mpf(v) for v in (X_T, X_PREV, X_0, EPS)] + [mpmath.mpf(1)]
    with mpmath.workdps(40):
        return [float(function(*row, *rest)) for row in numbers(name)[first - 1 :]]


def agree(code: torch.Tensor, page: list[float]) -> None:
    assert code.dtype == torch.float64
    proved = torch.tensor(page, dtype=torch.float64)
    worst = ((code[-len(page) :] - proved).abs() / proved.abs()).max().item()
    assert worst < TOLERANCE


def tensor(value: float) -> torch.Tensor:
    return torch.full((1000, 1), value, dtype=torch.float64)


T = torch.arange(1, 1001)
schedules = pytest.mark.parametrize("name", SCHEDULES)


@schedules
def test_the_step(name: str) -> None:
    schedule, law = SCHEDULES[name](1000), rhs("04_forward_closed_form.md", "eq-q-step")
    assert isinstance(law, Gaussian)
    step = q_step(schedule, tensor(X_PREV), T)
    agree(step.mean[:, 0], evaluate(law.mean, name))
    agree(step.variance[:, 0], evaluate(law.variance, name))


@schedules
def test_the_jump(name: str) -> None:
    schedule, law = SCHEDULES[name](1000), rhs("04_forward_closed_form.md", "eq-q-marginal")
    jump = q_marginal(schedule, tensor(X_0), T)
    agree(jump.mean[:, 0], evaluate(law.mean, name))
    agree(jump.variance[:, 0], evaluate(law.variance, name))
    drawn = q_sample(schedule, tensor(X_0), T, tensor(EPS))
    agree(drawn[:, 0], evaluate(rhs("04_forward_closed_form.md", "eq-closed-form"), name))


@schedules
def test_signal_to_noise(name: str) -> None:
    agree(SCHEDULES[name](1000).snr, evaluate(rhs("04_forward_closed_form.md", "eq-snr"), name))


@schedules
def test_the_posterior(name: str) -> None:
    schedule = SCHEDULES[name](1000)
    law = q_posterior(schedule, tensor(X_0), tensor(X_T), T)
    agree(law.mean[:, 0], evaluate(rhs("05_bayes_posterior.md", "eq-posterior-mean"), name))
    variance = rhs("05_bayes_posterior.md", "eq-posterior-variance")
    agree(schedule.posterior_variance, evaluate(variance, name, first=2))
    assert schedule.posterior_variance[0] == 0  # where the formula has 1 - alpha_bar_0 = 0


@schedules
def test_the_posterior_mean_by_the_noise(name: str) -> None:
    schedule = SCHEDULES[name](1000)
    eps = eps_from_x_0(schedule, tensor(X_T), T, tensor(X_0))
    x_0 = x_0_from_eps(schedule, tensor(X_T), T, tensor(EPS))
    law = q_posterior(schedule, x_0, tensor(X_T), T)
    agree(law.mean[:, 0], evaluate(rhs("05_bayes_posterior.md", "eq-posterior-eps"), name))
    back = (x_0_from_eps(schedule, tensor(X_T), T, eps) - X_0).abs().max()
    assert back < 1e-8  # 1 / sqrt(alpha_bar_T) magnifies rounding


@pytest.mark.parametrize("T", [100, 1000, 4000])
def test_the_scaled_schedule(T: int) -> None:
    expression = rhs("04_forward_closed_form.md", "eq-scaled-linear")
    t, steps = symbols("t, T")
    page = [float(expression.subs({t: k, steps: T})) for k in range(1, T + 1)]
    agree(linear(T).beta, page)
