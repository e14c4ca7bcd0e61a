"""One step or few: the committed file, and a part of it drawn again."""

import json
from functools import cache
from typing import Any

import one_step as script
import pytest
import torch

from ddpm_lite.classifier import load_classifier
from ddpm_lite.data import to_float, to_uint8
from ddpm_lite.draw import DrawConfig, own_config
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import ddim, denoiser, initial_noise, last


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    return found


def row(model: str, steps: int) -> dict[str, Any]:
    return next(r for r in committed()["rows"] if (r["model"], r["steps"]) == (model, steps))


def test_every_row_is_there() -> None:
    found = [(r["model"], r["steps"]) for r in committed()["rows"]]
    assert found == [(name, n) for name, steps in script.STEPS.items() for n in steps]
    assert committed()["command"].startswith("python benchmarks/one_step.py")
    assert {r["floor"] for r in committed()["rows"]} == {row("mnist", 1)["floor"]}


def test_the_student_is_asked_once_a_step_and_the_guided_model_twice() -> None:
    assert own_config(DiffusionModel.load("mnist")) == DrawConfig()
    assert own_config(DiffusionModel.load("mnist_one_step")).sampler == "consistency"
    for r in committed()["rows"]:
        assert r["asked"] == r["steps"] * (2 if r["model"] == "mnist" else 1)


def test_one_step_of_the_student_is_nearer_than_one_of_its_teacher() -> None:
    student, teacher = row("mnist_one_step", 1), row("mnist", 1)
    error = (student["frechet_se"] ** 2 + teacher["frechet_se"] ** 2) ** 0.5
    assert teacher["frechet"] - student["frechet"] > 4 * error


@pytest.mark.parametrize("name", ["mnist", "mnist_one_step"])
def test_the_digits_are_those_of_one_guess(name: str) -> None:
    model = DiffusionModel.load(name)
    images = script.drawn(model, DrawConfig(steps=1, guidance_scale=1.0), 100)
    labels, noise = torch.arange(100) % 10, initial_noise((100, 1, 28, 28), 0)
    guess = denoiser(model.schedule, model.labelled(labels), "v")
    assert torch.equal(images, to_uint8(last(ddim(guess, model.schedule, noise, 1))))
    says = load_classifier()(to_float(images)).argmax(1)
    share = row(name, 1)["label_accuracy"]  # of the teacher with guidance
    assert float((says == labels).float().mean()) == pytest.approx(share, abs=0.12)
