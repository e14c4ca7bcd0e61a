"""One round of each fault; `make faults` has many of each."""

import random
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="this system has no limits on files, and no such signals")

from damages import truncated
from faults import possible
from harness import Harness
from places import small_disk


@pytest.mark.slow
def test_what_happens_to_a_training_costs_it_nothing(tmp_path: Path) -> None:
    faults = possible()
    random.Random(0).shuffle(faults)
    faults.sort(key=lambda fault: fault is not truncated)  # a fresh training cannot have ended yet
    with small_disk(tmp_path) as (disk, tmpfs):
        outcome = Harness(tmp_path, disk, tmpfs, seed=0, fresh=False).run(faults)
    assert outcome.broken == []
    assert sum(outcome.rounds.values()) == len(faults)
    assert outcome.fell_back >= 1
    assert 0 < outcome.most_lost < 300
