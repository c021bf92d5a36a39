"""The variance-exploding process."""

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from .base import SDE, sdes


@sdes("ve")
class VESDE(SDE):
    """dx = σ √(2 log(sigma_max/sigma_min)) dw: α = 1, σ = sigma_min (sigma_max/sigma_min)ᵗ.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 30 and 31.

    Example:
        >>> import scoresde, torch
        >>> sde = scoresde.VESDE(sigma_max=50.0)
        >>> float(sde.alpha(torch.ones(1))), round(float(sde.sigma(torch.ones(1))), 3)
        (1.0, 50.0)
    """

    sigma_min: float = Field(0.01, gt=0, description="σ at t = 0.")
    sigma_max: float = Field(50.0, gt=0, description="σ at t = 1, the scale of the prior.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        return self._rising("sigma_min", "sigma_max")

    @property
    def t_min(self) -> float:
        return 1e-5

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def _rate(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.exp(self._rate * t)

    def f(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def g(self, t: Tensor) -> Tensor:
        return self.sigma(t) * math.sqrt(2 * self._rate)

    def time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr - math.log(self.sigma_min)) / self._rate
