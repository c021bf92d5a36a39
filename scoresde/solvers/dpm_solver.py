"""DPM-Solver with adaptive steps, as published."""

import math
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import expand
from .adaptive import PerSampleSolver
from .base import Order, Ordered, solvers
from .controllers import ControllerOption, Integral
from .stepping import Floats, Memory, Stepping, Trial, array, factors, judged, norms, plain, relative

FIRST, LONGEST = 0.05, 3.25


def excess(h: Floats) -> Floats:
    """(eʰ - 1)/h - 1, without cancellation at small h.

    Args:
        h: Lengths of steps in log-SNR, of any shape.
    """
    series = h / 2 * (1 + h / 3 * (1 + h / 4 * (1 + h / 5 * (1 + h / 6))))
    return np.where(np.abs(h) < 1e-2, series, np.expm1(h) / np.where(h == 0, 1.0, h) - 1)


@solvers("dpm")
class DPMSolver(Ordered, PerSampleSolver):
    """DPM-Solver-12 or -23 in λ = log α/σ: the linear part exactly, the noise by a Taylor expansion.

    x_s = α_s/α_t x - σ_s (eʰ - 1) ε - ..., h = λ_s - λ_t. The error is the distance of the two orders over
    max(atol, tol max(|x|, |x'|)), with x' the lower-order state of the step before. All of them are first divided by
    √(α² + σ²), each at its own time; otherwise, in a variance-exploding process, x' would be so large that every step
    is accepted. A step above 3.25 in λ is rejected whatever its error: both orders could pass over all that changes
    ε, and agree. The evaluation at the start of a step is reused after a rejection, so NFE is lower than published by
    the number of rejected steps.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2206.00927, algorithms 1 and 2, and appendix C for the steps.
    """

    examples = ({"order": 2},)
    tol: float = Field(5e-2, gt=0, lt=1, description="Relative error allowed per step.")
    largest_atol: ClassVar[float] = 0.0078
    controller: ControllerOption = Integral(slowest=0, fastest=math.inf, hold=False)
    orders = (2, 3)
    order: Order = 3

    @property
    def claimed_order(self) -> float:
        return float(self.order)

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde = model.sde
        points = [i / self.order for i in range(self.order + 1)]  # the start of a step, the points within it, its end
        shares = np.array(points)[:, None]

        def eps(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.eps(x, sde.time(log_snr))

        def attempt(x: Tensor, log_snr: Floats, h: Floats, e: Tensor, memory: Memory) -> Trial:
            lengths = shares * h
            places = log_snr + lengths
            times = sde.time(torch.from_numpy(places.ravel()))
            t, log_alpha = times.reshape(places.shape), array(sde.log_alpha(times)).reshape(places.shape)
            sigma = np.exp(log_alpha - places)
            scale = np.sqrt(np.exp(2 * log_alpha[-1]) + sigma[-1] ** 2)
            table = np.exp(log_alpha - log_alpha[0]), -sigma * np.expm1(lengths), -sigma * excess(lengths), scale[None]
            columns = factors(np.concatenate(table), x)
            keep, constant, slope = (columns[i : i + len(points)] for i in range(0, 3 * len(points), len(points)))
            first = model.eps((keep[1] * x).addcmul_(constant[1], e), t[1]) - e
            if self.order == 3:
                middle = (keep[2] * x).addcmul_(constant[2], e).addcmul_(slope[2], first, value=points[2] / points[1])
                second = model.eps(middle, t[2]) - e
            euler = (keep[-1] * x).addcmul_(constant[-1], e)
            low, high = euler, torch.addcmul(euler, constant[-1], first, value=0.5 / points[1])
            if self.order == 3:
                low, high = high, torch.addcmul(euler, slope[-1], second, value=1 / points[2])
            unit = plain(low) / columns[-1]
            allowed = relative(unit, memory[0], self.tol).clamp_min_(self.absolute)
            (error,) = norms([plain(high) - plain(low)], self.control, allowed) / scale
            return Trial(high, judged(error, h, LONGEST, self.order), memory=(unit,))

        begin = torch.full((len(x),), start, dtype=torch.float64)
        f, memory = eps(x, sde.log_snr(begin)), (x / expand(sde.scale(begin), x),)
        return Stepping(eps, attempt, x, sde.log_snr, sde.time, order=self.order, first=FIRST, f=f, memory=memory)
