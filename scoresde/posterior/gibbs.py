"""Split Gibbs sampling."""

import math

import torch
from pydantic import Field
from torch import Tensor

from ..conditioners.base import linear
from ..conditioners.projection import isotropic_update
from ..core.errors import UsageError
from ..solvers.base import Info
from ..solvers.sde_dpmpp import SDEDPMSolverPP
from .base import InnerOption, PosteriorSampler, Problem, posteriors


@posteriors("gibbs")
class SplitGibbs(PosteriorSampler):
    """Alternates z ~ N(z; x, ρ² I) p(y | z), exactly, and x ~ p(x) N(z; x, ρ² I), by the reverse process from σ/α = ρ.

    At a fixed ρ the distribution of x converges to the posterior for a measurement with the covariance
    σ_y² I + ρ² A Aᵀ, up to errors of model and solver. ρ falls from `start` to `end`. At small ρ the chain stays in one
    mode: for data with distant modes use smc.

    Reference: Wu et al. 2024, https://arxiv.org/abs/2405.18782 (PnP-DM), algorithm 1.
    """

    solver: InnerOption = SDEDPMSolverPP(steps=10)
    rounds: int = Field(40, ge=1, description="Pairs of draws.")
    start: float = Field(3.0, gt=0, description="ρ of the first round, in units of the data.")
    end: float = Field(0.03, gt=0, description="ρ of the last rounds; it must be above σ/α where sampling stops.")
    decay: float = Field(0.85, gt=0, le=1, description="Factor by which ρ falls from round to round.")

    def _draw(self, problem: Problem, info: Info) -> Tensor:
        observation, sde, y = linear(self, problem.observation), problem.model.sde, problem.y
        first, last = torch.exp(-sde.log_snr(torch.tensor([sde.t_max, problem.stop], dtype=torch.float64))).tolist()
        if not last < self.end <= self.start < first:
            raise UsageError(
                f"gibbs takes ρ that fall between {first:.3g} and {last:.3g}, the σ/α of the ends of this process, "
                f"got start {self.start:g} and end {self.end:g}"
            )
        at = sde.levels([problem.stop])[0].alpha

        def pulled(z: Tensor, y: Tensor, variance: float) -> Tensor:
            rows = torch.full((len(z),), variance, dtype=torch.float64, device=z.device)
            return z + isotropic_update(observation, observation.residual(z, y), rows).to(z)

        x, rho = y.new_zeros(len(y), *problem.model.shape), self.start
        for k in range(self.rounds):
            rho = max(self.start * self.decay**k, self.end)
            # x has the noise of the last level already. A draw of z and a measurement of it, pulled to y together,
            # have the law given y (Matheron's rule).
            variance = rho**2 - last**2
            error = observation.noise * problem.noise(y) if observation.noise else 0.0
            z = pulled(x / at + math.sqrt(variance) * problem.noise(x), y + error, variance)
            (time,) = sde.time(torch.tensor([-math.log(rho)], dtype=torch.float64)).tolist()
            (level,) = sde.levels([time])
            x = self.solver.solve(
                problem.model, level.alpha * z, start=time, stop=problem.stop, generator=problem.generator
            )
        return pulled(problem.denoised(problem.model, x), y, rho**2)
