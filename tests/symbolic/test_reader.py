"""The page reader: what it reads, what it refuses, and that it reads back what SymPy prints."""

import pytest
import sympy as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ddpm_lite.symbolic import ReadError, read, symbols
from ddpm_lite.symbolic import objects as ob
from ddpm_lite.symbolic.notation import TABLE
from ddpm_lite.symbolic.reader import read_claims

t, s, n, T, K = (TABLE[name].plain() for name in ("t", "s", "n", "T", "K"))
i, j, k = (TABLE[name].plain() for name in ("i", "j", "k"))
x, alpha, alpha_bar, beta, eps = (
    (lambda *index, name=name: TABLE[name].indexed(*index))
    for name in ("x", r"\alpha", r"\bar{\alpha}", r"\beta", r"\epsilon")
)
mu, sigma = TABLE[r"\mu"].plain(), TABLE[r"\sigma"].plain()


# --- What it reads -------------------------------------------------------------------------------

READINGS = {
    r"\bar\alpha_{t-1}": alpha_bar(t - 1),
    r"\bar{\alpha}_t": alpha_bar(t),
    r"{\bar{\alpha}}_{t - 1}": alpha_bar(t - 1),
    r"\frac12 \sigma^2": sigma**2 / 2,
    r"\tfrac n2": n / 2,
    r"\sqrt2\,\sigma": sp.sqrt(2) * sigma,
    r"x^12": 2 * sp.Symbol("x", real=True),  # as TeX sets it
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
}


@pytest.mark.parametrize("latex", READINGS)
def test_it_reads(latex: str) -> None:
    assert read(latex) == READINGS[latex]


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


def test_symbols_reads_several() -> None:
    assert symbols(r"x_{t-1}, \bar\alpha_t") == (x(t - 1), alpha_bar(t))


# --- What it refuses -----------------------------------------------------------------------------

REFUSED = [
    "", " . ", r"\gamma_t", "x_t +", "x_t = ", "(x_t", "x_t)", r"\frac{1}", "x__t", "x_", "1 = = 2",
    r"\sum_j P_{ij}", r"\text{for all } t", r"\begin{cases} x \end{cases}", r"q(x_t", "x.5", "%",
    r"\left( x", r"\mathbb{E}", r"D_{\mathrm{KL}}(p)", r"\mathcal{N}(x; 1)", r"\sqrt", "3 | 4",
    r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}", r"\Sigma + \mathbf{x}", r"x \, \mathbf{w}",
    r"x_t \\ \\ =", r"\operatorname{Var}[x, y]", r"\operatorname{Cov}[x]",
    r"\operatorname{Var}[x \mid ]",
]  # fmt: skip


@pytest.mark.parametrize("latex", REFUSED)
def test_what_it_cannot_read_is_an_error(latex: str) -> None:
    with pytest.raises(ReadError, match="position"):
        read_claims(latex)


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
