"""Are drawn pictures among the real ones, and are all kinds of real ones among the drawn?

Kynkäänniemi et al., arXiv:1904.06991: in a space of features a picture is "among" others if it is
nearer to one of them than that one's own k-th neighbour is.
"""

import torch
from torch import Tensor

NEIGHBOURS = 3
"""k, as in the paper."""


def precision_recall(drawn: Tensor, real: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """The share of drawn features (n, d) among real ones (m, d), and of real among drawn ones.

    Both grow as sets get smaller, so compare only what was measured with as many. Raises
    ValueError for other shapes and for sets without k neighbours.
    """
    if drawn.ndim != 2 or real.ndim != 2 or drawn.shape[1] != real.shape[1]:
        raise ValueError(f"features must be (n, d) and (m, d), not {drawn.shape} and {real.shape}")
    if not 1 <= k < min(len(drawn), len(real)):
        raise ValueError(f"{k} neighbours need more than {k} pictures of either kind")
    return _share_among(drawn, real, k), _share_among(real, drawn, k)


def _share_among(points: Tensor, others: Tensor, k: int, part: int = 1000) -> float:
    """The share of points (n, d) that lie among the others (m, d), in parts to save memory."""
    # the nearest of all is each one itself
    reach = [_distances(some, others).kthvalue(k + 1).values for some in others.split(part)]
    inside = [(_distances(some, others) <= torch.cat(reach)).any(1) for some in points.split(part)]
    return float(torch.cat(inside).double().mean())


def _distances(some: Tensor, others: Tensor) -> Tensor:
    """All of them, (n, m), from differences.

    As |a|^2 + |b|^2 - 2ab they are five times as fast, and rounded away where a and b are nearly
    equal; then equal ones are not at distance 0 either.
    """
    return torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
