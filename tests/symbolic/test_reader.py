"""The page reader: what it reads, what it refuses, and that it reads back what SymPy prints."""

import dataclasses

import pytest
import sympy as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ddpm_lite.symbolic import ReadError, read, symbols
from ddpm_lite.symbolic import objects as ob
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.reader import read_claims

t, s, n, T, K = (TABLE[name].plain() for name in ("t", "s", "n", "T", "K"))
i, j, k = (TABLE[name].plain() for name in ("i", "j", "k"))
x, alpha, alpha_bar, beta, eps = (
    (lambda *index, name=name: TABLE[name].indexed(*index))
    for name in ("x", r"\alpha", r"\bar{\alpha}", r"\beta", r"\epsilon")
)
L, M, Z, X = (TABLE[name].plain() for name in ("L", "M", r"\mathbf{z}", r"\mathbf{x}"))
z = TABLE["z"].plain()
Q_0 = ob.Density(sp.Symbol("q"), (x(0),), ())
Q_T = ob.Density(sp.Symbol("q"), (x(t),), (x(0),))
mu, sigma = TABLE[r"\mu"].plain(), TABLE[r"\sigma"].plain()


# --- What it reads -------------------------------------------------------------------------------

READINGS = {
    r"\bar\alpha_{t-1}": alpha_bar(t - 1),
    r"\bar{\alpha}_t": alpha_bar(t),
    r"{\bar{\alpha}}_{t - 1}": alpha_bar(t - 1),
    r"\frac12 \sigma^2": sigma**2 / 2,
    r"\tfrac n2": n / 2,
    r"\sqrt2\,\sigma": sp.sqrt(2) * sigma,
    r"x^1 y": sp.Symbol("x", real=True) * sp.Symbol("y", real=True),  # as TeX sets it
    r"0.25\,x_0": x(0) / 4,
    r"1 - \frac{\beta_t}{2}": 1 - beta(t) / 2,
    r"-x_t \cdot 3 / 2": -3 * x(t) / 2,
    r"\prod_{s=1}^{t} \alpha_s": sp.Product(alpha(s), (s, 1, t)),
    r"\sum_{s=2}^{T} \alpha_s x_s + 1": sp.Sum(alpha(s) * x(s), (s, 2, T)) + 1,
    r"\exp\Bigl(-\frac{x_t}{2}\Bigr)": sp.exp(-x(t) / 2),
    r"e^{-x_t} \log(1-\beta_t)": sp.exp(-x(t)) * sp.log(1 - beta(t)),
    r"2\tanh^2(x_t)": 2 * sp.tanh(x(t)) ** 2,
    r"\log(x_t)^2": sp.log(x(t)) ** 2,
    r"\log(x_t^2)": sp.log(x(t) ** 2),
    r"2\pi": 2 * sp.pi,
    r"\pi_i": TABLE[r"\pi"].indexed(i),
    r"P_{ij}": TABLE["P"].indexed(i, j),
    r"(P^n)_{ij}": (TABLE["P"].plain() ** n)[i, j],
    r"\Sigma^\top": TABLE[r"\Sigma"].plain().T,
    r"\lVert x_t - \mu \rVert^2": ob.Norm(x(t) - mu) ** 2,
    r"\langle x_0, x_t \rangle": ob.Dot(x(t), x(0)),
    r"x_{1:T}": ob.Span(x(1), x(T)),
    r"q(x_{t-1}, x_0 \mid x_t)": ob.Density(sp.Symbol("q"), (x(t - 1), x(0)), (x(t),)),
    r"p_\theta(x_0)": ob.Density(sp.Symbol(r"p_\theta"), (x(0),), ()),
    r"\mathcal N(x_t; 0, \sigma^2 I)": ob.Gaussian(x(t), 0, sigma**2 * TABLE["I"].plain()),
    r"\mathbb{E}[x_t]": ob.Expectation((), x(t)),
    r"\operatorname{Var}[x_t]": ob.Variance(x(t)),
    r"\operatorname{Var}[x_{t-1} \mid x_t, x_0]": ob.Variance(x(t - 1), (x(t), x(0))),
    r"\operatorname{Cov}[x_s, x_t \mid x_0]": ob.Covariance(x(s), x(t), (x(0),)),
    r"\int_0^1 x \,\mathrm{d}x": sp.Integral(
        sp.Symbol("x", real=True), (sp.Symbol("x", real=True), 0, 1)
    ),
    r"\frac{\partial}{\partial \mu} \mu^2": sp.Derivative(mu**2, mu),
    r"\lim_{t \to \infty} x_t": sp.Limit(x(t), t, sp.oo),
    r"\begin{pmatrix} 1 & 0.5 \\ 0 & \sigma \end{pmatrix}": sp.Matrix(
        [[1, sp.Rational(1, 2)], [0, sigma]]
    ),
    r"\det \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}": sp.Determinant(
        sp.Matrix([[1, 2], [3, 4]])
    ),
    r"\lvert \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} \rvert": sp.Determinant(
        sp.Matrix([[1, 2], [3, 4]])
    ),
    r"\operatorname{tr}(M L)": sp.Trace(M * L),
    r"\lvert x_t \rvert": sp.Abs(x(t)),
    r"\operatorname{diag}(1, \sigma)": sp.Matrix([[1, 0], [0, sigma]]),
    r"\begin{pmatrix} 1 & 2 \end{pmatrix} \begin{pmatrix} 3 \\ 4 \end{pmatrix} + 1": sp.Integer(12),
    r"\begin{pmatrix} 1 & 2 \end{pmatrix} - \begin{pmatrix} 3 & 5 \end{pmatrix}": sp.Matrix(
        [[-2, -3]]
    ),
    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} + \sigma I": sp.Matrix(
        [[1 + sigma, 2], [3, 4 + sigma]]
    ),
    r"\Sigma - \sigma^2 I": TABLE[r"\Sigma"].plain() - sigma**2 * sp.Identity(n),
    r"w_{i,j}": TABLE["w"].indexed(i, j),
    r"x_{2 \cdot t}": x(2 * t),
    r"x_0 \odot x_t": ob.Hadamard(x(0), x(t)),
    r"4!": sp.Integer(24),
    r"x_t^{-2}": x(t) ** -2,
    r"\sigma/\sigma_t": sigma / TABLE[r"\sigma"].indexed(t),
    r"\ln(\sigma) \cos(x_t) \sin(x_0)": sp.log(sigma) * sp.cos(x(t)) * sp.sin(x(0)),
    r"\log(\sigma)/2": sp.log(sigma) / 2,
    r"\mu \log(\sigma)/\mu_1": mu * sp.log(sigma) / TABLE[r"\mu"].indexed(1),
    r"(\mathbf{z}^\top \mathbf{z}) x_t": sp.Trace(Z.T * Z) * x(t),
    r"x_t (\mathbf{z}^\top \mathbf{z})": sp.Trace(Z.T * Z) * x(t),
    r"x_t (\mu + 1)": x(t) * (mu + 1),
    r"\mu^2 (\mu + 1)": mu**2 * (mu + 1),
    r"f(x_t)^2": TABLE["f"].applied(x(t)) ** 2,
    r"\mathbb{E}[x_t \mid x_0]": ob.Expectation((), x(t), (x(0),)),
    r"\mathbb{E}_{q(x_t \mid x_0)}[x_t - 1]": ob.Expectation((Q_T,), x(t) - 1),
    r"\mathbb{E}_{q(x_t \mid x_0), q(x_0)}[x_t]": ob.Expectation((Q_T, Q_0), x(t)),
    r"\mathbb{E}_{z \sim \mathcal N(\mu, 1)}[z]": ob.Expectation((ob.Gaussian(z, mu, 1),), z),
    r"\mathbb{E}_z[z]": ob.Expectation((z,), z),
    r"D_{\mathrm{KL}}(q(x_t \mid x_0) \,\|\, q(x_0))": ob.KL(Q_T, Q_0),
    r"D_{\mathrm{KL}}[q(x_0) \,\|\, q(x_t \mid x_0)]": ob.KL(Q_0, Q_T),
    r"\mathcal N(\mu, \sigma^2)": ob.Normal(mu, sigma**2),
    r"\int \mathcal N(z; \mu, 1) \,\mathrm{d}z": sp.Integral(
        ob.Gaussian(z, mu, 1), (z, -sp.oo, sp.oo)
    ),
    r"\frac{\mathrm{d}^2}{\mathrm{d}z^2} z^3": sp.Derivative(z**3, (z, 2)),
    r"\frac{\partial z^3}{\partial z}": sp.Derivative(z**3, z),
    r"\lim_{z \to 1} z": sp.Limit(z, z, 1, dir="+-"),
    r"\lim_{z \to 0} z": sp.Limit(z, z, 0, dir="+-"),
    r"\lim_{\sigma \to 0} \sigma": sp.Limit(sigma, sigma, 0, dir="+"),
    r"\lim_{\sigma \to 1} \sigma": sp.Limit(sigma, sigma, 1, dir="+-"),
    r"2^{1000}": sp.Integer(2) ** 1000,
    r"127^{1000}": sp.Integer(127) ** 1000,
    r"\frac{1}{127}^{1000}": sp.Rational(1, 127) ** 1000,
    r"2^{-1000}": sp.Rational(1, 2**1000),
    "7" * 2000: sp.Integer("7" * 2000),
    r"\sum_{k=0}^{n} \sigma^k + \lvert k \rvert": sp.Sum(sigma**k, (k, 0, n)) + k,
    r"\Sigma f(\mathbf{x})": TABLE["f"].applied(X) * TABLE[r"\Sigma"].plain(),
    r"\begin{pmatrix} \sigma & 1 \\ 1 & 2 \end{pmatrix}^6": sp.Matrix([[sigma, 1], [1, 2]]) ** 6,
    r"\operatorname{diag}(\sigma, \sigma, 1)^{-1}": sp.diag(1 / sigma, 1 / sigma, 1),
    r"\frac{2 x}{6 \lVert \mu x_t + x_0\rVert^2}": TABLE["x"].plain()
    / (3 * ob.Norm(TABLE[r"\mu"].plain() * x(t) + x(0)) ** 2),
}


