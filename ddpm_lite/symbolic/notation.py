r"""The one table of symbols: LaTeX as it stands on the pages, the SymPy object, the meaning.

The page reader knows these symbols and no others, and book/notation.md is printed from this table.
A symbol is known by its LaTeX without indices, with braces around what carries an accent
(`\bar{\alpha}`). Its `form` says what it may be:

- "scalar": a number; with indices, as in \beta_t, an element of a family of numbers;
- "vector": a vector of d coordinates in the diffusion chapters, where every step acts on each
  coordinate alike. Written like a number: only its norm and its inner products are special;
- "matrix": a MatrixSymbol; with two indices, an entry of it;
- "function": applied to arguments in parentheses;
- "density": p(x), q(x_t \mid x_0) and their kin.
"""

from dataclasses import dataclass
from typing import Any

import sympy as sp

# The sizes: n rows of a vector in chapter 1, K states of a chain. Both are table symbols below.
_n = sp.Symbol("n", integer=True, positive=True)
_K = sp.Symbol("K", integer=True, positive=True)


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    latex: str
    """The symbol without indices, canonical: accents with braces, no spaces."""

    shown: str
    """As a reader meets it, indices included."""

    meaning: str
    form: str = "scalar"
    domain: str = "real"
    """"real", "positive", "nonnegative", "unit" (between 0 and 1) or "integer" (positive)."""

    shape: tuple[Any, Any] | None = None
    """Rows and columns of a matrix."""

    indices: int = 1
    """How many indices it may have; a matrix that is no column has two."""

    @property
    def fixed(self) -> bool:
        """Whether it is a number that nothing random has a part in, also within an expectation."""
        return self.domain != "real" or self.latex in FIXED

    @property
    def assumptions(self) -> dict[str, bool]:
        """What SymPy may assume of it."""
        table = {
            "real": {"real": True},
            "positive": {"positive": True},
            "nonnegative": {"nonnegative": True},
            "unit": {"positive": True},
            "integer": {"integer": True, "positive": True},
        }
        return table[self.domain]

    def plain(self) -> sp.Expr:
        """The symbol without an index."""
        if self.form == "matrix":
            assert self.shape is not None
            matrix: sp.Expr = sp.MatrixSymbol(self.latex, *self.shape)
            return matrix
        return sp.Symbol(self.latex, **self.assumptions)

    def indexed(self, *indices: sp.Expr) -> sp.Expr:
        """The symbol with its indices: an entry of the matrix, or of the family."""
        if self.form == "matrix":
            entry: sp.Expr = self.plain()[indices]
            return entry
        element: sp.Expr = sp.IndexedBase(self.latex, **self.assumptions)[indices]
        return element

    def applied(self, *args: sp.Expr) -> sp.Expr:
        """The function at its arguments."""
        value: sp.Expr = sp.Function(self.latex, **self.assumptions)(*args)
        return value


def _scalars(rows: str, domain: str = "real", form: str = "scalar") -> list[Entry]:
    """Entries from lines `symbol | as shown | meaning`."""
    cells = [[c.strip() for c in row.split("|", 2)] for row in rows.strip().splitlines()]
    return [Entry(c[0], c[1], c[2], form, domain) for c in cells]


INDICES = _scalars(
    r"""
    i | i | index of a coordinate or a state
    j | j | index of a coordinate or a state
    k | k | index of a state in between; a power
    s | s | a time step, running index of sums and products
    t | t | the time step, 1 to $T$
    T | T | the number of steps
    m | m | a number of steps
    n | n | a number of steps of a chain; the number of coordinates of a vector
    K | K | the number of states of a chain
    d | d | the number of coordinates (pixels) of an image
    """,
    "integer",
)

