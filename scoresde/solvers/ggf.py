"""The adaptive SDE solver of "Gotta go fast"."""

import math
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from .adaptive import PerSampleSolver
from .base import solvers
from .brownian import Foresight
from .controllers import ControllerOption, Integral
from .embedded_pair import same
from .stepping import Floats, Memory, Stepping, Trial, array, factors, judged, norms, plain, relative

FIRST, LONGEST, EXPONENT = 0.01, 2.0, 0.9


@solvers("ggf")
class GGF(PerSampleSolver):
    """Improved Euler on the reverse SDE with adaptive steps: x_s = ½ (x' + x''), two Euler-Maruyama steps.

    x' = x + h (f x - g² ∇log p) + g ΔW at the start, h = s - t < 0; x'' has f, g and ∇log p taken at (x', s), and
    the same ΔW. The error is ½ (x'' - x') over max(atol, tol max(|x'|, |x'_before|)). New noise after a rejected step
    would bias the distribution at any tolerance (in one dimension the standard deviation becomes 1.4 times too large),
    so a shorter step uses a part of the same Brownian path. Samples of few values have errors that are small by chance,
    so a step longer than 2 in log-SNR is rejected whatever its error. The evaluation at the start of a step is reused
    after a rejection.

    Reference: Jolicoeur-Martineau et al. 2021, https://arxiv.org/abs/2105.14080.
    """

    stochastic: ClassVar[bool] = True
    tol: float = Field(1e-2, gt=0, lt=1, description="Relative error allowed per step.")
    largest_atol: ClassVar[float] = 0.0078

    controller: ControllerOption = Integral(slowest=0, fastest=math.inf, hold=False)

    @property
    def claimed_order(self) -> float:
        return 2.0

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde, path = model.sde, Foresight(x, generator, start)

        def attempt(x: Tensor, t: Floats, h: Floats, eps: Tensor, memory: Memory) -> Trial:
            times = torch.from_numpy(np.stack([t, t + h]))
            parts = (sde.f, sde.g, sde.sigma, sde.log_snr)
            f, g, sigma, log_snr = (array(v(times.flatten())).reshape(times.shape) for v in parts)
            dw, table = path(*times).to(x.device), (h * f, h * g**2 / sigma, g)
            f0, f1, score0, score1, g0, g1 = factors(np.concatenate(table), x)
            euler = torch.addcmul(x, f0, x).addcmul_(score0, eps).addcmul_(g0, dw)
            end = model.eps(euler, times[1])
            again = torch.addcmul(x, f1, euler).addcmul_(score1, end).addcmul_(g1, dw)
            allowed = relative(euler, memory[0], self.tol).clamp_min_(self.absolute)
            (error,) = norms([plain(again) - plain(euler)], self.control, allowed) / 2
            error = judged(error, log_snr[1] - log_snr[0], LONGEST, 1 / EXPONENT)
            return Trial((euler + again).mul_(0.5), error, memory=(euler,))

        f = model.eps(x, torch.full((len(x),), start, dtype=torch.float64))
        return Stepping(
            model.eps, attempt, x, position=same, time=same, order=1 / EXPONENT, first=FIRST, f=f, memory=(x,)
        )
