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


# --- What the chapters read from the files -------------------------------------------------------


def rows_of(study: str) -> dict[str, Any]:
    book = Path(script.__file__).parents[1] / "book" / "data"
    told: dict[str, Any] = json.loads((book / f"{study}_study.json").read_text())
    assert told["rows"].keys() == script.STUDIES[study].changes.keys()
    return told["rows"]


def test_what_chapter_11_says_of_the_colour_study() -> None:
    rows = rows_of("colour")
    gains = {name: rows["base"]["frechet"] - row["frechet"] for name, row in rows.items()}
    errors = {name: row["mean_log_error"] for name, row in rows.items()}
    chance = abs(gains["another seed"])
    for name in ("flow", "twice the rate"):
        assert 1.7 < gains[name] / chance < 2.3
    assert 2.5 < gains["min_snr"] / chance < 3
    assert errors["min_snr"] > errors["base"]
    assert gains["batch 32"] == max(gains.values()) > 3 * gains["min_snr"]
    assert errors["batch 32"] == min(errors.values())
    assert rows["batch 32"]["pictures"] == rows["base"]["pictures"]
    for name in ("wide", "full resolution"):
        assert 0.5 < rows[name]["pictures"] / rows["base"]["pictures"] < 0.6
        assert gains[name] < -5 * chance
    assert gains["eps"] < -5 * chance
    assert gains["longer average"] == min(gains.values())
    assert max(errors, key=lambda name: errors[name]) == "longer average"
    assert sorted(errors, key=lambda name: errors[name])[-2] == "eps"
    assert rows["no attention at 8x8"]["core_minutes"] < 0.8 * rows["base"]["core_minutes"]


def test_what_chapter_8_says_of_the_study_of_digits() -> None:
    rows = rows_of("digits")
    base, evenly, min_snr = (rows[name] for name in ("base", "times evenly", "min_snr"))
    for row in (evenly, min_snr):
        assert row["pictures"] == base["pictures"]
        assert row["frechet"] < 0.6 * base["frechet"]  # "much nearer"
        assert 0.4 < row["bits_per_dim"] - base["bits_per_dim"] < 0.6  # "half a bit"
    assert rows["bound"]["frechet"] > 5 * base["frechet"]  # "ruin the drawings"
    assert rows["bound"]["bits_per_dim"] > base["bits_per_dim"]  # and win no bits so early
    learned = rows["learned variance"]
    assert 0.15 < base["bits_per_dim"] - learned["bits_per_dim"] < 0.2  # "nearly a fifth"
    assert abs(learned["frechet"] / base["frechet"] - 1) < 0.05
    full = rows["full resolution"]
    assert full["pictures"] < base["pictures"] / 2
    assert full["frechet"] > 2 * base["frechet"]
    assert rows["longer average"]["train"]["ema_decay"] == 1 - 1 / 2000
    assert rows["longer average"]["frechet"] > 2 * base["frechet"]
