"""How the shipped colour model is judged: copies are found, the guidance is the best one."""

import json
from pathlib import Path
from typing import Any

import cifar10 as script
import pytest
import torch
from packing import unpack

from ddpm_lite import report
from ddpm_lite.colour_classifier import ColourClassifier
from ddpm_lite.data import CIFAR10, Images
from ddpm_lite.draw import DrawConfig, draw, own_config
from ddpm_lite.judges import Judge
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.run import METRICS, WEIGHTS
from ddpm_lite.train import TrainConfig, Trainer
from ddpm_lite.unet import UNetConfig


def pictures(n: int, seed: int) -> Images:
    """Noise of the shape of CIFAR-10, class by class."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Images(pixels, (torch.arange(n) * 10) // n, CIFAR10)


def test_the_nearest_two_are_those_of_a_search_one_by_one() -> None:
    train, drawn = pictures(40, 0).pixels, pictures(3, 1).pixels
    drawn[0] = train[7].flip(-1)  # a mirror image is found as well
    gaps = script.nearest_two(drawn, train)
    for row, picture in enumerate(drawn.double()):
        both = [[(picture - p).norm() for p in (t, t.flip(-1))] for t in train.double()]
        own = torch.stack([torch.stack(pair).min() for pair in both])
        wanted = own.topk(2, largest=False).values
        torch.testing.assert_close(gaps[row], wanted, rtol=1e-6, atol=1e-3)
    assert gaps[0, 0] == 0 < gaps[0, 1]


def test_planted_copies_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    train, mixed = pictures(60, 0).pixels, pictures(20, 1).pixels
    mixed[::5] = train[3:7]
    found = script.copies({"mixed": mixed, "new": pictures(20, 2).pixels}, train)
    assert found["mixed"]["copies"] == 4
    assert found["new"]["copies"] == 0
    assert found["new"]["least_ratio"] > 0.9


def test_the_chosen_guidance_has_the_least_distance() -> None:
    rows = [{"scale": s, "frechet": (s - 2) ** 2} for s in script.SCALES]
    assert script.chosen(rows) == 2.0


def test_some_come_from_all_classes() -> None:
    found = script.some(pictures(200, 0), 60)
    assert len(found) == 60
    assert set(found.labels.tolist()) == set(range(10))


LINES = "".join(
    f'{{"step": {k}, "images_per_second": {v}}}\n' for k, v in ((1, 0.002), (2, 0.009), (3, 0.004))
)


def trained(folder: Path, steps: int) -> None:
    """A small network that has ended its training, with the metrics of one."""
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    plan = TrainConfig(steps=steps, batch_size=4)
    trainer = Trainer(ModelConfig(unet=unet, side=32, T=20), plan, pictures(40, 0))
    for _ in trainer.steps():
        pass
    trainer.save_weights(folder / WEIGHTS)
    (folder / METRICS).write_text(LINES)


def test_what_the_training_cost_is_added_up_line_by_line(tmp_path: Path) -> None:
    trained(tmp_path, 3)
    found = script.training(tmp_path)  # one step of 4 pictures a line
    hours = sum(4 / speed for speed in (0.002, 0.009, 0.004)) / 3600
    assert found == {"steps": 3, "pictures": 12, "hours": round(hours, 2)}
    assert hours > 0.5


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script at toy size, writing into a folder of the test's own."""
    for name in ("EVALUATION", "PICTURES"):
        monkeypatch.setattr(script, name, tmp_path / f"{name}.json")
    monkeypatch.setattr(script, "ASSETS", tmp_path)
    monkeypatch.setattr(script, "SHIPPED", tmp_path / "cifar10.safetensors")
    monkeypatch.setattr(script, "DRAW", DrawConfig(steps=1))
    monkeypatch.setattr(script, "SCALES", (1.0, 2.0))
    for name in ("SHOWN", "SWEPT", "BITS"):
        monkeypatch.setattr(script, name, 10)
    network = ColourClassifier().eval().requires_grad_(False)
    for place in (script, report):
        monkeypatch.setattr(place, "find_judge", lambda real: Judge("untrained", network, real))
    trained(tmp_path, 1)
    return tmp_path


def measure(folder: Path) -> dict[str, Any]:
    """Runs the script and reads what it has written."""
    script.measured(folder, pictures(40, 0), pictures(40, 1), 100, {"data": "noise"})
    found: dict[str, Any] = json.loads((folder / "EVALUATION.json").read_text())
    return found


@pytest.mark.slow
def test_all_is_measured_once_and_shipped(small: Path) -> None:
    told = measure(small)
    assert told["data"] == "noise"
    assert [row["scale"] for row in told["sweep"]] == [1.0, 2.0]
    assert told["guidance"] in (1.0, 2.0)
    assert told["plain"]["guidance_scale"] == 1.0
    assert told["plain"]["bits_per_dim"] > 0
    assert told["chosen"]["guidance_scale"] == told["guidance"]
    assert told["chosen"]["n"] == told["plain"]["n"] == 100
    shown = json.loads((small / "PICTURES.json").read_text())
    shipped = DiffusionModel.load(small / "cifar10.safetensors")
    assert own_config(shipped).guidance_scale == told["guidance"]
    assert script.fingerprint(shipped) == told["weights"] == shown["weights"]
    assert torch.equal(draw(shipped, 10), unpack(shown["drawn"], 3, 32, 32))
    assert (small / "cifar10_metrics.jsonl").read_text() == LINES
    told["guidance"] = 2.0  # what stands there is not measured again
    (small / "EVALUATION.json").write_text(json.dumps(told))
    assert measure(small) == told
    assert own_config(DiffusionModel.load(small / "cifar10.safetensors")).guidance_scale == 2.0


@pytest.mark.slow
def test_other_weights_are_not_shipped_beside_these_figures(small: Path) -> None:
    measure(small)
    before = (small / "cifar10.safetensors").read_bytes()
    trained(small, 2)
    with pytest.raises(SystemExit, match="is of other weights: remove it first"):
        measure(small)
    assert (small / "cifar10.safetensors").read_bytes() == before


@pytest.mark.slow
def test_no_training_picture_gets_into_the_repository(small: Path) -> None:
    measure(small)
    assert set(json.loads((small / "PICTURES.json").read_text())) == {
        "weights",
        "class_names",
        "drawn",
    }
