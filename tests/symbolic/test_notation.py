"""What may be assumed of each symbol, written down a second time: a slip here proves falsehoods."""

import dataclasses

import pytest
import sympy as sp

from ddpm_lite.symbolic import read
from ddpm_lite.symbolic.notation import ROWS, TABLE, VECTORS, is_vector

INTEGER = "i j k s t T m n K d N H F U Z R J"
POSITIVE = r"\sigma A v r \tilde{\beta} \mathrm{SNR} I \omega h"
NONNEGATIVE = r"\eta \kappa"
UNIT = r"\beta \alpha \bar{\alpha} \delta"
FUNCTIONS = r"\varphi \Phi f g \mu_\theta \epsilon_\theta \mathrm{v}_\theta \Delta \hat{\Delta}"
DENSITIES = r"q p p_\theta"
OF_FORM_VECTOR = (
    r"\epsilon \tilde{\mu} B \mathbf{q} \mathbf{k} \mathbf{v} \mathbf{o} \mathrm{v} \mathrm{f} "
    r"\hat{x}"
)
EXPANDED = (
    r"x B z \epsilon \tilde{\mu} \mu \mu_\theta \epsilon_\theta \mathrm{v} \mathrm{f} "
    r"\mathrm{v}_\theta \hat{x}"
)
COLUMNS = (
    r"\mathbf{x} \mathbf{z} \mathbf{y} \boldsymbol{\mu} \boldsymbol{\nu} \boldsymbol{\epsilon}"
)
SQUARES = r"\Sigma \Lambda L M Q"
REAL_AND_FIXED = r"a b c w \rho \pi \lambda \theta \bar{\theta} \varnothing"
REAL = r"""x y z u \mu X Y S C L_{simple} \mathrm{ELBO} \mathcal{L} \mathcal{C} \mathcal{K} \ell"""

n, K = (sp.Symbol(name, integer=True, positive=True) for name in "nK")
SIZES = {
    **dict.fromkeys(COLUMNS.split(), (n, 1)), **dict.fromkeys(SQUARES.split(), (n, n)),
    "P": (K, K), "W": (3, 3), r"\tilde{W}": (3, 3),
}  # fmt: skip


def test_the_lists_are_of_all_symbols() -> None:
    lists = (
        INTEGER,
        POSITIVE,
        NONNEGATIVE,
        UNIT,
        FUNCTIONS,
        DENSITIES,
        OF_FORM_VECTOR,
        REAL_AND_FIXED,
        REAL,
    )
    names = [*" ".join(lists).split(), *SIZES]
    assert sorted(names) == sorted(TABLE)
    assert len(ROWS) == len(TABLE)


@pytest.mark.parametrize(
    ("names", "domain"),
    [(INTEGER, "integer"), (POSITIVE, "positive"), (NONNEGATIVE, "nonnegative"), (UNIT, "unit"),
     (f"{FUNCTIONS} {DENSITIES} {OF_FORM_VECTOR} {REAL_AND_FIXED} {REAL}", "real"),
     (" ".join(SIZES), "real")],
)  # fmt: skip
def test_domains(names: str, domain: str) -> None:
    wanted = {"integer": (True, True), "positive": (None, True), "unit": (None, True),
              "nonnegative": (None, None), "real": (None, None)}  # fmt: skip
    for name in names.split():
        entry = TABLE[name]
        assert entry.domain == domain, name
        if entry.shape is None:
            for atom in (entry.plain(), entry.indexed(read("t")), entry.applied(read("t"))):
                assert (atom.is_integer, atom.is_positive) == wanted[domain], name
                assert atom.is_real, name


def test_forms_and_sizes() -> None:
    for form, names in (("function", FUNCTIONS), ("density", DENSITIES), ("vector", OF_FORM_VECTOR),
                        ("scalar", f"{INTEGER} {POSITIVE} {UNIT} {REAL_AND_FIXED} {REAL}"),
                        ("matrix", " ".join(SIZES))):  # fmt: skip
        assert {TABLE[name].form for name in names.split()} == {form}
    for name, size in SIZES.items():
        assert TABLE[name].shape == size
        assert TABLE[name].plain().shape == size
        assert TABLE[name].plain().is_Matrix
    assert all(TABLE[name].shape is None for name in TABLE.keys() - SIZES.keys())
    entry = TABLE["P"].indexed(read("i"), read("j"))
    assert entry == TABLE["P"].plain()[read("i"), read("j")]


def test_what_is_fixed_while_something_else_is_averaged() -> None:
    """The others may be random: an expectation must not take them out."""
    fixed = f"{INTEGER} {POSITIVE} {NONNEGATIVE} {UNIT} {FUNCTIONS} {REAL_AND_FIXED}".split()
    assert {name for name, entry in TABLE.items() if entry.fixed} == {*fixed}


def test_the_vectors() -> None:
    assert {*EXPANDED.split()} == VECTORS <= TABLE.keys()
    for name, entry in TABLE.items():
        if entry.shape is None:
            atoms = (entry.plain(), entry.indexed(read("t")), entry.applied(read("x_t"), read("t")))
            assert {is_vector(atom) for atom in atoms} == {name in VECTORS}, name
    for other in (read("x_t + z"), read("2 x_t"), read("L"), read("3"), read("q(x_t)")):
        assert not is_vector(other)


def test_rows_are_canonical_and_shown() -> None:
    for entry in ROWS:
        assert " " not in entry.latex
        assert entry.shown.replace("{", "").startswith(
            entry.latex.replace("{", "").split("_")[0][:-1]
        )
        assert len(entry.meaning) > 3
        assert entry.indices == (2 if entry.latex == "w" else 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        TABLE["x"].domain = "positive"  # type: ignore[misc]
