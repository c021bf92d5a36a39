"""The stochastic sampler of EDM."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..sde import Level
from .base import OneStepSolver, solvers
from .grids import GridOption, KarrasGrid


@solvers("edm")
class EDM(OneStepSolver):
    """Noise is added, then removed with more: in y = x/α with noise level v = σ/α, dy/dv = ε by Heun's method.

    y' = y + √(v'² - v²) s_noise z with v' = (1 + γ) v, γ = min(churn/steps, √2 - 1) where s_min ≤ v ≤ s_max,
    then the probability flow from v' to the next level. Unlike the paper's, v' stays within the process, and
    the last step is like the others, since a solver here stops before v = 0. churn = 0 adds no noise.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2.
    """

    stochastic: ClassVar[bool] = True
    examples = ({"churn": 40.0, "s_min": 0.05, "s_max": 50.0},)
    grid: GridOption = KarrasGrid()
    churn: float = Field(10.0, ge=0, description="Total amount of noise, divided among the steps.")
    s_min: float = Field(0.0, ge=0, description="Lowest noise level σ/α at which noise is added.")
    s_max: float | None = Field(None, gt=0, description="Highest noise level σ/α at which noise is added, if any.")
    s_noise: float = Field(1.0, gt=0, le=10, description="Standard deviation of the noise added.")

    @property
    def claimed_order(self) -> float:
        return 2.0

    @property
    def noisy(self) -> bool:
        return self.churn > 0 or self.final_corrector > 0

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        y, v, end = x / t.alpha, math.exp(-t.log_snr), math.exp(-s.log_snr)
        within = self.s_min <= v <= (math.inf if self.s_max is None else self.s_max)
        if within and self.churn:
            last = float(model.sde.log_snr(torch.tensor([model.sde.t_max], dtype=torch.float64)))
            raised = max(t.log_snr - math.log1p(min(self.churn / self.steps, math.sqrt(2) - 1)), last)
            if raised < t.log_snr:
                spread = math.exp(-raised) * math.sqrt(-math.expm1(2 * (raised - t.log_snr)))
                y = y + (self.s_noise * spread) * randn_like(x, generator)
                time = float(model.sde.time(torch.tensor([raised], dtype=torch.float64)))
                (t,) = model.sde.levels([min(time, model.sde.t_max)])
                v = math.exp(-t.log_snr)
        first = model.eps(t.alpha * y, t.rows(x))
        second = model.eps(s.alpha * (y + (end - v) * first), s.rows(x))
        return s.alpha * (y + (end - v) / 2 * (first + second))
