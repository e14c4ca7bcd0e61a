"""One step or few: the committed file, and a part of it drawn again."""

import json
import math
from dataclasses import replace
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

MODELS = ("mnist_one_step", "mnist")


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


def nearer(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether the first is nearer to real digits than the second, well beyond the error."""
    error = math.hypot(a["frechet_se"], b["frechet_se"])
    return bool(b["frechet"] - a["frechet"] > 4 * error)


def test_the_file_says_what_the_page_says() -> None:
    student, teacher = ({n: row(m, n) for n in script.STEPS[m]} for m in MODELS)
    assert nearer(student[1], teacher[2])
    assert not nearer(teacher[4], student[1])  # worth several steps of the teacher's
    assert nearer(student[2], student[1])
    error = math.hypot(student[1]["share_se"], teacher[10]["share_se"])
    assert teacher[10]["recall"] - student[1]["recall"] > 2 * error


@pytest.mark.parametrize(("name", "guidance"), [("mnist", 1.3), ("mnist_one_step", 1.0)])
def test_the_digits_are_those_of_one_guess(name: str, guidance: float) -> None:
    model = DiffusionModel.load(name)
    images = script.drawn(model, replace(own_config(model), steps=1), 100)
    labels, noise = torch.arange(100) % 10, initial_noise((100, 1, 28, 28), 0)
    asked = (model.labelled(labels), "v", model.labelled(None), guidance)
    guess = denoiser(model.schedule, *asked)  # type: ignore[arg-type]
    assert torch.equal(images, to_uint8(last(ddim(guess, model.schedule, noise, 1))))
    says = load_classifier()(to_float(images)).argmax(1)
    share = row(name, 1)["label_accuracy"]
    assert float((says == labels).float().mean()) == pytest.approx(share, abs=0.1)
