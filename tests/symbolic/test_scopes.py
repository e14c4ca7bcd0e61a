"""Which divergences are of densities, and which expectations stand under one law."""

import pytest
from sympy import Expr, IndexedBase, Symbol

from ddpm_lite.symbolic.chains import LawError, piece_of
from ddpm_lite.symbolic.objects import KL, Density, Gaussian
from ddpm_lite.symbolic.scopes import Leaf, Scope, check_divergence, check_one_law

x = IndexedBase("x", real=True)
t, k, T = (Symbol(n, integer=True, positive=True) for n in ("t", "k", "T"))
a, b, v = Symbol("a", real=True), Symbol("b", real=True), Symbol("v", positive=True)
Q, P = Symbol("q"), Symbol("p")


def q(variable: Expr, *given: Expr) -> Density:
    return Density(Q, [variable], given)


def p(variable: Expr, *given: Expr) -> Density:
    return Density(P, [variable], given)


def normal(variable: Expr, mean: Expr | int = 0, variance: Expr | int = 1) -> Gaussian:
    return Gaussian(variable, mean, variance)


@pytest.mark.parametrize(
    "divergence",
    [
        KL(q(a), p(a)),
        KL(q(x[t], x[0]), normal(x[t])),
        KL(normal(a, b, v), normal(a, 0, v)),
        KL(normal(x[1]) * normal(x[2], x[1]), q(x[1]) * q(x[2])),
        KL(q(x[2], x[1]) * q(x[1]), q(x[1], x[2]) * q(x[2])),
        KL(normal(a) * normal(b), normal(b) * normal(a)),
        KL(normal(a, 0, b**2) * normal(b), normal(a) * normal(b)),
    ],
)
def test_a_divergence_of_two_densities_of_the_same(divergence: KL) -> None:
    check_divergence(divergence)


@pytest.mark.parametrize(
    ("divergence", "reason"),
    [
        (KL(normal(a), normal(b)), "write the same variables"),
        (KL(normal(a) * normal(b), normal(a)), "write the same variables"),
        (KL(normal(a), normal(a) * normal(b)), "write the same variables"),
        (KL(normal(x[t]), normal(x[t + 1])), "write the same variables"),
        (KL(a, p(a)), r"\$a\$ is none"),
        (KL(q(a), 2 * p(a)), r"\$2\$ is none"),
        (KL(normal(a + b), normal(a)), "is none"),
        (KL(normal(a, b) * normal(b, a), normal(a) * normal(b)), "no density of its variables"),
        (KL(normal(a, 0, b**2) * normal(b, 0, a**2), q(a) * q(b)), "no density of its variables"),
        (KL(q(a, b) * q(b, a), q(a) * q(b)), r"q.*is no density of its variables"),
        (KL(q(a) * q(a, b), q(a)), "no density of its variables"),
    ],
)
def test_and_what_is_none(divergence: KL, reason: str) -> None:
    with pytest.raises(LawError, match=reason):
        check_divergence(divergence)


def test_under_a_sum_the_range_tells_variables_apart() -> None:
    """q(x_k) q(x_1) is a law of two variables if k begins at 2, and of none if at 1."""
    both = KL(q(x[k]) * q(x[1]), p(x[k]) * p(x[1]))
    check_divergence(both, ((k, 2, T),))
    with pytest.raises(LawError, match="no density of its variables"):
        check_divergence(both, ((k, 1, T),))
    normals = KL(normal(x[k]) * normal(x[1]), normal(x[k]) * p(x[1]))
    check_divergence(normals, ((k, 2, T),))
    with pytest.raises(LawError, match="no density of its variables"):
        check_divergence(normals, ((k, 1, T),))


def test_laws_are_multiplied_in_an_order_in_which_each_is_known() -> None:
    """The step to x_2 needs x_1, wherever it is written."""
    steps = [q(x[2], x[1]), q(x[1], x[0])]
    scope = Scope().under(steps, ())
    assert {str(piece.lo) for piece in scope.bound} == {"1", "2"}
    assert [piece.lo for piece in scope.free] == [0]
    assert scope == Scope().under(steps[::-1], ())


def test_two_laws_and_two_integrals_are_refused_by_name() -> None:
    with pytest.raises(LawError, match="the laws q and p are not one"):
        Scope().under([q(a), p(b)], ())
    with pytest.raises(LawError, match="a is integrated over twice"):
        Scope().under([q(a), q(a)], ())


def leaf(law: Density, *free: Expr) -> Leaf:
    return Leaf(Scope().under([law], ()), [piece_of(variable) for variable in free])


def test_expectations_under_several_laws_are_none_under_one() -> None:
    check_one_law([leaf(q(a)), leaf(q(b))])
    with pytest.raises(LawError, match=r"expectations under several laws: p, q$"):
        check_one_law([leaf(q(a)), leaf(p(b))])


def test_what_is_free_in_one_term_may_tell_something_of_another() -> None:
    first, last = q(x[1], x[0]), q(x[2], x[1])
    with pytest.raises(LawError, match="x_1 is free, and x_1 is not"):
        check_one_law([leaf(first), leaf(last)])
