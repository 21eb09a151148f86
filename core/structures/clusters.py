"""Clusters of windows by k-means (Lloyd 1982), begun by k-means++ (Arthur & Vassilvitskii 2007).

    minimized: Σ_i ‖x_i − μ_c(i)‖²      x_i: what a window is known by, μ_c: mean of the windows of cluster c

Of RESTARTS beginnings the one with the least sum counts. Everything is float64 on the CPU, so that a seed gives the same clusters anywhere.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.spec.errors import BadInput

RESTARTS = 10
_STEPS = 300


def k_means(points: Tensor, count: int, seed: int = 0) -> Tensor:
    """Centroids [count, d] of points [n, d], float64. Cost O(n·count·d) a step. Raises BadInput for too few different points."""
    points = points.double()
    different = len({tuple(point) for point in points.tolist()})
    if count > different:
        raise BadInput("clusters", count, f"1 to {different}, the number of different calibration windows", "Ask for fewer clusters.")
    generator = torch.Generator().manual_seed(seed)
    found = [_settled(points, _begun(points, count, generator)) for _ in range(RESTARTS if count > 1 else 1)]
    return min(found, key=lambda centroids: float(_distances(points, centroids).amin(1).sum()))


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Number [n] of the nearest centroid [k, d] of each point [n, d]; of equally near ones the first."""
    return _distances(points.double(), centroids).argmin(1)


def _begun(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Points drawn one after the other with probability proportional to the squared distance from those drawn before."""
    chosen = points[torch.randint(len(points), (1,), generator=generator)]
    while len(chosen) < count:
        drawn = torch.multinomial(_distances(points, chosen).amin(1), 1, generator=generator)
        chosen = torch.cat([chosen, points[drawn]])
    return chosen


def _settled(points: Tensor, centroids: Tensor) -> Tensor:
    """Lloyd's steps until no point changes its cluster. A cluster that has lost all of its points begins anew at the farthest one."""
    labels = torch.full((len(points),), -1)
    for _ in range(_STEPS):
        now = nearest(points, centroids)
        if torch.equal(now, labels):
            break
        labels = now
        centroids = torch.stack([points[labels == cluster].mean(0) if bool((labels == cluster).any()) else
                                 points[_distances(points, centroids).amin(1).argmax()] for cluster in range(len(centroids))])
    return centroids


def _distances(points: Tensor, centroids: Tensor) -> Tensor:
    """Squared distances [n, k]."""
    return torch.stack([(points - centroid).square().sum(1) for centroid in centroids], dim=1)
