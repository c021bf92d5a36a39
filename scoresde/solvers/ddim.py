"""DDIM."""

import math
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..models.base import ScoreModel
from ..sde import Level
from .base import MarkovSolver, Steps, solvers
from .exponential import combine
from .grids import GridOption, LogSNRGrid


@solvers("ddim")
class DDIM(MarkovSolver):
    """x_s = α_s x̂_0 + √(σ_s² - v²) ε + v z, where v = eta σ_s √(1 - exp(-2h)), h = λ_s - λ_t.

    Without noise, eta = 0, it is `euler`; at eta = 1, v² is the variance of x_s given x_t and x_0. clip_x0 clips x̂_0
    and keeps ε, so the two no longer add up to x_t: this is the rule of diffusers' DDIM with `clip_sample`. A
    `ClippedModel` computes ε again from the clipped x̂_0, as with `use_clipped_model_output` there.

    Reference: Song et al. 2021, https://arxiv.org/abs/2010.02502, equations 12 and 16.
    """

    stochastic: ClassVar[bool] = False
    examples = ({"eta": 1.0},)
    steps: Steps = 50
    grid: GridOption = LogSNRGrid()
    eta: float = Field(0.0, ge=0, le=1, description="Amount of noise: 0 adds none, 1 as much as the reverse SDE.")
    clip_x0: bool = Field(False, description="Clip the predicted data to [-1, 1] in each step, and keep ε.")

    @property
    def noisy(self) -> bool:
        return self.eta > 0 or self.final_corrector > 0

    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        h = s.log_snr - t.log_snr
        kept = math.sqrt(1 + self.eta**2 * math.expm1(-2 * h)) if self.eta else 1.0
        weight = s.sigma * (math.expm1(h) + 1 - kept)
        eps = model.eps(x, t.rows(x))
        mean = combine(s.alpha / t.alpha, x, [-weight], [eps])
        if self.clip_x0:
            if model.units is not None or model.autoencoder is not None:
                raise UsageError("clip_x0 cuts off at -1 and 1, and these data have another range: leave it out")
            x0 = (x - t.sigma * eps) / t.alpha
            # As a change of the step, so that where nothing is cut off it stays what it was, bit for bit.
            mean = mean + s.alpha * (x0.clamp(-1, 1) - x0)
        return mean, self.eta and self.eta * s.sigma * math.sqrt(-math.expm1(-2 * h))
