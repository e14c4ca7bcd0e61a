"""A claim is its members and the relations between them, and stays so."""

import dataclasses

import pytest
import sympy as sp

from ddpm_lite.symbolic.claims import Claim

a, b, c = sp.symbols("a b c")
CHAIN = Claim((a, b, c), ("=", r"\le"))


def test_its_links_are_neighbours() -> None:
    assert CHAIN.links() == [(a, "=", b), (b, r"\le", c)]


def test_it_cannot_be_changed_and_can_be_a_key() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHAIN.members = (a, a, a)  # type: ignore[misc]
    assert {CHAIN: 1}[Claim((a, b, c), ("=", r"\le"), "written otherwise")] == 1
    assert CHAIN.source == ""


def test_a_relation_without_a_member_is_no_claim() -> None:
    with pytest.raises(ValueError, match="zip"):
        Claim((a, b), ("=", "=")).latex()
