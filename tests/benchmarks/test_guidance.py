"""Where guidance acts, in the script that measures it."""

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
