"""The curve's points: counted by hand, and judged as an evaluation judges."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import quality_curve as script
import torch

from ddpm_lite.checkpoint import write
from ddpm_lite.data import mnist
from ddpm_lite.draw import DrawConfig
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.run import KEPT, WEIGHTS
from ddpm_lite.unet import UNet, UNetConfig

SMALL = ModelConfig(unet=UNetConfig(channels=(8, 8), groups=4, patch=2, classes=10), T=20)


def kept(path: Path, steps: int) -> None:
    """Untrained weights, as a training keeps them."""
    torch.manual_seed(steps)
    tensors = {f"ema.{name}": value for name, value in UNet(SMALL.unet).state_dict().items()}
    train = {"batch_size": 32, "ema_decay": 0.98}
    write(path, tensors, {"model": SMALL.to_dict(), "step": steps, "train": train})


def test_operations_are_three_times_those_of_the_way_forward() -> None:
    model = DiffusionModel(UNet(SMALL.unet), SMALL, SMALL.build_schedule())
    found = script.operations(model)
    # of one convolution of the head at 14 x 14 points: 2 operations a weight and point
    head = 2 * model.net.head.weight.numel() * 14 * 14
    assert found > 3 * head
    assert found % 2 == 0


def test_every_kept_file_is_a_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (200, 100, 50):  # after 50 steps 36 % of the average is the beginning
        kept(tmp_path / "run" / KEPT / f"step_{steps:06d}.safetensors", steps)
    kept(tmp_path / "run" / WEIGHTS, 300)
    test = mnist(train=False)
    monkeypatch.setattr(script, "load", lambda *_: test.subset(40))
    monkeypatch.setattr(script, "DRAW", DrawConfig(steps=2, guidance_scale=1.0))
    monkeypatch.setattr(script, "OUT", tmp_path / "curve.json")
    monkeypatch.setattr(sys, "argv", ["curve", str(tmp_path / "run"), "mnist", "--n", "12"])
    script.main()
    told = json.loads((tmp_path / "curve.json").read_text())
    assert told["n"] == 12
    assert [row["step"] for row in told["rows"]] == [100, 200, 300]
    assert [row["pictures"] for row in told["rows"]] == [3200, 6400, 9600]
    first, second, last = (row["operations"] for row in told["rows"])
    assert second == 2 * first > 0
    assert last == 3 * first
    assert all(row["frechet"] > row["frechet_floor"] > 0 for row in told["rows"])
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize(("n", "steps"), [(500, [100, 200]), (400, [])])
def test_earlier_points_stay_if_they_were_measured_alike(
    tmp_path: Path, n: int, steps: list[int]
) -> None:
    rows = [{"step": step} for step in (100, 200, 300, 400)]
    path = tmp_path / "curve.json"
    path.write_text(json.dumps({"data": "mnist", "n": 500, "rows": rows}))
    kept = script.earlier(path, 300, {"data": "mnist", "n": n, "command": "any"})
    assert [row["step"] for row in kept] == steps


def test_without_a_file_there_are_no_earlier_points(tmp_path: Path) -> None:
    assert script.earlier(tmp_path / "none.json", 300, {"data": "mnist", "n": 1}) == []
