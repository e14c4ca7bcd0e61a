"""Where a reader meets formulas in a page's source, and where a dollar is none."""

import pytest

from ddpm_lite.symbolic.prose import formulas_in, one_line, prose_of


def latex_in(text: str) -> list[str]:
    return [formula.latex for formula in formulas_in(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$a$ and $b$", ["a", "b"]),
        ("$a + b$.", ["a + b"]),
        ("$a\n+ b$", ["a + b"]),
        ("$a\n\n+ b$", []),
        (r"\$5 and $a$", ["a"]),
        (r"$a \$ b$", [r"a \$ b"]),
        ("5 $ and 6 $", []),
        ("$ a$", []),
        ("$a $", []),
        ("$$a$$", []),
        ("`$a$` $b$", ["b"]),
        ("``$a` $b$`` $c$", ["c"]),
        ("`a\n$b$` $c$", ["c"]),
        ("`a\n\n$b$` $c$", ["b", "c"]),
        ("% $a$\n$b$", ["b"]),
        ("a % $a$", ["a"]),
        ("$$\na = 1\n$$ (eq-a)\n\n$b$", ["b"]),
        ("---\ntitle: $a$\n---\n$b$", ["b"]),
        ("a\n---\ntitle: $a$\n---\n$b$", ["a", "b"]),
        ("# Title $a$", ["a"]),
        ("| $a$ | $b$ |", ["a", "b"]),
        ("```python\n$a$\n```\n$b$", ["b"]),
        ("~~~\n$a$\n~~~\n$b$", ["b"]),
        ("```{math}\n$a$\n```\n$b$", ["b"]),
        ("```{raw} html\n$a$\n```\n$b$", ["b"]),
        ("```{code} python\n$a$\n```\n$b$", ["b"]),
        ("```{note} $a$\n$b$\n```\n$c$", ["a", "b", "c"]),
        (":::{note}\n$a$\n:::\n$b$", ["a", "b"]),
        ("````{note}\n```python\n$a$\n```\n$b$\n````\n$c$", ["b", "c"]),
        ("````{note}\n```{tip}\n$a$\n```\n$b$\n````\n$c$", ["a", "b", "c"]),
        ("````\n```\n$a$\n````\n$b$", ["b"]),
        ("> ```python\n> $a$\n> ```\n$b$", ["b"]),
        ("```{code-cell} ipython3\n---\nmystnb:\n  figure:\n    caption: $a$\n      and $b$\n"
         "    name: $c$\n---\n$d$\n```\n$e$", ["a", "b", "e"]),
        ("```{code-cell} ipython3\nx = '$a$'\n```\n$b$", ["b"]),
    ],
)  # fmt: skip
def test_formulas_in_running_text(text: str, found: list[str]) -> None:
    assert latex_in(text) == found


CODE = "code-cell literalinclude math raw code code-block bibliography"


@pytest.mark.parametrize("directive", CODE.split())
def test_what_such_a_directive_holds_is_no_text(directive: str) -> None:
    assert latex_in(f"```{{{directive}}}\n$a$\n```\n$b$") == ["b"]


def test_places_and_sections() -> None:
    text = "$a$\n\n# One\n$b$ $c$\n\n```\n# no heading\n```\n## Two $d$\n$e\n+ f$\n$g$\n"
    found = [(one.latex, one.line, one.section) for one in formulas_in(text)]
    assert found == [
        ("a", 1, 0), ("b", 4, 1), ("c", 4, 1), ("d", 9, 2), ("e + f", 10, 2), ("g", 12, 2),
    ]  # fmt: skip


def test_what_is_no_prose_is_blank_and_keeps_its_place() -> None:
    text = "---\na: b\n---\none `two` three\n% four\n```\nfive\n```\n$$\nsix\n$$\nseven\n"
    prose = prose_of(text)
    assert prose.count("\n") == text.count("\n")
    assert prose.split() == ["one", "three", "seven"]
    assert prose.splitlines()[3] == "one       three"


def test_a_formula_has_single_spaces() -> None:
    assert one_line("  a \n  +\tb ") == "a + b"
