"""The exponential Euler method."""

import math

from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import Level
from .base import OneStepSolver, solvers
from .exponential import combine


@solvers("euler")
class Euler(OneStepSolver):
    """The probability flow with ε held constant: x_s = α_s/α_t x - σ_s (eʰ - 1) ε, h = λ_s - λ_t.

    It is DDIM without noise, and DPM-Solver of order 1.

    References: Song et al. 2021, https://arxiv.org/abs/2010.02502, equation 12;
    Lu et al. 2022, https://arxiv.org/abs/2206.00927, equation 3.7.
    """

    @property
    def claimed_order(self) -> float:
        return 1.0

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        weight = s.sigma * math.expm1(s.log_snr - t.log_snr)
        return combine(s.alpha / t.alpha, x, [-weight], [model.eps(x, t.rows(x))])
