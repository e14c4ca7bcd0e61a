"""The posterior widget's Python side: what it sends, what it says, what it refuses."""

import re

import pytest
import torch

from ddpm_lite.diffusion import q_posterior
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule, cosine, linear
from ddpm_lite.widgets.posterior import PosteriorExplorer


def law(schedule: NoiseSchedule, x_0: float, x_t: float, t: int) -> tuple[float, float]:
    start, end = (torch.tensor([[x]], dtype=torch.float64) for x in (x_0, x_t))
    mean, variance = q_posterior(schedule, start, end, t)
    return mean.item(), variance.item()


def test_the_text_tells_the_first_posterior() -> None:
    mean, variance = law(cosine(100), -0.7, 1.5, 30)
    text = PosteriorExplorer(x_0=-0.7, x_t=1.5, t=30, schedule="cosine", T=100).description
    assert f"mean {mean:.4f}, variance {variance:.4f}" in text
    assert "prior" in text
    assert "likelihood" in text


def test_a_beta_of_ones_own_replaces_that_of_the_step() -> None:
    schedule = linear(25)
    betas = schedule.beta.clone()
    betas[7] = 0.5
    mean, variance = law(NoiseSchedule(betas), 1.2, -0.8, 8)
    widget = PosteriorExplorer(beta=0.5)
    assert f"mean {mean:.4f}, variance {variance:.4f}" in widget.description
    assert widget.state["beta"] == 0.5
    assert PosteriorExplorer().state["beta"] is None


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("T", [21, 30])
@pytest.mark.parametrize("beta", [0.001, 0.999])
def test_every_beta_that_the_slider_has_can_stand_at_the_end(
    schedule: str, T: int, beta: float
) -> None:
    """By Bayes' rule, from the steps before and this one alone."""
    before = float((1 - SCHEDULES[schedule](T).beta[:-1]).prod())
    spread = 1 / (1 / (1 - before) + (1 - beta) / beta)
    mean = spread * (before**0.5 * 1.2 / (1 - before) + (1 - beta) ** 0.5 * -0.8 / beta)
    text = PosteriorExplorer(schedule=schedule, T=T, t=T, beta=beta).description
    assert f"mean {mean:.4f}, variance {spread:.4f}" in text


def test_stands_by_itself() -> None:
    page = PosteriorExplorer()._repr_html_()
    assert not re.search(r"https?://|import\s*\{", page)
    assert 'data-widget="posterior"' in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x_0": 2.5}, "x_0"),
        ({"x_t": -4}, "x_t"),
        ({"beta": 1.0}, "beta"),
        ({"t": 0}, r"1\.\.25"),
        ({"t": 26}, r"1\.\.25"),
        ({"schedule": "cubic"}, "cosine"),
        ({"T": 20}, "above 20"),
        ({"T": 12, "schedule": "cosine"}, "above 20"),
    ],
)
def test_refuses_what_cannot_be(wrong: dict[str, str | float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PosteriorExplorer(**wrong)  # type: ignore[arg-type]
