"""The judge: works formulas out in numbers and says whether two are equal. It knows no algebra.

Symbols get random values of 40 digits, families of numbers one for each index, laws the tables of
random Markov chains of five variables with two states. Sums, products and expectations are added up
term by term; derivatives, integrals and limits are taken numerically. Two formulas are equal if
they agree under several such choices. Nothing of the engine that is judged is used.
"""

import random
from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any

import mpmath as mp
from formulas import Node

DIGITS = 40
CHOICES = 3
"""How many random choices two formulas must agree under."""
COORDINATES = 2
STATES, LAST = 2, 4
"""States of each variable of a chain x_0, ..., x_T with T = LAST."""
POSITIVE = {r"\sigma", "A", "v", "r", r"\kappa", "h", r"\tilde{\beta}", r"\mathrm{SNR}"}
UNIT = {r"\alpha", r"\delta"}
MATRIX_SIDE = 2


class UndefinedError(Exception):
    """The formula has no value here: 1/0, a variable that does not exist, a law that is none."""


class World:
    """One random choice of everything."""

    def __init__(self, seed: str, choice: int, laws: bool):
        """The same seed, the same world; with laws, t lies between 2 and T - 1 = 3."""
        self.seed = f"{seed} {choice}"
        self.values: dict[Any, Any] = {}
        t, last = (2 + choice % 2, LAST) if laws else (3 + choice % 3, 6 + choice % 3)
        self.whole = {"t": t, "T": last, "k": 2 + choice % 2, "n": 3 + choice % 3}
        self.whole["s"] = 1 + (t + choice % 2) % 3
        self.tables = _chains(random.Random(self.seed + "chains"))
        self.marginals: dict[Any, float] = {}

    def number(self, key: Any, kind: str) -> Any:
        """A random value: the same for the same key, whenever it is asked for."""
        if key not in self.values:
            draw = random.Random(f"{self.seed} {key}")
            u = mp.mpf(draw.getrandbits(130)) / mp.mpf(2) ** 130
            sign = 1 if kind == "positive" or draw.random() < 0.5 else -1
            self.values[key] = u * mp.mpf("0.8") + mp.mpf("0.1") if kind == "unit" else sign * (
                mp.mpf("0.3") + 2 * u)  # fmt: skip
        return self.values[key]

    def index(self, at: tuple[str, int], inner: dict[str, int]) -> int:
        """The whole number that an index stands for."""
        symbol, shift = at
        if not symbol:
            return shift
        return (inner[symbol] if symbol in inner else self.whole[symbol]) + shift


def _chains(draw: random.Random) -> dict[str, dict[tuple[int, ...], float]]:
    """Random laws of x_0, ..., x_4; the two that are called p start at one law of x_4."""
    q = _chain([_law(draw)], [[_law(draw) for _ in range(STATES)] for _ in range(LAST)])
    start = _law(draw)
    model = _chain([start], [[_law(draw) for _ in range(STATES)] for _ in range(LAST)])
    other = _chain([start], [[_law(draw) for _ in range(STATES)] for _ in range(LAST)])
    back = {name: {path[::-1]: w for path, w in law.items()}
            for name, law in ((r"p_\theta", model), ("p", other))}  # fmt: skip
    return {"q": q, **back}


def _law(draw: random.Random) -> list[float]:
    weights = [draw.uniform(0.2, 1) for _ in range(STATES)]
    return [w / sum(weights) for w in weights]


def _chain(start: Any, steps: Any) -> dict[tuple[int, ...], float]:
    law = {}
    for path in product(range(STATES), repeat=LAST + 1):
        pairs = zip(steps, path, path[1:], strict=False)
        law[path] = start[0][path[0]] * prod(step[a][b] for step, a, b in pairs)
    return law


def agree(one: Node, other: Node, seed: str, digits: int = 22) -> bool | None:
    """Whether two formulas are equal; None where they have no value under any choice."""
    seen, laws = 0, _has_laws(one) or _has_laws(other)
    with mp.workdps(DIGITS):
        for choice in range(4 * CHOICES):
            try:
                pair = _values(one, other, World(seed, choice, laws))
            except (UndefinedError, ZeroDivisionError, ValueError, OverflowError):
                continue
            seen += 1
            if not all(_near(a, b, digits) for a, b in pair):
                return False
            if seen == CHOICES:
                break
    return True if seen else None


def _near(a: Any, b: Any, digits: int) -> bool:
    if isinstance(a, mp.matrix) or isinstance(b, mp.matrix):
        same = isinstance(a, mp.matrix) and isinstance(b, mp.matrix)
        same = same and (a.rows, a.cols) == (b.rows, b.cols)
        return same and all(_near(x, y, digits) for x, y in zip(a, b, strict=True))
    return bool(abs(a - b) <= mp.mpf(10) ** -digits * (1 + abs(a) + abs(b)))


