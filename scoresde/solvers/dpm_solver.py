"""DPM-Solver with adaptive steps, as published."""

import math

import torch
from pydantic import Field
from torch import Tensor

from ..controllers import ControllerOption, Integral
from ..model import ScoreModel
from ..random import Generators
from ..sde import expand
from .adaptive import Memory, PerSampleSolver, Stepping, Trial, rms
from .base import Order, Ordered, solvers

FIRST = 0.05


def excess(h: Tensor) -> Tensor:
    """(eʰ - 1)/h - 1, (B,), without cancellation at small h."""
    series = h / 2 * (1 + h / 3 * (1 + h / 4 * (1 + h / 5 * (1 + h / 6))))
    return torch.where(h.abs() < 1e-2, series, torch.expm1(h) / torch.where(h == 0, 1.0, h) - 1)


@solvers("dpm")
class DPMSolver(Ordered, PerSampleSolver):
    """DPM-Solver-12 or -23 in λ = log α/σ: the linear part exactly, the noise by a Taylor expansion.

    x_s = α_s/α_t x - σ_s (eʰ - 1) ε - ..., h = λ_s - λ_t. The error is the distance of the two orders over
    max(atol, tol max(|x|, |x'|)), with x' the lower-order state of the step before. A value at the start of a
    step is kept when the step is rejected, so NFE is lower than published by the rejected steps.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2206.00927, algorithms 1 and 2, and appendix C for the steps.
    """

    examples = ({"order": 2},)
    tol: float = Field(5e-2, gt=0, lt=1, description="Relative error allowed per step.")
    atol: float | None = Field(
        0.0078, gt=0, description="Absolute error allowed per step; none takes the value of tol."
    )
    controller: ControllerOption = Integral(slowest=0, fastest=math.inf, hold=False)
    orders = (2, 3)
    order: Order = 3

    @property
    def claimed_order(self) -> float:
        return float(self.order)

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde = model.sde
        r1 = 1 / 2 if self.order == 2 else 1 / 3

        def eps(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.eps(x, sde.time(log_snr))

        def attempt(x: Tensor, log_snr: Tensor, h: Tensor, e: Tensor, memory: Memory) -> Trial:
            t = sde.time(log_snr)

            def move(share: float, *terms: tuple[Tensor, Tensor]) -> Tensor:
                s = sde.time(log_snr + share * h)
                moved = expand(torch.exp(sde.log_alpha(s) - sde.log_alpha(t)), x) * x
                return moved - sum(expand(sde.sigma(s) * weight, x) * value for weight, value in terms)

            euler = (torch.expm1(h), e)
            first = eps(move(r1, (torch.expm1(r1 * h), e)), log_snr + r1 * h)
            second_order = move(1, euler, (torch.expm1(h) / (2 * r1), first - e))
            if self.order == 2:
                low, high = move(1, euler), second_order
            else:
                r2 = 2 / 3
                middle = move(r2, (torch.expm1(r2 * h), e), (r2 / r1 * excess(r2 * h), first - e))
                second = eps(middle, log_snr + r2 * h)
                low, high = second_order, move(1, euler, (excess(h) / r2, second - e))
            scale = (self.tol * torch.maximum(low.abs(), memory[0].abs())).clamp_min(self.absolute)
            return Trial(high, rms((high - low) / scale, self.control), memory=(low,))

        at_start = sde.log_snr(torch.full((len(x),), start, dtype=torch.float64, device=x.device))
        f = eps(x, at_start)
        return Stepping(
            eps, attempt, x, position=sde.log_snr, time=sde.time, order=self.order, first=FIRST, f=f, memory=(x,)
        )
