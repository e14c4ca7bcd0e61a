r"""Formulas as trees of tuples, and their LaTeX: what the adversary makes, and its judge works out.

A node is ("kind", parts...). An index is (symbol or "", shift): ("t", -1) is t-1, ("", 2) is 2.

    ("num", p, q)  ("sym", name)  ("at", name, index)         1/2, \sigma, x_{t-1}
    ("add", ...)  ("mul", ...)  ("neg", a)  ("div", a, b)  ("pow", a, n)  ("sqrt", a)
    ("log", a)  ("exp", a)  ("tanh", a)  ("sin", a)  ("cos", a)  ("abs", a)  ("fun", name, a)
    ("sum", s, low, high, body)  ("prod", s, low, high, body)
    ("normal", x, mean, v, kind)                              kind "" for v, "I" for v I
    ("norm2", a)  ("dot", a, b)
    ("der", x, body)  ("int", x, low, high, body)  ("lim", h, body)      the limit for h to 0
    ("E", laws, body)  ("KL", q, p)  ("den", name, variables, given)  ("span", name, low, high)
    ("mat", rows)  ("msym", name)  ("mmul", a, b)  ("madd", a, b)  ("transpose", a)  ("inv", a)
    ("det", a)  ("tr", a)  ("smul", number, matrix)
"""

from collections.abc import Iterator
from typing import Any

Node = tuple[Any, ...]
ATOMS = {"num", "sym", "at", "msym", "span"}


def latex(node: Node) -> str:
    """The formula as a page would have it, with more brackets than needed."""
    return _PRINT[node[0]](*node[1:])


def index(at: tuple[str, int]) -> str:
    """An index without braces: t-1, 2, T."""
    symbol, shift = at
    if not symbol:
        return str(shift)
    return symbol + (f"{shift:+d}" if shift else "")


def children(node: Node) -> Iterator[tuple[tuple[int, ...], Node]]:
    """The parts that are nodes, each with its path; not the variable that an integral binds."""
    first = 2 if node[0] in ("der", "int", "lim") else 1
    for here, part in enumerate(node[first:], first):
        if _is_node(part):
            yield (here,), part
        elif isinstance(part, tuple):
            for inner, one in enumerate(part):
                if _is_node(one):
                    yield (here, inner), one


def nodes(node: Node, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Node]]:
    """All nodes of a tree, each with its path from the root."""
    yield path, node
    for step, part in children(node):
        yield from nodes(part, path + step)


def replaced(node: Any, path: tuple[int, ...], new: Node) -> Any:
    """The tree with another node at a path."""
    if not path:
        return new
    parts = list(node)
    parts[path[0]] = replaced(node[path[0]], path[1:], new)
    return tuple(parts)


def renamed(node: Any, old: str, new: tuple[str, int]) -> Any:
    """Another index in the place of `old`, as s -> t + 1, in all indices of a tree."""
    if _is_index(node):
        return (new[0], new[1] + node[1]) if node[0] == old else node
    return tuple(renamed(p, old, new) for p in node) if isinstance(node, tuple) else node


def _is_node(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and part[0] in _PRINT


def _is_index(part: Any) -> bool:
    return (
        isinstance(part, tuple)
        and len(part) == 2
        and isinstance(part[0], str)
        and isinstance(part[1], int)
    )


def _in(node: Node) -> str:
    """In brackets, but for what needs none."""
    closed = node[0] in {"sym", "at", "div", "sqrt", "msym"}
    text = latex(node)
    return text if closed and not text.startswith("-") else rf"\left({text}\right)"


def _number(p: int, q: int) -> str:
    return str(p) if q == 1 else rf"\frac{{{p}}}{{{q}}}"


def _add(*parts: Node) -> str:
    text = latex(parts[0])
    for part in parts[1:]:
        text += f" - {_in(part[1])}" if part[0] == "neg" else f" + {_in(part)}"
    return text


def _series(sign: str, s: str, low: Any, high: Any, body: Node) -> str:
    return rf"\{sign}_{{{s}={index(low)}}}^{{{index(high)}}} \left({latex(body)}\right)"


def _normal(x: Node, mean: Node, v: Node, kind: str) -> str:
    return rf"\mathcal N\left({latex(x)}; {latex(mean)}, {_in(v)} {kind}\right)"


def _density(name: str, variables: Any, given: Any) -> str:
    bar = r" \mid " + ", ".join(map(latex, given)) if given else ""
    return f"{name}({', '.join(map(latex, variables))}{bar})"


def _integral(x: Node, low: Node, high: Node, body: Node) -> str:
    ends = rf"_{{{latex(low)}}}^{{{latex(high)}}}"
    return rf"\int{ends} \left({latex(body)}\right) \mathrm{{d}}{latex(x)}"


def _matrix(rows: Any) -> str:
    body = r" \\ ".join(" & ".join(map(latex, row)) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


_PRINT: dict[str, Any] = {
    "num": _number,
    "sym": lambda name: name,
    "at": lambda name, at: f"{name}_{{{index(at)}}}",
    "add": _add,
    "mul": lambda *parts: r" \cdot ".join(map(_in, parts)),
    "neg": lambda a: f"-{_in(a)}",
    "div": lambda a, b: rf"\frac{{{latex(a)}}}{{{latex(b)}}}",
    "pow": lambda a, n: rf"{_in(a)}^{{{n}}}",
    "sqrt": lambda a: rf"\sqrt{{{latex(a)}}}",
    **{
        f: (lambda a, f=f: rf"\{f}\left({latex(a)}\right)")
        for f in ("log", "exp", "tanh", "sin", "cos")
    },
    "abs": lambda a: rf"\lvert {latex(a)} \rvert",
    "fun": lambda name, a: f"{name}({latex(a)})",
    "sum": lambda *parts: _series("sum", *parts),
    "prod": lambda *parts: _series("prod", *parts),
    "normal": _normal,
    "norm2": lambda a: rf"\lVert {latex(a)} \rVert^2",
    "dot": lambda a, b: rf"\langle {latex(a)}, {latex(b)} \rangle",
    "der": lambda x, body: rf"\frac{{\partial}}{{\partial {latex(x)}}} \left({latex(body)}\right)",
    "int": _integral,
    "lim": lambda h, body: rf"\lim_{{{latex(h)} \to 0}} \left({latex(body)}\right)",
    "E": lambda laws, body: (
        rf"\mathbb{{E}}_{{{' '.join(map(latex, laws))}}}\left[{latex(body)}\right]"
    ),
    "KL": lambda q, p: rf"D_{{\mathrm{{KL}}}}({latex(q)} \,\|\, {latex(p)})",
    "den": _density,
    "span": lambda name, low, high: f"{name}_{{{index(low)}:{index(high)}}}",
    "mat": _matrix,
    "msym": lambda name: name,
    "mmul": lambda a, b: f"{_in(a)} {_in(b)}",
    "madd": lambda a, b: f"{_in(a)} + {_in(b)}",
    "transpose": lambda a: rf"{_in(a)}^\top",
    "inv": lambda a: rf"{_in(a)}^{{-1}}",
    "det": lambda a: rf"\det\left({latex(a)}\right)",
    "tr": lambda a: rf"\operatorname{{tr}}\left({latex(a)}\right)",
    "smul": lambda number, a: f"{_in(number)} {_in(a)}",
}
