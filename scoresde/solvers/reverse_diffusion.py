"""Reverse diffusion sampling."""

import math

from torch import Tensor

from ..models.base import ScoreModel
from ..sde import Level
from .base import MarkovSolver, solvers
from .exponential import combine


def forward_step(s: Level, t: Level) -> tuple[float, float]:
    """(a, b) of the forward process between two levels: x_t = a x_s + b z.

    Args:
        s: The level with less noise.
        t: The level with more noise.
    """
    return t.alpha / s.alpha, t.sigma * math.sqrt(-math.expm1(2 * (t.log_snr - s.log_snr)))


@solvers("reverse-diffusion")
class ReverseDiffusion(MarkovSolver):
    """The forward step x_t = a x_s + b z, reversed in its own discretisation: x_s = (2 - a) x + b² ∇log p + b z.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix E, equation 46.
    """

    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        a, b = forward_step(s, t)
        return combine(2 - a, x, [-(b**2) / t.sigma], [model.eps(x, t.rows(x))]), b
