"""The Frechet distance between normal distributions, from features or from their moments."""

from typing import NamedTuple

import torch
from torch import Tensor

from .moments import Statistics, moments


class Factored(NamedTuple):
    """A mean m and a covariance C = F Fᵀ, which all distances from them share."""

    mu: Tensor
    """m, (D,) float64."""
    factor: Tensor
    """F, (D, K) float64."""


def centred(x: Tensor) -> Factored:
    """Mean and covariance of features, with the centred rows as the factor: for fewer images than features.

    Args:
        x: Features, (N, D).
    """
    mu = x.double().mean(0)
    return Factored(mu, (x.double() - mu).T / (len(x) - 1) ** 0.5)


def factored(statistics: Statistics) -> Factored:
    """Mean and covariance, with the factor from the eigenvalues.

    Args:
        statistics: The mean and the covariance.
    """
    values, vectors = torch.linalg.eigh(statistics.sigma)
    return Factored(statistics.mu, vectors * values.clamp_min(0).sqrt())


def frechet(x: Tensor, reference: Factored) -> float:
    """|m - m'|² + tr(C + C' - 2 (C C')^½), the Frechet distance of two normal laws.

    With C = F Fᵀ and C' = G Gᵀ, the squares of the singular values of Fᵀ G are the eigenvalues of C C'. Where N is at
    most D, F is taken from the N rows, so that no matrix of size D x D is factored.

    Args:
        x: Features, (N, D), with mean m and covariance C.
        reference: m' and C'.
    """
    if len(x) > x.shape[1]:
        own = moments(x)
        mu, spread, product = own.mu, own.sigma.trace(), reference.factor.T @ own.sigma @ reference.factor
    else:
        mu, factor = centred(x)
        spread, product = factor.square().sum(), (inner := factor.T @ reference.factor) @ inner.T
    roots = torch.linalg.eigvalsh(product).clamp_min(0).sqrt()
    return float((mu - reference.mu).square().sum() + spread + reference.factor.square().sum() - 2 * roots.sum())
