"""Formulas in messages."""

import pytest
import sympy as sp

from ddpm_lite.symbolic import CheckError, check, read, use_page
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.wording import in_words


@pytest.mark.parametrize(
    ("latex", "words"),
    [
        (r"c^2\operatorname{Var}[X]", "c^2 Var[X]"),
        (r"\mathbb{E}[x_t^2 \mid x_0]", r"E[x_t^2 \mid x_0]"),
        (r"\mu + \sigma_1\epsilon_t", "mu + epsilon_t sigma_1"),
        (r"x_{t-1}", "x_{t - 1}"),
        (r"\bar\alpha_t^{10}", r"{\bar{alpha}}_t^10"),
        (r"\mathbf{x}", r"\mathbf{x}"),  # a vector is not the number x
        (r"\frac{1}{x}", r"\frac{1}{x}"),
    ],
)
def test_what_a_message_can_do_without(latex: str, words: str) -> None:
    assert in_words(read(latex)) == words


def test_a_refusal_can_be_read_where_nothing_sets_it() -> None:
    formula = r"\operatorname{Var}[cX] = c^2\,\operatorname{Var}[X]"
    use_page(Page.from_text("page.md", f"% derived\n$$\n{formula}\n$$ (eq-factor)\n"))
    wrong = sp.Eq(*(read(rf"\operatorname{{Var}}[{of}]") for of in ("cX", "X")))
    with pytest.raises(CheckError) as refusal:
        check("eq-factor", wrong, method="a slip")
    message = str(refusal.value)
    assert "  page: c^2 Var[X]\n  derived: Var[X]\n" in message
    assert "Var[X] = " in message
    assert "\\" not in message