@pytest.mark.parametrize("latex", READINGS)
def test_it_reads(latex: str) -> None:
    assert read(latex) == READINGS[latex]


@pytest.mark.parametrize(
    ("latex", "many", "written"),
    [
        (r"\alpha_2\alpha_3\cdots\alpha_n", 5, r"\alpha_2\alpha_3\alpha_4\alpha_5"),
        (r"2\beta_1\alpha_1\alpha_2\cdots\alpha_n", 3, r"2\beta_1\alpha_1\alpha_2\alpha_3"),
        (r"\alpha_n \cdots \alpha_1", 3, r"\alpha_3\alpha_2\alpha_1"),
        (r"\alpha_n \cdots \alpha_2", 4, None),
        (r"\alpha_1 \alpha_3 \cdots \alpha_6", 4, None),
        (r"\alpha_1 \cdot \dots \cdot \alpha_n", 3, r"\alpha_1\alpha_2\alpha_3"),
        (r"x_0 + x_1 + x_2 + \dots + x_n", 4, "x_0 + x_1 + x_2 + x_3 + x_4"),
        (r"1 - 2 x_1 + \dots - x_1", 4, None),
        (r"y + x_{n} + x_{n-1} + \dots + x_1", 3, "y + x_3 + x_2 + x_1"),
        (r"x_1 y_1 + x_2 y_2 + \dots + x_n y_n", 3, "x_1 y_1 + x_2 y_2 + x_3 y_3"),
        (r"w_{1j} + w_{2j} + \dots + w_{nj}", 3, "w_{1j} + w_{2j} + w_{3j}"),
        (r"w_{nj} + w_{n-1,j} + \dots + w_{1j}", 3, "w_{3j} + w_{2j} + w_{1j}"),
        (r"x_1 y_2 + x_2 y_3 + \dots + x_n y_{n+1}", 3, None),
        (r"\alpha_1\alpha_2\alpha_4\cdots\alpha_n", 4, None),
        (r"\alpha_4\alpha_3\alpha_1\cdots\alpha_0", 4, None),
        (r"\alpha_3\alpha_2\cdots\alpha_4", 4, None),
        (r"\alpha_3\alpha_2\cdots\alpha_2", 4, None),
        ("x_1 + x_2 + x_3 + \\dots + x_2", 4, None),
        ("x_1 + x_2 + \\dots + x_3", 4, "x_1 + x_2 + x_3"),
        ("x_1 + x_2 + \\dots + x_2", 4, None),
        (r"2 x_2 + 2 x_3 + \dots + 2 x_n", 4, "2 x_2 + 2 x_3 + 2 x_4"),
        (r"n x_n + (n-1) x_{n-1} + \dots + x_1", 3, "3 x_3 + 2 x_2 + x_1"),
        (r"w_{j1} + w_{j2} + \dots + w_{jn}", 3, "w_{j1} + w_{j2} + w_{j3}"),
    ],
)
def test_dots_are_a_pattern_or_nothing(latex: str, many: int, written: str | None) -> None:
    if written is None:
        with pytest.raises(ReadError):
            read(latex)
    else:
        assert read(latex).subs(n, many).doit() == read(written)


