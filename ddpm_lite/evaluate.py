"""How good a model is: the likelihood it gives real images, and how real its own images look.

Distances between sets of images depend on the features, on the number of images and on the draw;
each is therefore returned with all three, and with the floor: the distance that as many new real
images, of the classes that were asked for, would have from the same reference.
"""

import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from ddpm_lite.data import cifar10, to_float
from ddpm_lite.diffusion import BoundVariance, Model, Target, bits_per_dim, bound_term, prior_term
from ddpm_lite.frechet import asked, frechet_distance, frechet_floor
from ddpm_lite.judges import Judge, digits
from ddpm_lite.precision_recall import NEIGHBOURS, precision_recall
from ddpm_lite.schedule import NoiseSchedule

__all__ = ["Likelihood", "SampleQuality", "likelihood", "sample_quality"]


class EvaluationError(Exception):
    """A measurement that cannot be made here; the text is one line."""


# --- Quality of drawn images ---------------------------------------------------------------------


@dataclass(frozen=True)
class SampleQuality:
    """What a classifier of real images sees in drawn ones."""

    frechet: float
    """Frechet distance from the judge's real images."""
    frechet_floor: float
    """What n new real images of the same classes are expected to have: `frechet_floor`."""
    n: int
    """How many images were judged."""
    reference: int
    """How many real images they were compared with."""
    features: str
    """In what features the distances are taken. Not those of Inception: compare only with these."""
    seed: int
    """Chose how the real images were parted for the floor, and which ones precision looks at."""
    precision: float | None
    """The share of drawn images among real ones, as many of each as there are of both."""
    recall: float | None
    """The share of these real images among the drawn ones."""
    confidence: float
    """The mean over images of the largest class probability."""
    confident_share: float
    """The share of images whose largest class probability exceeds 0.9."""
    class_counts: tuple[int, ...]
    """How many images were taken for each class."""
    class_distance: float
    """Total variation distance of the classes from evenly many: 0 if even, 0.9 if all are one."""
    label_accuracy: float | None
    """The share of images taken for the class that was asked for, if labels were given."""


def sample_quality(
    images: Tensor, labels: Tensor | None = None, seed: int = 0, judge: Judge | None = None
) -> SampleQuality:
    """Judges drawn images, uint8 (N, C, H, W), by a classifier that comes with the package.

    `labels` (N,) are the classes that were asked for. Without a `judge` the images are grey digits,
    (N, 1, 28, 28), and the reference is the MNIST test set. The floor is that of real images with
    these labels (`frechet_floor`). Without labels, or with a class of which there are too few real
    images, it is that of N real images by chance. Raises ValueError for another shape or type, for
    labels of another length or of no class, for N < 2 and for N > 60,000.
    """
    judge = judge or digits()
    classes = len(judge.real.class_names)
    _check_drawn(images, labels, tuple(judge.real.pixels.shape[1:]), classes)
    judged, n = judge.look(images), len(images)
    sure, taken = judged.probabilities.max(1)
    counts = taken.bincount(minlength=classes)
    precision, recall = _precision_recall(judged.features, judge.reference, seed)
    return SampleQuality(
        frechet=frechet_distance(judged.features, judge.reference),
        frechet_floor=frechet_floor(n if labels is None else asked(labels, judge), seed, judge),
        n=n,
        reference=len(judge.reference),
        features=judge.name,
        seed=seed,
        precision=precision,
        recall=recall,
        confidence=float(sure.double().mean()),
        confident_share=float((sure > 0.9).double().mean()),
        class_counts=tuple(counts.tolist()),
        class_distance=float((counts.double() / n - 1 / classes).abs().sum() / 2),
        label_accuracy=None if labels is None else float((taken == labels.cpu()).double().mean()),
    )


