"""The bound widget's Python side: what it sends, what it says, what it refuses."""

import math
import re

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ddpm_lite.widgets.base import Widget
from ddpm_lite.widgets.elbo import BoundExplorer, BoundTerms

SPANS = [(1, 1), (2, 10), (11, 100)]
TERMS = [0.8, 0.05, 0.004]


def test_the_text_tells_the_first_bound() -> None:
    text = BoundExplorer(mean=0.4, deviation=1.3, x=-1.1, noise=2).description
    evidence = Normal(0, 3**0.5).log_prob(torch.tensor(-1.1)).item()
    gap = kl_divergence(Normal(0.4, 1.3), Normal(-1.1 / 3, (2 / 3) ** 0.5)).item()
    assert f"log p(x) = {evidence:.4f}" in text
    assert f"ELBO {evidence - gap:.4f}" in text
    assert f"divergence {gap:.4f}" in text


def test_the_terms_of_a_model_come_as_an_argument() -> None:
    widget = BoundTerms(spans=SPANS, per_step=TERMS, prior=0.01, stretch=1)
    assert widget.state["spans"] == [[1, 1], [2, 10], [11, 100]]
    assert (widget.state["per_step"], widget.state["stretch"]) == (TERMS, 1)
    assert f"{0.8 + 9 * 0.05 + 90 * 0.004 + 0.01:.4f} together" in widget.description
    assert "t = 1 to 100" in widget.description


@pytest.mark.parametrize("widget", [BoundExplorer(), BoundTerms(spans=SPANS, per_step=TERMS)])
def test_stands_by_itself(widget: Widget) -> None:
    page = widget._repr_html_()
    assert not re.search(r"https?://|import\s*\{", page)
    assert f'data-widget="{widget.module}"' in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mean": 3.1}, "mean"),
        ({"deviation": 0}, "deviation"),
        ({"x": -4}, "x must"),
        ({"noise": 0}, "noise"),
    ],
)
def test_the_explorer_refuses_what_it_cannot_show(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoundExplorer(**wrong)


@pytest.mark.parametrize(
    ("spans", "per_step", "message"),
    [
        ([], [], "do not fit"),
        (SPANS, TERMS[:2], "do not fit"),
        ([(2, 3)], [1.0], "begin at 1"),
        ([(1, 3), (5, 6)], [1.0, 1.0], "begin at 4"),
        ([(1, 3), (4, 3)], [1.0, 1.0], "begin at 4"),
        ([(1, 3)], [0.0], "above 0"),
    ],
)
def test_the_terms_must_cover_all_times(
    spans: list[tuple[int, int]], per_step: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BoundTerms(spans=spans, per_step=per_step)


def test_the_marked_stretch_must_be_one_of_them() -> None:
    with pytest.raises(ValueError, match=r"0\.\.2"):
        BoundTerms(spans=SPANS, per_step=TERMS, stretch=3)


@pytest.mark.parametrize("prior", [math.nan, math.inf])
def test_terms_that_are_no_numbers_are_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="the prior's term is finite"):
        BoundTerms(spans=SPANS, per_step=TERMS, prior=prior)
    for place in range(len(TERMS)):
        terms = [*TERMS[:place], prior, *TERMS[place + 1 :]]
        with pytest.raises(ValueError, match="above 0 and finite"):
            BoundTerms(spans=SPANS, per_step=terms)