def test_dots_stand_for_the_terms_between() -> None:
    assert read(r"\alpha_1\alpha_2\cdots\alpha_t").doit() == sp.Product(
        alpha(sp.Symbol("r", integer=True, positive=True)),
        (sp.Symbol("r", integer=True, positive=True), 1, t),
    )
    assert read(r"x_1 + x_2 + \dots + x_n").subs(n, 3).doit() == x(1) + x(2) + x(3)
    falling = read(r"\alpha_t\alpha_{t-1}\cdots\alpha_1")
    assert falling.subs(t, 4).doit() == sp.prod(alpha(r) for r in (1, 2, 3, 4))


@pytest.mark.parametrize("latex", [r"\alpha_1\alpha_3\cdots\alpha_t", r"\alpha_t\cdots\beta_1"])
def test_dots_without_a_pattern_are_refused(latex: str) -> None:
    with pytest.raises(ReadError, match="pattern"):
        read(latex)


def test_a_chain_keeps_every_relation() -> None:
    claim = read(r"x_0 = \frac{x_t}{2} \le x_1 < 3")
    assert claim.relations == ("=", r"\le", "<")
    assert claim.members == (x(0), x(t) / 2, x(1), 3)


CHAIN = Claim((x(0), x(1), x(2)), ("=", r"\le"))


