r"""The rules that the machine itself works with, each with the definition on a page that it is.

`RULES` is the only list of them. A page that defines one must say exactly this (`premises.hold`
compares when the page is read), and the code that works with one calls `use`, so that it is known
which equations rest on it. A rule that has been *withdrawn*, because its definition was changed to
something that the machine does not do, is a RuleError wherever it is needed.
"""

from typing import NamedTuple


class RuleError(ValueError):
    """A rule is needed that the pages define otherwise; the text names its label."""


class Rule(NamedTuple):
    """One definition that the machine has built in."""

    page: str
    latex: str
    claims: tuple[int, ...] | None = None
    """Which claims of the display are the rule (None: all); the others are premises of cells."""


RULES: dict[str, Rule] = {
    "eq-gauss-expectation": Rule(
        "01_gaussians",
        r"\mathbb{E}[g(X)] = \int_{-\infty}^{\infty} g(x)\,p(x)\,\mathrm{d}x , \qquad "
        r"\operatorname{Var}[X] = \mathbb{E}\bigl[(X-\mathbb{E}[X])^2\bigr]",
    ),
    "eq-gauss-density": Rule(
        "01_gaussians",
        r"\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}\;"
        r"e^{-\frac12\left(\frac{x-\mu}{\sigma}\right)^2}",
    ),
    "eq-gauss-isotropic": Rule(
        "01_gaussians",
        r"\log \mathcal N(x;\mu,\sigma^2 I) = -\frac d2\log(2\pi\sigma^2)"
        r"-\frac{1}{2\sigma^2}\lVert x-\mu\rVert^2",
    ),
    "eq-gauss-norm": Rule("01_gaussians", r"\lVert x-\mu\rVert^2 = \sum_{i=1}^{d} (x_i-\mu_i)^2"),
    "eq-markov-property": Rule(
        "02_markov_chains", r"p(x_{t+1} \mid x_{0:t}) = p(x_{t+1} \mid x_t)"
    ),
    "eq-markov-chain-rule": Rule(
        "02_markov_chains", r"p(x_{0:t}) = p(x_{0:t-1})\, p(x_t \mid x_{0:t-1})"
    ),
    "eq-alpha": Rule(
        "04_forward_closed_form",
        r"\alpha_t = 1 - \beta_t , \qquad \bar\alpha_t = \prod_{s=1}^{t} \alpha_s = "
        r"\alpha_1 \alpha_2 \cdots \alpha_t , \qquad \bar\alpha_0 = 1",
    ),
    "eq-post-conditional": Rule(
        "05_bayes_posterior",
        r"q(y \mid x) = \frac{q(x, y)}{q(x)} , \qquad q(z \mid x, y) = \frac{q(x, y, z)}{q(x, y)}",
    ),
    "eq-elbo-kl": Rule(
        "06_elbo",
        r"D_{\mathrm{KL}}(q(x) \,\|\, p(x)) = \mathbb{E}_{q(x)}\Bigl[\log \frac{q(x)}{p(x)}\Bigr]",
    ),
    "eq-elbo-hierarchy": Rule(
        "06_elbo",
        r"p_\theta(x, z_{1:T}) = p(z_T)\,p_\theta(x \mid z_1) \prod_{t=2}^{T} "
        r"p_\theta(z_{t-1} \mid z_t) , \qquad "
        r"q(z_{1:T} \mid x) = q(z_1 \mid x) \prod_{t=2}^{T} q(z_t \mid z_{t-1})",
    ),
    "eq-elbo-forward": Rule(
        "06_elbo",
        r"q(x_{1:T} \mid x_0) = \prod_{t=1}^{T} q(x_t \mid x_{t-1}) , \qquad q(x_t \mid x_{t-1}) = "
        r"\mathcal N\bigl(x_t;\ \sqrt{\alpha_t}\,x_{t-1},\ (1-\alpha_t) I\bigr)",
        claims=(0,),
    ),
    "eq-elbo-reverse": Rule(
        "06_elbo",
        r"p_\theta(x_{0:T}) = p(x_T) \prod_{t=1}^{T} p_\theta(x_{t-1} \mid x_t) , \qquad "
        r"p(x_T) = \mathcal N(x_T;\ 0,\ I)",
        claims=(0,),
    ),
}

used: set[str] = set()
"""Labels of the rules that have been used since somebody cleared the set."""
withdrawn: set[str] = set()
"""Labels of the rules that may not be used."""


def use(label: str) -> None:
    """Notes that the rule is used here. Raises RuleError if it has been withdrawn."""
    used.add(label)
    if label in withdrawn:
        raise RuleError(f"{label} defines something else than the rule that is needed here")