def _check_drawn(
    images: Tensor, labels: Tensor | None, shape: tuple[int, ...], classes: int
) -> None:
    if images.dtype != torch.uint8 or tuple(images.shape[1:]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"images must be uint8 (N, {wanted}), not {images.dtype} {images.shape}")
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} images need as many labels, not shape {labels.shape}")
    if labels is not None and not bool(((labels >= 0) & (labels < classes)).all()):
        raise ValueError(f"labels must lie in 0..{classes - 1}")
    if not 2 <= len(images) <= 60_000:
        raise ValueError(f"2 to 60,000 images can be judged, not {len(images)}")


def _precision_recall(
    drawn: Tensor, real: Tensor, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """Of as many real ones, chosen at random, as there are drawn ones; None if they are too few."""
    n = min(len(drawn), len(real))
    if n <= NEIGHBOURS:
        return None, None
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed), device="cpu")
    return precision_recall(drawn[:n], real[order[:n]])


# --- Likelihood ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Likelihood:
    """The negative evidence lower bound of real images, in bits for each number of an image."""

    bits_per_dim: float
    """The bound: at most this many bits are needed, on average. rate + distortion."""
    stderr: float
    """Its standard error, from the spread over images; it covers the random times and noises."""
    prior: float
    """L_T: how far x_T is from pure noise."""
    rate: float
    """L_1 + ... + L_T: what the steps t = 2..T cost, and the prior."""
    distortion: float
    """L_0: what the last step costs, from x_1 to the exact grey levels."""
    spans: tuple[tuple[int, int], ...]
    """First and last t of each stretch of times that was estimated together."""
    per_step: tuple[float, ...]
    """The mean of L_{t-1} over images and over the times of each stretch."""
    per_step_stderr: tuple[float, ...]
    """The standard errors of these means."""
    n: int
    """How many images were used."""
    variance: str
    """The variance of p(x_{t-1} | x_t)."""
    seed: int
    """Chose the times and the noises."""


