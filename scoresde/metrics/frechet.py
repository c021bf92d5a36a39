"""The Frechet distance, of a domain extractor's features and of the pixels."""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..core.errors import ResourceError
from .base import Metric, metrics
from .domain import Domain, PixelMetric
from .moments import Statistics, moments

LARGEST = 10_000
"""Most features: a covariance of as many takes 0.8 GB, and some of its eigenvalues minutes."""


class Factored(NamedTuple):
    """A mean m and a covariance C = F Fᵀ, which all distances from them share."""

    mu: Tensor
    factor: Tensor


def centred(x: Tensor) -> Factored:
    """The mean and the covariance of few features (N, D), with the rows themselves as the factor."""
    mu = x.double().mean(0)
    return Factored(mu, (x.double() - mu).T / (len(x) - 1) ** 0.5)


def factored(statistics: Statistics) -> Factored:
    """A mean and a covariance as they are in a file."""
    values, vectors = torch.linalg.eigh(statistics.sigma)
    return Factored(statistics.mu, vectors * values.clamp_min(0).sqrt())


def frechet(x: Tensor, reference: Factored) -> float:
    """|m - m'|² + tr(C + C' - 2 (C C')^½) for features (N, D), of mean m and covariance C, and a reference's m', C'.

    With C = F Fᵀ and C' = G Gᵀ, the squares of the singular values of Fᵀ G are the eigenvalues of C C'. Where N is at
    most D, F is taken from the N rows, so that nothing of size D x D is factored.
    """
    if len(x) > x.shape[1]:
        own = moments(x)
        mu, spread, product = own.mu, own.sigma.trace(), reference.factor.T @ own.sigma @ reference.factor
    else:
        mu, factor = centred(x)
        spread, product = factor.square().sum(), (inner := factor.T @ reference.factor) @ inner.T
    roots = torch.linalg.eigvalsh(product).clamp_min(0).sqrt()
    return float((mu - reference.mu).square().sum() + spread + reference.factor.square().sum() - 2 * roots.sum())


class Frechet(Metric):
    """The squared 2-Wasserstein distance of the normal laws that have the means and covariances of the features.

    |m - m'|² + tr(C + C' - 2 (C C')^½). It falls with the number of images even for one and the same law, by about
    1/N: compare only values of equal N, and with the floor.

    References: Frechet 1957; Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """

    kinds: ClassVar[tuple[str, ...]] = ("FD",)
    takes_statistics: ClassVar[bool] = True

    def prepare(self, real: Tensor | Statistics, seed: int) -> Factored:
        if isinstance(real, Statistics):
            return factored(real)
        return factored(moments(real)) if len(real) > real.shape[1] else centred(real)

    def statistics(self, features: Tensor) -> Statistics:
        """The statistics of features, (M, D), which `Statistics.save` writes."""
        return moments(features, self.source())

    def values(self, x: Tensor, reference: Factored) -> list[float]:
        return [frechet(x, reference)]

    def marks(self, n: int, m: int | None, dimension: int) -> list[str]:
        marks = []
        if n <= dimension:
            marks.append(f"N is not above the {dimension} features: the covariance is singular")
        if m is not None and m <= dimension:
            marks.append(f"{m} real images are not above the {dimension} features")
        return marks

    def check(self, n: int, shape: tuple[int, int, int], reference: Any) -> None:
        super().check(n, shape, reference)
        if (dimension := self.ready(shape)) > LARGEST:
            raise ResourceError(
                f"{self.name} of {dimension} features would need covariances of {8 * dimension**2 / 1e9:.0f} GB; "
                f"at most {LARGEST} are taken: use sw, or an extractor"
            )


@metrics("fd")
class DomainFrechet(Domain, Frechet):
    """The Frechet distance of the features of a domain extractor: a FID for images that Inception does not know."""


@metrics("pixel-frechet")
class PixelFrechet(PixelMetric, Frechet):
    """The Frechet distance of the pixels, scaled to [-1, 1]; it sees means and correlations, no shapes."""
