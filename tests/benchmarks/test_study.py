"""The studies of small networks: fair variants, and errors as reckoned by hand."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import study as script
import torch

from ddpm_lite.data import CIFAR10, Images, mnist
from ddpm_lite.model import DiffusionModel
from ddpm_lite.unet import UNet, UNetConfig

PIXELS = torch.randint(
    0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def changes(study: script.Study, name: str) -> set[str]:
    """What a variant changes in the model and the training of the first one."""
    found = set()
    pairs = zip(study.configurations(name), study.configurations("base"), strict=True)
    for mine, first in pairs:
        old: dict[str, Any] = asdict(first)
        new: dict[str, Any] = asdict(mine)
        old, new = old | old.pop("unet", {}), new | new.pop("unet", {})
        found |= {key for key in old if old[key] != new[key]}
    return found


@pytest.mark.parametrize(
    ("study", "name"),
    [(s, name) for s, study in script.STUDIES.items() for name in study.changes if name != "base"],
)
def test_a_variant_differs_in_one_thing(study: str, name: str) -> None:
    found = changes(script.STUDIES[study], name)
    if name == "full resolution":  # unfolded squares need other widths, and in colour a level more
        assert {"patch", "channels"} <= found <= {"patch", "channels", "attention"}
    else:
        assert len(found) == 1


@pytest.mark.slow
def test_a_variant_is_trained_and_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unet = UNetConfig(channels=(8,), groups=4, patch=4, classes=10)
    model = script.replace(script.DIGITS.model, unet=unet)
    study = script.replace(script.DIGITS, model=model, drawn=50, likelihood_images=2)
    monkeypatch.setattr(script, "JUDGED", 20)
    train, test = mnist().subset(500), mnist(train=False).subset(100)
    row = script.studied(study, "times evenly", 1, train, test, tmp_path)
    assert row["pictures"] == 64 * row["steps"] > 0
    assert row["train"]["times"] == "uniform"
    assert row["frechet"] > row["frechet_floor"]
    assert (tmp_path / "times_evenly.safetensors").exists()


def test_errors_of_a_network_that_says_nothing() -> None:
    """With v = 0 the guess is sqrt(alpha_bar) x_t, whose expected error is known."""
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    config = script.replace(script.COLOUR.model, unet=unet)
    net = UNet(unet)  # its head starts as 0
    model = DiffusionModel(net.eval(), config, config.build_schedule())
    found = script.errors(model, PIXELS)
    square = (PIXELS.double() / 127.5 - 1).square().mean()
    for level, error in zip(torch.linspace(6, -6, script.LEVELS).double(), found, strict=True):
        alpha_bar = torch.sigmoid(level)  # log SNR = log(alpha_bar / (1 - alpha_bar))
        wanted = (1 - alpha_bar) ** 2 * square + alpha_bar * (1 - alpha_bar)
        assert error == pytest.approx(float(wanted), rel=0.03)


def test_as_many_steps_as_the_minutes_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten updates that take a second each: 60 fit into a minute."""
    monkeypatch.setattr(script, "timed", lambda trainer, steps: float(steps))
    unet = UNetConfig(image_channels=3, channels=(8, 8), groups=4, patch=4, classes=10)
    model = script.replace(script.COLOUR.model, unet=unet)
    images = Images(PIXELS, torch.arange(64) % 10, CIFAR10)
    assert script.steps_in(1.0, model, script.COLOUR.plan, images) == 60


def test_a_variant_with_the_network_of_the_first_sees_as_many_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(script, "timed", lambda trainer, steps: float(steps))
    images = Images(PIXELS, torch.arange(64) % 10, CIFAR10)
    rows = {"base": {"pictures": 64 * 1234}}
    found = {
        name: script.steps_of(script.COLOUR, name, rows, images, 1.0)
        for name in ("flow", "half_log", "another seed", "batch 32", "no attention at 8x8")
    }
    assert [*found.values()] == [1234, 1234, 1234, 2468, 60]
    assert script.steps_of(script.COLOUR, "base", {}, images, 1.0) == 60


def test_other_minutes_are_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "book" / "data" / "digits_study.json"
    out.parent.mkdir(parents=True)
    rows = {name: {} for name in script.DIGITS.changes}
    told = {"minutes": 12.0, "data": "mnist", "test": "mnist", "rows": rows}
    out.write_text(json.dumps(told))
    monkeypatch.setattr(script, "__file__", str(tmp_path / "benchmarks" / "study.py"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["study.py", "digits", "--minutes", "12"])
    script.main()  # nothing is missing
    monkeypatch.setattr(sys, "argv", ["study.py", "digits", "--minutes", "20"])
    with pytest.raises(SystemExit):
        script.main()
    assert "of other minutes or pictures" in capsys.readouterr().err
    assert json.loads(out.read_text()) == told
