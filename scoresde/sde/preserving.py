"""Processes that preserve the variance: α² + σ² = 1."""

import torch
from torch import Tensor

from .base import SDE


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ) to full relative accuracy; torch's own cuts off at x = 20.

    Args:
        x: Any real numbers, *.
    """
    return torch.logaddexp(x, torch.zeros_like(x))


class VariancePreserving(SDE):
    """Base of the processes with α² + σ² = 1, for which σ follows from log α, and g² = -2 f."""

    def sigma(self, t: Tensor) -> Tensor:
        return _other(self.log_alpha(t))

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        log_alpha = self.log_alpha(t)
        return log_alpha.exp(), _other(log_alpha)

    def log_snr(self, t: Tensor) -> Tensor:
        log_alpha = self.log_alpha(t)
        return log_alpha - _other(log_alpha).log()

    def g(self, t: Tensor) -> Tensor:
        return torch.sqrt(-2.0 * self.f(t))


def _other(log_alpha: Tensor) -> Tensor:
    """√(1 - α²), which loses no digits where α is near 1."""
    return torch.sqrt(-torch.expm1(log_alpha + log_alpha))