def test_the_links_of_a_claim_are_neighbours() -> None:
    assert CHAIN.links() == [(x(0), "=", x(1)), (x(1), r"\le", x(2))]


def test_a_claim_cannot_be_changed_and_can_be_a_key() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHAIN.members = (x(0), x(0), x(0))  # type: ignore[misc]
    assert {CHAIN: 1}[Claim(CHAIN.members, CHAIN.relations, "written otherwise")] == 1
    assert CHAIN.source == ""


def test_a_relation_without_a_member_is_no_claim() -> None:
    with pytest.raises(ValueError, match="zip"):
        Claim((x(0), x(1)), ("=", "=")).latex()


def test_rows_of_aligned_go_on_or_begin_anew() -> None:
    rows = r"\begin{aligned} x_1 &= x_0 + 1 \\ &= 3 \\ x_2 &= 4 \\ &\quad + 5 \end{aligned} ."
    first, second = read_claims(rows)
    assert first.members == (x(1), x(0) + 1, 3)
    assert second.members == (x(2), 9)


def test_claims_are_parted_by_quads_and_commas() -> None:
    claims = read_claims(
        r"\alpha_t = 1-\beta_t ,\qquad \bar\alpha_0 = 1 \quad\text{and}\quad x_0 = 2."
    )
    assert [c.lhs for c in claims] == [alpha(t), alpha_bar(0), x(0)]


