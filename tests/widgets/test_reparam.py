"""Reparameterisation's cloud, and what the widget says to those who cannot see it."""

import re
from typing import Any

import pytest
import torch

from ddpm_lite.widgets.reparam import Reparameterization


def test_the_cloud_is_standard_normal_and_a_seed_repeats_it() -> None:
    eps = torch.tensor(Reparameterization(draws=2000).state["eps"])
    assert len(eps) == 2000
    assert abs(eps.mean()) < 0.1
    assert abs(eps.var() - 1) < 0.15
    cloud = Reparameterization(seed=3).state["eps"]
    assert cloud == Reparameterization(seed=3, mu=2, sigma=1.2).state["eps"]  # no knob reaches it
    assert cloud != Reparameterization(seed=4).state["eps"]


def test_it_says_both_variances() -> None:
    text = Reparameterization(mu=1, sigma=0.5).description
    assert "pathwise ones have the variance 1," in text
    assert "score function 21.75." in text


@pytest.mark.parametrize(
    ("values", "message"),
    [({"mu": 3}, "mu"), ({"sigma": 0}, "sigma"), ({"draws": 5}, "draws"), ({"arrows": "x"}, "'x'")],
)
def test_it_refuses_what_it_cannot_show(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reparameterization(**values)


def test_the_html_stands_by_itself() -> None:
    widget = Reparameterization()
    html = widget._repr_html_()
    assert f'aria-label="{widget.description}"' in html
    assert f"min-height:{widget.height}px" in html
    assert "export default" in html
    assert not re.search(r"https?://|\bfetch\(|\bimport \{|localStorage|cookie", html)
