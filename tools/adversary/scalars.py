r"""Random formulas of numbers, sums, densities, norms, matrices and calculus; rules that keep them.

`RULES` are sound, so that a formula and its rewriting are a true pair. `SLIPS` are what people do
wrong. Neither is believed: the judge decides about every pair.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from formulas import Node, nodes, renamed, replaced

Rule = Callable[[Random, Node], Node | None]
ONE, TWO, HALF, ZERO = ("num", 1, 1), ("num", 2, 1), ("num", 1, 2), ("num", 0, 1)
ALPHA, BETA, ALPHA_BAR = r"\alpha", r"\beta", r"\bar{\alpha}"
FREE = [("t", 0), ("t", 0), ("t", -1), ("t", 1), ("s", 0), ("", 1), ("", 2)]
POSITIVE_SYMBOLS = (r"\sigma", "v", "A")
REAL_SYMBOLS = ("a", "b", "c", r"\mu", "x", "y", "z")


def minus(a: Node, b: Node) -> Node:
    """The difference a - b."""
    return ("add", a, ("neg", b))


# --- Making --------------------------------------------------------------------------------------


def number(r: Random, depth: int, run: str = "") -> Node:
    """A random formula of a number; `run` is the index of the sum that it stands in."""
    if depth <= 0:
        return atom(r, run)
    kind = r.choices(list(_MAKERS), [w for w, _ in _MAKERS.values()])[0]
    return _MAKERS[kind][1](r, depth - 1, run)


def atom(r: Random, run: str = "") -> Node:
    """A symbol, an element of a family, or a small number."""
    at = (run, r.choice((0, 0, -1))) if run and r.random() < 0.7 else r.choice(FREE)
    kind = r.random()
    if kind < 0.4:
        return ("at", r.choice((ALPHA, BETA, ALPHA_BAR, ALPHA_BAR)), at)
    if kind < 0.55:
        return ("at", r.choice(("x", "x", r"\epsilon", r"\mu")), at)
    if kind < 0.7:
        return ("num", r.choice((1, 1, 2, 3)), r.choice((1, 1, 1, 2)))
    return ("sym", r.choice(REAL_SYMBOLS + POSITIVE_SYMBOLS + ("t",)))


def positive(r: Random, depth: int, run: str = "") -> Node:
    """A formula that is positive, and seen to be."""
    at = (run, 0) if run else r.choice(FREE)
    kind = r.randrange(7 if depth > 0 else 4)
    if kind < 2:
        return ("at", r.choice((ALPHA, BETA, ALPHA_BAR)), at)
    if kind == 2:
        return ("sym", r.choice(POSITIVE_SYMBOLS))
    if kind == 3:
        return minus(ONE, ("at", ALPHA_BAR, (at[0], max(at[1], 1) if not at[0] else at[1])))
    if kind == 4:
        return ("exp", atom(r, run))
    joined = r.choice(("mul", "div", "mul"))
    return (joined, positive(r, depth - 1, run), positive(r, depth - 1, run))


def _series(kind: str) -> Any:
    def make(r: Random, depth: int, run: str) -> Node:
        new = "k" if run != "k" else "i"
        high = r.choice((("t", 0), ("T", 0), ("n", 0), ("t", -1)))
        body = number(r, min(depth, 1), new) if kind == "sum" else positive(r, min(depth, 1), new)
        return (kind, new, ("", r.choice((1, 1, 2))), high, body)

    return make


def _normal(r: Random, depth: int, run: str) -> Node:
    at = (run, 0) if run else ("t", 0)
    mean = r.choice((ZERO, ("sym", r"\mu"), ("mul", ("sqrt", ("at", ALPHA, at)), ("sym", "a"))))
    return ("normal", ("at", "x", at), mean, positive(r, 0, run), r.choice(("", "I")))


def _vector(r: Random) -> Node:
    one = ("at", "x", r.choice((("t", 0), ("", 0))))
    other = ("at", r.choice(("x", r"\epsilon")), r.choice((("t", -1), ("", 0))))
    scaled = ("mul", r.choice((("sym", "a"), ("sqrt", ("at", ALPHA, ("t", 0))))), other)
    return r.choice((one, minus(one, scaled), ("add", one, other), scaled))


_MAKERS: dict[str, tuple[float, Any]] = {
    "add": (3, lambda r, d, s: ("add", number(r, d, s), number(r, d, s))),
    "minus": (2, lambda r, d, s: minus(number(r, d, s), number(r, d, s))),
    "mul": (4, lambda r, d, s: ("mul", number(r, d, s), number(r, d, s))),
    "div": (2, lambda r, d, s: ("div", number(r, d, s), positive(r, d, s))),
    "pow": (1, lambda r, d, s: ("pow", number(r, d, s), r.choice((2, 2, 3)))),
    "sqrt": (2, lambda r, d, s: ("sqrt", positive(r, d, s))),
    "root": (0.5, lambda r, d, s: ("sqrt", ("pow", number(r, d, s), 2))),
    "log": (1.5, lambda r, d, s: ("log", positive(r, d, s))),
    "log2": (0.4, lambda r, d, s: ("log", ("pow", atom(r, s), 2))),
    "exp": (0.7, lambda r, d, s: ("exp", number(r, min(d, 1), s))),
    "tanh": (0.3, lambda r, d, s: (r.choice(("tanh", "sin", "cos")), number(r, min(d, 1), s))),
    "abs": (0.4, lambda r, d, s: ("abs", number(r, min(d, 1), s))),
    "fun": (0.4, lambda r, d, s: ("fun", r.choice(("f", "g")), number(r, min(d, 1), s))),
    "sum": (1.5, _series("sum")),
    "prod": (0.8, _series("prod")),
    "normal": (0.7, _normal),
    "norm2": (0.7, lambda r, d, s: ("norm2", _vector(r))),
    "dot": (0.5, lambda r, d, s: ("dot", _vector(r), _vector(r))),
}


def calculus(r: Random) -> Node:
    """A derivative, an integral or a limit."""
    x = ("sym", r.choice(("x", "u", r"\sigma")))
    u = ("add", ("mul", ("sym", "a"), ("pow", x, 2)), ("mul", ("num", r.randint(1, 3), 1), x))
    bodies = [u, ("exp", ("mul", ("sym", "a"), x)), ("mul", x, ("sym", "b")), ("pow", x, 3),
              ("mul", x, ("at", r"\epsilon", ("t", 0))),
              ("mul", ("at", ALPHA, ("t", 0)), ("pow", x, 2)),
              ("abs", x), ("sin", ("mul", TWO, x))]  # fmt: skip
    body = r.choice(bodies)
    kind = r.randrange(3)
    if kind == 0:
        return ("der", x, r.choice((body, ("log", ("add", ONE, ("pow", x, 2))))))
    if kind == 1:
        return ("int", x, r.choice((ZERO, ONE, ("num", -1, 1))), TWO, body)
    h = ("sym", r.choice(("h", "u")))
    moved = ("div", minus(("pow", ("add", ("sym", "x"), h), 2), ("pow", ("sym", "x"), 2)), h)
    return ("lim", h, r.choice((moved, ("div", ("abs", h), h), ("div", minus(("exp", h), ONE), h))))


def matrix(r: Random, depth: int = 2) -> Node:
    """A random matrix, explicit or of symbols only."""
    return _matrix(r, depth, r.random() < 0.5)


def _matrix(r: Random, depth: int, explicit: bool) -> Node:
    if depth <= 0:
        if not explicit:
            return ("msym", r.choice((r"\Sigma", "L", "M", "Q")))
        return ("mat", tuple(tuple(atom(r) for _ in range(2)) for _ in range(2)))
    kind = r.choice(("mmul", "mmul", "madd", "transpose", "smul", "inv"))
    if kind in ("mmul", "madd"):
        return (kind, _matrix(r, depth - 1, explicit), _matrix(r, depth - 1, explicit))
    if kind == "smul":
        return ("smul", ("sym", r.choice(("a", "b"))), _matrix(r, depth - 1, explicit))
    if kind == "inv" and explicit:
        return ("transpose", _matrix(r, depth - 1, explicit))
    return (kind, _matrix(r, depth - 1, explicit))


# --- Sound rules ---------------------------------------------------------------------------------


def is_positive(node: Node) -> bool:
    """Whether a formula of `positive` surely is."""
    kind, *parts = node
    if kind in ("exp", "normal"):
        return True
    if kind == "num":
        return bool(parts[0] > 0)
    if kind == "sym":
        return parts[0] in POSITIVE_SYMBOLS
    if kind == "at":
        return parts[0] in (ALPHA, BETA, ALPHA_BAR)
    if kind == "add" and parts[0] == ONE and parts[1][0] == "neg":
        return parts[1][1][0] == "at" and parts[1][1][1] == ALPHA_BAR
    return kind in ("mul", "div", "sqrt", "add") and all(map(is_positive, parts))


def _commute(r: Random, n: Node) -> Node | None:
    return (n[0], *reversed(n[1:])) if n[0] in ("add", "mul") else None


def _distribute(r: Random, n: Node) -> Node | None:
    if n[0] == "mul" and len(n) == 3 and n[2][0] == "add":
        return ("add", *(("mul", n[1], part) for part in n[2][1:]))
    return None


def _square(r: Random, n: Node) -> Node | None:
    if n[0] != "pow" or n[2] != 2:
        return None
    if n[1][0] == "add" and len(n[1]) == 3:
        a, b = n[1][1:]
        return ("add", ("pow", a, 2), ("mul", TWO, a, b), ("pow", b, 2))
    return ("mul", n[1], n[1])


def _add_and_take(r: Random, n: Node) -> Node | None:
    if not _is_number(n):
        return None
    a = atom(r)
    return ("add", n, a, ("neg", a))


def _times_one(r: Random, n: Node) -> Node | None:
    if not _is_number(n):
        return None
    a = positive(r, 0)
    return ("div", ("mul", a, n), a)


def _definition(r: Random, n: Node) -> Node | None:
    if n[0] != "at":
        return None
    name, (symbol, shift) = n[1:]
    if name == BETA:
        return minus(ONE, ("at", ALPHA, n[2]))
    if name == ALPHA:
        return minus(ONE, ("at", BETA, n[2]))
    if name == ALPHA_BAR and (symbol or shift > 0):
        if r.random() < 0.3:
            return ("prod", "j", ("", 1), n[2], ("at", ALPHA, ("j", 0)))
        return ("mul", n[:2] + ((symbol, shift - 1),), ("at", ALPHA, n[2]))
    return None


def _split_root(r: Random, n: Node) -> Node | None:
    if n[0] not in ("sqrt", "log") or n[1][0] not in ("mul", "div") or not is_positive(n[1]):
        return None
    a, b = n[1][1], n[1][2]
    rest = [(n[0], p) for p in n[1][3:]]
    if n[0] == "sqrt":
        return (n[1][0], ("sqrt", a), ("sqrt", b), *rest)
    second = ("log", b) if n[1][0] == "mul" else ("neg", ("log", b))
    return ("add", ("log", a), second, *rest)


def _power_of_root(r: Random, n: Node) -> Node | None:
    return ("pow", ("sqrt", n), 2) if is_positive(n) else None


def _log_of_exp(r: Random, n: Node) -> Node | None:
    return ("log", ("exp", n)) if _is_number(n) and n[0] in ("at", "sym", "num") else None


def _exp_of_sum(r: Random, n: Node) -> Node | None:
    if n[0] == "exp" and n[1][0] == "add":
        return ("mul", *(("exp", part) for part in n[1][1:]))
    return None


def _root_of_square(r: Random, n: Node) -> Node | None:
    if n[0] == "sqrt" and n[1][0] == "pow" and n[1][2] == 2:
        return ("abs", n[1][1])
    return None


def split_sum(r: Random, n: Node) -> Node | None:
    """The first or the last term of a sum or product by itself."""
    if n[0] not in ("sum", "prod"):
        return None
    kind, s, low, high, body = n
    join = "add" if kind == "sum" else "mul"
    if r.random() < 0.5:
        last = renamed(body, s, high)
        return (join, (kind, s, low, (high[0], high[1] - 1), body), last)
    return (join, renamed(body, s, low), (kind, s, (low[0], low[1] + 1), high, body))


def _shift_sum(r: Random, n: Node) -> Node | None:
    if n[0] not in ("sum", "prod"):
        return None
    kind, s, low, high, body = n
    new = r.choice("ijkm")
    if new != s and any(new in text for _, part in nodes(body) for text in _texts(part)):
        return None
    k = r.choice((0, 1, -1))
    moved = renamed(body, s, (new, k))
    if ("sym", s) in [part for _, part in nodes(body)]:
        return None
    return (kind, new, (low[0], low[1] - k), (high[0], high[1] - k), moved)


def _texts(node: Node) -> list[str]:
    found = [node[1]] if node[0] in ("sum", "prod") else []
    found += [p[0] for p in node[1:] if isinstance(p, tuple) and len(p) == 2
              and isinstance(p[0], str)]  # fmt: skip
    return found


def _sum_of_parts(r: Random, n: Node) -> Node | None:
    if n[0] == "sum" and n[4][0] == "add":
        return ("add", *(n[:4] + (part,) for part in n[4][1:]))
    return None


def _log_of_product(r: Random, n: Node) -> Node | None:
    if n[0] == "log" and n[1][0] == "prod" and is_positive(n[1][4]):
        return ("sum", *n[1][1:4], ("log", n[1][4]))
    return None


def _write_normal(r: Random, n: Node) -> Node | None:
    if n[0] != "normal":
        return None
    x, mean, v, kind = n[1:]
    away = minus(x, mean)
    if kind == "I":
        size = ("neg", ("mul", ("div", ("sym", "d"), TWO),
                        ("log", ("mul", TWO, ("sym", r"\pi"), v))))  # fmt: skip
        return ("exp", minus(size, ("div", ("norm2", away), ("mul", TWO, v))))
    return ("div", ("exp", ("neg", ("div", ("pow", away, 2), ("mul", TWO, v)))),
            ("sqrt", ("mul", TWO, ("sym", r"\pi"), v)))  # fmt: skip


def _expand_norm(r: Random, n: Node) -> Node | None:
    if n[0] == "norm2":
        return ("dot", n[1], n[1])
    if n[0] == "dot" and n[1][0] == "add":
        return ("add", *(("dot", part, n[2]) for part in n[1][1:]))
    if n[0] == "dot" and n[1][0] == "neg":
        return ("neg", ("dot", n[1][1], n[2]))
    if n[0] == "dot" and n[1][0] == "mul":
        return ("mul", n[1][1], ("dot", n[1][2], n[2]))
    return ("dot", n[2], n[1]) if n[0] == "dot" else None


def _differentiate(r: Random, n: Node) -> Node | None:
    return _slope(n[2], n[1]) if n[0] == "der" else None


def _slope(n: Node, x: Node) -> Node | None:
    """The derivative of a small formula by the rules of school."""
    if n == x:
        return ONE
    if n[0] in ("num", "sym", "at"):
        return ZERO
    parts = [_slope(p, x) for p in n[1:] if isinstance(p, tuple)]
    if None in parts:
        return None
    if n[0] == "add":
        return ("add", *parts)
    if n[0] == "mul" and len(n) == 3:
        return ("add", ("mul", parts[0], n[2]), ("mul", n[1], parts[1]))
    inner = parts[0] if parts else ONE
    rules: dict[str, Callable[[], Node]] = {
        "pow": lambda: ("mul", ("num", n[2], 1), ("pow", n[1], n[2] - 1)),
        "exp": lambda: n,
        "log": lambda: ("div", ONE, n[1]),
        "sin": lambda: ("cos", n[1]),
        "neg": lambda: ("num", -1, 1),
    }
    outer = rules.get(n[0])
    return ("mul", outer(), inner) if outer else None


def _integrate(r: Random, n: Node) -> Node | None:
    if n[0] != "int":
        return None
    if r.random() < 0.4 and n[4][0] == "add":
        return ("add", *(n[:4] + (part,) for part in n[4][1:]))
    return ("add", n[:3] + (ONE, n[4]), ("int", n[1], ONE, n[3], n[4]))


def _take_limit(r: Random, n: Node) -> Node | None:
    if n[0] != "lim" or n[2][0] != "div" or n[2][1][0] == "abs":
        return None
    return ONE if n[2][1][1][0] == "exp" else ("mul", TWO, ("sym", "x"))


def _matrices(r: Random, n: Node) -> Node | None:
    kind = n[0]
    if kind == "transpose" and n[1][0] == "mmul":
        return ("mmul", ("transpose", n[1][2]), ("transpose", n[1][1]))
    if kind == "transpose" and n[1][0] == "madd":
        return ("madd", ("transpose", n[1][1]), ("transpose", n[1][2]))
    if kind == "transpose" and n[1][0] == "transpose":
        return n[1][1]
    if kind == "mmul" and n[2][0] == "madd":
        return ("madd", ("mmul", n[1], n[2][1]), ("mmul", n[1], n[2][2]))
    if kind == "mmul" and n[1][0] == "mmul":
        return ("mmul", n[1][1], ("mmul", n[1][2], n[2]))
    if kind == "mmul" and n[1][0] == "smul":
        return ("smul", n[1][1], ("mmul", n[1][2], n[2]))
    if kind == "inv" and n[1][0] == "mmul":
        return ("mmul", ("inv", n[1][2]), ("inv", n[1][1]))
    if kind == "madd":
        return ("madd", n[2], n[1])
    if kind == "det" and n[1][0] == "mmul":
        return ("mul", ("det", n[1][1]), ("det", n[1][2]))
    return ("tr", ("mmul", n[1][2], n[1][1])) if kind == "tr" and n[1][0] == "mmul" else None


def _is_number(n: Node) -> bool:
    return n[0] not in ("mat", "msym", "mmul", "madd", "transpose", "inv", "smul", "den", "span")


RULES: list[Rule] = [
    _commute, _distribute, _square, _add_and_take, _times_one, _definition, _definition,
    _split_root, _split_root, _power_of_root, _log_of_exp, _exp_of_sum, _root_of_square, split_sum,
    split_sum, _shift_sum, _sum_of_parts, _log_of_product, _write_normal, _expand_norm,
    _expand_norm, _differentiate, _integrate, _take_limit, _matrices, _matrices,
]  # fmt: skip


# --- Slips ---------------------------------------------------------------------------------------


def _other_index(r: Random, n: Node) -> Node | None:
    if n[0] != "at":
        return None
    symbol, shift = n[2]
    new = r.choice(((symbol, shift + 1), (symbol, shift - 1), r.choice(FREE)))
    return ("at", n[1], new)


def _other_name(r: Random, n: Node) -> Node | None:
    if n[0] == "at":
        families = ((ALPHA, BETA, ALPHA_BAR), ("x", r"\epsilon", r"\mu"))
        return ("at", r.choice(families[n[1] not in families[0]]), n[2])
    if n[0] == "sym" and n[1] in REAL_SYMBOLS + POSITIVE_SYMBOLS:
        return ("sym", r.choice(REAL_SYMBOLS + POSITIVE_SYMBOLS))
    return ("msym", r.choice((r"\Sigma", "L", "M", "Q"))) if n[0] == "msym" else None


def _other_number(r: Random, n: Node) -> Node | None:
    if n[0] == "num":
        return ("num", n[1] + r.choice((1, -1, 2)), n[2])
    return ("pow", n[1], n[2] + 1) if n[0] == "pow" else None


def _turn_sign(r: Random, n: Node) -> Node | None:
    return n[1] if n[0] == "neg" else ("neg", n) if _is_number(n) else None


def _drop(r: Random, n: Node) -> Node | None:
    if n[0] in ("sqrt", "pow", "abs", "log", "exp", "tanh", "transpose", "inv", "sin", "cos"):
        return n[1]
    if n[0] in ("add", "mul", "mmul", "madd"):
        return r.choice(n[1:])
    return None


def _swap(r: Random, n: Node) -> Node | None:
    if n[0] in ("div", "mmul"):
        return (n[0], n[2], n[1])
    if n[0] == "normal":
        return r.choice((n[:4] + ({"": "I", "I": ""}[n[4]],), ("normal", n[2], n[1], *n[3:]),
                         ("normal", n[1], n[2], ("sqrt", n[3]), n[4])))  # fmt: skip
    return None


def _other_end(r: Random, n: Node) -> Node | None:
    if n[0] not in ("sum", "prod"):
        return None
    kind, s, low, high, body = n
    change = r.randrange(3)
    if change == 0:
        return (kind, s, (low[0], low[1] + r.choice((1, -1))), high, body)
    if change == 1:
        return (kind, s, low, (high[0], high[1] + r.choice((1, -1))), body)
    return ("mul" if kind == "sum" else "add", (kind, s, low, high, body), TWO)


def _fallacy(r: Random, n: Node) -> Node | None:
    kind, *parts = n
    if kind in ("sqrt", "log", "exp", "abs", "tanh") and parts[0][0] in ("add", "mul"):
        return (parts[0][0], *((kind, part) for part in parts[0][1:]))
    if kind == "pow" and parts[0][0] == "add":
        return ("add", *(("pow", part, parts[1]) for part in parts[0][1:]))
    if kind in ("sqrt", "log") and parts[0][0] == "pow":
        inner = parts[0][1]
        return inner if kind == "sqrt" else ("mul", ("num", parts[0][2], 1), ("log", inner))
    if kind == "log" and parts[0][0] == "prod":
        return ("sum", *parts[0][1:4], ("log", parts[0][4]))
    if kind == "norm2" and parts[0][0] == "add":
        return ("add", *(("norm2", part) for part in parts[0][1:]))
    if kind == "transpose" and parts[0][0] == "mmul":
        return ("mmul", ("transpose", parts[0][1]), ("transpose", parts[0][2]))
    if kind == "sum" and parts[3][0] == "mul":
        return ("mul", *((*n[:4], part) for part in parts[3][1:]))
    if kind == "add" and len(n) == 3 and n[1][0] in ("sum", "prod") and n[1][0] == n[2][0]:
        return ("add", n[1], n[1])
    return None


SLIPS: list[Rule] = [
    _other_index, _other_index, _other_name, _other_number, _turn_sign, _drop, _swap, _other_end,
    _fallacy, _fallacy, _fallacy,
]  # fmt: skip


# --- Pairs ---------------------------------------------------------------------------------------


def rewritten(
    r: Random, formula: Node, rules: list[Rule], times: int, fits: Callable[[Node], bool] = bool
) -> Node:
    """Some rules applied at random places, in turn, as long as the result `fits`."""
    for _ in range(times):
        for _ in range(12):
            rule = r.choice(rules)
            path, part = r.choice(list(nodes(formula)))
            new = rule(r, part)
            if new is None or new == part or not fits(replaced(formula, path, new)):
                continue
            formula = replaced(formula, path, new)
            break
    return formula


def formula(r: Random) -> Node:
    """A random formula of any of these kinds."""
    kind = r.random()
    if kind < 0.8:
        return number(r, r.choice((1, 2, 2, 3)))
    if kind < 0.9:
        return calculus(r)
    return r.choice((matrix(r), ("det", matrix(r, 1)), ("tr", matrix(r, 1))))


def pair(r: Random) -> tuple[Node, Node]:
    """A formula and another: rewritten, or rewritten and with a slip."""
    one = formula(r)
    other = rewritten(r, one, RULES, r.choice((1, 2, 2, 3)))
    if r.random() < 0.55:
        other = rewritten(r, other, SLIPS, 1)
    return one, other