GAUSSIANS = [
    *_scalars(
        r"""
        x | x | a value of a random variable; with a time index, the picture at that time
        y | y | another value
        z | z | a standard normal variable, or the standardised $x$
        u | u | an argument, as of a logarithm; a clock: time or angle; where a variance lies
        \mu | \mu,\ \mu_i | mean
        a | a | a factor
        b | b | a shift
        c | c | a constant
        X | X | a random variable
        Y | Y | a random variable
        S | S | a fair sign, $+1$ or $-1$; the exponent of the posterior, times $-2$; a variance
        \rho | \rho | correlation
        """,
    ),
    *_scalars(
        r"""
        \sigma | \sigma,\ \sigma_i,\ \sigma_t | standard deviation
        A | A | coefficient of a square
        v | v | variance
        r | r | distance from the centre; the last step's length over this one's
        """,
        "positive",
    ),
    *_scalars(r"\varphi | \varphi(z) | density of the standard normal law", form="function"),
    *_scalars(
        r"\Phi | \Phi(z) | distribution function of the standard normal law", form="function"
    ),
    *_scalars(r"f | f(x) | a density, or any function", form="function"),
    *_scalars(r"g | g(x) | any function", form="function"),
    Entry(r"\mathbf{x}", r"\mathbf{x}", "a vector of n coordinates", "matrix", shape=(_n, 1)),
    Entry(r"\mathbf{z}", r"\mathbf{z}", "a standard normal vector", "matrix", shape=(_n, 1)),
    Entry(r"\mathbf{y}", r"\mathbf{y}", "another vector", "matrix", shape=(_n, 1)),
    Entry(r"\boldsymbol{\mu}", r"\boldsymbol{\mu}", "mean vector", "matrix", shape=(_n, 1)),
    Entry(
        r"\boldsymbol{\nu}", r"\boldsymbol{\nu}", r"mean of $\mathbf{y}$", "matrix", shape=(_n, 1)
    ),
    Entry(r"\Sigma", r"\Sigma", "covariance matrix", "matrix", shape=(_n, _n)),
    Entry(r"\Lambda", r"\Lambda", r"covariance matrix of $\mathbf{y}$", "matrix", shape=(_n, _n)),
    Entry("L", "L", r"a matrix with $LL^\top = \Sigma$", "matrix", shape=(_n, _n)),
    Entry("M", "M", "a square matrix", "matrix", shape=(_n, _n)),
]

MARKOV = [
    Entry("P", "P,\\ P_{ij}", "transition matrix", "matrix", shape=(_K, _K)),
    Entry("W", "W", "transition matrix of the weather chain", "matrix", shape=(3, 3)),
    Entry(r"\tilde{W}", r"\tilde{W}", "the weather chain reversed", "matrix", shape=(3, 3)),
    Entry(r"\pi", r"\pi,\ \pi_i", "a distribution over the states, a row; without index also 3.14"),
    Entry(r"\lambda", r"\lambda,\ \lambda_t", "an eigenvalue; half the logarithm of the SNR"),
]

REPARAM = [
    Entry(
        r"\boldsymbol{\epsilon}", r"\boldsymbol{\epsilon}",
        "a vector of n independent standard normal numbers", "matrix", shape=(_n, 1),
    ),
    Entry("Q", "Q", r"an orthogonal matrix, $QQ^\top = I$", "matrix", shape=(_n, _n)),
]  # fmt: skip

PROCESS = [
    *_scalars(
        r"""
        \beta | \beta_t | variance of the noise of step $t$
        \alpha | \alpha_t | $1-\beta_t$, share of the variance kept in step $t$
        \bar{\alpha} | \bar{\alpha}_t | product of $\alpha_1$ to $\alpha_t$; 1 for $t = 0$
        """,
        "unit",
    ),
    *_scalars(
        r"""
        \tilde{\beta} | \tilde{\beta}_t | variance of the posterior $q(x_{t-1} \mid x_t, x_0)$
        \mathrm{SNR} | \mathrm{SNR}_t | signal-to-noise ratio
        """,
        "positive",
    ),
    *_scalars(
        r"""
        \epsilon | \epsilon,\ \epsilon_t | standard normal noise; with index $t$, that of step $t$
        \tilde{\mu} | \tilde{\mu}_t | mean of the posterior
        """,
        form="vector",
    ),
    *_scalars(
        r"""
        \mu_\theta | \mu_\theta(x_t, t) | mean of the learnt reverse step
        \epsilon_\theta | \epsilon_\theta(x_t, t) | the network's guess of the noise
        """,
        form="function",
    ),
    *_scalars(
        r"""
        q | q(x_t \mid x_{t-1}) | density of the forward process
        p | p(x) | a density
        p_\theta | p_\theta(x_{t-1} \mid x_t) | density of the learnt model
        """,
        form="density",
    ),
    *_scalars(
        "I | I | the identity matrix; a scalar times $I$ acts on each coordinate alike", "positive"
    ),
    *_scalars(r"L_{simple} | L_{\mathrm{simple}} | the loss without its weight"),
]

POSTERIOR = [
    *_scalars(
        r"""
        C | C,\ C_1,\ C_2 | terms or factors without the variable looked for; numbers of channels
        """,
    ),
    *_scalars(r"B | B | half of the linear coefficient of a square, a vector", form="vector"),
]

ELBO = _scalars(
    r"""
    \mathrm{ELBO} | \mathrm{ELBO} | the evidence lower bound, never above $\log p_\theta(x_0)$
    \mathcal{L} | \mathcal{L}_t | a term of minus the ELBO, in nats
    \mathcal{C} | \mathcal{C}_t | the consistency term at time $t$
    \mathcal{K} | \mathcal{K}_t | a divergence that is not the consistency term
    """,
)

