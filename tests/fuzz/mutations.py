"""Inputs that a reader was not made for: good ones with a few changes, and words in a heap."""

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

EDGES = (0, 1, 2, 7, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
"""Numbers at which something overflows."""


def _put(content: bytearray, place: int, edge: int, some: bytes) -> None:
    content[place : place + len(some)] = some


def _insert(content: bytearray, place: int, edge: int, some: bytes) -> None:
    content[place:place] = some


def _drop(content: bytearray, place: int, edge: int, some: bytes) -> None:
    del content[place : place + 1 + len(some) ** 2]


def _cut(content: bytearray, place: int, edge: int, some: bytes) -> None:
    del content[place:]


def _flip(content: bytearray, place: int, edge: int, some: bytes) -> None:
    if content:
        content[place % len(content)] ^= 1 << edge % 8


def _repeat(content: bytearray, place: int, edge: int, some: bytes) -> None:
    part = bytes(content[place : place + 40])
    content[place:place] = part * (edge % 60)


def _binary_number(content: bytearray, place: int, edge: int, some: bytes) -> None:
    size, order = (2, 4, 8)[len(some) % 3], ("big", "little")[edge % 2]
    number = EDGES[edge % len(EDGES)] % 2 ** (8 * size)
    content[place : place + size] = number.to_bytes(size, order)  # type: ignore[arg-type]


def _written_number(content: bytearray, place: int, edge: int, some: bytes) -> None:
    """The first number after a place, in digits, becomes another one."""
    found = re.compile(rb"[0-9]+").search(content, place)
    if found:
        content[found.start() : found.end()] = str(EDGES[edge % len(EDGES)]).encode()


CHANGES: tuple[Callable[[bytearray, int, int, bytes], None], ...] = (
    _put, _insert, _drop, _cut, _flip, _repeat, _binary_number, _written_number
)  # fmt: skip


def changed(content: bytes, changes: Sequence[tuple[int, int, int, bytes]]) -> bytes:
    """The content after each of the changes: which one, where, a number, some bytes."""
    after = bytearray(content)
    for which, where, edge, some in changes:
        CHANGES[which](after, where % (len(after) + 1), edge, some)
    return bytes(after)


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to five changes."""
    change = st.tuples(
        st.integers(0, len(CHANGES) - 1),
        st.integers(0, 2**16),
        st.integers(0, 2**8),
        st.binary(max_size=6),
    )
    return st.builds(changed, st.sampled_from(list(seeds)), st.lists(change, max_size=5))
