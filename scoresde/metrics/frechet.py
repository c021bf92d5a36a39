"""The Frechet distance between images themselves, which needs no network."""

import torch
from torch import Tensor

from ..errors import DataError
from .base import Metric, metrics


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), over N - 1, of images (N, *), in float64."""
    flat = images.double().flatten(1)
    return flat.mean(0), torch.cov(flat.T).reshape(flat.shape[1], flat.shape[1])


def frechet(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    """|m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^½) for two pairs of mean and covariance.

    The trace of the root comes from the symmetric C_a^½ C_b C_a^½, whose eigenvalues are those of C_a C_b.
    """
    values, vectors = torch.linalg.eigh(a[1])
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    product = torch.linalg.eigvalsh(root @ b[1] @ root).clamp_min(0)
    return float((a[0] - b[0]).square().sum() + a[1].trace() + b[1].trace() - 2 * product.sqrt().sum())


@metrics("pixel-frechet")
class PixelFrechet(Metric):
    """The 2-Wasserstein distance, squared, of the normal laws fitted to the pixels of two sets.

    It is not FID, whose features are an Inception network's. Like FID it falls with N even for one and the same
    law: compare only values of equal N, and with the value of real images against real images at that N.

    References: Frechet 1957; Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """

    def __call__(self, samples: Tensor, reference: Tensor) -> float:
        if samples.shape[1:] != reference.shape[1:]:
            raise DataError(
                f"images of shape {tuple(samples.shape[1:])} cannot be compared with {tuple(reference.shape[1:])}"
            )
        if min(len(samples), len(reference)) < 2:
            raise DataError(f"a covariance needs at least 2 images, got {len(samples)} and {len(reference)}")
        return frechet(moments(samples), moments(reference))
