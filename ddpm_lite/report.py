"""The figures of an MNIST model in one table, as `ddpm-lite evaluate` prints them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ddpm_lite.data import mnist
from ddpm_lite.diffusion import Variance
from ddpm_lite.draw import DrawConfig, balanced_labels, draw
from ddpm_lite.evaluate import Likelihood, SampleQuality, likelihood, sample_quality
from ddpm_lite.model import DiffusionModel


@dataclass(frozen=True)
class LikelihoodConfig:
    """How to estimate bits/dim."""

    likelihood_images: int = 1000
    """Test images, drawn at random with the seed; 0 leaves bits/dim out."""
    likelihood_variance: Variance = "posterior"
    """Variance of p(x_{t-1} | x_t): posterior (beta tilde) or beta."""

    def __post_init__(self) -> None:
        if self.likelihood_images != 0 and not 2 <= self.likelihood_images <= 10_000:
            raise ValueError("--likelihood-images must be 0 or lie in 2..10000")


def report(
    model: DiffusionModel, n: int, config: DrawConfig, bound: LikelihoodConfig
) -> dict[str, Any]:
    """Draws n digits and judges them; bounds the likelihood of test images, without labels.

    Raises ValueError if the model does not draw 28x28 grey images, or for n outside 2..60,000.
    """
    if model.config.image_shape != (1, 28, 28):
        raise ValueError(
            f"only models of 28x28 grey digits can be judged, not of {model.config.image_shape}; "
            "for CIFAR-10 there is ddpm_lite.evaluate.inception_fid"
        )
    if not 2 <= n <= 60_000:
        raise ValueError(f"--n must lie in 2..60000, not {n}")
    figures: dict[str, Any] = {}
    if bound.likelihood_images:
        figures |= _bits(model_likelihood(model, bound, config.seed))
    labels = balanced_labels(n, model.config.unet.classes)
    images = draw(model, n, config, labels, progress=True)
    return figures | _quality(sample_quality(images, labels, config.seed)) | drawing(config, labels)


def model_likelihood(model: DiffusionModel, bound: LikelihoodConfig, seed: int = 0) -> Likelihood:
    """The bound of random MNIST test images under the unconditional model, in float32."""
    pixels = _random_test_images(bound.likelihood_images, seed).to(model.device)
    unlabelled = model.labelled(None, "float32")
    target, variance = model.config.target, bound.likelihood_variance
    return likelihood(model.schedule, unlabelled, pixels, target, variance, seed=seed)


def _random_test_images(n: int, seed: int) -> Tensor:
    pixels = mnist(train=False).pixels
    generator = torch.Generator().manual_seed(seed)
    return pixels[torch.randperm(len(pixels), generator=generator, device="cpu")[:n]]


def _bits(bound: Likelihood) -> dict[str, Any]:
    return {
        "bits_per_dim": round(bound.bits_per_dim, 4),
        "bits_per_dim_stderr": round(bound.stderr, 4),
        "rate": round(bound.rate, 4),
        "distortion": round(bound.distortion, 4),
        "prior": round(bound.prior, 6),
        "likelihood_images": bound.n,
        "likelihood_variance": bound.variance,
        "terms": {
            "spans": bound.spans,
            "per_step": [_short(mean) for mean in bound.per_step],
            "per_step_stderr": [_short(error) for error in bound.per_step_stderr],
        },
    }


def _short(value: float) -> float:
    """Four digits: the terms span five powers of ten."""
    return float(f"{value:.4g}")


def _quality(quality: SampleQuality) -> dict[str, Any]:
    accuracy = quality.label_accuracy
    return {
        "frechet": round(quality.frechet, 3),
        "frechet_floor": round(quality.frechet_floor, 3),
        "n": quality.n,
        "features": quality.features,
        "seed": quality.seed,
        "confidence": round(quality.confidence, 4),
        "confident_share": round(quality.confident_share, 4),
        "label_accuracy": None if accuracy is None else round(accuracy, 4),
        "class_counts": list(quality.class_counts),
        "class_distance": round(quality.class_distance, 4),
    }


def drawing(config: DrawConfig, labels: Tensor | None) -> dict[str, Any]:
    """The settings that the images depend on."""
    names = {"ancestral": ["variance"], "ddim": ["steps", "eta"], "dpm_solver": ["steps"]}
    guided = [] if labels is None else ["guidance_scale"]
    wanted = ["sampler", *guided, *names[config.sampler], "clip", "precision"]
    return {name: getattr(config, name) for name in wanted}
