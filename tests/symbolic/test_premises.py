"""The definitions on the pages are the rules that the machine works with; others are refused."""

from pathlib import Path

import pytest

from ddpm_lite.symbolic import PageError, use_page
from ddpm_lite.symbolic.page import Page
from ddpm_lite.symbolic.premises import agrees, hold
from ddpm_lite.symbolic.rules import RULES, RuleError, use, used, withdrawn

BOOK = Path(__file__).parents[2] / "book"


@pytest.mark.parametrize("label", RULES)
def test_the_machine_does_what_each_rule_says(label: str) -> None:
    assert agrees(label, RULES[label].latex)


@pytest.mark.parametrize("label", RULES)
def test_each_rule_stands_on_its_page(label: str) -> None:
    page = Page(BOOK / f"{RULES[label].page}.md")
    assert label in page.equations
    hold(page)


WRONG = {
    "eq-gauss-density": r"\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}\;"
    r"e^{-\left(\frac{x-\mu}{\sigma}\right)^2}",
    "eq-gauss-norm": r"\lVert x-\mu\rVert^2 = \sum_{i=1}^{d} (x_i+\mu_i)^2",
    "eq-gauss-expectation": r"\mathbb{E}[g(X)] = \int_{0}^{\infty} g(x)\,p(x)\,\mathrm{d}x , \qquad"
    r" \operatorname{Var}[X] = \mathbb{E}\bigl[(X-\mathbb{E}[X])^2\bigr]",
    "eq-markov-property": r"p(x_{t+1} \mid x_{0:t}) = p(x_{t+1} \mid x_0)",
    "eq-markov-chain-rule": r"p(x_{0:t}) = p(x_{0:t-1})\, p(x_t)",
    "eq-alpha": r"\alpha_t = 1 + \beta_t , \qquad \bar\alpha_t = \prod_{s=1}^{t} \alpha_s = "
    r"\alpha_1 \alpha_2 \cdots \alpha_t , \qquad \bar\alpha_0 = 1",
    "eq-post-conditional": r"q(y \mid x) = \frac{q(x, y)}{q(y)} , \qquad"
    r" q(z \mid x, y) = \frac{q(x, y, z)}{q(x, y)}",
    "eq-elbo-kl": r"D_{\mathrm{KL}}(q(x) \,\|\, p(x)) = "
    r"\mathbb{E}_{p(x)}\Bigl[\log \frac{p(x)}{q(x)}\Bigr]",
    "eq-elbo-forward": r"q(x_{1:T} \mid x_0) = \prod_{t=1}^{T} q(x_t \mid x_0)",
    "eq-elbo-reverse": r"p_\theta(x_{0:T}) = p(x_0) \prod_{t=1}^{T} p_\theta(x_t \mid x_{t-1})",
}


@pytest.mark.parametrize("label", WRONG)
def test_the_machine_does_not_do_what_a_wrong_definition_says(label: str) -> None:
    assert not agrees(label, WRONG[label])


@pytest.mark.parametrize("label", RULES)
def test_what_defines_nothing_or_bounds_it_is_no_rule(label: str) -> None:
    latex = RULES[label].latex
    assert not agrees(label, latex.replace(" = ", r" \le ", 1))
    assert not agrees(label, "x = x")
    left = latex.partition(" = ")[0]
    assert not agrees(label, f"{left} = {left}")
    assert not agrees(label, rf"{latex} , \qquad x = x") or RULES[label].claims


@pytest.mark.parametrize("label", WRONG)
def test_a_page_with_a_wrong_definition_cannot_be_used(label: str, tmp_path: Path) -> None:
    """The build stops at the first cell of such a page, and both versions are shown."""
    page = tmp_path / "page.md"
    page.write_text(f"% definition\n$$\n{WRONG[label]} .\n$$ ({label})\n")
    with pytest.raises(PageError) as stopped:
        use_page(page)
    text = str(stopped.value)
    assert label in text
    assert " ".join(WRONG[label].split()) in text
    assert RULES[label].latex in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\alpha_t = 1 - \beta_t", r"\alpha_t = 1 + \beta_t"),
        (r"\bar\alpha_0 = 1", r"\bar\alpha_0 = 0"),
        (r"\prod_{s=1}^{t} \alpha_s", r"\prod_{s=1}^{t} \beta_s"),
    ],
)
def test_the_real_page_with_one_slip_cannot_be_used(old: str, new: str, tmp_path: Path) -> None:
    text = (BOOK / "04_forward_closed_form.md").read_text(encoding="utf-8")
    assert old in text
    page = tmp_path / "04_forward_closed_form.md"
    page.write_text(text.replace(old, new, 1))
    with pytest.raises(PageError, match="eq-alpha is not the rule"):
        use_page(page)


def test_another_letter_for_the_running_index_is_no_difference(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    latex = (
        RULES["eq-alpha"]
        .latex.replace("_{s=1}^{t}", "_{i=1}^{t}")
        .replace(r"\alpha_s", r"\alpha_i")
    )
    page.write_text(f"% definition\n$$\n{latex}\n$$ (eq-alpha)\n")
    use_page(page)


def test_a_rule_that_was_withdrawn_is_an_error_where_it_is_needed() -> None:
    withdrawn.add("eq-alpha")
    try:
        with pytest.raises(RuleError, match="eq-alpha"):
            use("eq-alpha")
    finally:
        withdrawn.clear()
    used.clear()
    use("eq-alpha")
    assert used == {"eq-alpha"}


@pytest.mark.parametrize("label", ["eq-elbo-forward", "eq-elbo-reverse"])
def test_of_a_display_with_a_premise_of_cells_only_the_rule_is_held(label: str) -> None:
    rule, premise = RULES[label].latex.split(r" , \qquad ")
    assert RULES[label].claims == (0,)
    assert agrees(label, rf"{rule} , \qquad x = 5")
    assert not agrees(label, rf"{rule.replace('t=1', 't=2')} , \qquad {premise}")
