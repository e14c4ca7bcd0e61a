"""In which order tests run."""

from typing import TypeVar

Test = TypeVar("Test")


def in_turns(long: list[Test], short: list[Test], processes: int) -> list[Test]:
    """All in one list, whose equal pieces each begin with what takes long.

    xdist gives each process one of the pieces, and of a piece's end to who has done his own.
    """
    return [
        test
        for k in range(processes)
        for part in (long, short)
        for test in part[len(part) * k // processes : len(part) * (k + 1) // processes]
    ]
