r"""Random formulas of laws: expectations, divergences and densities of a Markov chain.

As in `scalars`, `RULES` are sound under the chain, `SLIPS` are not, and the judge decides.
"""

from random import Random
from typing import Any

from formulas import Node, nodes
from scalars import ALPHA, Rule, minus, rewritten, split_sum

Q, MODEL, PRIOR = "q", r"p_\theta", "p"
X0, XT = ("at", "x", ("", 0)), ("at", "x", ("T", 0))


def x(*at: Any) -> Node:
    """x_{t+k} for ("t", k), x_k for k."""
    return ("at", "x", at if len(at) == 2 else ("", at[0]))


def density(name: str, variables: Any, *given: Node) -> Node:
    """A density of one variable, or of several."""
    several = variables if isinstance(variables[0], tuple) else (variables,)
    return ("den", name, several, given)


# --- Making --------------------------------------------------------------------------------------

_TIMES = (("t", 0), ("t", 0), ("t", -1), ("t", 1), ("", 1), ("", 2), ("T", 0), ("T", -1))


def _law(r: Random) -> Node:
    """A law of q given x_0."""
    at = r.choice(_TIMES)
    now, before = x(*at), x(at[0], at[1] - 1)
    return r.choice((
        density(Q, now, X0),
        density(Q, now, X0),
        density(Q, (before, now), X0),
        density(Q, ("span", "x", ("", 1), ("T", 0)), X0),
        density(Q, now),
    ))  # fmt: skip


def _logarithm(r: Random) -> Node:
    at = r.choice(_TIMES)
    now, before = x(*at), x(at[0], at[1] - 1)
    return ("log", r.choice((
        density(Q, now, before),
        density(MODEL, before, now),
        density(Q, before, now, X0),
        density(Q, now, X0),
        density(PRIOR, XT),
        density(MODEL, X0, x(1)),
        ("div", density(Q, now, before), density(MODEL, before, now)),
    )))  # fmt: skip


def _body(r: Random, law: Node) -> Node:
    known = [v for v in law[2] if v[0] == "at"] or [x("t", 0), x(1)]
    one, other = r.choice(known), r.choice([*known, *law[3]])
    kind = r.randrange(8)
    if kind < 3:
        return _logarithm(r)
    if kind == 3:
        return ("norm2", minus(one, ("mul", ("sym", r.choice("ab")), other)))
    if kind == 4:
        return ("add", _logarithm(r), ("mul", ("sym", "a"), one))
    if kind == 5:
        return ("mul", r.choice((("sym", "c"), ("at", r"\epsilon", ("", 1)), ("sym", r"\mu"),
                                 ("at", ALPHA, ("t", 0)))), one)  # fmt: skip
    return ("fun", "f", one) if kind == 6 else ("mul", one, other)


def _step(r: Random) -> Node:
    """The divergence of a step, under a law."""
    u = r.choice((("t", 0), ("t", 0), ("", 2), ("T", 0)))
    now, before = x(*u), x(u[0], u[1] - 1)
    kl = ("KL", density(Q, before, now, X0), density(MODEL, before, now))
    return ("E", (density(Q, now, X0),), kl)


def formula(r: Random) -> Node:
    """An expectation, a divergence, a sum of some, or a density."""
    kind = r.randrange(9)
    if kind < 4:
        law = _law(r)
        return ("E", (law,), _body(r, law))
    if kind == 4:
        return _step(r)
    if kind == 5:
        now, before = x("t", 0), x("t", -1)
        kl = ("KL", density(Q, before, now, X0), density(MODEL, before, now))
        return ("sum", "t", ("", 2), ("T", 0), ("E", (density(Q, now, X0),), kl))
    if kind == 6:
        path = ("span", "x", ("", 1), ("T", 0))
        whole = ("span", "x", ("", 0), ("T", 0))
        return ("E", (density(Q, path, X0),),
                ("log", ("div", density(MODEL, whole), density(Q, path, X0))))  # fmt: skip
    if kind == 7:
        return r.choice((
            density(Q, (x("t", -1), x("t", 0)), X0),
            density(MODEL, ("span", "x", ("", 0), ("T", 0))),
            density(Q, ("span", "x", ("", 1), ("T", 0)), X0),
            density(Q, x("t", -1), x("t", 0), X0),
            density(Q, x("t", 0), x("t", -1)),
            density(PRIOR, ("span", "x", ("", 0), ("T", 0))),
        ))  # fmt: skip
    return ("KL", density(Q, XT, X0), density(PRIOR, XT))


# --- Sound rules ---------------------------------------------------------------------------------


def _linear(r: Random, n: Node) -> Node | None:
    if n[0] != "E":
        return None
    if n[2][0] == "add":
        return ("add", *(("E", n[1], part) for part in n[2][1:]))
    if n[2][0] == "mul" and n[2][1][0] == "sym" and n[2][1][1] in "abc":
        return ("mul", n[2][1], ("E", n[1], n[2][2]))
    return None


def _split_log(r: Random, n: Node) -> Node | None:
    if n[0] == "log" and n[1][0] == "div":
        return minus(("log", n[1][1]), ("log", n[1][2]))
    if n[0] == "log" and n[1][0] == "mul":
        return ("add", *(("log", part) for part in n[1][1:]))
    return None


