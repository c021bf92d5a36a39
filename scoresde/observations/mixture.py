"""Clusters of data: a Gaussian mixture with one covariance, in a form that conditioning can use."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.units import Units
from .covariance import Covariance, Kind, estimate, usual

CLUSTERS = 32
"""Clusters that are looked for, unless another number is asked for."""
ROUNDS = 2
"""Times that the clusters are looked for in the metric of those before."""


@dataclass(frozen=True, eq=False)
class Mixture(Covariance):
    """Σ_k w_k N(m_k, Σ), with Σ the covariance within clusters, of any of the kinds of a covariance."""

    centres: Tensor
    """m_k, (K, *), float64."""
    shares: Tensor
    """w_k, (K,), positive and of sum 1, float64."""

    def __str__(self) -> str:
        return f"mixture of {len(self.shares)} clusters with a {self.kind} covariance, of samples of shape {self.shape}"

    def to(self, device: torch.device) -> "Mixture":
        return _clustered(super().to(device), self.centres.to(device), self.shares.to(device))

    def resized(self, shape: tuple[int, ...]) -> "Mixture":
        if self.shape != tuple(shape):
            raise UsageError(f"the {self} cannot be resized to {tuple(shape)}: use the conditioner covariance")
        return self

    def of_units(self, units: Units | None) -> "Mixture":
        if units is None:
            return self
        return _clustered(super().of_units(units), units.to_model(self.centres), self.shares)

    def power(self, v: Tensor, exponent: float) -> Tensor:
        """Σ to a power, times v, (B, *).

        Args:
            v: (B, *).
            exponent: The power: -1 is the inverse, and -1/2 makes what varies within clusters white.
        """
        return self._multiplied(v, self.variances**exponent)


def _clustered(within: Covariance, centres: Tensor, shares: Tensor) -> Mixture:
    return Mixture(within.kind, within.shape, within.variances, within.factors, centres, shares)


def clustered(samples: Tensor, clusters: int = CLUSTERS, kind: Kind | None = None) -> Mixture:
    """The clusters of samples and the covariance about their centres.

    k-means, first with Euclidean distances, then in the metric of the covariance within the clusters so far. With one Σ
    for all clusters this is what maximises the likelihood if each sample belongs to one of them.

    Reference: Celeux and Govaert 1992, https://doi.org/10.1016/0167-9473(92)90042-E.

    Args:
        samples: (N, *), at least two for each cluster.
        clusters: K. Too many do little harm, and too few leave modes together.
        kind: Of Σ: "channel", "dct", "diagonal" or "full"; by default `usual`.

    Raises:
        UsageError: There is no such kind, or `full` would be too large.
        DataError: There are too few samples, or they are not what the kind is for.
    """
    if clusters < 1 or len(samples) < 2 * clusters:
        raise DataError(f"{clusters} clusters take at least {2 * max(clusters, 1)} samples, got {len(samples)}")
    x, kind = samples.double(), kind or usual(tuple(samples.shape[1:]))
    found = _parted(x, x, None, clusters, kind)
    for _ in range(ROUNDS):
        found = _parted(x, found.power(x, -0.5), found.power(found.centres, -0.5), len(found.shares), kind)
    return found


def _parted(x: Tensor, white: Tensor, start: Tensor | None, clusters: int, kind: Kind) -> Mixture:
    """Clusters of x, (N, *), that are near to each other in `white`, from given centres there, or spread ones."""
    from sklearn.cluster import KMeans  # it takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    init = "k-means++" if start is None else start.flatten(1).float().numpy()
    method = KMeans(clusters, init=init, n_init=1, random_state=0, max_iter=50)
    with warnings.catch_warnings():  # fewer different samples than clusters are no fault
        warnings.simplefilter("ignore", ConvergenceWarning)
        member = torch.from_numpy(method.fit(white.flatten(1).float().numpy()).labels_).long()
    sizes = torch.bincount(member, minlength=clusters).double()
    sums = torch.zeros(clusters, *x.shape[1:], dtype=torch.float64).index_add_(0, member, x)
    centres = sums / sizes.clamp_min(1).reshape(-1, *[1] * (x.ndim - 1))
    within, some = estimate(x - centres[member], kind), sizes > 0  # k-means may leave a cluster empty
    if not bool((within.variances > 0).all()):
        raise DataError(f"nothing varies within {clusters} clusters of {len(x)} samples: take fewer clusters")
    return _clustered(within, centres[some], sizes[some] / len(x))
