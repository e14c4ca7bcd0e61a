r"""The page reader: LaTeX as it stands on a page, to SymPy.

Nothing is guessed. A symbol outside the table, or LaTeX outside the grammar, is a ReadError with
its position; a formula whose meaning is unclear (a sum without ends, a stray dot) is one too. So is
what readers of mathematics read in two ways: \log 2x, a/bc, f_t(x), \prod_s a_s b. Nothing large is
worked out while reading: exponents and factorials of numbers are bounded.
"""

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import sympy as sp
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, VisitError
from lark.visitors import Interpreter
from sympy import Expr
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.tensor.indexed import IndexException

from ddpm_lite.symbolic import objects as ob
from ddpm_lite.symbolic.arithmetic import (
    IDENTITY,
    alike,
    as_number,
    matrix_power,
    number_power,
    over,
    plus,
    root,
    shape_of,
    times,
)
from ddpm_lite.symbolic.claims import Claim
from ddpm_lite.symbolic.dots import follows, pattern
from ddpm_lite.symbolic.notation import TABLE, Entry
from ddpm_lite.symbolic.tokens import ReadError, Tokens

_LARGEST = 1000
"""Largest exponent and factorial of numbers: 10^1000 is still written out at once."""
_MOST_AGAIN = 6
"""So many sums, integrals or limits around a formula double the work of reading it."""
_LONGEST = 10_000
"""Characters of a display."""
_DIGITS = 2000
"""Largest length of a number as it is written."""
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, NotImplementedError, RecursionError,
               TypeError, ValueError, IndexException)  # fmt: skip
"""What SymPy raises for a formula whose parts do not fit together."""


def read_claims(latex: str) -> list[Claim]:
    """All claims of a display, in order. Raises ReadError."""
    if len(latex) > _LONGEST:
        raise ReadError(f"more than {_LONGEST} characters", latex, _LONGEST)
    try:
        claims: list[Claim] = _Reader(latex).visit(_parser().parse(latex))
    except UnexpectedInput as error:
        raise _located(error, latex) from None
    except VisitError as error:
        raise error.orig_exc from None
    except ReadError:
        raise
    except _UNREADABLE as error:
        raise ReadError(f"this means nothing ({error})", latex, 0) from None
    source = "".join(latex.split()).rstrip(".,")
    return [replace(claim, source=source) for claim in claims]


def read(latex: str) -> Any:
    """One formula: an expression where there is no relation, a Claim else."""
    claims = read_claims(latex)
    if len(claims) != 1:
        raise ReadError(f"{len(claims)} claims where one was expected", latex, 0)
    return claims[0] if claims[0].relations else claims[0].members[0]


def symbols(latex: str) -> tuple[Expr, ...]:
    r"""Several expressions, separated by commas, as in `symbols(r"x_t, x_{t-1}, \alpha_t")`."""
    return tuple(read(part) for part in _split(latex))


