"""Where guidance acts, in the script that measures it, and what chapter 13 reads from its file."""

import json
import math
from typing import Any

import guidance as script
import pytest
import torch
from torch import Tensor

from ddpm_lite.sample import denoiser
from ddpm_lite.schedule import cosine_fine

SCHEDULE = cosine_fine(1000)


def test_each_time_lies_in_one_part_of_the_way() -> None:
    parts: list[script.Where] = ["much noise", "middle", "little noise"]
    found = [[script.inside(SCHEDULE, t, part) for part in parts] for t in range(1, 1001)]
    assert all(sum(row) == 1 for row in found)
    assert [parts[found[t].index(True)] for t in (0, 499, 999)] == parts[::-1]
    assert all(script.inside(SCHEDULE, t, "everywhere") for t in (1, 500, 1000))
    assert not any(script.inside(SCHEDULE, t, "nowhere") for t in (1, 500, 1000))


@pytest.mark.parametrize("t", [100, 500, 900])
def test_outside_of_its_part_the_network_speaks_alone(t: int) -> None:
    def strong(x: Tensor, t: Tensor) -> Tensor:
        return 0.1 * x

    def weak(x: Tensor, t: Tensor) -> Tensor:
        return 0.3 * x + 0.2

    x = 0.1 * torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    walk = script.guided(SCHEDULE, strong, weak, "middle", 2.0)
    alone = denoiser(SCHEDULE, strong, "v")(x, t)
    moved = denoiser(SCHEDULE, lambda x, t: 2 * strong(x, t) - weak(x, t), "v")(x, t)
    assert not torch.allclose(alone, moved)
    torch.testing.assert_close(walk(x, t), moved if t == 500 else alone)


def row(guide: str, where: str, scale: float) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(script.OUT.read_text())["rows"]
    return next(r for r in rows if (r["guide"], r["where"], r["scale"]) == (guide, where, scale))


def errors_between(one: dict[str, Any], other: dict[str, Any], name: str) -> float:
    """By how many standard errors the first is larger."""
    error = "share_se" if name == "recall" else f"{name}_se"
    return float((one[name] - other[name]) / math.hypot(one[error], other[error]))


def test_the_file_says_what_the_page_says() -> None:
    bare, weak = row("no label", "nowhere", 1), row("no label", "everywhere", 1.3)
    strong, middle = (row("no label", where, 2) for where in ("everywhere", "middle"))
    small = {scale: row("small network", "everywhere", scale) for scale in (1.3, 2)}
    assert errors_between(bare, strong, "recall") > 4  # at all times it costs
    assert errors_between(bare, middle, "recall") < 2  # in the middle little
    assert abs(errors_between(middle, weak, "frechet")) < 2
    assert abs(errors_between(small[1.3], weak, "frechet")) < 2  # helps as much
    assert errors_between(bare, small[1.3], "frechet") > 4
    assert errors_between(small[2], bare, "frechet") > 4  # and does harm
    alone = json.loads(script.OUT.read_text())["small_alone"]
    assert alone["label_accuracy"] < 0.5  # "hardly draws a digit itself"
