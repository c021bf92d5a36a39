"""Weighted particles, and their resampling."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.random import choose, rand
from .base import Sources


@dataclass(frozen=True, eq=False)
class Particles:
    """Weighted samples of p(x | y), K for each of B measurements."""

    x: Tensor
    """(B, K, *)."""
    log_weights: Tensor
    """(B, K), float64; their exponentials sum to 1 in each row."""
    log_z: Tensor
    """log p(y) in nats, (B,), for the discretised model. The mean of exp(log_z) is p(y) for any number of particles."""
    ess: Tensor
    """Effective sample size at each level, before resampling, (steps + 1, B), from 1 to K."""
    resamplings: Tensor
    """How often each population was resampled, (B,)."""

    def pick(self, generator: Sources) -> Tensor:
        """One particle of each row, drawn with the probability of its weight, (B, *).

        Args:
            generator: One for each row.
        """
        weights = self.log_weights.exp()
        which = torch.cat([choose(w, 1, g) for w, g in zip(weights, generator, strict=True)])
        return self.x[torch.arange(len(which)), which.to(self.x.device)]


def effective(log_w: Tensor) -> Tensor:
    """The effective sample size (Σ w)²/Σ w² of each row, (B,).

    Args:
        log_w: Log weights, (B, K).
    """
    return torch.exp(2 * torch.logsumexp(log_w, 1) - torch.logsumexp(2 * log_w, 1))


def systematic(log_w: Tensor, generator: Sources) -> Tensor:
    """Indices of the particles that are kept by systematic resampling, (B, K): each floor(K w) or ceil(K w) times.

    Args:
        log_w: Log weights, (B, K).
        generator: One for each row.

    Reference: Kitagawa 1996, https://doi.org/10.1080/10618600.1996.10474692, appendix.
    """
    count = log_w.shape[1]
    offset = torch.cat([rand((1,), g, dtype=torch.float64) for g in generator]).to(log_w.device)
    at = (torch.arange(count, device=log_w.device) + offset[:, None]) / count
    return torch.searchsorted(torch.softmax(log_w, 1).cumsum(1), at).clamp_max(count - 1)