def test_an_event_in_a_probability_is_no_claim() -> None:
    claim = read(r"P_{ij} = P(X_{t+1} = j \mid X_t = i)")
    assert len(claim.members) == 2
    assert claim.rhs.given == sp.Tuple(sp.Eq(TABLE["X"].indexed(t), i))


def test_the_identity_beside_a_matrix_is_a_matrix() -> None:
    assert read(r"\Sigma = \sigma^2 I").rhs == sigma**2 * sp.Identity(n)
    assert read(r"\beta_t I") == beta(t) * TABLE["I"].plain()


def test_a_claim_knows_its_source_and_prints_itself() -> None:
    (claim,) = read_claims(" x_0 = \\frac{1}{2} \\le \\sigma . ")
    assert claim.source == r"x_0=\frac{1}{2}\le\sigma"
    assert claim.links() == [(x(0), "=", sp.Rational(1, 2)), (sp.Rational(1, 2), r"\le", sigma)]
    assert (claim.lhs, claim.rhs) == (x(0), sigma)
    assert read(claim.latex()) == claim
    assert claim._repr_latex_() == f"${claim.latex()}$"


@pytest.mark.parametrize(
    ("latex", "relation"),
    [(r"\le", r"\le"), (r"\leq", r"\le"), (r"\ge", r"\ge"), (r"\geq", r"\ge"), (r"\ne", r"\ne"),
     (r"\neq", r"\ne"), (r"\sim", r"\sim"), (r"\propto", r"\propto"), (r"\approx", r"\approx"),
     (r"\in", r"\in"), (r"\to", r"\to"), ("<", "<"), (">", ">"), ("=", "=")],
)  # fmt: skip
def test_relations(latex: str, relation: str) -> None:
    claim = read(f"x_0 {latex} 1")
    assert (claim.members, claim.relations) == ((x(0), 1), (relation,))


def test_symbols_reads_several() -> None:
    assert symbols(r"x_{t-1}, \bar\alpha_t") == (x(t - 1), alpha_bar(t))
    assert symbols(r"q(x_t \mid x_0), w_{i,j}, [x_0], ") == (Q_T, TABLE["w"].indexed(i, j), x(0))


# --- What it refuses -----------------------------------------------------------------------------

REFUSED = [
    "", " . ", r"\gamma_t", "x_t +", "x_t = ", "(x_t", "x_t)", r"\frac{1}", "x__t", "x_", "1 = = 2",
    r"\sum_j P_{ij}", r"\text{for all } t", r"\begin{cases} x \end{cases}", r"q(x_t", "x.5", "%",
    r"\left( x", r"\mathbb{E}", r"D_{\mathrm{KL}}(p)", r"\mathcal{N}(x; 1)", r"\sqrt", "3 | 4",
    r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}", r"\Sigma + \mathbf{x}", r"x \, \mathbf{w}",
    r"x_t \\ \\ =", r"\operatorname{Var}[x, y]", r"\operatorname{Cov}[x]",
    r"\operatorname{Var}[x \mid ]",
]  # fmt: skip


LARGE = [
    (r"(x+t+p+q)^{60}-1", "so large a divisor"),
    (r"\sum_{s=1}^{20000} \sin(s^2)", "so large a divisor"),
    (r"\frac{\partial^{20}}{\partial x^{20}} \sin(x^2)", "so large a divisor"),
    (r"\sqrt{1000!+1}", "a root of so large a number"),
    (r"(1000!+1)^{\frac{1}{2}}", "a root of so large a number"),
    (r"\frac12+" * 2000 + "1", "more than 10000 characters"),
]


