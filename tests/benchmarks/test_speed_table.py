"""The README's speed table: medians, and ratios round by round."""

import speed_table

PRINT = """
  round 1: mnist 40.0, full 20.0, lucidrains 10.0, diffusers 10.0, smalldiffusion 5.0
  round 2: mnist 60.0, full 30.0, lucidrains 10.0, diffusers 20.0, smalldiffusion 6.0
  round 3: mnist 50.0, full 24.0, lucidrains 12.5, diffusers 16.0, smalldiffusion 8.0
Table 1: mnist 99.0
"""


def test_rounds_are_read_and_nothing_else() -> None:
    assert speed_table.speeds(PRINT)["mnist"] == [40.0, 60.0, 50.0]


def test_a_row_has_the_ratio_of_medians_and_the_extremes_of_the_rounds() -> None:
    row = next(r for r in speed_table.table(PRINT).splitlines() if r.startswith("| diffusers"))
    # medians 50 over 16 and 24 over 16; by round 4, 3, 3.125 and 2, 1.5, 1.5
    assert row == "| diffusers | 16.0 (10.0 to 20) | 3.1 (3.0 to 4.0) | 1.5 (1.5 to 2.0) |"
