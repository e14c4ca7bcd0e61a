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

from ddpm_lite.judges import Judge, digits

__all__ = ["Counts", "asked", "floor_draws", "frechet_distance", "frechet_floor"]

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
    away. Raises ValueError for n < 2, for fewer than four real images, and if a class has too few.
    """
    judge = judge or digits()
    counts, sizes = ((n,), (len(judge.reference),)) if isinstance(n, int) else (n, _sizes(judge))
    wanted, whole = sum(counts), sum(sizes)
    if wanted < 2 or whole < 4:
        raise ValueError(
            f"a floor needs n of at least 2 and 4 real images, not {wanted} and {whole}"
        )
    parts = _parts(counts, sizes)
    if parts is None:
        raise ValueError(f"for a floor of {counts} real images {sizes} are too few of a class")
    rows = judge.reference
    kinds = torch.zeros(whole, device="cpu") if isinstance(n, int) else judge.real.labels
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(FLOOR_DRAWS):
        order = torch.randperm(whole, generator=generator, device="cpu")
        groups = [order[kinds[order] == kind] for kind in range(len(sizes))]
        sample = torch.cat([group[:a] for group, (a, _) in zip(groups, parts, strict=True)])
        rest = torch.cat([group[a : a + b] for group, (a, b) in zip(groups, parts, strict=True)])
        found.append(frechet_distance(rows[sample], rows[rest]))
    a, b = map(sum, zip(*parts, strict=True))
    factor = (1 / wanted + 1 / whole) / (1 / a + 1 / b)
    shares = 0.0 if isinstance(n, int) else _by_shares(rows, kinds, n)
    return shares + factor * (torch.tensor(found, dtype=torch.float64, device="cpu") - shares)


def asked(labels: Tensor, judge: Judge) -> Counts:
    """How many of each class `labels` (n,) hold; n alone if the judge has too few real ones."""
    counts = tuple(labels.cpu().bincount(minlength=len(judge.real.class_names)).tolist())
    return len(labels) if _parts(counts, _sizes(judge)) is None else counts


def _sizes(judge: Judge) -> tuple[int, ...]:
    """How many real images of each class there are."""
    return tuple(judge.real.labels.bincount(minlength=len(judge.real.class_names)).tolist())


def _parts(counts: tuple[int, ...], sizes: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """How many real images of each class go into the sample, and how many into the reference.

    The sample is as large as asked, or as the reference where that is not possible. None if a class
    that is asked for is missing in it.
    """
    classes = [(count, size) for count, size in zip(counts, sizes, strict=True) if size]
    if sum(count for count, _ in classes) < sum(counts):
        return None
    n, whole = sum(counts), sum(sizes)
    most = max(Fraction(count, size) for count, size in classes)
    scale = min(Fraction(1), whole / (n + whole * most))  # so that a = scale n is at most b
    sample = [math.floor(scale * count) for count in counts]
    if any(count and not a for count, a in zip(counts, sample, strict=True)):
        return None
    left = 1 - scale * most  # of the class that the sample takes most of
    return [(a, min(s - a, math.ceil(left * s))) for a, s in zip(sample, sizes, strict=True)]


def _by_shares(rows: Tensor, kinds: Tensor, counts: tuple[int, ...]) -> float:
    """How far the law of all rows is from that of the same rows with the shares of `counts`."""
    wanted = torch.tensor(counts, dtype=torch.float64, device="cpu") / sum(counts)
    sizes = kinds.bincount(minlength=len(counts)).clamp(min=1)
    evenly = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64, device="cpu")
    return _apart(_weighted(rows, (wanted / sizes)[kinds]), _weighted(rows, evenly))


def _weighted(features: Tensor, weights: Tensor) -> _Law:
    """The law of one of the features (n, d) taken by chance, with probabilities `weights` (n,)."""
    rows = features.cpu().double()
    mean = weights @ rows
    return _Law(mean, _factor((rows - mean) * weights.sqrt()[:, None]))
