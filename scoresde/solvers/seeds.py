"""SEEDS, exponential solvers of the reverse SDE."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..sde import Level
from .base import OneStepSolver, Ordered, solvers


@solvers("seeds")
class SEEDS(Ordered, OneStepSolver):
    """The reverse SDE in λ = log α/σ: x_s = α_s/α_t x - 2 σ_s (eʰ - 1) ε + σ_s √(e²ʰ - 1) z, h = λ_s - λ_t.

    Order 2 evaluates ε in the middle of the step, after a step of order 1 with h/2 and noise. This noise is the first
    part of that of the whole step: z √(e²ʰ - 1) = z₁ √(e²ʰ - eʰ) + z₂ √(eʰ - 1). With fewer than about twenty steps
    order 2 is unstable on the log-SNR grid; order 1 and sde-dpm++ are not.

    Reference: Gonzalez et al. 2023, https://arxiv.org/abs/2305.14267; derived here from the exact solution.
    """

    stochastic: ClassVar[bool] = True
    examples = ({"order": 1},)
    orders = (1, 2)

    @property
    def claimed_order(self) -> float:
        return float(self.order)

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        h = s.log_snr - t.log_snr

        def move(to: Level, share: float, eps: Tensor) -> Tensor:
            return (to.alpha / t.alpha) * x - (2 * to.sigma * math.expm1(share * h)) * eps

        eps = model.eps(x, t.rows(x))
        if self.order == 1:
            return move(s, 1, eps) + (s.sigma * math.sqrt(math.expm1(2 * h))) * randn_like(x, generator)
        time = model.sde.time(torch.tensor([t.log_snr + h / 2], dtype=torch.float64))
        (middle,) = model.sde.levels(time.tolist())
        z1, z2 = randn_like(x, generator), randn_like(x, generator)
        part = math.sqrt(math.expm1(h))
        eps = model.eps(move(middle, 0.5, eps) + (middle.sigma * part) * z1, middle.rows(x))
        return move(s, 1, eps) + (s.sigma * part) * (math.exp(h / 2) * z1 + z2)