UNET = [
    *_scalars(
        r"""
        N | N | how many there are: frequencies, numbers of a group, pixels
        H | H_j | side of a picture, in pixels, after layer $j$
        F | F,\ F_j | side of a filter
        U | U,\ U_j | stride: how far a filter moves at a time
        Z | Z | width of the border of zeros put round a picture
        R | R_j | receptive field after layer $j$
        J | J_j | distance of two neighbours after layer j, in pixels of the picture
        """,
        "integer",
    ),
    *_scalars(r"\omega | \omega_i | a frequency of the time embedding", "positive"),
    *_scalars(
        r"""
        \mathbf{q} | \mathbf{q}_i | query of pixel $i$
        \mathbf{k} | \mathbf{k}_j | key of pixel $j$
        \mathbf{v} | \mathbf{v}_j | value of pixel $j$
        \mathbf{o} | \mathbf{o}_i | what attention gives to pixel $i$
        """,
        form="vector",
    ),
]

TRAINING = [
    *_scalars(
        r"""
        \mathrm{v} | \mathrm{v},\ \mathrm{v}_w | the velocity; with index $w$, its guided guess
        \mathrm{f} | \mathrm{f} | the direction from picture to noise, which flow matching learns
        \hat{x} | \hat{x}_0 | the guess of the clean picture
        """,
        form="vector",
    ),
    *_scalars(
        r"\mathrm{v}_\theta | \mathrm{v}_\theta(x_t, t) | the network's guess of the velocity",
        form="function",
    ),
    *_scalars(
        r"""
        \theta | \theta,\ \theta_k | the network's weights; with index $k$, after $k$ updates
        \bar{\theta} | \bar{\theta}_k | running average of the weights
        \varnothing | \varnothing | the label "none"
        \ell | \ell | the loss of a pair of guesses, which should agree
        """,
    ),
    Entry(
        "w",
        r"w,\ w_t,\ w_{ij}",
        "scale of the guidance; with index $t$, weight in a loss; with two, share of attention",
        indices=2,
    ),
    *_scalars(r"\delta | \delta | decay of the running average", "unit"),
]

SAMPLING = [
    *_scalars(
        r"""
        \eta | \eta | share of the posterior's noise that a DDIM step adds: 0 none, 1 all
        \kappa | \kappa,\ \kappa_t | standard deviation of the noise over that of the signal
        """,
        "nonnegative",
    ),
    *_scalars(
        r"""
        h | h | length of one step: in $\lambda$ (chapter 9), in time (chapters 12 and 13)
        """,
        "positive",
    ),
    *_scalars(
        r"""
        \Delta | \Delta(h) | error of one step of first order
        \hat{\Delta} | \hat\Delta(h) | error of one step of second order
        """,
        form="function",
    ),
]

ROWS = [
    *INDICES,
    *GAUSSIANS,
    *MARKOV,
    *REPARAM,
    *PROCESS,
    *POSTERIOR,
    *ELBO,
    *UNET,
    *TRAINING,
    *SAMPLING,
]
"""All of them; each symbol has one."""

TABLE: dict[str, Entry] = {row.latex: row for row in ROWS}
"""By their LaTeX."""

FIXED = frozenset({
    "a", "b", "c", "w", r"\rho", r"\pi", r"\lambda", r"\theta", r"\bar{\theta}", r"\varnothing",
    "f", "g", r"\varphi", r"\Phi", r"\mu_\theta", r"\epsilon_\theta", r"\mathrm{v}_\theta",
    r"\Delta", r"\hat{\Delta}",
})  # fmt: skip
"""Real numbers, and functions, that are given: what they are applied to is looked at by itself."""

VECTORS = frozenset(
    {
        "x",
        "B",
        "z",
        r"\epsilon",
        r"\tilde{\mu}",
        r"\mu",
        r"\mu_\theta",
        r"\epsilon_\theta",
        r"\mathrm{v}",
        r"\mathrm{f}",
        r"\mathrm{v}_\theta",
        r"\hat{x}",
    }
)
"""Symbols whose norms and inner products are expanded by linearity."""


def is_vector(atom: sp.Expr) -> bool:
    """Whether a symbol, an indexed symbol or a function value may stand for a vector."""
    if isinstance(atom, sp.Indexed):
        return str(atom.base.label) in VECTORS
    if isinstance(atom, sp.Function):
        return str(atom.func) in VECTORS
    return isinstance(atom, sp.Symbol) and atom.name in VECTORS
