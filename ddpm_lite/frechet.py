"""How far a set of images is from real ones, and how far new real ones would be: the floor.

The distance depends on the features, on the number of images and on the draw, so that it says
something only beside its floor, in the same features and for as many images of the same classes.
"""

import math
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ddpm_lite.judges import Judge, digits

__all__ = ["floor_draws", "frechet_distance", "frechet_floor"]

FLOOR_DRAWS = 20
"""How often the real images are parted for a floor."""

Counts = int | tuple[int, ...]
"""How many images, or how many of each class."""


# --- The distance --------------------------------------------------------------------------------


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The squared Frechet distance of two normal laws fitted to features (n, d) and (m, d).

    |mean_a - mean_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), in float64, S being the
    covariances. Heusel et al. (arXiv:1706.08500, equation 6); Dowson and Landau, 1982. Raises
    ValueError for other shapes, fewer than two rows or features that are not finite.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be (n, d) and (m, d), not {a.shape} and {b.shape}")
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise ValueError("features must be finite; some of these are not")
    return _apart(_fitted(a), _fitted(b))


class _Law(NamedTuple):
    """A normal law in float64: its mean (d,), and an F (m, d) with F^T F = S, its covariance."""

    mean: Tensor
    factor: Tensor


def _apart(a: _Law, b: _Law) -> float:
    trace_a, trace_b = a.factor.square().sum(), b.factor.square().sum()
    # the last trace: singular values of A B^T are the roots of the eigenvalues of A B^T B A^T
    cross = torch.linalg.svdvals(a.factor @ b.factor.T).sum()
    distance = (a.mean - b.mean).square().sum() + trace_a + trace_b - 2 * cross
    return float(distance.clamp(min=0))


def _fitted(features: Tensor) -> _Law:
    """Mean and unbiased covariance of features (n, d)."""
    rows = features.cpu().double()  # in this order: not every device has float64
    mean = rows.mean(0)
    return _Law(mean, _factor((rows - mean) / math.sqrt(len(rows) - 1)))


def _factor(rows: Tensor) -> Tensor:
    """An F with F^T F = R^T R for R (n, d): R itself if its rows are few, else the root.

    Of few rows R^T R has eigenvalues that are 0, but for rounding, whose roots are not small.
    """
    n, d = rows.shape
    if n <= d:
        return rows
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


# --- Its floor -----------------------------------------------------------------------------------


@cache
def frechet_floor(n: Counts, seed: int = 0, judge: Judge | None = None) -> float:
    """The Frechet distance from the reference that n new real images are expected to have.

    The mean of `floor_draws`, which tells what `n` is and what is raised.
    """
    return float(floor_draws(n, seed, judge).mean())


def floor_draws(n: Counts, seed: int = 0, judge: Judge | None = None) -> Tensor:
    """Distances that n new real images may have from the reference: (FLOOR_DRAWS,), float64.

    `n` is how many images, or how many of each class. A model draws as many of a class as were
    asked for, and so should the real images be taken that it is compared with: images of evenly
    many classes are nearer to their law than images by chance, whose classes vary.

    Images that the classifier was trained on are no new ones to it, so they come from the judge's
    real images alone, N of them (for digits, without a judge, the 10,000 test images), which are
    the reference too. Each time these are parted at random: into a sample of a, with the classes
    in the shares of `n`, and a reference of b, with the classes in the shares of all N. Two things
    make the distance between these. If the shares differ, the laws do, by `_by_shares`, whatever n
    is. The rest is chance. It falls as 1/a + 1/b (the mean's part exactly, the covariance's to
    leading order), so multiplied by (1/n + 1/N) / (1/a + 1/b) it is what a sample of n has from all
    N. The factor is near 1 for small n.

    For digits the writers of both parts are the same people: others would lie a little farther
    away. Raises ValueError for n < 2, for other numbers than there are classes, for fewer than four
    real images, and if those of a class are too few.
    """
    judge = judge or digits()
    labels, classes = judge.real.labels, len(judge.real.class_names)
    if isinstance(n, int):  # all images as one class
        n, labels, classes = (n,), torch.zeros_like(labels), 1
    counts, sizes = torch.tensor(n, device="cpu"), labels.bincount(minlength=classes)
    wanted, whole = int(counts.sum()), len(labels)
    if len(n) != classes or min(n) < 0:
        raise ValueError(f"n must be a number, or one for each of {classes} classes, not {n}")
    if wanted < 2 or whole < 4:
        raise ValueError(
            f"a floor needs n of at least 2 and 4 real images, not {wanted} and {whole}"
        )
    parts = _parts(counts, sizes)
    if parts is None:
        raise ValueError(f"for a floor of {n} real images {sizes.tolist()} are too few of a class")
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(FLOOR_DRAWS):
        sample, rest = _parted(labels, *parts, generator)
        found.append(frechet_distance(judge.reference[sample], judge.reference[rest]))
    a, b = (int(part.sum()) for part in parts)
    factor = (1 / wanted + 1 / whole) / (1 / a + 1 / b)
    shares = _by_shares(judge.reference, labels, counts)
    return shares + factor * (torch.tensor(found, dtype=torch.float64, device="cpu") - shares)


def asked(labels: Tensor, judge: Judge) -> Counts:
    """How many of each class `labels` (n,) hold; n alone if the judge has too few real ones."""
    classes = len(judge.real.class_names)
    counts = labels.cpu().bincount(minlength=classes)
    enough = _parts(counts, judge.real.labels.bincount(minlength=classes)) is not None
    return tuple(counts.tolist()) if enough else len(labels)


def _parts(counts: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor] | None:
    """How many of each class (k,) go into the sample, and how many into the reference, of `sizes`.

    The sample is as large as asked, or as the reference where that is not possible. None if a class
    that is asked for is missing in it.
    """
    n, whole = int(counts.sum()), int(sizes.sum())
    # of the class that is asked for most, beside how many there are, this share will be taken
    most = max(Fraction(c, s or 1) for c, s in torch.stack([counts, sizes], 1).tolist())
    scale = min(Fraction(1), whole / (n + whole * most))  # so that a = scale n is at most b
    left = 1 - scale * most
    sample = counts * scale.numerator // scale.denominator
    rest = -(-sizes * left.numerator // left.denominator)  # rounded up
    if bool((counts.bool() & (sample == 0)).any()):
        return None
    return sample, rest


def _parted(
    kinds: Tensor, sample: Tensor, rest: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Which rows, of the classes `kinds` (N,), are in the one and which in the other: random."""
    order = torch.randperm(len(kinds), generator=generator, device="cpu")
    own = kinds[order]
    rank = one_hot(own).cumsum(0).gather(1, own[:, None])[:, 0]  # 1, 2, .. in a class
    first, both = sample[own], (sample + rest)[own]
    return order[rank <= first], order[(rank > first) & (rank <= both)]


def _by_shares(rows: Tensor, kinds: Tensor, counts: Tensor) -> float:
    """How far the law of all rows is from that of the same rows with the shares of `counts`."""
    shares = (counts.double() / kinds.bincount(minlength=len(counts)))[kinds]
    evenly = torch.ones_like(shares)
    return _apart(_weighted(rows, shares / shares.sum()), _weighted(rows, evenly / len(rows)))


def _weighted(features: Tensor, weights: Tensor) -> _Law:
    """The law of one of the features (n, d) taken by chance, with probabilities `weights` (n,)."""
    rows = features.cpu().double()
    mean = weights @ rows
    return _Law(mean, _factor((rows - mean) * weights.sqrt()[:, None]))
