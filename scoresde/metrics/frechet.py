"""The Frechet distance, of a domain extractor's features and of the pixels."""

from typing import Any, ClassVar

from torch import Tensor

from ..core.errors import ResourceError
from .base import Metric, metrics
from .domain import Domain, PixelMetric
from .moments import Statistics, moments
from .normal import Factored, centred, factored, frechet

LARGEST = 10_000
"""Most features: a covariance of as many takes 0.8 GB, and some of its eigenvalues minutes."""


class Frechet(Metric):
    """The squared 2-Wasserstein distance of the normal laws that have the means and covariances of the features.

    |m - m'|² + tr(C + C' - 2 (C C')^½). Even for equal laws it is above 0, by about 1/N: compare only values of equal
    N, and with the floor.

    References: Frechet 1957; Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """

    kinds: ClassVar[tuple[str, ...]] = ("FD",)
    takes_statistics: ClassVar[bool] = True

    def prepare(self, real: Tensor | Statistics, seed: int) -> Factored:
        if isinstance(real, Statistics):
            return factored(real)
        return factored(moments(real)) if len(real) > real.shape[1] else centred(real)

    def statistics(self, features: Tensor) -> Statistics:
        """The statistics of features, (M, D), which `Statistics.save` writes.

        Args:
            features: (M, D).
        """
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
