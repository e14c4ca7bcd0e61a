import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ddpm_lite.data import Images, mnist
from ddpm_lite.diffusion import elbo
from ddpm_lite.draw import DrawConfig
from ddpm_lite.evaluate import EvaluationError
from ddpm_lite.model import DiffusionModel, ModelConfig, Precision
from ddpm_lite.report import Features, LikelihoodConfig, _random_images, model_likelihood, report
from ddpm_lite.shipped import PRETRAINED
from ddpm_lite.unet import UNet, UNetConfig

TEST = mnist(train=False)


def untrained(T: int = 50, side: int = 28, channels: int = 1) -> DiffusionModel:
    unet = UNetConfig(image_channels=channels, channels=(8, 8), groups=4, patch=2, classes=10)
    config = ModelConfig(unet=unet, T=T, side=side)
    torch.manual_seed(0)
    return DiffusionModel(UNet(config.unet).eval(), config, config.build_schedule())


def test_bound_of_few_steps_is_the_whole_sum() -> None:
    """With no more steps than are computed one by one, nothing is left to chance but the noise."""
    model, bound = untrained(T=40), LikelihoodConfig(likelihood_images=16)
    estimate = model_likelihood(model, TEST, bound, seed=3)
    x_0 = _random_images(TEST, 16, 3).float() / 127.5 - 1
    generator = torch.Generator().manual_seed(1)
    whole = elbo(model.schedule, model.labelled(None, "float32"), x_0, "v", generator=generator)
    expected = whole.sum(0)
    error = float(expected.std() / 4)
    assert estimate.bits_per_dim == pytest.approx(float(expected.mean()), abs=error)
    assert estimate.rate + estimate.distortion == pytest.approx(estimate.bits_per_dim)


def test_model_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"draws \(1, 32, 32\), the data hold \(1, 28, 28\)"):
        report(untrained(side=32), TEST, 10, DrawConfig(), LikelihoodConfig())


def test_pictures_that_nobody_can_judge_are_bounded_and_the_reason_is_told() -> None:
    pixels = torch.randint(256, (20, 1, 16, 16), dtype=torch.uint8)
    real = Images(pixels, torch.zeros(20).long(), ("leaf", "stone"))
    figures = report(untrained(side=16), real, 4, DrawConfig(), LikelihoodConfig())
    assert figures["bits_per_dim"] > 0
    assert figures["likelihood_images"] == 20  # all, as there are fewer than asked for
    assert figures["frechet"] is None
    assert "no classifier" in figures["reason"]
    assert "steps" not in figures  # nothing was drawn


def coloured(n: int) -> Images:
    pixels = TEST.pixels[:n].expand(n, 3, 28, 28)
    return Images(pixels, TEST.labels[:n], TEST.class_names)


