"""Where guidance acts, in the script that measures it, and what chapter 13 reads from its file."""

import json
import math
from pathlib import Path
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


SHIPPED, SHORT = script.OUT, script.OUT.with_stem("guidance_short")


def row(file: Path, guide: str, where: str, scale: float) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(file.read_text())["rows"]
    return next(r for r in rows if (r["guide"], r["where"], r["scale"]) == (guide, where, scale))


def errors_between(one: dict[str, Any], other: dict[str, Any], name: str) -> float:
    """By how many standard errors the first is larger."""
    error = "share_se" if name == "recall" else f"{name}_se"
    return float((one[name] - other[name]) / math.hypot(one[error], other[error]))


@pytest.mark.parametrize("file", [SHIPPED, SHORT])
def test_the_page_says_of_both_networks_where_guidance_helps(file: Path) -> None:
    bare, weak = row(file, "no label", "nowhere", 1), row(file, "no label", "everywhere", 1.3)
    strong, middle = (row(file, "no label", where, 2) for where in ("everywhere", "middle"))
    assert errors_between(bare, strong, "recall") > 4  # at all times it costs
    assert errors_between(bare, middle, "recall") < 2  # in the middle none
    assert middle["label_accuracy"] > 0.99  # "nearly every label"
    assert abs(errors_between(middle, weak, "frechet")) < 2
    late = row(file, "no label", "little noise", 2)
    for name in ("frechet", "recall"):
        assert abs(errors_between(late, bare, name)) < 1  # "changes nothing"


def test_the_small_network_helps_the_one_that_learned_less_alone() -> None:
    bare, small, strong = (
        [row(file, guide, where, scale) for file in (SHIPPED, SHORT)]
        for guide, where, scale in (
            ("no label", "nowhere", 1),
            ("small network", "everywhere", 1.3),
            ("small network", "everywhere", 2),
        )
    )
    assert errors_between(small[0], bare[0], "frechet") > 2  # the shipped one
    assert errors_between(bare[1], small[1], "frechet") > 2
    assert all(errors_between(*pair, "frechet") > 4 for pair in zip(strong, bare, strict=True))
    alone = json.loads(script.OUT.read_text())["small_alone"]
    assert alone["label_accuracy"] < 0.5  # "hardly draws digits itself"
