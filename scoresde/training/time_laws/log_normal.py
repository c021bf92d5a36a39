"""Log-normal noise levels, as in EDM."""

import torch
from pydantic import Field
from torch import Tensor

from ...sde import SDE
from .base import TimeLaw, time_laws


@time_laws("log-normal")
class LogNormal(TimeLaw):
    """ln σ/α ~ N(mean, std²); what lies beyond the earliest time or the end of the process is taken there.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1, for α = 1.
    """

    mean: float = Field(-1.2, description="Mean of ln σ/α.")
    std: float = Field(1.2, gt=0, description="Standard deviation of ln σ/α.")

    def times(self, sde: SDE, u: Tensor, earliest: float) -> Tensor:
        return sde.time(-(self.mean + self.std * torch.special.ndtri(u))).clamp(earliest, sde.t_max)
