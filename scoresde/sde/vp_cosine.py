"""The variance-preserving process with α a cosine of the time."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .base import sdes
from .preserving import VariancePreserving, softplus


@sdes("vp-cosine")
class VPCosineSDE(VariancePreserving):
    """α = cos(½π (t + s)/(1 + s)) / cos(½π s/(1 + s)), s = 0.008, up to t = 0.9946, where α is still positive.

    References: Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, equation 17;
    Lu et al. 2022, https://arxiv.org/abs/2206.00927, appendix D.4, for the end time.

    Example:
        >>> import scoresde, torch
        >>> sde, t = scoresde.VPCosineSDE(), torch.tensor([0.5])
        >>> bool(torch.isclose(sde.alpha(t).square() + sde.sigma(t).square(), torch.ones(1)))
        True
    """

    s: ClassVar[float] = 0.008

    @property
    def t_max(self) -> float:
        return 0.9946

    @property
    def _rate(self) -> float:
        return 0.5 * math.pi / (1 + self.s)

    @property
    def _tan(self) -> float:
        return math.tan(self._rate * self.s)

    def log_alpha(self, t: Tensor) -> Tensor:
        angle = self._rate * t
        # α - 1 without cancellation near t = 0; the cosine from its zero at t = 1, without cancellation there.
        early = torch.log1p(-2 * torch.sin(angle / 2) ** 2 - torch.sin(angle) * self._tan)
        late = torch.log(torch.sin(self._rate * (1 - t)) / math.cos(self._rate * self.s))
        return torch.where(t < 0.5, early, late)

    def f(self, t: Tensor) -> Tensor:
        return -self._rate * torch.sin(self._rate * (t + self.s)) / torch.sin(self._rate * (1 - t))

    def time(self, log_snr: Tensor) -> Tensor:
        # α = (1 - τ² - 2 k τ)/(1 + τ²) with τ = tan(½ angle) and k = tan(rate s), solved for τ without cancellation.
        b = 0.5 * softplus(-2 * log_snr)
        tau = -torch.expm1(-b) / (self._tan + torch.sqrt(self._tan**2 - torch.expm1(-2 * b)))
        return 2 * torch.atan(tau) / self._rate
