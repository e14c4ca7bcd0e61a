"""What the pages speak of and SymPy has no name for: densities, expectations, divergences, norms.

All are SymPy expressions, so that they add, multiply and print; none of them evaluates by itself.
`gaussians` and `expectations` say how they are worked out.
"""

from typing import Any

import sympy as sp
from sympy import Expr, Tuple
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE


def _list(printer: LatexPrinter, parts: Tuple) -> str:
    return ", ".join(printer._print(part) for part in parts)


class ComparisonError(ValueError):
    """Two sides of which the engine cannot say whether they are equal; the text says why."""


class Formal(Expr):  # type: ignore[misc]  # SymPy is untyped
    """A real expression that never changes by itself."""

    is_commutative = True
    is_real = True
    is_extended_real = True

    def __new__(cls, *args: Any) -> "Formal":
        """Sympify the arguments; sequences become tuples."""
        parts = [Tuple(*a) if isinstance(a, (tuple, list)) else sp.sympify(a) for a in args]
        made: Formal = Expr.__new__(cls, *parts)
        return made

    def _sympystr(self, printer: Any) -> str:
        return f"{type(self).__name__}({', '.join(map(printer._print, self.args))})"


class Span(Formal):
    """x_{a:b}: the variables x_a, ..., x_b together. Arguments: x_a and x_b, both indexed."""

    def _latex(self, printer: LatexPrinter) -> str:
        first, last = self.args
        return f"{first.base.label}_{{{printer._print(first.indices[0])}:" + (
            f"{printer._print(last.indices[0])}}}"
        )


class Density(Formal):
    """The density name(variables | given), a positive number; a probability P(...) may be 0.

    Arguments: a Symbol, a tuple of variables, a tuple of what is given (may be empty).
    """

    is_nonnegative = True
    is_extended_nonnegative = True

    def _eval_is_positive(self) -> bool | None:
        return True if str(self.name) != "P" else None

    def _eval_is_extended_positive(self) -> bool | None:
        return self._eval_is_positive()

    name = property(lambda self: self.args[0])
    variables = property(lambda self: self.args[1])
    given = property(lambda self: self.args[2])

    def _latex(self, printer: LatexPrinter) -> str:
        bar = rf" \mid {_list(printer, self.given)}" if self.given else ""
        return f"{printer._print(self.name)}({_list(printer, self.variables)}{bar})"


class Gaussian(Formal):
    r"""The normal density \mathcal N(x; mean, variance) at x, a positive number.

    The variance may be a scalar, v * I (then x is a vector of d coordinates) or a matrix.
    """

    is_positive = True
    is_extended_positive = True

    x = property(lambda self: self.args[0])
    mean = property(lambda self: self.args[1])
    variance = property(lambda self: self.args[2])

    def _latex(self, printer: LatexPrinter) -> str:
        x, mean, variance = map(printer._print, self.args)
        return rf"\mathcal{{N}}({x}; {mean}, {variance})"


class Normal(Formal):
    r"""The normal law \mathcal N(mean, variance) itself: what stands to the right of \sim."""

    mean = property(lambda self: self.args[0])
    variance = property(lambda self: self.args[1])

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\mathcal{{N}}({_list(printer, Tuple(*self.args))})"


class Expectation(Formal):
    r"""\mathbb{E}_{laws}[body | given]; `laws`, a tuple of densities, is empty if the text says."""

    laws = property(lambda self: self.args[0])
    body = property(lambda self: self.args[1])
    given = property(lambda self: self.args[2])

    def __new__(cls, laws: Any, body: Any, given: Any = ()) -> "Expectation":
        """`given` is empty unless the brackets hold a bar."""
        made = super().__new__(cls, laws, body, given)
        assert isinstance(made, Expectation)
        return made

    def _latex(self, printer: LatexPrinter) -> str:
        law = "_{" + " ".join(map(printer._print, self.laws)) + "}" if self.laws else ""
        bar = rf" \mid {_list(printer, self.given)}" if self.given else ""
        return rf"\mathbb{{E}}{law}\left[{printer._print(self.body)}{bar}\right]"


class _Bracketed(Formal):
    """An operator with arguments in brackets, such as Var[x] and Cov[x, y | z]."""

    word = ""

    given = property(lambda self: self.args[-1])

    def _latex(self, printer: LatexPrinter) -> str:
        bar = rf" \mid {_list(printer, self.given)}" if self.given else ""
        inside = _list(printer, Tuple(*self.args[:-1]))
        return rf"\operatorname{{{self.word}}}\left[{inside}{bar}\right]"


class Variance(_Bracketed):
    """Var[x | given]: the variance of a number, or the covariance matrix of a vector."""

    word = "Var"

    def __new__(cls, x: Any, given: Any = ()) -> "Variance":
        """`given` is empty unless the brackets hold a bar."""
        made = super().__new__(cls, x, given)
        assert isinstance(made, Variance)
        return made


class Covariance(_Bracketed):
    """Cov[x, y | given]."""

    word = "Cov"

    def __new__(cls, x: Any, y: Any, given: Any = ()) -> "Covariance":
        """`given` is empty unless the brackets hold a bar."""
        made = super().__new__(cls, x, y, given)
        assert isinstance(made, Covariance)
        return made


class KL(Formal):
    r"""D_{KL}(q \| p), the Kullback-Leibler divergence of two densities of the same variable."""

    def _latex(self, printer: LatexPrinter) -> str:
        q, p = map(printer._print, self.args)
        return rf"D_{{\mathrm{{KL}}}}\left({q} \,\|\, {p}\right)"


class Norm(Formal):
    """The Euclidean norm of a vector, a linear combination of the table's vectors."""

    is_nonnegative = True
    is_extended_nonnegative = True

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\lVert {printer._print(self.args[0])} \rVert"


class Dot(Formal):
    r"""The inner product \langle a, b \rangle of two vectors; the order does not matter."""

    def __new__(cls, a: Any, b: Any) -> "Dot":
        """Sort the two, so that equal products are the same object."""
        made = super().__new__(
            cls, *sorted((sp.sympify(a), sp.sympify(b)), key=sp.default_sort_key)
        )
        assert isinstance(made, Dot)
        return made

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\langle {_list(printer, Tuple(*self.args))} \rangle"


class Hadamard(Formal):
    r"""The product a \odot b, entry by entry."""

    def _latex(self, printer: LatexPrinter) -> str:
        parts = (printer.parenthesize(part, PRECEDENCE["Mul"], strict=True) for part in self.args)
        return r"\left(" + r" \odot ".join(parts) + r"\right)"
