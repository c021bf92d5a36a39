"""Sequential Monte Carlo."""

import math
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..conditioners.covariance import CovarianceUser
from ..core.random import randn
from ..models.base import ScoreModel
from ..observations import Observation
from ..observations.krylov import dot
from ..solvers.ancestral import Ancestral
from ..solvers.base import Info
from .base import KernelOption, PosteriorSampler, Problem, Sources, posteriors
from .particles import Particles, effective, systematic
from .twist import StoredPrediction, Twist, TwistOutput


@posteriors("smc")
class TwistedSMC(CovarianceUser, PosteriorSampler):
    """K particles drawn from the transitions q of a guided solver, with importance weights for the posterior.

    w = p(x_s | x_t) p̃(y | x_s) / (p̃(y | x_t) q(x_s | x_t)), with `Twist` for p̃, and the likelihood itself in the last
    weight, of x_0 ~ N(x̂_0, V). A population with an effective sample size below `threshold` K is resampled.
    As K grows the law tends to the posterior of the discretised model, whatever p̃ is; with one particle it is guidance
    alone. An exact measurement is taken to have the noise of rounding, 0.00226.

    Reference: Wu et al. 2023, https://arxiv.org/abs/2306.17775, algorithm 1 (TDS).
    """

    solver: KernelOption = Ancestral(steps=100)
    particles: int = Field(
        16, ge=1, description="Particles per sample; an evaluation has as many rows for each sample."
    )
    proposal: Literal["gradient", "covariance"] = Field(
        "covariance", description="Guidance by the covariance of the data, or by a backward pass through the model."
    )
    error: float = Field(0.1, ge=0, description="Root mean square error of the model's ε; 0 for an exact score.")
    threshold: float = Field(
        0.5, ge=0, le=1, description="Effective fraction of particles below which they are resampled."
    )

    @torch.no_grad()
    def run(
        self, model: ScoreModel, observation: Observation, y: Tensor, *, generator: Sources, stop: float | None = None
    ) -> Particles:
        """The whole populations, denoised; errors as for `draw`.

        Args:
            model: The unconditional model of p(x).
            observation: The measurement.
            y: (B, *m), one measurement per row.
            generator: One for each row.
            stop: Time at which the noise ends; by default the process's `t_min`.
        """
        return self._populations(self._problem(self._guarded(model), observation, y, generator, stop))

    def _draw(self, problem: Problem, info: Info) -> Tensor:
        found = self._populations(problem)
        info["ess"], info["lowest_ess"] = float(found.ess.mean()), float(found.ess.min())
        info["log_z"], info["resamplings"] = float(found.log_z.mean()), float(found.resamplings.double().mean())
        return found.pick(problem.generator)

    def _populations(self, problem: Problem) -> Particles:
        model, y, b, k = problem.model, problem.y, len(problem.y), self.particles
        gradient = self.proposal == "gradient"
        twist = Twist(self, problem, self.fitting(model, y), copies=k, error=self.error, gradient=gradient)
        levels = self.solver.grid.levels(model.sde, model.sde.t_max, problem.stop, self.solver.steps)

        def noise() -> Tensor:
            return randn((b, k, *model.shape), problem.generator, dtype=y.dtype).flatten(0, 1).to(y.device)

        x = model.sde.prior_std * noise()
        twisted = twist(model, x, levels[0])
        log_w, log_z = twisted.log_p.reshape(b, k), torch.zeros(b, dtype=torch.float64, device=y.device)
        sizes, resamplings = [effective(log_w)], torch.zeros(b, dtype=torch.long, device=y.device)
        for t, s in pairwise(levels):
            poor = sizes[-1] < self.threshold * k
            if bool(poor.any()):
                kept = torch.arange(k, device=y.device).repeat(b, 1)
                kept[poor] = systematic(log_w[poor], [problem.generator[i] for i in poor.nonzero().flatten().tolist()])
                rows = (kept + k * torch.arange(b, device=y.device)[:, None]).flatten()
                x, twisted = x[rows], TwistOutput(*(part[rows] for part in twisted))
                log_z = torch.where(poor, log_z + torch.logsumexp(log_w, 1) - math.log(k), log_z)
                log_w, resamplings = torch.where(poor[:, None], 0.0, log_w), resamplings + poor
            free, std = self.solver.kernel(StoredPrediction(model, x, twisted.eps), x, t, s)
            mean, _ = self.solver.kernel(StoredPrediction(model, x, twisted.guided), x, t, s)
            z, before, shift = noise(), twisted.log_p, (mean - free) / std
            x = mean + std * z
            twisted = twist(model, x, s, last=s is levels[-1])
            # log p/q = log N(shift + z) - log N(z), with z the noise that was drawn
            log_w = log_w + (twisted.log_p - before - dot(0.5 * shift + z, shift).double()).reshape(b, k)
            sizes.append(effective(log_w))
        total = torch.logsumexp(log_w, 1)
        x0 = problem.observation.write(model.finish(twisted.x0), twist.y.to(x)).reshape(b, k, *model.shape)
        return Particles(x0, log_w - total[:, None], log_z + total - math.log(k), torch.stack(sizes), resamplings)