def _values(one: Node, other: Node, world: World) -> list[tuple[Any, Any]]:
    """Both sides under one choice; with laws, for all states of what is free in them."""
    free = sorted(free_variables(one, world, {}) | free_variables(other, world, {}))
    if any(not 0 <= place <= LAST for place in free):
        raise UndefinedError
    both = []
    for states in product(range(STATES), repeat=len(free)):
        scope = Scope(world, {}, dict(zip(free, states, strict=True)))
        both.append((scope.value(one), scope.value(other)))
    return both


def free_variables(node: Any, world: World, inner: dict[str, int]) -> set[int]:
    """The places in the chain of the variables that are free, in formulas with laws."""
    if not _has_laws(node):
        return set()
    return _free(node, world, inner)


def _has_laws(node: Any) -> bool:
    if isinstance(node, tuple):
        return (bool(node) and node[0] in ("E", "KL", "den")) or any(map(_has_laws, node))
    return False


def _free(node: Any, world: World, inner: dict[str, int]) -> set[int]:
    kind = node[0]
    if kind == "at" and node[1] == "x":
        return {world.index(node[2], inner)}
    if kind == "span":
        return set(range(world.index(node[2], inner), world.index(node[3], inner) + 1))
    if kind in ("sum", "prod"):
        found: set[int] = set()
        for k in range(world.index(node[2], inner), world.index(node[3], inner) + 1):
            found |= _free(node[4], world, {**inner, node[1]: k})
        return found
    if kind == "E":
        bound = set().union(*(_all(v, world, inner) for law in node[1] for v in law[2]))
        inside = _free(node[2], world, inner)
        return (inside | set().union(*(_free(law, world, inner) for law in node[1]))) - bound
    if kind == "KL":
        bound = set().union(*(_all(v, world, inner) for v in node[1][2]))
        return (_free(node[1], world, inner) | _free(node[2], world, inner)) - bound
    parts = (p for part in node[1:] for p in (part if _is_list(part) else (part,)))
    return set().union(*(_free(p, world, inner) for p in parts if _is_tree(p)))


def _all(variable: Node, world: World, inner: dict[str, int]) -> set[int]:
    return _free(variable, world, inner)


def _is_list(part: Any) -> bool:
    return isinstance(part, tuple) and (not part or isinstance(part[0], tuple))


