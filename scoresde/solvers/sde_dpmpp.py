"""SDE-DPM-Solver++."""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..sde import Level
from .base import GridSolver, Ordered, solvers
from .exponential import combine, predict


def slopes(past: list[tuple[Level, Tensor]], h: float) -> list[Tensor]:
    """h D' and h² D'' of the data predictions D, from divided differences of at most three of them, (B, *) each.

    Args:
        past: The last levels and the predictions there, newest first.
        h: Length of the step in log-SNR.
    """
    first = [(a - b) * (h / (t.log_snr - s.log_snr)) for (t, a), (s, b) in zip(past, past[1:], strict=False)]
    if len(first) < 2:
        return first
    near, far = (h / (t.log_snr - s.log_snr) for (t, _), (s, _) in pairwise(past))
    bend = (first[0] - first[1]) / (1 / near + 1 / far)
    return [first[0] + bend / near, 2 * bend]


@solvers("sde-dpm++")
class SDEDPMSolverPP(Ordered, GridSolver):
    """The reverse SDE in λ = log α/σ with the denoised D = (x - σ ε)/α expanded about the start of the step.

    x_s = σ_s/σ_t exp(-ηh) x + α_s (w D + ...) + σ_s √(1 - exp(-2ηh)) z, h = λ_s - λ_t, w = 1 - exp(-kh), k = 1 + η.
    Order 2 (2M) adds ½ w h D'; order 3 (3M) adds m h D' + (½ - m/kh) h² D'' with m = 1 - w/kh, the exact moments.
    diffusers has -½ in place of ½ there and half of D'', which leaves order 1. Derivatives come from the steps before.
    The weak order is at most 2, because no prediction depends on the noise of its own step. Every η has the same
    marginals: η = 1 is the reverse SDE, η = 0 the probability flow.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2211.01095.
    """

    stochastic: ClassVar[bool] = True
    examples = ({"order": 1}, {"order": 3}, {"eta": 0.0}, {"eta": 0.5})
    orders = (1, 2, 3)
    eta: float = Field(1.0, ge=0, le=1, description="Amount of noise: 0 adds none, 1 as much as the reverse SDE.")

    @property
    def noisy(self) -> bool:
        return self.eta > 0 or self.final_corrector > 0

    @property
    def claimed_order(self) -> float:
        return float(min(self.order, 2))

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        past: list[tuple[Level, Tensor]] = []
        for t, s in pairwise(levels):
            h = s.log_snr - t.log_snr
            past = [(t, predict(model, x, t, "data")), *past[: self.order - 1]]
            rate = (1 + self.eta) * h
            weight = -math.expm1(-rate)
            drift = weight * past[0][1]
            match slopes(past, h):
                case [slope]:
                    drift = drift + weight / 2 * slope
                case [slope, bend]:
                    first = 1 - weight / rate
                    drift = drift + first * slope + (0.5 - first / rate) * bend
            x = combine(s.sigma / t.sigma * math.exp(-self.eta * h), x, [s.alpha], [drift])
            if self.eta:
                x = torch.add(x, randn_like(x, generator), alpha=s.sigma * math.sqrt(-math.expm1(-2 * self.eta * h)))
        return x