def _whole_path(r: Random, n: Node) -> Node | None:
    """The law of some variables is a marginal of that of all."""
    if n[0] == "E" and len(n[1]) == 1 and n[1][0][3] == (X0,):
        return ("E", (density(Q, ("span", "x", ("", 1), ("T", 0)), X0),), n[2])
    return None


def _law_of_two(r: Random, n: Node) -> Node | None:
    if n[0] == "E" and len(n[1]) == 1 and len(n[1][0][2]) == 2:
        before, now = n[1][0][2]
        return ("E", (density(Q, before, *n[1][0][3]), density(Q, now, before)), n[2])
    return None


def _markov(r: Random, n: Node) -> Node | None:
    """A step of q given x_0 too, or no more; Bayes' theorem; the chain rule."""
    if n[0] != "den" or len(n[2]) != 1 or n[2][0][0] != "at":
        return None
    name, (one,), given = n[1:]
    if name == Q and len(given) == 1 and given[0] != X0 and one != X0 and _after(one, given[0]):
        return density(Q, one, given[0], X0)
    if len(given) == 2 and given[1] == X0 and name == Q:
        turned = density(Q, given[0], one) if _after(given[0], one) else None
        return turned and ("div", ("mul", turned, density(Q, one, X0)), density(Q, given[0], X0))
    if len(given) == 1 and r.random() < 0.5:
        return ("div", density(name, (one, given[0])), density(name, given[0]))
    return None


def _after(one: Node, other: Node) -> bool:
    return bool(one[2][0] == other[2][0] and one[2][1] > other[2][1])


def _chain(r: Random, n: Node) -> Node | None:
    if n[0] != "den" or n[2][0][0] != "span":
        return None
    name, (span,), given = n[1:]
    s = ("s", 0)
    if name == Q and given == (X0,) and span[2] == ("", 1):
        return ("prod", "s", ("", 1), span[3], density(Q, x(*s), x("s", -1)))
    if name == MODEL and not given and span[2] == ("", 0) and span[3] == ("T", 0):
        start = density(r.choice((PRIOR, MODEL)), XT)
        return ("mul", start, ("prod", "s", ("", 1), ("T", 0), density(MODEL, x("s", -1), x(*s))))
    return None


def _divergence(r: Random, n: Node) -> Node | None:
    if n[0] == "KL":
        return ("E", (n[1],), minus(("log", n[1]), ("log", n[2])))
    if n[0] == "E" and n[2][0] == "KL" and len(n[1]) == 1 and len(n[2][1][2]) == 1:
        law, kl = n[1][0], n[2]
        both = density(Q, (kl[1][2][0], law[2][0]), *law[3])
        return ("E", (both,), ("log", ("div", kl[1], kl[2])))
    return None


RULES: list[Rule] = [_linear, _split_log, _whole_path, _law_of_two, _markov, _markov, _chain,
                     _divergence, split_sum]  # fmt: skip


# --- Slips ---------------------------------------------------------------------------------------


def _other_variable(r: Random, n: Node) -> Node | None:
    if n[0] == "at":
        return ("at", r.choice(("x", "x", "x", r"\epsilon")), r.choice((*_TIMES, ("", 0))))
    return None


def _other_law(r: Random, n: Node) -> Node | None:
    if n[0] != "den":
        return None
    change = r.randrange(4)
    if change == 0:
        return ("den", r.choice((Q, MODEL, PRIOR)), *n[2:])
    if change == 1:
        return (*n[:3], n[3][1:])
    if change == 2:
        return (*n[:3], (*n[3], r.choice((X0, x("t", 1), x(1)))))
    return ("den", n[1], n[3], n[2]) if n[3] else None


def _other_shape(r: Random, n: Node) -> Node | None:
    if n[0] == "KL":
        return ("KL", n[2], n[1])
    if n[0] == "E":
        return r.choice((n[2], ("E", n[1], ("neg", n[2])), ("E", n[1][:1], n[2]),
                         ("mul", ("sym", "a"), n)))  # fmt: skip
    if n[0] in ("add", "mul"):
        return r.choice(n[1:])
    if n[0] == "neg":
        return n[1]
    if n[0] in ("sum", "prod"):
        return (*n[:2], (n[2][0], n[2][1] + r.choice((1, -1))), *n[3:])
    return None


SLIPS: list[Rule] = [_other_variable, _other_variable, _other_law, _other_shape]


def pair(r: Random) -> tuple[Node, Node]:
    """A formula and another: rewritten, or rewritten and with a slip."""
    one = formula(r)
    other = rewritten(r, one, RULES, r.choice((1, 1, 2, 3)), _fits)
    if r.random() < 0.55:
        other = rewritten(r, other, SLIPS, 1, _fits)
    return one, other


def _fits(node: Node) -> bool:
    """Whether laws and the two sides of a divergence are still densities of variables."""
    for _, part in nodes(node):
        if part[0] == "E" and any(law[0] != "den" for law in part[1]):
            return False
        if part[0] == "KL" and any(side[0] != "den" for side in part[1:]):
            return False
        if part[0] == "den" and any(v[0] not in ("at", "span") for v in (*part[2], *part[3])):
            return False
        if part[0] == "den" and any(v[1] != "x" for v in (*part[2], *part[3])):
            return False
    return True
