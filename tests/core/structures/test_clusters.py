"""k-means of windows against a plain numpy twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.spec.errors import BadInput
from core.structures.clusters import k_means, nearest


def points(count: int = 90, width: int = 7) -> torch.Tensor:
    """Three clouds that touch."""
    generator = torch.Generator().manual_seed(3)
    centers = 2.0 * torch.randn(3, width, generator=generator, dtype=torch.float64)
    return centers.repeat(count // 3, 1) + torch.randn(count, width, generator=generator, dtype=torch.float64)


def numpy_nearest(some: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    return np.array([np.argmin([np.dot(point - centroid, point - centroid) for centroid in centroids]) for point in some])


def numpy_sum(some: np.ndarray, centroids: np.ndarray) -> float:
    return float(sum(np.min(((centroids - point) ** 2).sum(1)) for point in some))


def lloyd(some: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    for _ in range(100):
        labels = numpy_nearest(some, centroids)
        centroids = np.array([some[labels == cluster].mean(0) if (labels == cluster).any() else centroids[cluster]
                              for cluster in range(len(centroids))])
    return centroids


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_assignments_are_those_of_numpy_and_centroids_the_means_of_their_own_points(count):
    some = points()
    centroids = k_means(some, count, seed=1)
    labels = nearest(some, centroids).numpy()
    assert np.array_equal(labels, numpy_nearest(some.numpy(), centroids.numpy()))
    for cluster in range(count):
        np.testing.assert_allclose(centroids[cluster], some.numpy()[labels == cluster].mean(0), rtol=1e-12)
    others = points(30)  # that the centroids have not seen
    assert np.array_equal(nearest(others, centroids).numpy(), numpy_nearest(others.numpy(), centroids.numpy()))


def test_the_sum_of_squares_is_no_larger_than_that_of_numpy_from_many_beginnings():
    some, chance = points(), np.random.default_rng(0)
    ours = numpy_sum(some.numpy(), k_means(some, 3).numpy())
    theirs = min(numpy_sum(some.numpy(), lloyd(some.numpy(), some.numpy()[chance.choice(90, 3, replace=False)])) for _ in range(10))
    assert ours <= theirs * (1 + 1e-9)


def test_a_seed_gives_the_same_clusters_and_too_many_are_refused():
    some = points()
    assert torch.equal(k_means(some, 4, seed=5), k_means(some, 4, seed=5))
    same = torch.ones(6, 2)
    assert len(k_means(same, 1)) == 1
    with pytest.raises(BadInput, match="1 to 1, the number of different calibration windows"):
        k_means(same, 2)
