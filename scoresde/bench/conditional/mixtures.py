"""Mixtures that problems are made of: MCGDiff's grid, and one fitted to real images."""

import itertools

import torch
from torch import Tensor

from ...core.errors import DataError
from ...core.random import randn, stream
from ...models.gaussian import GaussianMixtureModel
from ...sde import VPSDE

GRID_SIZE, GRID_SCALE = 8, 16.0
"""Dimensions of the grid, and what its published coordinates are divided by."""
FITTED = 12_000
"""Images that a mixture is fitted to, at most."""
SHRINKAGE = 0.01
"""Share of the mean variance in the covariance of a fitted mixture."""


def grid25() -> GaussianMixtureModel:
    """25 modes N((-8 i, -8 j, -8 i, ...), I)/16, i, j = -2 .. 2, their weights squares of normal numbers."""
    corners = torch.tensor(list(itertools.product(range(-2, 3), repeat=2)), dtype=torch.float64)
    means = (-8 * corners).repeat(1, GRID_SIZE // 2) / GRID_SCALE
    weights = randn((25,), stream(0, "grid25", "weights"), dtype=torch.float64).square()
    return GaussianMixtureModel(means, torch.full_like(means, GRID_SCALE**-2), VPSDE(), weights.tolist())


def fitted(images: Tensor, modes: int) -> GaussianMixtureModel:
    """The clusters of images, (N, C, H, W), as modes with their shares and one covariance, that about the centres.

    Args:
        images: Images in [-1, 1], (N, C, H, W).
        modes: Number of modes.

    Raises:
        DataError: There are fewer than two images for each mode.
    """
    from sklearn.cluster import KMeans  # it takes a second to import

    if len(images) < 2 * modes:
        raise DataError(f"{modes} modes are fitted to at least {2 * modes} images, got {len(images)}")
    x = images.double().flatten(1)
    found = KMeans(modes, n_init=1, random_state=0).fit(x.numpy())
    member, centres = torch.from_numpy(found.labels_).long(), torch.from_numpy(found.cluster_centers_)
    offset = x - centres[member]
    covariance = offset.T @ offset / len(x)
    spread = torch.eye(len(covariance), dtype=torch.float64) * covariance.diagonal().mean()
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread
    weights = torch.bincount(member, minlength=modes).double()
    means = centres.reshape(modes, *images.shape[1:])
    return GaussianMixtureModel(means, covariance.expand(modes, -1, -1), VPSDE(), weights.tolist())