@pytest.mark.parametrize(("latex", "reason"), LARGE)
def test_nothing_large_is_worked_out(latex: str, reason: str) -> None:
    """Each of these would take from seconds to hours."""
    with pytest.raises(ReadError, match=reason):
        read(rf"\frac{{{latex}}}{{{latex}}}")
    small = read(
        r"\frac{(x+t)^{12}-1}{(x+t)^{12}-1} + \frac{\sum_{s=1}^{t} x_s}{\sum_{s=1}^{t} x_s}"
    )
    assert small == 2


PLACES = [
    *(
        (f"x + {text}", place, "two numbers side by side")
        for text, place in ((r"1\,000", 7), ("10 000", 7), ("2 3", 6), ("2 3^2", 6), ("{2}{3}", 8))
    ),
    (r"x + (\begin{pmatrix} 1 & 2 \end{pmatrix})_{1,1}", 5, "by its number"),
    (r"x + \sum_{k=0}^{K-1} P_{ik}", 10, "counted from 1"),
    (r"x + W_{0 1}", 4, "counted from 1"),
    (r"x + \mathbb{E}_{q(x)}[x \mid y]", 4, "belongs into the law"),
    (r"x + \frac{\mathrm{d}}{\mathrm{d}x} x_t", 4, "the name of a family"),
    (r"x + \lim_{x \to 0} x_t", 4, "the name of a family"),
    (r"x + \int_0^1 \sin(\pi t) \,\mathrm{d}t", 4, "a whole number by the table"),
    (r"x + \frac{\partial}{\partial H_1} H_1", 4, "it does not move"),
    (r"1 + \log a / 2", 4, "where does its argument end"),
    (r"1 + 2 \log a / 2", 6, "where does its argument end"),
    (r"1 + 2 \det M / 2", 6, "where does its argument end"),
    (r"x + \log a b", 4, "where does its argument end"),
    *(
        (rf"x + \log {word} b", 4, "where does its argument end")
        for word in ("2", "e", r"\infty", "x_t", "n!", r"\log a", r"\det M")
    ),
    ("x +", 3, "the end is not expected here"),
    (r"x + \log x^2", 4, "a power of the function"),
    (r"x + \tanh^{-1}(x)", 4, "an inverse function"),
    (r"x + \det(M)^2", 4, "a power of it"),
    (r"x + f_t(x)", 4, "is not applied to anything"),
    (r"x + a/bc", 4, "two meanings"),
    (r"x + \frac{\mathrm{d}^2}{\mathrm{d}x^3} x", 4, "the two orders"),
    (r"x + x_0^\top", 4, "only a matrix has a transpose"),
    (r"x + \operatorname{Var}[x, y]", 4, r"Var.* takes 1 argument"),
    (r"x + \operatorname{Cov}[x]", 4, r"Cov.* takes 2 argument"),
    ("x + ) y", 4, r"'\)' is not expected"),
    (r"x + \frac1- y", 10, "'}' is not expected"),
    (r"x + \det(x)", 4, "no matrix of a known size"),
    (r"x + \operatorname{tr}(I M)", 4, "no matrix of a known size"),
    (r"x + \int \lvert\sigma\rvert\,\mathrm{d}\sigma", 4, "need not be"),
    (r"x + \det(2 I)", 4, "no matrix of a known size"),
    (r"x + \lvert 2 I \rvert", 4, "no matrix of a known size"),
    (r"x + \beta_{2t}", 4, "has one index"),
    (r"x + 3^{1001}", 4, "beyond 1000"),
    (r"x + (1001)!", 5, "beyond 1000"),
    (r"x + \sqrt{x}^{1/1001}", 4, "beyond 1000"),
    (r"x + 128^{1000}", 4, "too many digits"),
    (r"x + (\frac{1}{128})^{1000}", 5, "too many digits"),
    (r"x + 128^{-1000}", 4, "too many digits"),
    ("x + " + "7" * 2001, 4, "so many digits"),
    (r"x + \Sigma \mathbf{x}", 0, r"fit together \(shapes None and \(n, 1\)"),
    (r"x + (\mathbf{x} + \sigma I)", 5, "fit together"),
    (r"x + (\Sigma + 1)", 5, "fit together"),
    (r"x + (\Sigma + \sigma I + 1)", 5, "fit together"),
    (r"x + (\Sigma + 0)", 5, "fit together"),
    *(
        (f"x + {product}", 4, "does the order matter")
        for product in (
            r"\Sigma \operatorname{Var}[\mathbf{x}]",
            r"\operatorname{Var}[\mathbf{x}] \operatorname{Var}[\mathbf{y}]",
            r"\frac{\Sigma}{\operatorname{Var}[\mathbf{x}]}",
            r"L (M \odot L)",
            r"M f(M)",
            r"M f(\mathbf{x}^\top)",
            r"\pi P",
        )
    ),
    (r"x + \sqrt{M^2}", 4, "only whole powers"),
    (r"x + \operatorname{diag}(\sigma, 1)^7", 4, "so large a power"),
    (r"x + \operatorname{diag}(\sigma, 1)^{-2}", 4, "so large a power"),
    (r"x + \frac{(x+1)^2-x^2-2x-1}{(x+1)^2-x^2-2x-1}", 4, "a division by 0"),
    (r"x + \frac{0}{\int_1^1 f(x) \,\mathrm{d}x}", 4, "a division by 0"),
    (r"x + \prod_{s=1}^{t} \alpha_s x_0", 20, "is the last factor part"),
    (r"x + \sum_{s=5}^{2} x_s", 10, "ends before it begins"),
    (r"x + \sum_{x=1}^{3} x", 10, "is no index"),
    (r"x + \sum_{t=1}^{3} t_s", 10, "name of a family"),
    (r"x + \int_0^1 x_t x\,\mathrm{d}x", 4, "name of a family"),
    (r"x + \int_{-1}^{1} \lvert\sigma\rvert\,\mathrm{d}\sigma", 4, "need not be"),
    (r"x + \int_{0}^{-1} \lvert\sigma\rvert\,\mathrm{d}\sigma", 4, "need not be"),
    (r"x + \sum_{s=-2}^{2} \lvert s\rvert", 10, "need not be"),
    (r"x + \operatorname{diag}(1, \dots, 2)", 24, "dots in a list"),
    (r"x + \begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}", 4, "mismatched dimensions"),
]


