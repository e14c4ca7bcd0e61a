"""All that may happen to a training."""

from chain import Fault
from damages import (
    both_damaged,
    damaged_alive,
    flipped,
    missing,
    older_damaged,
    truncated,
    unreadable,
)
from hindrances import disk_full, read_only
from places import permissions_bind
from stops import hung_up, interrupted, killed, second_run, terminated

FAULTS: tuple[Fault, ...] = (
    killed, terminated, interrupted, hung_up, second_run, disk_full, read_only, unreadable,
    truncated, flipped, missing, older_damaged, both_damaged, damaged_alive,
)  # fmt: skip
FORBIDDEN = (read_only, unreadable)
"""Those that need a system whose permissions bind."""


def possible() -> list[Fault]:
    """Those that this system can bring about."""
    return list(FAULTS) if permissions_bind() else [f for f in FAULTS if f not in FORBIDDEN]