def likelihood(
    schedule: NoiseSchedule,
    model: Model,
    pixels: Tensor,
    target: Target,
    variance: BoundVariance = "posterior",
    n_times: int = 60,
    seed: int = 0,
    batch_size: int = 250,
    exact: int = 40,
) -> Likelihood:
    """Estimates the bound of images, uint8 (N, C, H, W), without bias, at a fraction of its price.

    The whole bound takes T evaluations of the network an image. Most of its bits, and nearly all
    that changes quickly with t, lie at small t. So t = 1..`exact` are evaluated one by one for
    every image. The times above are cut into `n_times` stretches as equal as can be, and each image
    draws one t in every stretch, whose term counts for the whole stretch: it is multiplied with the
    stretch's length. The expectation is the full sum, and because no stretch is missed the error is
    far smaller than with times drawn anywhere. Each image draws its own, so that the spread over
    images tells the error of their mean. The network is evaluated `exact` + `n_times` times an
    image.

    `model` maps (x_t, t) to its output, x_t being where `pixels` are. The terms are those of
    DDPM (arXiv:2006.11239, equation 5). Raises ValueError for pixels of another type or shape,
    for fewer than two images, and if the bound is not finite.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or len(pixels) < 2:
        raise ValueError(
            f"pixels must be uint8 (N > 1, C, H, W), not {pixels.dtype} {pixels.shape}"
        )
    spans = stretches(schedule.T, exact, n_times)
    sizes = [last - first + 1 for first, last in spans]
    lengths = torch.tensor(sizes, dtype=torch.float64, device="cpu")
    generator = torch.Generator().manual_seed(seed)
    parts, priors = [], []
    for x_0 in _batches(pixels, batch_size):
        terms = [_term(schedule, model, x_0, s, target, variance, generator) for s in spans]
        parts.append(bits_per_dim(torch.stack(terms), x_0).cpu().double())
        priors.append(bits_per_dim(prior_term(schedule, x_0), x_0).cpu().double())
    steps, prior = torch.cat(parts, dim=1), torch.cat(priors)
    whole = (lengths[:, None] * steps).sum(0) + prior
    total, distortion = float(whole.mean()), float(steps[0].mean())
    if not math.isfinite(total):
        raise ValueError("the bound is not finite: the network puts out NaN or infinity")
    return Likelihood(
        bits_per_dim=total,
        stderr=float(whole.std() / math.sqrt(len(whole))),
        prior=float(prior.mean()),
        rate=total - distortion,
        distortion=distortion,
        spans=tuple(spans),
        per_step=tuple(steps.mean(1).tolist()),
        per_step_stderr=tuple((steps.std(1) / math.sqrt(steps.shape[1])).tolist()),
        n=len(whole),
        variance=variance,
        seed=seed,
    )


def stretches(T: int, exact: int, n_times: int) -> list[tuple[int, int]]:
    """First and last t of each stretch: 1..`exact` alone, the rest in `n_times` about equal parts.

    They cover 1..T without gap. t = 1 is always alone, and no stretch is empty. Raises ValueError
    if times above `exact` are left and n_times < 1.
    """
    exact = min(max(exact, 1), T)
    rest = T - exact
    parts = min(n_times, rest)
    if rest and parts < 1:
        raise ValueError(f"n_times must be at least 1, not {n_times}")
    edges = [exact + rest * i // parts for i in range(parts + 1)] if rest else []
    alone = [(t, t) for t in range(1, exact + 1)]
    return alone + [(before + 1, after) for before, after in pairwise(edges)]


def _batches(pixels: Tensor, batch_size: int) -> Iterator[Tensor]:
    for batch in tqdm(pixels.split(batch_size), desc="likelihood", disable=None, leave=False):
        yield to_float(batch)


@torch.no_grad()
def _term(
    schedule: NoiseSchedule,
    model: Model,
    x_0: Tensor,
    span: tuple[int, int],
    target: Target,
    variance: BoundVariance,
    generator: torch.Generator,
) -> Tensor:
    """L_{t-1} of each image in nats, (B,), at its own random t within the stretch."""
    t = torch.randint(span[0], span[1] + 1, (len(x_0),), generator=generator, device="cpu")
    eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device="cpu")
    return bound_term(schedule, model, x_0, t, eps.to(x_0.device), target, variance)


# --- Inception FID -------------------------------------------------------------------------------


class _Pixels(Dataset[Tensor]):
    """Images (3, H, W), uint8, one by one, as torch-fidelity wants them."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self.pixels[index]


def inception_fid(images: Tensor | Path | str, reference: Tensor | None = None) -> float:
    """The usual FID (arXiv:1706.08500) of colour images, by torch-fidelity's Inception network.

    `images` is uint8 (N, 3, H, W) or a folder of image files; `reference`, of that shape, is the
    CIFAR-10 training set unless given. FID at N = 50,000 is what papers report; it grows as N
    falls. Raises EvaluationError without torch-fidelity, ValueError for another shape or type.
    """
    torch_fidelity = check_inception(images)
    real = cifar10(train=True).pixels if reference is None else reference
    drawn = _Pixels(images.cpu()) if isinstance(images, Tensor) else str(images)
    metrics = torch_fidelity.calculate_metrics(
        input1=drawn, input2=_Pixels(real), fid=True, cuda=torch.cuda.is_available(), verbose=False
    )
    return float(metrics["frechet_inception_distance"])


def check_inception(images: Tensor | Path | str) -> ModuleType:
    """torch-fidelity, if it is there and takes such images. Raises what `inception_fid` does."""
    if isinstance(images, Tensor) and (images.dtype != torch.uint8 or images.shape[1:2] != (3,)):
        raise ValueError(f"images must be uint8 (N, 3, H, W), not {images.dtype} {images.shape}")
    try:
        return importlib.import_module("torch_fidelity")
    except ImportError:
        raise EvaluationError(
            "Inception FID needs torch-fidelity: pip install 'ddpm_lite[fid]'"
        ) from None
