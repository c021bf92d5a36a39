"""The process of flow matching, a straight line from data to noise."""

import torch
from pydantic import Field
from torch import Tensor

from .base import SDE, sdes


@sdes("flow")
class FlowSDE(SDE):
    """x_t = (1 - t) x_0 + t z: α = 1 - t, σ = t; dx = -x/(1 - t) dt + √(2 t/(1 - t)) dw.

    Networks of flow matching predict z - x_0, whose mean is the velocity of the probability flow. At t = 1 there is no
    signal and λ = -∞, so the process ends at t = 1 - `end`, with noise of standard deviation 1 - `end`. The remaining
    signal of data with mean m changes a likelihood by about m `end` nats per dimension. `end` is at least 1e-6: less
    would change samples by no more than that.

    References: Lipman et al. 2023, https://arxiv.org/abs/2210.02747, equation 20; Liu et al. 2023,
    https://arxiv.org/abs/2209.03003, equation 1.

    Example:
        >>> import torch
        >>> from scoresde.sde import FlowSDE
        >>> sde, t = FlowSDE(), torch.tensor([0.25])
        >>> float(sde.alpha(t)), float(sde.sigma(t)), sde.t_max
        (0.75, 0.25, 0.999)
    """

    end: float = Field(1e-3, ge=1e-6, le=0.1, description="The process ends at t = 1 - end, where α = end.")

    @property
    def t_max(self) -> float:
        return 1 - self.end

    @property
    def prior_std(self) -> float:
        return 1 - self.end

    def log_alpha(self, t: Tensor) -> Tensor:
        return torch.log1p(-t)

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def f(self, t: Tensor) -> Tensor:
        return -1 / (1 - t)

    def g(self, t: Tensor) -> Tensor:
        return torch.sqrt(2 * t / (1 - t))

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr)
