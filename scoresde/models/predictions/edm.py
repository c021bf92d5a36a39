"""The preconditioned output of EDM."""

import torch
from pydantic import Field
from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("edm")
class Preconditioned(Prediction):
    """x̂_0 = c_skip x_t + c_out net(c_in x_t), with input, output and target of variance 1 for data of deviation s.

    For x_t = α x_0 + σ z with v = α² s² + σ²: c_in = 1/√v, c_skip = α s²/v, c_out = σ s/√v. So a = (1 - α c_skip)/σ
    = σ/v and b = -α s/√v.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1, there for α = 1.
    """

    data_std: float = Field(0.5, gt=0, description="Standard deviation s of the data.")

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        variance = (alpha * self.data_std) ** 2 + sigma**2
        root = torch.sqrt(variance)
        return Coefficients(1 / root, sigma / variance, -alpha * self.data_std / root)
