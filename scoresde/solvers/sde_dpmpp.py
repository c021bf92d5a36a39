"""SDE-DPM-Solver++."""

import math
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from ..model import ScoreModel
from ..random import Generators, randn_like
from ..sde import Level
from .base import GridSolver, Ordered, solvers


def slopes(past: list[tuple[Level, Tensor]], h: float) -> list[Tensor]:
    """h D' and h² D'' of the predictions D at the last levels, newest first, from at most two divided differences."""
    first = [(a - b) * (h / (t.log_snr - s.log_snr)) for (t, a), (s, b) in zip(past, past[1:], strict=False)]
    if len(first) < 2:
        return first
    near, far = (h / (t.log_snr - s.log_snr) for (t, _), (s, _) in pairwise(past))
    bend = (first[0] - first[1]) / (1 / near + 1 / far)
    return [first[0] + bend / near, 2 * bend]


@solvers("sde-dpm++")
class SDEDPMSolverPP(Ordered, GridSolver):
    """The reverse SDE in λ = log α/σ with the denoised D = (x - σ ε)/α expanded about the start of the step.

    x_s = σ_s/σ_t e⁻ʰ x + α_s ((1 - e⁻²ʰ) D + ...) + σ_s √(1 - e⁻²ʰ) z, h = λ_s - λ_t. Order 2 (2M) adds
    ½ (1 - e⁻²ʰ) h D'; order 3 (3M) adds (1 - (1 - e⁻²ʰ)/2h) h D' + (½ - (2h - 1 + e⁻²ʰ)/4h²) h² D'', the exact
    moments. diffusers has -½ in place of ½ there and half of D'', which leaves order 1. Derivatives come from
    the steps before. The law has order 2 at most, because no prediction knows the noise of its own step.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2211.01095.
    """

    stochastic: ClassVar[bool] = True
    examples = ({"order": 1}, {"order": 3})
    orders = (1, 2, 3)

    @property
    def claimed_order(self) -> float:
        return float(min(self.order, 2))

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        past: list[tuple[Level, Tensor]] = []
        for t, s in pairwise(levels):
            h = s.log_snr - t.log_snr
            past = [(t, (x - t.sigma * model.eps(x, t.rows(x))) / t.alpha), *past[: self.order - 1]]
            weight = -math.expm1(-2 * h)
            drift = weight * past[0][1]
            match slopes(past, h):
                case [slope]:
                    drift = drift + weight / 2 * slope
                case [slope, bend]:
                    first = 1 - weight / (2 * h)
                    drift = drift + first * slope + (0.5 - first / (2 * h)) * bend
            x = (s.sigma / t.sigma * math.exp(-h)) * x + s.alpha * drift
            x = x + (s.sigma * math.sqrt(weight)) * randn_like(x, generator)
        return x
