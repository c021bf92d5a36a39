"""DDPM's sampling, with its three variances."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..sde import Level
from .ancestral import Ancestral
from .base import Steps, solvers
from .exponential import combine
from .grids import ChainGrid, GridOption
from .reverse_diffusion import forward_step


@solvers("ddpm")
class DDPMSampling(Ancestral):
    """x_s = (x + b² ∇log p)/a + v z with v² from β̃ = b² σ_s²/σ_t² ("small") to β = b² ("large").

    x_t = a x_s + b z is the forward step. β̃ is the right variance for data at a point, β for standard normal data. A
    network with a learned variance predicts r in β^r β̃^(1-r) for each value ("learned"). "large" is `ancestral`. The
    last step of the published chain, from its first level to the data, is the final denoising here, so a chain of N
    levels takes N - 1 steps and N evaluations. Fewer steps use levels evenly spaced in the chain.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, algorithm 2 and section 3.2; Nichol and Dhariwal
    2021, https://arxiv.org/abs/2102.09672, equation 15, and section 4 for fewer steps.
    """

    examples = ({"variance": "large"},)
    steps: Steps = 999
    grid: GridOption = ChainGrid()
    variance: Literal["small", "large", "learned"] = Field(
        "small", description="Variance of a step: for known data, for normal data, or learned by the network."
    )

    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        if self.variance == "learned":
            raise UsageError("this needs one variance for all values, a learned one is not: choose small or large")
        mean, large = super().kernel(model, x, t, s)
        return mean, large * s.sigma / t.sigma if self.variance == "small" else large

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        if self.variance != "learned":
            return super().step(model, x, t, s, generator)
        a, b = forward_step(s, t)
        out = model.evaluate(x, t.rows(x))
        std = b * torch.exp((1 - out.learned()) * math.log(s.sigma / t.sigma))
        return combine(1 / a, x, [-(b**2) / (a * t.sigma)], [out.eps]).addcmul_(std, randn_like(x, generator))
