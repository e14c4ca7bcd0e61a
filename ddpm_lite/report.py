"""The figures of a model in one table, as `ddpm-lite evaluate` prints them."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ddpm_lite.data import Images
from ddpm_lite.diffusion import BoundVariance
from ddpm_lite.draw import DrawConfig, balanced_labels, check_steps, draw
from ddpm_lite.evaluate import (
    Likelihood,
    SampleQuality,
    check_inception,
    inception_fid,
    likelihood,
    sample_quality,
)
from ddpm_lite.judges import Judge, find_judge
from ddpm_lite.model import DiffusionModel, number_type

Features = Literal["own", "inception"]
"""In what features drawn images are compared with real ones."""


@dataclass(frozen=True)
class LikelihoodConfig:
    """How to estimate bits/dim."""

    likelihood_images: int = 1000
    """Test images, drawn at random with the seed, all if there are fewer; 0 leaves bits/dim out."""
    likelihood_variance: BoundVariance | None = None
    """Variance of p(x_{t-1} | x_t): posterior (beta tilde), beta, or learned; without it learned
    where the network says one, else posterior."""

    def __post_init__(self) -> None:
        if self.likelihood_images != 0 and not 2 <= self.likelihood_images <= 10_000:
            raise ValueError("--likelihood-images must be 0 or lie in 2..10000")


def report(
    model: DiffusionModel,
    real: Images,
    n: int,
    config: DrawConfig,
    bound: LikelihoodConfig,
    features: Features = "own",
    reference: Images | None = None,
) -> dict[str, Any]:
    """Bounds the likelihood of real images, without labels; draws n images and compares the two.

    `real` are images that the model was not trained on. Drawn images are judged where a classifier
    for such images comes with the package (`find_judge`); "inception" takes the FID of colour
    images instead, from the `reference`, or from the real images without one. Published FIDs take
    the training set for it, and n = 50,000. Raises ValueError if the real images are not of the
    model's shape, if they are too few, for n outside 2..60,000, for more steps than the model has
    and for the FID of grey images, and EvaluationError without torch-fidelity; all that before
    anything is computed.
    """
    shape = tuple(real.pixels.shape[1:])
    if shape != model.config.image_shape:
        raise ValueError(f"the model draws {model.config.image_shape}, the data hold {shape}")
    if not 2 <= n <= 60_000:
        raise ValueError(f"--n must lie in 2..60000, not {n}")
    judge = find_judge(real) if features == "own" else None
    if features == "inception":
        check_inception(real.pixels)
    least = 4 if judge else 2  # a floor parts them into two samples
    if len(real) < least:
        raise ValueError(f"{least} real images are needed at least, not {len(real)}")
    if judge or features == "inception":
        check_steps(config, model.config.T)
    figures: dict[str, Any] = {}
    if bound.likelihood_images:
        size = min(250, config.batch_size)
        figures |= _bits(model_likelihood(model, real, bound, config.seed, size))
    if judge is None and features == "own":
        reason = "no classifier for such images comes with the package"
        return figures | {"frechet": None, "reason": reason}
    return figures | _judged(model, reference or real, n, config, judge)


def _judged(
    model: DiffusionModel, real: Images, n: int, config: DrawConfig, judge: Judge | None
) -> dict[str, Any]:
    """What drawn images are worth to a judge of real ones, or to Inception without one."""
    classes = model.config.unet.classes
    labels = balanced_labels(n, classes)
    images = draw(model, n, config, labels, progress=True)
    if judge is None:
        found = {"inception_fid": round(inception_fid(images, real.pixels), 3)}
        found |= {"n": n, "reference": len(real), "seed": config.seed}
    else:
        known = labels if classes == len(real.class_names) else None
        found = _quality(sample_quality(images, known, config.seed, judge))
    return found | drawing(config, labels, model.device)


def model_likelihood(
    model: DiffusionModel,
    real: Images,
    bound: LikelihoodConfig,
    seed: int = 0,
    batch_size: int = 250,
) -> Likelihood:
    """The bound of random ones of the images under the unconditional model, in float32.

    Each batch draws its own times and noises: another size gives other ones.
    """
    pixels = _random_images(real, bound.likelihood_images, seed).to(model.device)
    unlabelled = model.labelled(None, "float32")
    target, variance = model.config.target, bound.likelihood_variance or model.bound_variance
    return likelihood(
        model.schedule, unlabelled, pixels, target, variance, seed=seed, batch_size=batch_size
    )


def _random_images(real: Images, n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return real.pixels[torch.randperm(len(real), generator=generator, device="cpu")[:n]]


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


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _quality(quality: SampleQuality) -> dict[str, Any]:
    return {
        "frechet": round(quality.frechet, 3),
        "frechet_floor": round(quality.frechet_floor, 3),
        "n": quality.n,
        "reference": quality.reference,
        "features": quality.features,
        "seed": quality.seed,
        "knn_precision": _rounded(quality.precision),  # `precision` is that of the numbers
        "knn_recall": _rounded(quality.recall),
        "confidence": round(quality.confidence, 4),
        "confident_share": round(quality.confident_share, 4),
        "label_accuracy": _rounded(quality.label_accuracy),
        "class_counts": list(quality.class_counts),
        "class_distance": round(quality.class_distance, 4),
    }


def drawing(config: DrawConfig, labels: Tensor | None, device: torch.device) -> dict[str, Any]:
    """The settings that the images depend on, with the numbers that `auto` was on this device."""
    chosen = replace(config, precision=number_type(device, config.precision))
    others = {"ancestral": ["variance"], "ddim": ["steps", "eta"]}
    guided = [] if labels is None else ["guidance_scale"]
    names = others.get(config.sampler, ["steps"])
    wanted = ["sampler", *guided, *names, "clip", "precision"]
    return {name: getattr(chosen, name) for name in wanted}