@pytest.mark.parametrize(
    ("channels", "real", "config", "features", "error", "message"),
    [
        (1, TEST, DrawConfig(), "inception", ValueError, r"must be uint8 \(N, 3, H, W\)"),
        (3, coloured(4), DrawConfig(), "inception", EvaluationError, "needs torch-fidelity"),
        (1, TEST.subset(3), DrawConfig(), "own", ValueError, "4 real images are needed"),
        (1, TEST, DrawConfig(steps=51), "own", ValueError, r"must lie in 1\.\.50, not 51"),
    ],
)
def test_what_can_be_asked_first_is_not_learnt_at_the_end(
    monkeypatch: pytest.MonkeyPatch, channels: int, real: Images, config: DrawConfig,
    features: Features, error: type[Exception], message: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    for name in ("draw", "model_likelihood"):
        monkeypatch.setattr(f"ddpm_lite.report.{name}", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(error, match=message):
        report(untrained(channels=channels), real, 4, config, LikelihoodConfig(), features)


def test_inception_features_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def fid(images: torch.Tensor, reference: torch.Tensor) -> float:
        seen.extend((len(images), len(reference)))
        return 12.3456

    monkeypatch.setattr("ddpm_lite.report.inception_fid", fid)
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    nothing, real, steps = LikelihoodConfig(likelihood_images=0), coloured(6), DrawConfig(steps=2)
    figures = report(untrained(channels=3), real, 5, steps, nothing, "inception")
    assert (seen, figures["reference"]) == ([5, 6], 6)
    figures = report(untrained(channels=3), real, 5, steps, nothing, "inception", coloured(9))
    assert (seen[2:], figures["reference"]) == ([5, 9], 9)
    assert (figures["inception_fid"], figures["n"]) == (12.346, 5)
    assert (figures["sampler"], figures["steps"], figures["guidance_scale"]) == ("ddim", 2, 1.3)
    assert "frechet" not in figures


def test_one_real_picture_is_none() -> None:
    for classes, least in ((TEST.class_names, 4), (("leaf", "stone"), 2)):
        real = replace(TEST.subset(least - 1), class_names=classes)
        with pytest.raises(ValueError, match=f"{least} real images"):
            report(untrained(), real, 10, DrawConfig(), LikelihoodConfig())


@pytest.mark.parametrize("n", [1, 60_001])
def test_too_few_and_too_many_images_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="--n"):
        report(untrained(), TEST, n, DrawConfig(), LikelihoodConfig())


@pytest.mark.parametrize("n", [1, 10_001, -5])
def test_likelihood_images_must_exist(n: int) -> None:
    with pytest.raises(ValueError, match="likelihood-images"):
        LikelihoodConfig(likelihood_images=n)


@pytest.mark.slow
def test_likelihood_can_be_left_out(tmp_path: Path) -> None:
    nothing = LikelihoodConfig(likelihood_images=0)
    figures = report(untrained(), TEST, 4, DrawConfig(steps=1), nothing)
    assert "bits_per_dim" not in figures
    assert figures["n"] == 4
    assert sum(figures["class_counts"]) == 4
    assert 0 <= figures["knn_precision"] <= 1
    assert 0 <= figures["knn_recall"] <= 1


@pytest.mark.parametrize(
    ("asked", "fast", "told"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("float32", True, "float32"),
        ("bfloat16", False, "bfloat16"),
    ],
)
def test_the_numbers_are_told_that_the_network_computed_in(
    monkeypatch: pytest.MonkeyPatch, asked: Precision, fast: bool, told: str
) -> None:
    """`auto` would tell nothing to a reader who has another machine."""
    monkeypatch.setattr("ddpm_lite.model.prefers_bfloat16", lambda _: fast)
    model, seen = untrained(), set[torch.dtype]()
    model.net.stem.register_forward_hook(lambda _, inputs, out: seen.add(out.dtype))
    config, nothing = DrawConfig(steps=1, precision=asked), LikelihoodConfig(likelihood_images=0)
    assert report(model, TEST, 4, config, nothing)["precision"] == told
    assert seen == {getattr(torch, told)}


@pytest.mark.slow
def test_the_shipped_evaluation_can_be_measured_again() -> None:
    saved = json.loads((PRETRAINED.parent / "mnist_evaluation.json").read_text())
    terms = saved["terms"]
    whole = sum(
        (last - first + 1) * mean
        for (first, last), mean in zip(terms["spans"], terms["per_step"], strict=True)
    )
    assert whole + saved["prior"] == pytest.approx(saved["bits_per_dim"], abs=1e-3)
    some = LikelihoodConfig(likelihood_images=50)
    again = model_likelihood(DiffusionModel.load(), TEST, some, seed=saved["seed"] + 1)
    gap = abs(again.bits_per_dim - saved["bits_per_dim"])
    assert gap < 4 * math.hypot(again.stderr, saved["bits_per_dim_stderr"])
    told = zip(again.per_step, again.per_step_stderr, terms["per_step"], strict=True)
    assert sum(abs(mean - other) > 4 * error for mean, error, other in told) <= 2


@pytest.mark.parametrize(("asked", "seen"), [(4, {4, 3}), (256, {7})])
def test_the_bound_takes_no_more_at_once_than_is_drawn_at_once(asked: int, seen: set[int]) -> None:
    model, sizes = untrained(T=5, side=8), set[int]()
    model.net.register_forward_hook(lambda net, inputs, output: sizes.add(len(inputs[0])))
    real = Images(torch.zeros(7, 1, 8, 8, dtype=torch.uint8), torch.zeros(7).long(), ("x",))
    report(model, real, 4, DrawConfig(batch_size=asked), LikelihoodConfig())
    assert sizes == seen


def test_a_learned_variance_is_taken_for_the_bound() -> None:
    """A new network says w = 1/2 everywhere: another bound than with beta tilde."""
    unet = UNetConfig(channels=(8, 8), groups=4, patch=4, learned_variance=True)
    config = ModelConfig(unet=unet, T=20)
    model = DiffusionModel(UNet(unet).eval(), config, config.build_schedule())
    real = mnist(train=False).subset(4)
    own = model_likelihood(model, real, LikelihoodConfig(likelihood_images=4))
    assert own.variance == "learned"
    other = model_likelihood(model, real, LikelihoodConfig(4, likelihood_variance="posterior"))
    assert other.variance == "posterior"
    assert own.bits_per_dim != pytest.approx(other.bits_per_dim, rel=1e-3)
