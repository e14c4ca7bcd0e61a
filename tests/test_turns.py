"""Each process begins with its share of what takes long, and no test is lost."""

import pytest
from turns import in_turns


def test_each_piece_begins_with_what_takes_long() -> None:
    order = in_turns(["A", "B"], ["c", "d", "e", "f"], 2)
    assert order == ["A", "c", "d", "B", "e", "f"]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize(("long", "short"), [(0, 5), (5, 0), (4, 11), (10, 3)])
def test_each_test_runs_once(long: int, short: int, processes: int) -> None:
    tests = list(range(long + short))
    assert sorted(in_turns(tests[:long], tests[long:], processes)) == tests