@pytest.mark.parametrize(("latex", "place", "reason"), PLACES, ids=[p[0][:40] for p in PLACES])
def test_the_place_and_the_reason_are_told(latex: str, place: int, reason: str) -> None:
    with pytest.raises(ReadError, match=reason) as refused:
        read_claims(latex)
    assert refused.value.position == place


MARKS = {"a term": "x", "a number": "1", "the end": "", r"\mathrm{d}": r"\mathrm{d}x",
         r"\end{...}": r"\end{pmatrix}"}  # fmt: skip


@pytest.mark.parametrize(
    ("latex", "some"),
    [
        ("x_t +", "a term, a number, -, (, [, {"), ("x_", "a term, a number, {"), ("(x", "+, )"),
        ("x", "+, =, the end"), (r"\frac{1}", "{"), (r"\sum_{s=1}", "^"),
        (r"\lVert x", r"\rVert"), (r"\lvert x", r"\rvert"), (r"\langle x, y", r"\rangle"),
        ("q(x", r"\mid, ), ,"), (r"\mathbb{E}[x", "]"), (r"\begin{pmatrix} 1 & 2", r"\end{...}"),
        (r"\int x", r"\mathrm{d}"), (r"\lim_{x", r"\to"), (r"\mathcal N(x", ";"),
        (r"D_{\mathrm{KL}}(q(x)", r"\|"), (r"\frac{", r"\partial"),
    ],
)  # fmt: skip
def test_what_could_stand_there_is_told_and_can_stand_there(latex: str, some: str) -> None:
    with pytest.raises(ReadError) as refused:
        read_claims(latex + " : :")
    expected = refused.value.expected
    assert {*some.split(", ")} - {""} - {*expected} <= {","}
    for mark in expected:
        assert _reached(f"{latex} {MARKS.get(mark, mark)}") > len(latex)


