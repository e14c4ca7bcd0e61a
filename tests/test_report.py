import json
import math
from pathlib import Path

import pytest
import torch

from ddpm_lite.diffusion import elbo
from ddpm_lite.draw import DrawConfig
from ddpm_lite.model import PRETRAINED, DiffusionModel, ModelConfig
from ddpm_lite.report import LikelihoodConfig, _random_test_images, model_likelihood, report
from ddpm_lite.unet import UNet, UNetConfig


def untrained(T: int = 50, side: int = 28) -> DiffusionModel:
    config = ModelConfig(
        unet=UNetConfig(channels=(8, 8), groups=4, patch=2, classes=10), T=T, side=side
    )
    torch.manual_seed(0)
    return DiffusionModel(UNet(config.unet).eval(), config, config.build_schedule())


def test_bound_of_few_steps_is_the_whole_sum() -> None:
    """With no more steps than are computed one by one, nothing is left to chance but the noise."""
    model, bound = untrained(T=40), LikelihoodConfig(likelihood_images=16)
    estimate = model_likelihood(model, bound, seed=3)
    x_0 = _random_test_images(16, 3).float() / 127.5 - 1
    generator = torch.Generator().manual_seed(1)
    whole = elbo(model.schedule, model.labelled(None, "float32"), x_0, "v", generator=generator)
    expected = whole.sum(0)
    error = float(expected.std() / 4)
    assert estimate.bits_per_dim == pytest.approx(float(expected.mean()), abs=error)
    assert estimate.rate + estimate.distortion == pytest.approx(estimate.bits_per_dim)


def test_model_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="28x28"):
        report(untrained(side=32), 10, DrawConfig(), LikelihoodConfig())


@pytest.mark.parametrize("n", [1, 60_001])
def test_too_few_and_too_many_images_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="--n"):
        report(untrained(), n, DrawConfig(), LikelihoodConfig())


@pytest.mark.parametrize("n", [1, 10_001, -5])
def test_likelihood_images_must_exist(n: int) -> None:
    with pytest.raises(ValueError, match="likelihood-images"):
        LikelihoodConfig(likelihood_images=n)


def test_likelihood_can_be_left_out(tmp_path: Path) -> None:
    figures = report(untrained(), 4, DrawConfig(steps=1), LikelihoodConfig(likelihood_images=0))
    assert "bits_per_dim" not in figures
    assert figures["n"] == 4
    assert sum(figures["class_counts"]) == 4


@pytest.mark.slow
def test_the_shipped_evaluation_can_be_measured_again() -> None:
    saved = json.loads((PRETRAINED.parent / "mnist_evaluation.json").read_text())
    terms = saved["terms"]
    whole = sum(
        (last - first + 1) * mean
        for (first, last), mean in zip(terms["spans"], terms["per_step"], strict=True)
    )
    assert whole + saved["prior"] == pytest.approx(saved["bits_per_dim"], abs=1e-3)
    again = model_likelihood(
        DiffusionModel.load(), LikelihoodConfig(likelihood_images=50), seed=saved["seed"] + 1
    )
    gap = abs(again.bits_per_dim - saved["bits_per_dim"])
    assert gap < 4 * math.hypot(again.stderr, saved["bits_per_dim_stderr"])
    told = zip(again.per_step, again.per_step_stderr, terms["per_step"], strict=True)
    assert sum(abs(mean - other) > 4 * error for mean, error, other in told) <= 2
