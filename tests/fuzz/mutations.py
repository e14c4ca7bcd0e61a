"""Small changes to what is good, of the kinds that readers stumble over."""

import random
import re
from collections.abc import Callable

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


def changed(content: bytes, chance: random.Random) -> bytes:
    """The content after up to five changes."""
    after = bytearray(content)
    for _ in range(chance.randrange(6)):
        place, edge = chance.randrange(len(after) + 1), chance.randrange(256)
        chance.choice(CHANGES)(after, place, edge, chance.randbytes(chance.randrange(7)))
    return bytes(after)