def _reached(latex: str) -> float:
    """How far it is read."""
    try:
        read_claims(latex)
    except ReadError as error:
        return error.position
    return float("inf")


@pytest.mark.parametrize("latex", REFUSED)
def test_what_it_cannot_read_is_an_error(latex: str) -> None:
    with pytest.raises(ReadError, match="position"):
        read_claims(latex)


def test_several_claims_are_not_one() -> None:
    with pytest.raises(ReadError, match="2 claims where one was expected"):
        read(r"x_0 = 1 \quad x_t = 2")


def test_the_error_names_symbol_and_position() -> None:
    with pytest.raises(ReadError, match=r"\\zeta is not in the table of symbols, at position 6"):
        read(r"x_t + \zeta")


@settings(max_examples=300, deadline=1000)
@given(st.lists(st.sampled_from([*r"\{}()[]_^+-=.,&|%$ 12xtqP", r"\frac", r"\alpha", r"\sum"])))
def test_no_text_makes_it_hang_or_fail_otherwise(words: list[str]) -> None:
    try:
        claims = read_claims("".join(words))
    except ReadError:
        return
    assert all(claim.members for claim in claims)


# --- What SymPy prints ---------------------------------------------------------------------------

numbers = st.integers(1, 9).map(sp.Integer) | st.fractions(1, 9, max_denominator=9).map(sp.Rational)
indices = st.sampled_from([t, t - 1, s, sp.Integer(0), sp.Integer(1)])
scalars = st.builds(lambda f, at: f(at), st.sampled_from([x, alpha, alpha_bar, beta, eps]), indices)
leaves = numbers | scalars | st.sampled_from([mu, sigma, sp.pi, n])


def _grown(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    pairs = st.tuples(inner, inner)
    return (
        pairs.map(lambda p: p[0] + p[1])
        | pairs.map(lambda p: p[0] * p[1])
        | pairs.map(lambda p: p[0] - p[1])
        | inner.map(lambda e: 1 / (1 + e**2))
        | inner.map(lambda e: sp.sqrt(1 + e**2))
        | inner.map(lambda e: sp.exp(-e))
        | inner.map(lambda e: sp.log(1 + e**2))
        | inner.map(lambda e: ob.Norm(e * x(t) + x(0)) ** 2)
        | inner.map(lambda e: sp.Sum(e + alpha(s), (s, 1, t)))
        | inner.map(lambda e: ob.Gaussian(x(t), e, sigma**2))
        | inner.map(lambda e: ob.Expectation((ob.Density(sp.Symbol("q"), (x(t),), (x(0),)),), e))
        | inner.map(lambda e: ob.Variance(e * x(t), (x(0),)))
        | pairs.map(lambda p: ob.Covariance(*p, (x(t), x(0))))
        | pairs.map(lambda p: ob.KL(ob.Gaussian(x(t), p[0], 1), ob.Gaussian(x(t), p[1], 1)))
        | inner.map(lambda e: ob.Density(sp.Symbol("q"), (x(t),), (x(t - 1), x(0))) * e)
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(leaves, _grown, max_leaves=5))
@example(sp.log(2) ** 2 * ob.Density(sp.Symbol("q"), (x(t),), (x(0),)))
def test_it_reads_back_what_sympy_prints(expression: sp.Expr) -> None:
    exponents = {power.exp for power in expression.atoms(sp.Pow, sp.exp)}
    assume(not any(e.is_Rational and max(abs(e.p), e.q) > 1000 for e in exponents))  # are refused
    read_again = read(sp.latex(expression))
    assert read_again == expression or sp.expand(read_again - expression) == 0
