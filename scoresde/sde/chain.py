"""Discrete chains as points of a continuous process, and that of DDPM."""

import math
from abc import abstractmethod
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ..core.options import remembered
from .base import Chain, sdes
from .preserving import VariancePreserving
from .vp import VPSDE, ends_in_noise

Schedule = Literal["linear", "cosine", "quadratic", "sigmoid"]


class DiscreteChain(VariancePreserving):
    """Base of the chains x_n = √(1 - β_n) x_{n-1} + √β_n z: ᾱ_n = Π (1 - β_i), α = √ᾱ_n, σ² = 1 - ᾱ_n.

    A network is trained at these noise levels alone, and is given n - 1. For the solvers they are points of a process
    in continuous time: any variance-preserving one meets them all, because equal log-SNR is equal α and σ. This one
    has β(t) linear, as `vp` has, and ends at t = 1 with the last level of the chain; its `t_min` is the time of the
    first.
    """

    @property
    @abstractmethod
    def log_ratios(self) -> Tensor:
        """log ᾱ_n/ᾱ_{n-1} = log(1 - β_n) for n = 1 .. N, (N,), float64."""

    @property
    def chain(self) -> Chain:
        return _chain(self)

    @property
    def t_min(self) -> float:
        return float(self.times[0])

    @property
    def times(self) -> Tensor:
        """The times of the chain's levels, (N,), float64, rising to 1."""
        return _chain(self).times

    def log_alpha(self, t: Tensor) -> Tensor:
        return _axis(self).log_alpha(t)

    def f(self, t: Tensor) -> Tensor:
        return _axis(self).f(t)

    def time(self, log_snr: Tensor) -> Tensor:
        return _axis(self).time(log_snr)


@sdes("ddpm")
class DDPM(DiscreteChain):
    """x_n = √(1 - β_n) x_{n-1} + √β_n z for n = 1 .. steps: ᾱ_n = Π (1 - β_i), α = √ᾱ_n, σ² = 1 - ᾱ_n.

    `linear` is DDPM's, 1e-4 to 0.02 for 1,000 steps; `quadratic` is linear in √β, `sigmoid` follows the logistic
    function from -6 to 6, and `cosine` has ᾱ = cos²(½π (n/steps + 0.008)/1.008), up to its scale, with β at most 0.999.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 4; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 17.

    Example:
        >>> import scoresde
        >>> scoresde.DDPM().steps, len(scoresde.DDPM().alphas_cumprod)
        (1000, 1000)
    """

    steps: int = Field(1000, ge=2, le=1_000_000, description="Length N of the chain.")
    schedule: Schedule = Field("linear", description="Schedule of β along the chain.")
    beta_first: float | None = Field(None, gt=0, lt=1, description="β of the first step; by default 0.1/steps.")
    beta_last: float | None = Field(None, gt=0, lt=1, description="β of the last step; by default 20/steps.")

    @model_validator(mode="after")
    def _is_a_chain(self) -> "DDPM":
        if self.schedule == "cosine":
            if self.beta_first is not None or self.beta_last is not None:
                raise ValueError("the cosine schedule has no beta_first and beta_last: leave them out")
            return self
        first, last = self._ends
        if not first < last < 1:
            raise ValueError(
                f"β must rise from step to step and stay below 1, got {first:g} to {last:g}: "
                "set beta_first and beta_last, or more steps"
            )
        ends_in_noise("chain", float(self.alphas_cumprod[-1]), "raise beta_last or steps")
        return self

    @property
    def _ends(self) -> tuple[float, float]:
        first, last = self.beta_first, self.beta_last
        return (0.1 / self.steps if first is None else first), (20 / self.steps if last is None else last)

    @property
    def betas(self) -> Tensor:
        """β_1 .. β_N, (N,), float64."""
        if self.schedule == "cosine":
            n = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
            scale = torch.cos((n + 0.008) / 1.008 * math.pi / 2) ** 2
            return (1 - scale[1:] / scale[:-1]).clamp_max(0.999)
        first, last = self._ends
        if self.schedule == "quadratic":
            return torch.linspace(first**0.5, last**0.5, self.steps, dtype=torch.float64) ** 2
        if self.schedule == "sigmoid":
            return first + (last - first) * torch.sigmoid(torch.linspace(-6, 6, self.steps, dtype=torch.float64))
        return torch.linspace(first, last, self.steps, dtype=torch.float64)

    @property
    def alphas_cumprod(self) -> Tensor:
        """ᾱ_1 .. ᾱ_N, (N,), float64."""
        return self.log_ratios.cumsum(0).exp()

    @property
    def log_ratios(self) -> Tensor:
        return torch.log1p(-self.betas)


@remembered
def _axis(chain: DiscreteChain) -> VPSDE:
    """The linear process that ends with the last level of the chain: -log ᾱ_N = ½ (beta_min + beta_max)."""
    return VPSDE(beta_max=-2 * float(chain.log_ratios.sum()) - 0.1)


@remembered
def _chain(chain: DiscreteChain) -> Chain:
    log_alphas_cumprod = chain.log_ratios.cumsum(0)
    log_snr = 0.5 * (log_alphas_cumprod - torch.log(-torch.expm1(log_alphas_cumprod)))
    times = torch.cat([chain.time(log_snr)[:-1], torch.ones(1, dtype=torch.float64)])
    return Chain(log_alphas_cumprod.exp(), times)