def _is_tree(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and isinstance(part[0], str) and len(part) > 1


class Scope:
    """Values within sums, integrals and expectations."""

    def __init__(self, world: World, inner: dict[str, int], states: dict[int, int],
                 put: dict[Any, Any] | None = None):  # fmt: skip
        """`inner`: running indices; `states`: of the variables of the chain; `put`: integrals'."""
        self.world, self.inner, self.states, self.put = world, inner, states, put or {}

    def value(self, node: Node, c: int = 0) -> Any:
        """The number of a formula; of its coordinate c where it is a vector."""
        found: Any = getattr(self, "_" + node[0])(c, *node[1:])
        return found

    def _with(self, **changes: Any) -> "Scope":
        parts = {"inner": self.inner, "states": self.states, "put": self.put, **changes}
        return Scope(self.world, parts["inner"], parts["states"], parts["put"])

    # --- Atoms -------------------------------------------------------------------------------

    def _num(self, c: int, p: int, q: int) -> Any:
        return mp.mpf(p) / q

    def _sym(self, c: int, name: str) -> Any:
        if name in self.put:
            return self.put[name]
        if name in self.inner or name in self.world.whole:
            return mp.mpf(self.world.index((name, 0), self.inner))
        if name == "d":
            return mp.mpf(COORDINATES)
        if name == r"\pi":
            return +mp.pi
        if self.states and name in ("x", r"\epsilon", r"\mu", "y"):
            return self._random(c, name)
        return self.world.number((name, c if _is_vector(name) else 0), _kind(name))

    def _random(self, c: int, name: Any) -> Any:
        """What may depend on all that has a state here."""
        known = tuple(sorted(self.states.items()))
        return self.world.number((name, c, known), "real")

    def _at(self, c: int, name: str, at: Any) -> Any:
        k = self.world.index(at, self.inner)
        if (name, k) in self.put:
            return self.put[name, k]
        if name == r"\bar{\alpha}":
            return mp.fprod(self._at(c, r"\alpha", ("", j)) for j in _from_one(k))
        if name == r"\beta":
            return 1 - self._at(c, r"\alpha", at)
        if name == "x" and k in self.states:
            return self.world.number((name, k, self.states[k], c), "real")
        if self.states and name in (r"\epsilon", r"\tilde{\mu}", r"\hat{x}"):
            return self._random(c, (name, k))
        return self.world.number((name, k, c if _is_vector(name) else 0), _kind(name))

    # --- Arithmetic --------------------------------------------------------------------------

    def _add(self, c: int, *parts: Node) -> Any:
        return mp.fsum(self.value(p, c) for p in parts)

    def _mul(self, c: int, *parts: Node) -> Any:
        return mp.fprod(self.value(p, c) for p in parts)

    def _neg(self, c: int, a: Node) -> Any:
        return -self.value(a, c)

    def _div(self, c: int, a: Node, b: Node) -> Any:
        return self.value(a, c) / _not_zero(self.value(b, c))

    def _pow(self, c: int, a: Node, n: int) -> Any:
        base = self.value(a, c)
        return (_not_zero(base) if n < 0 else base) ** n

    def _sqrt(self, c: int, a: Node) -> Any:
        return mp.sqrt(_no_rounded_zero(self.value(a, c)))

    def _log(self, c: int, a: Node) -> Any:
        return mp.log(_not_zero(self.value(a, c)))

    def _exp(self, c: int, a: Node) -> Any:
        return mp.exp(_small(self.value(a, c)))

    def _tanh(self, c: int, a: Node) -> Any:
        return mp.tanh(_small(self.value(a, c)))

    def _sin(self, c: int, a: Node) -> Any:
        return mp.sin(_small(self.value(a, c)))

    def _cos(self, c: int, a: Node) -> Any:
        return mp.cos(_small(self.value(a, c)))

    def _abs(self, c: int, a: Node) -> Any:
        return abs(self.value(a, c))

    def _fun(self, c: int, name: str, a: Node) -> Any:
        """Any function: a polynomial of its argument with random coefficients."""
        x = self.value(a, c)
        return mp.polyval([self.world.number((name, k), "real") for k in range(4)], x)

    def _terms(self, s: str, low: Any, high: Any, body: Node, c: int) -> Iterator[Any]:
        first, last = (self.world.index(end, self.inner) for end in (low, high))
        if last < first - 1:
            raise UndefinedError
        for k in range(first, last + 1):
            yield self._with(inner={**self.inner, s: k}).value(body, c)

    def _sum(self, c: int, s: str, low: Any, high: Any, body: Node) -> Any:
        return mp.fsum(self._terms(s, low, high, body, c))

    def _prod(self, c: int, s: str, low: Any, high: Any, body: Node) -> Any:
        return mp.fprod(self._terms(s, low, high, body, c))

    # --- Vectors and densities ---------------------------------------------------------------

    def _norm2(self, c: int, a: Node) -> Any:
        return mp.fsum(self.value(a, k) ** 2 for k in range(COORDINATES))

    def _dot(self, c: int, a: Node, b: Node) -> Any:
        return mp.fsum(self.value(a, k) * self.value(b, k) for k in range(COORDINATES))

    def _normal(self, c: int, x: Node, mean: Node, v: Node, kind: str) -> Any:
        places = range(COORDINATES) if kind == "I" else (c,)
        found = mp.mpf(1)
        for k in places:
            width = self.value(v, k)
            if isinstance(width, mp.mpc) or width <= 0:
                raise UndefinedError
            away = self.value(x, k) - self.value(mean, k)
            found *= mp.exp(_small(-(away**2) / (2 * width))) / mp.sqrt(2 * mp.pi * width)
        return found

    # --- Calculus ----------------------------------------------------------------------------

    def _function(self, variable: Node, body: Node, c: int) -> tuple[Callable[[Any], Any], Any]:
        key = variable[1]
        if variable[0] == "at":
            key = (variable[1], self.world.index(variable[2], self.inner))
        here = self.value(variable, c)
        return lambda u: self._with(put={**self.put, key: u}).value(body, c), here

    def _der(self, c: int, variable: Node, body: Node) -> Any:
        f, here = self._function(variable, body, c)
        with mp.workdps(2 * DIGITS):
            step = mp.mpf(10) ** -20
            return (f(here + step) - f(here - step)) / (2 * step)

    def _int(self, c: int, variable: Node, low: Node, high: Node, body: Node) -> Any:
        f, _ = self._function(variable, body, c)
        first, last = self.value(low, c), self.value(high, c)
        if isinstance(first, mp.mpc) or isinstance(last, mp.mpc):
            raise UndefinedError
        kink = [mp.mpf(0)] if first * last < 0 else []
        return mp.quad(f, [first, *kink, last], maxdegree=5)

    def _lim(self, c: int, variable: Node, body: Node) -> Any:
        f, _ = self._function(variable, body, c)
        with mp.workdps(3 * DIGITS):
            step = mp.mpf(10) ** -30
            right = f(step)
            if variable[1] not in POSITIVE and abs(right - f(-step)) > 1e-15:
                raise UndefinedError
            if abs(right - f(step / 1024)) > 1e-15:
                raise UndefinedError
            return right

    # --- Laws --------------------------------------------------------------------------------

    def _den(self, c: int, name: str, variables: Any, given: Any) -> Any:
        new, known = (self._places(part) for part in (variables, given))
        if len(set(new)) < len(new) or len(set(known)) < len(known) or set(new) & set(known):
            raise UndefinedError
        return self._marginal(name, {*new, *known}) / self._marginal(name, set(known))

    def _places(self, variables: Any) -> list[int]:
        found = []
        for variable in variables:
            if variable[0] == "span":
                low, high = (self.world.index(end, self.inner) for end in variable[2:])
                found += list(range(low, high + 1))
            else:
                found.append(self.world.index(variable[2], self.inner))
        if not all(0 <= place <= LAST for place in found):
            raise UndefinedError
        return found

    def _marginal(self, name: str, places: set[int]) -> Any:
        if not places <= set(self.states):
            raise UndefinedError
        at = tuple(sorted((place, self.states[place]) for place in places))
        if (name, at) not in self.world.marginals:
            law = self.world.tables[name]
            fitting = (w for path, w in law.items() if all(path[k] == s for k, s in at))
            self.world.marginals[name, at] = sum(fitting)
        return mp.mpf(self.world.marginals[name, at])

    def _E(self, c: int, laws: Any, body: Node) -> Any:
        new = [place for law in laws for place in self._places(law[2])]
        if len(set(new)) < len(new):
            raise UndefinedError
        return self._mean(c, new, lambda scope: (
            mp.fprod(scope.value(law) for law in laws), scope.value(body, c)))  # fmt: skip

    def _mean(self, c: int, places: list[int], of: Any) -> Any:
        total = mp.mpf(0)
        for states in product(range(STATES), repeat=len(places)):
            here = {**self.states, **dict(zip(places, states, strict=True))}
            weight, value = of(self._with(states=here))
            total += weight * value
        return total

    def _KL(self, c: int, q: Node, p: Node) -> Any:
        if sorted(self._places(q[2])) != sorted(self._places(p[2])):
            raise UndefinedError
        return self._mean(c, self._places(q[2]), lambda scope: (
            scope.value(q), mp.log(scope.value(q) / scope.value(p))))  # fmt: skip

    # --- Matrices ----------------------------------------------------------------------------

    def _mat(self, c: int, rows: Any) -> Any:
        return mp.matrix([[self.value(entry, c) for entry in row] for row in rows])

    def _msym(self, c: int, name: str) -> Any:
        side = range(MATRIX_SIDE)
        return mp.matrix([[self.world.number((name, i, j), "real") for j in side] for i in side])

    def _mmul(self, c: int, a: Node, b: Node) -> Any:
        return self.value(a, c) * self.value(b, c)

    def _madd(self, c: int, a: Node, b: Node) -> Any:
        return self.value(a, c) + self.value(b, c)

    def _smul(self, c: int, number: Node, a: Node) -> Any:
        return self.value(number, c) * self.value(a, c)

    def _transpose(self, c: int, a: Node) -> Any:
        return self.value(a, c).T

    def _inv(self, c: int, a: Node) -> Any:
        return self.value(a, c) ** -1

    def _det(self, c: int, a: Node) -> Any:
        return mp.det(self.value(a, c))

    def _tr(self, c: int, a: Node) -> Any:
        matrix = self.value(a, c)
        return mp.fsum(matrix[k, k] for k in range(matrix.rows))


def _kind(name: str) -> str:
    return "unit" if name in UNIT else "positive" if name in POSITIVE else "real"


def _is_vector(name: str) -> bool:
    """Families and symbols that have coordinates."""
    return name in ("x", "z", "B", r"\epsilon", r"\mu", r"\tilde{\mu}", r"\hat{x}", "y")


def _from_one(k: int) -> range:
    if k < 0:
        raise UndefinedError
    return range(1, k + 1)


def _not_zero(value: Any) -> Any:
    if abs(value) < mp.mpf(10) ** -25:
        raise UndefinedError
    return value


def _no_rounded_zero(value: Any) -> Any:
    """The number, if rounding cannot have made it from 0: its root would be far from 0 then."""
    if 0 < abs(value) < mp.mpf(10) ** -(DIGITS - 5):
        raise UndefinedError
    return value


def _small(value: Any) -> Any:
    if abs(value) > 10_000:
        raise UndefinedError
    return value
