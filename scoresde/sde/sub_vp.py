"""The process with β linear in time whose variance stays below the variance-preserving one."""

import torch
from torch import Tensor

from .base import sdes
from .vp import LinearBeta


@sdes("sub-vp")
class SubVPSDE(LinearBeta):
    """dx = -½ β x dt + √(β (1 - α⁴)) dw: α as in vp, σ = 1 - α², below vp's at every t.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 34 and 35.

    Example:
        >>> import scoresde, torch
        >>> sde, t = scoresde.SubVPSDE(), torch.tensor([0.5])
        >>> bool(torch.isclose(sde.sigma(t), 1 - sde.alpha(t).square()))
        True
    """

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(2 * self.log_alpha(t))

    def g(self, t: Tensor) -> Tensor:
        return torch.sqrt(-self.beta(t) * torch.expm1(4 * self.log_alpha(t)))

    def time(self, log_snr: Tensor) -> Tensor:
        # 1/λ-ratio: σ/α = 1/α - α = 2 sinh(-log α).
        return self._time_of(2.0 * torch.asinh(0.5 * torch.exp(-log_snr)))
