"""How the shipped colour model is judged: copies are found, the guidance is the best one."""

import json
from pathlib import Path

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
from ddpm_lite.run import CHECKPOINT, METRICS
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
    gaps, places = script.nearest_two(drawn, train)
    for row, picture in enumerate(drawn.double()):
        both = [[(picture - p).norm() for p in (t, t.flip(-1))] for t in train.double()]
        own = torch.stack([torch.stack(pair).min() for pair in both])
        wanted = own.topk(2, largest=False)
        torch.testing.assert_close(gaps[row], wanted.values, rtol=1e-6, atol=1e-3)
        assert places[row].tolist() == wanted.indices.tolist()
    assert places[0, 0] == 7


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


LINE = '{"step": 1, "images_per_second": 2.0}\n'


@pytest.mark.slow
def test_all_is_measured_once_and_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVALUATION", "PICTURES"):
        monkeypatch.setattr(script, name, tmp_path / f"{name}.json")
    monkeypatch.setattr(script, "ASSETS", tmp_path)
    monkeypatch.setattr(script, "SHIPPED", tmp_path / "cifar10.safetensors")
    monkeypatch.setattr(script, "DRAW", DrawConfig(steps=1))
    monkeypatch.setattr(script, "SCALES", (1.0, 2.0))
    monkeypatch.setattr(script, "SHOWN", 10)
    network = ColourClassifier().eval().requires_grad_(False)
    for place in (script, report):
        monkeypatch.setattr(place, "find_judge", lambda real: Judge("untrained", network, real))
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    plan = TrainConfig(steps=1, batch_size=4)
    trainer = Trainer(ModelConfig(unet=unet, side=32, T=20), plan, pictures(40, 0))
    trainer.save(tmp_path / CHECKPOINT)
    (tmp_path / METRICS).write_text(LINE)
    script.measured(tmp_path, pictures(40, 0), pictures(40, 1), 100)
    told = json.loads((tmp_path / "EVALUATION.json").read_text())
    assert [row["scale"] for row in told["sweep"]] == [1.0, 2.0]
    assert told["guidance"] in (1.0, 2.0)
    assert told["training"] == {"steps": 0, "of": 1, "pictures": 0, "hours": round(2 / 3600, 2)}
    assert told["plain"]["guidance_scale"] == 1.0
    assert told["plain"]["bits_per_dim"] > 0
    assert told["chosen"]["guidance_scale"] == told["guidance"]
    assert told["chosen"]["n"] == told["plain"]["n"] == 100
    shown = json.loads((tmp_path / "PICTURES.json").read_text())
    shipped = DiffusionModel.load(tmp_path / "cifar10.safetensors")
    assert own_config(shipped).guidance_scale == told["guidance"]
    assert torch.equal(draw(shipped, 10), unpack(shown["drawn"], 3, 32, 32))
    assert (tmp_path / "cifar10_metrics.jsonl").read_text() == LINE
    told["guidance"] = 2.0  # what stands there is not measured again
    (tmp_path / "EVALUATION.json").write_text(json.dumps(told))
    script.measured(tmp_path, pictures(40, 0), pictures(40, 1), 100)
    assert json.loads((tmp_path / "EVALUATION.json").read_text()) == told
    assert own_config(DiffusionModel.load(tmp_path / "cifar10.safetensors")).guidance_scale == 2.0