def _split(latex: str) -> list[str]:
    """Split at commas outside of brackets."""
    parts, depth = [""], 0
    for char in latex:
        depth += (char in "({[") - (char in ")}]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part.strip()]


@cache
def _parser() -> Lark:
    grammar = files("ddpm_lite.symbolic").joinpath("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", lexer=Tokens, maybe_placeholders=False)


def _located(error: UnexpectedInput, latex: str) -> ReadError:
    token = getattr(error, "token", None)
    position = token.start_pos if token is not None and token.type != "$END" else len(latex)
    word = repr(str(token)) if token is not None and token.type != "$END" else "the end"
    possible: frozenset[str] = getattr(error, "accepts", None) or frozenset()
    expected = [mark for name, mark in _MARKS.items() if name in possible]
    return ReadError(f"{word} is not expected here", latex, position or 0, expected)


_MARKS = {
    "SYMBOL": "a term", "NUMBER": "a number", "PLUS": "+", "MINUS": "-", "REL": "=", "COMMA": ",",
    "SEMICOLON": ";", "CIRCUMFLEX": "^", "UNDERSCORE": "_", "LBRACE": "{", "LPAR": "(", "LSQB": "[",
    "RBRACE": "}", "RPAR": ")", "RSQB": "]", "RNORM": r"\rVert", "RVERT": r"\rvert",
    "RANGLE": r"\rangle", "BARS": r"\|", "MID": r"\mid", "ENDMATRIX": r"\end{...}",
    "DIFF": r"\mathrm{d}", "TO": r"\to", "PARTIAL": r"\partial", "$END": "the end",
}  # fmt: skip
"""What is said of the words that a place can have: enough to go on, not all of them."""


class _Reader(Interpreter[Any, Any]):
    """One method a rule of grammar.lark; each returns SymPy."""

    def __init__(self, latex: str):
        super().__init__()
        self.latex = latex
        self.running: dict[str, Expr] = {}
        """Running indices and variables that may take values which the table rules out."""

    def fail(self, message: str, tree: Any) -> ReadError:
        """The error, at the first token under `tree`."""
        tokens = [tree] if isinstance(tree, Token) else tree.scan_values(lambda v: True)
        position = next((t.start_pos for t in tokens if isinstance(t, Token)), 0)
        return ReadError(message, self.latex, position or 0)

    def parts(self, tree: Any) -> list[Any]:
        """The values of all children that are not mere words."""
        return [self.value(c) for c in tree.children if isinstance(c, Tree)]

    def value(self, child: Any) -> Any:
        """A subtree's value; for a lone token, that of a symbol or a number."""
        if isinstance(child, Tree):
            return self.visit(child)
        return self.rational(child) if child.type == "NUMBER" else self.plain(str(child))

    def rational(self, token: Token) -> Expr:
        """A number as it is written."""
        if len(token) > _DIGITS:
            raise self.fail("so many digits are not read", token)
        return sp.Rational(str(token))

    def plain(self, name: str) -> Expr:
        """A symbol without index."""
        return self.running.get(name) or _plain(name)

    # --- Claims and sums ---------------------------------------------------------------------

    def start(self, tree: Any) -> list[Claim]:
        return [self.visit(c) for c in tree.children if isinstance(c, Tree)]

    def claim(self, tree: Any) -> Claim:
        relations = tuple(str(c) for c in tree.children if isinstance(c, Token) and c.type == "REL")
        return Claim(tuple(alike(self.parts(tree))), relations)

    def add(self, tree: Any) -> Expr:
        return self.safely(tree, lambda a, b: plus(a, b))

    def subtract(self, tree: Any) -> Expr:
        return self.safely(tree, lambda a, b: plus(a, -b))

    def multiply(self, tree: Any) -> Expr:
        if not any(isinstance(c, Token) for c in tree.children):
            self.check_side_by_side(*tree.children)
        return self.safely(tree, lambda a, b: times(a, b))

    def check_side_by_side(self, left: Tree[Token], right: Any) -> None:
        r"""What stands beside \log 2, a/b or f_t without a sign between may belong to it."""
        last = left.children[-1] if left.data == "multiply" else left
        if getattr(last, "data", "") == "number" and _begins_with_a_digit(right):
            raise self.fail(
                r"two numbers side by side look like one: write 1000, or 2 \cdot 3", right
            )
        if left.data == "divide":
            raise self.fail("a/bc has two meanings: write (a/b) c, or a/(bc)", left)
        if not isinstance(last, Tree):
            return
        if last.data in ("elementary", "word") and not _is_closed(last.children[1]):
            raise self.fail("where does its argument end? Put it in brackets", last)
        if last.data in ("raised", "indexed") and _is_in_brackets(right):
            name = next(last.scan_values(lambda v: isinstance(v, Token) and v.type == "SYMBOL"), "")
            if name in TABLE and TABLE[name].form in ("function", "density"):
                raise self.fail(f"{name} with an index or a power is not applied to anything", last)

    def divide(self, tree: Any) -> Expr:
        left = tree.children[0]
        last = left.children[-1] if left.data == "multiply" else left
        if last.data in ("elementary", "word") and not _is_closed(last.children[1]):
            raise self.fail("where does its argument end? Put it in brackets", last)
        return self.safely(tree, lambda a, b: over(a, b))

    def fraction(self, tree: Any) -> Expr:
        return self.safely(tree, lambda a, b: over(as_number(a), b))

    def negate(self, tree: Any) -> Expr:
        return -self.parts(tree)[0]

    def hadamard(self, tree: Any) -> Expr:
        return ob.Hadamard(*self.parts(tree))

    def safely(self, tree: Any, combine: Any) -> Any:
        """Combine two parts; shapes that do not fit are an error of the page."""
        try:
            return combine(*self.parts(tree))
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            if isinstance(error, ReadError):
                raise
            raise self.fail(f"the two sides do not fit together ({error})", tree) from None

    # --- Dots --------------------------------------------------------------------------------

    def sum_dots(self, tree: Any) -> Expr:
        r"""x_1 + x_2 + \dots + x_n."""
        terms = self.flat(tree.children[0], "add")
        return self.dotted(tree, terms, sp.Sum, sp.Add)

    def product_dots(self, tree: Any) -> Expr:
        r"""a_1 a_2 \cdots a_n."""
        factors = self.flat(tree.children[0], "multiply")
        return self.dotted(tree, factors, sp.Product, sp.Mul)

    def flat(self, tree: Any, rule: str) -> list[Expr]:
        """The operands of nested sums or products, from left to right."""
        if isinstance(tree, Tree) and tree.data == rule:
            trees = [c for c in tree.children if isinstance(c, Tree)]
            return [*self.flat(trees[0], rule), self.value(trees[1])]
        return [self.value(tree)]

    def dotted(self, tree: Any, before: list[Expr], whole: Any, join: Any) -> Expr:
        """The operands before the dots that belong to the pattern of the last one, and the rest."""
        last = self.value([c for c in tree.children if isinstance(c, Tree)][-1])
        for start in range(len(before)):
            found = pattern(before[start:], last)
            if found is not None:
                template, index, first, end = found
                if any(follows(operand, template, index) for operand in before[:start]):
                    break
                series = whole(template, (index, first, end))
                return join(*before[:start], series) if start else series
        raise self.fail("the terms around the dots do not follow one pattern", tree)

    # --- Sums, products, integrals over an index -----------------------------------------------

    def sum_of(self, tree: Any) -> Expr:
        bounds, body = self.over_range(*tree.children[-2:])
        return sp.Sum(body, bounds)

    def product_of(self, tree: Any) -> Expr:
        bounds, body = self.over_range(*tree.children[-2:])
        self.check_trailing(tree.children[-1], bounds[0])
        return sp.Product(body, bounds)

    def over_range(self, ends: Any, tree: Any) -> tuple[tuple[Expr, ...], Expr]:
        """The index with its ends, and what is summed; the table's index is positive."""
        index, low, high = self.visit(ends)
        if not index.is_integer:
            raise self.fail(f"{index} is no index: a sum runs over whole numbers", ends)
        if (high - low + 1).is_negative:
            raise self.fail("it ends before it begins", ends)
        body = self.value(tree)
        if not low.is_positive:
            self.check_as_it_is(tree, body, index, {"integer": True}, ends)
        self.check_no_family(body, index, ends)
        self.check_entries(body, index, low, ends)
        return (index, low, high), body

    def check_entries(self, body: Any, index: Expr, low: Expr, place: Any) -> None:
        """Entries of matrices are counted from 1."""
        for element in sp.sympify(body).atoms(MatrixElement):
            first = [i.subs(index, low) for i in element.indices if i.has(index)]
            least = 0 if element.parent.shape[0].is_Integer else 1
            if not all((i - least).is_nonnegative for i in first):
                raise self.fail(f"the entries of {element.parent} are counted from 1", place)

    def check_no_family(self, body: Any, symbol: Expr, place: Any) -> None:
        """Over x one neither sums nor integrates x_t: is it the same x?"""
        if any(str(a.base.label) == symbol.name for a in sp.sympify(body).atoms(sp.Indexed)):
            raise self.fail(f"{symbol} runs or moves here, and is the name of a family too", place)

    def check_as_it_is(
        self, tree: Any, body: Any, symbol: Expr, known: dict[str, bool], place: Any
    ) -> None:
        """What would read otherwise if no more than this were known of the variable is refused."""
        weaker = sp.Symbol(symbol.name, real=True, **known)
        if weaker == symbol:
            return
        if len(self.running) >= _MOST_AGAIN:
            raise self.fail("so many sums or integrals in one another are not read", place)
        before, self.running = self.running, {**self.running, symbol.name: weaker}
        other = self.value(tree)
        self.running = before
        if sp.sympify(body).xreplace({symbol: weaker}) != other:
            table = (
                "positive" if known.get("integer") or not symbol.is_integer else "a whole number"
            )
            raise self.fail(f"{symbol} is {table} by the table, and here it need not be", place)

    def check_moves(self, tree: Any, body: Any, variable: Expr, signed: bool, place: Any) -> None:
        """Where a variable takes all real values, its body may not rest on what the table says."""
        if not variable.is_Symbol:
            if variable.is_integer:
                raise self.fail(f"{variable} is a whole number: it does not move", place)
            return
        self.check_no_family(body, variable, place)
        sign = {} if signed or not variable.is_positive else {"positive": True}
        self.check_as_it_is(tree, body, variable, sign, place)

    def check_trailing(self, tree: Any, index: Expr) -> None:
        r"""In \prod_s a_s b, is b one of the factors?"""
        if isinstance(tree, Tree) and tree.data == "multiply":
            last = sp.sympify(self.value(tree.children[-1]))
            if not last.has(index):
                raise self.fail("is the last factor part of the product? Use brackets", tree)

    def range(self, tree: Any) -> tuple[Expr, ...]:
        index = next(c for c in tree.children if isinstance(c, Token) and c.type == "SYMBOL")
        return (self.plain(str(index)), *self.parts(tree))

    def integral(self, tree: Any) -> Expr:
        *ends, body, variable = self.parts(tree)
        low, high = ends[0] if ends else (-sp.oo, sp.oo)
        within = next(c for c in tree.children if isinstance(c, Tree) and c.data != "ends")
        signed = not (low.is_nonnegative and high.is_nonnegative)
        self.check_moves(within, body, variable, signed, tree)
        return sp.Integral(body, (variable, low, high))

    def ends(self, tree: Any) -> list[Expr]:
        return self.parts(tree)

    def limit(self, tree: Any) -> Expr:
        variable, goal, body = self.parts(tree)
        if not (goal.is_infinite and variable.is_integer):  # n to infinity stays whole
            self.check_moves(tree.children[-1], body, variable, not goal.is_nonnegative, tree)
        from_both = "+" if goal.is_infinite or (goal == 0 and variable.is_positive) else "+-"
        return sp.Limit(body, variable, goal, dir=from_both)

    def derivative(self, tree: Any) -> Expr:
        *_, body = parts = self.parts(tree)
        orders = [p for p in parts[:-1] if isinstance(p, tuple)]
        variable = next(p for p in parts if not isinstance(p, tuple))
        if len(set(orders)) > 1:
            raise self.fail("the two orders of the derivative differ", tree)
        self.check_moves(tree.children[-1], body, variable, False, tree)
        return sp.Derivative(body, (variable, orders[0][0] if orders else 1))

    def derivative_of(self, tree: Any) -> Expr:
        body, variable = self.parts(tree)
        within = next(c for c in tree.children if isinstance(c, Tree))
        self.check_moves(within, body, variable, False, tree)
        return sp.Derivative(body, variable)

    def order(self, tree: Any) -> tuple[Expr]:
        return (self.parts(tree)[0],)

    # --- Powers and functions ----------------------------------------------------------------

    def raised(self, tree: Any) -> Expr:
        def power(base: Any, exponent: Any) -> Any:
            self.check_size(exponent, tree)
            return matrix_power(base, exponent) if shape_of(base) else number_power(base, exponent)

        return self.safely(tree, power)

    def check_size(self, number: Any, tree: Any) -> None:
        """Only small numbers may be exponents or have a factorial: all of them are worked out."""
        if isinstance(number, sp.Rational) and max(abs(number.p), number.q) > _LARGEST:
            raise self.fail(f"an exponent or factorial beyond {_LARGEST} is not worked out", tree)

    def transposed(self, tree: Any) -> Expr:
        base = self.parts(tree)[0]
        if not shape_of(base):
            raise self.fail(r"only a matrix has a transpose; use \langle a, b \rangle", tree)
        return base.T

    def factorial(self, tree: Any) -> Expr:
        number = self.parts(tree)[0]
        self.check_size(number, tree)
        return sp.factorial(number)

    def root(self, tree: Any) -> Expr:
        return self.safely(tree, root)

    def number(self, tree: Any) -> Expr:
        return self.rational(tree.children[0])

    def infinity(self, tree: Any) -> Expr:
        return sp.oo

    def euler(self, tree: Any) -> Expr:
        return sp.E

    def elementary(self, tree: Any) -> Expr:
        r"""A function of one factor; \log(x)^2 is the square of \log(x), \log x^2 is refused."""
        name, operand = str(tree.children[0])[1:], tree.children[1]
        function = getattr(sp, name)
        if operand.data == "raised" and getattr(operand.children[0], "data", "") == "brackets":
            base, power = self.parts(operand)
            self.check_size(power, tree)
            return function(as_number(base)) ** power
        if operand.data == "raised" and not _is_closed(operand):
            raise self.fail("a power of the function, or of its argument? Use brackets", tree)
        return function(as_number(self.value(operand)))

    def elementary_power(self, tree: Any) -> Expr:
        r"""\tanh^2(x) is the square of \tanh(x)."""
        power, inner = self.parts(tree)
        if power == -1:
            raise self.fail("an inverse function, or one over it? Use brackets", tree)
        self.check_size(power, tree)
        return getattr(sp, str(tree.children[0])[1:])(as_number(inner)) ** power

    def applied(self, tree: Any) -> Expr:
        name, items = str(tree.children[0]), self.parts(tree)[0]
        return sp.diag(*items) if name == "diag" else TABLE[name].applied(*items)

    def word(self, tree: Any) -> Expr:
        inner = self.matrix_of(self.parts(tree)[0], tree)
        if getattr(tree.children[1], "data", "") == "raised":
            raise self.fail("a power of it, or of its argument? Use brackets", tree)
        return sp.Determinant(inner) if tree.children[0] == r"\det" else sp.Trace(inner)

    def matrix_of(self, inner: Any, tree: Any) -> Any:
        """A matrix; the identity of no size, I, has neither determinant nor trace."""
        if not shape_of(inner) or sp.sympify(inner).has(IDENTITY):
            raise self.fail(f"{inner} is no matrix of a known size", tree)
        return inner

    def modulus(self, tree: Any) -> Expr:
        inner = self.parts(tree)[0]
        if sp.sympify(inner).has(IDENTITY):
            raise self.fail(f"{inner} is no matrix of a known size", tree)
        return sp.Determinant(inner) if shape_of(inner) else sp.Abs(inner)

    def brackets(self, tree: Any) -> Expr:
        return self.parts(tree)[0]

    def entry(self, tree: Any) -> Expr:
        base, indices = self.parts(tree)
        if isinstance(base, sp.MatrixBase) or not all(map(_counts_from_1, indices)):
            raise self.fail("an entry by its number is not looked up: write the entry itself", tree)
        return base[tuple(indices)]

    def matrix(self, tree: Any) -> Expr:
        try:
            return sp.ImmutableMatrix(self.parts(tree))
        except ValueError as error:
            raise self.fail(str(error), tree) from None

    def row(self, tree: Any) -> list[Expr]:
        return self.parts(tree)

    def items(self, tree: Any) -> list[Expr]:
        if any(isinstance(c, Token) and c.type == "DOTS" for c in tree.children):
            raise self.fail("dots in a list are not read", tree)
        return self.parts(tree)

    # --- Densities, expectations, norms --------------------------------------------------------

    def density(self, tree: Any) -> Expr:
        variables, *given = self.parts(tree)
        name = sp.Symbol(str(tree.children[0]))
        return ob.Density(name, variables, given[0] if given else ())

    def events(self, tree: Any) -> list[Expr]:
        return self.parts(tree)

    def happens(self, tree: Any) -> Any:
        return sp.Eq(*self.parts(tree), evaluate=False)

    def given(self, tree: Any) -> Any:
        return self.parts(tree)[0]

    def gaussian(self, tree: Any) -> Expr:
        return ob.Gaussian(*self.parts(tree))

    def normal(self, tree: Any) -> Expr:
        return ob.Normal(*self.parts(tree))

    def drawn(self, tree: Any) -> Expr:
        return ob.Gaussian(*self.parts(tree))

    def laws(self, tree: Any) -> list[Expr]:
        return self.parts(tree)

    def law_name(self, tree: Any) -> list[Expr]:
        return [self.value(tree.children[-1])]

    def expectation(self, tree: Any) -> Expr:
        parts = self.parts(tree)
        laws = parts.pop(0) if isinstance(parts[0], list) else []
        if laws and len(parts) > 1:
            raise self.fail("what is given belongs into the law, as in E_{q(x | y)}[x]", tree)
        return ob.Expectation(laws, parts[0], parts[1] if len(parts) > 1 else [])

    def operator(self, tree: Any) -> Expr:
        items, *given = self.parts(tree)
        made = {"Var": (ob.Variance, 1), "Cov": (ob.Covariance, 2)}[str(tree.children[0])]
        if len(items) != made[1]:
            raise self.fail(f"{tree.children[0]} takes {made[1]} argument(s)", tree)
        return made[0](*items, *given)

    def kl(self, tree: Any) -> Expr:
        return ob.KL(*self.parts(tree))

    def norm(self, tree: Any) -> Expr:
        return ob.Norm(*self.parts(tree))

    def dot(self, tree: Any) -> Expr:
        return ob.Dot(*self.parts(tree))

    # --- Names -------------------------------------------------------------------------------

    def name(self, tree: Any) -> Expr:
        return self.plain(str(tree.children[0]))

    def indexed(self, tree: Any) -> Expr:
        base, index = str(tree.children[0]), tree.children[-1]
        entry = TABLE[base]
        if isinstance(index, Tree) and index.data == "span":
            first, last = self.parts(index)
            return ob.Span(entry.indexed(first), entry.indexed(last))
        indices = self.indices(index)
        if len(indices) > _most_indices(entry):
            raise self.fail(f"{base} has one index; a product in it is written 2 \\cdot t", tree)
        if entry.form == "matrix":
            return self.entry_of(entry, indices, tree)
        return entry.indexed(*indices)

    def entry_of(self, entry: Entry, indices: list[Expr], tree: Any) -> Expr:
        """An entry of a matrix; in one of known size SymPy counts, and from 0."""
        if any(index.is_Integer and index < 1 for index in indices):
            raise self.fail("the entries of a matrix are counted from 1", tree)
        assert entry.shape is not None
        known = isinstance(entry.shape[0], int)
        return entry.indexed(*(index - 1 if known else index for index in indices))

    def indices(self, tree: Any) -> list[Expr]:
        r"""P_{ij} has two indices, x_{t-1} and x_{2 \cdot t} one."""
        children = [c for c in tree.children if not (isinstance(c, Token) and c in "{},")]
        if len(children) > 1:
            return [self.value(c) for c in children]
        return self.side_by_side(children[0])

    def side_by_side(self, tree: Any) -> list[Expr]:
        """The factors of a product that is written without a sign between them."""
        if isinstance(tree, Tree) and tree.data == "multiply" and len(tree.children) == 2:
            return [*self.side_by_side(tree.children[0]), self.value(tree.children[1])]
        return [self.value(tree)]

    def index(self, tree: Any) -> list[Expr]:
        return self.indices(tree)


def _plain(name: str) -> Expr:
    if name == r"\pi":
        return sp.pi
    return TABLE[name].plain()


def _most_indices(entry: Entry) -> int:
    """A matrix has two, a column one."""
    return entry.indices if entry.shape is None or entry.shape[1] == 1 else 2


def _is_closed(tree: Any) -> bool:
    r"""Whether nobody could think that an argument goes on: (x), \frac ab, p(x), |x|."""
    data = getattr(tree, "data", "")
    if data == "raised":  # \log(x)^2 y
        return _is_in_brackets(tree.children[0])
    return data not in ("name", "indexed", "number", "infinity", "euler", "elementary", "word",
                        "factorial", "multiply")  # fmt: skip


def _begins_with_a_digit(tree: Any) -> bool:
    data = getattr(tree, "data", "")
    return data == "number" or (
        data in ("raised", "factorial", "multiply", "divide")
        and _begins_with_a_digit(tree.children[0])
    )


def _is_in_brackets(tree: Any) -> bool:
    return getattr(tree, "data", "") == "brackets"


def _counts_from_1(index: Expr) -> bool:
    """Whether an index is a letter: SymPy would count from 0."""
    return not sp.sympify(index).is_number
