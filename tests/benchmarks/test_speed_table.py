"""The speed tables: medians, ratios round by round, and where the README has them."""

from typing import Any

import pytest
import speed_table

ROUNDS = [
    {"patches": 40.0, "full": 20.0, "lucidrains": 10.0, "diffusers": 10.0, "smalldiffusion": 5.0},
    {"patches": 60.0, "full": 30.0, "lucidrains": 10.0, "diffusers": 20.0, "smalldiffusion": 6.0},
    {"patches": 50.0, "full": 24.0, "lucidrains": 12.5, "diffusers": 16.0, "smalldiffusion": 8.0},
]
PEAKS = [{"a": 100.0, "b": 60.0}, {"a": 70.0, "b": 80.0}, {"a": 90.0, "b": 95.0}]


def trial(speed: float | None, **how: Any) -> dict[str, Any]:
    setting = {"bf16": False, "channels_last": True, "threads": 2, "compiled": False, **how}
    return {"setting": setting, "images_per_second": speed}


def found(**changes: Any) -> dict[str, Any]:
    sizes = {
        name: {"name": name, "about": "a net", "parameters": 2_000_000, "operations": 1.5e9}
        for name in ROUNDS[0]
    }
    tried = [trial(None, bf16=True), trial(9.0), trial(12.0, threads=1)]
    trials = {"training": {"full": tried}}
    return {
        "task": "2M-grey", "kind": "avx2", "plan": {"batch": 128},
        "memory": {"full": {"peak": 900}},
        "machine": {"processor": "A", "cores": 2, "torch": "2", "onednn": "AVX2"},
        "rounds": [
            {"training": speeds, "peaks": peaks, "others": share}
            for speeds, peaks, share in zip(ROUNDS, PEAKS, (0.01, 0.2, 0.0), strict=True)
        ],
        "sizes": sizes, "trials": trials | {"drawing": {}}, **changes,
    }  # fmt: skip


def test_a_row_has_the_ratio_of_medians_and_the_extremes_of_the_rounds() -> None:
    rows = speed_table.ratio_table([found()]).splitlines()
    row = next(row for row in rows if "diffusers" in row)
    # medians 50 over 16 and 24 over 16; by round 4, 3, 3.125 and 2, 1.5, 1.5
    wanted = "| 2M-grey | diffusers | 3.1 (3.0 to 4.0) | 1.5 (1.5 to 2.0) |"
    assert row == f"{wanted} not measured | not measured |"


def test_drawing_has_columns_of_its_own() -> None:
    drawn = found()
    for each in drawn["rounds"]:
        each["drawing"] = {name: 2 * speed for name, speed in each["training"].items()}
        each["drawing"]["full"] = 160.0
    rows = speed_table.ratio_table([drawn]).splitlines()
    # medians 100 over 32; 160 over 32, by round 160 over 20, 40 and 32
    assert next(row for row in rows if "diffusers" in row).endswith(
        "| 3.1 (3.0 to 4.0) | 5.0 (4.0 to 8.0) |"
    )


def test_the_peak_is_that_of_the_best_shape_by_its_median() -> None:
    assert speed_table.peak(found()) == 90.0  # medians 90 and 80
    # full: 24 images/s of 1.5 GFLOP each
    assert speed_table.peak_share(found(), "full") == pytest.approx(36 / 90)


def test_the_full_table_has_the_fastest_setting_and_the_memory() -> None:
    row = speed_table.full_table(found()).splitlines()[3]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[:4] == ["full, a net", "2.00M", "1500", "float32, channels_last, 1 thread"]
    assert cells[4:7] == ["24 (20 to 30)", "40%", "900"]
    assert "at most 20.0% of the processor" in speed_table.report([found()])


def test_what_is_missing_is_said() -> None:
    files = [found(task=task) for task in ("2M-grey", "2M-colour", "8M-grey")]
    text = speed_table.tables(files)
    assert (
        "how fast: AMX (bf16) 2M-grey, 2M-colour, 8M-grey, 8M-colour; AVX2 (float32) 8M-colour."
        in text
    )
    both = [found(task=task, kind=kind) for task in speed_table.TASKS for kind in ("amx", "avx2")]
    assert "how fast" not in speed_table.tables(both)
    assert "not measured |" in speed_table.tables(both)  # drawing


def test_ratios_for_a_machine_to_read() -> None:
    (line,) = speed_table.summary([found()]).values()
    assert line == {
        "vs_lucidrains": 5.0, "vs_diffusers": 3.125, "vs_smalldiffusion": 8.333,
        "vs_best_equal_flops": 1.5, "peak_share": 0.4,
    }  # fmt: skip


def test_a_time_to_quality_that_was_not_reached_says_how_long_it_was_tried() -> None:
    runs = {
        "full": {"reached": {"50": 31.4}, "marks": [{"seconds": 40.0}]},
        "diffusers": {"reached": {}, "marks": [{"seconds": 20.0}, {"seconds": 90.0}]},
        "lucidrains": {"reached": {}, "marks": []},
    }
    file = {"task": "2M-grey", "kind": "avx2", "levels": [50], "runs": runs}
    last = speed_table.quality_table(file).splitlines()[-1]
    assert last == "| 50 | 31 s | not in 90 s | not measured |"


def test_the_tables_take_the_place_between_the_markers() -> None:
    text = f"before {speed_table.BEGIN}\nold\n{speed_table.END} after"
    new = speed_table.between(text, "| new |")
    assert new == f"before {speed_table.BEGIN}\n\n| new |\n\n{speed_table.END} after"
    assert speed_table.between(new, "| new |") == new
    with pytest.raises(ValueError, match="no place"):
        speed_table.between("nothing here", "| new |")
