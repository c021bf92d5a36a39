"""Annealed Langevin dynamics."""

import math
from itertools import pairwise

from pydantic import Field
from torch import Tensor

from ..conditioners.projection import Projection
from ..sde import Level
from ..solvers.ancestral import Ancestral
from ..solvers.base import Info
from .base import PosteriorSampler, Problem, StepOption, posteriors
from .known import KnownCoordinates


@posteriors("langevin")
class AnnealedLangevin(PosteriorSampler):
    """After each step of a solver, `inner` times x ← c + e^{-h} (x - c) + σ √(1 - e^{-2h}) z, c = α x̂_0 if not known.

    This is Langevin dynamics of step h σ², exact but for x̂_0, which is held fixed. Known coordinates have the centre
    c = α (y + λ (y - A x̂_0))/g instead, which lies beyond y as seen from the prediction. In equilibrium the prediction
    then nearly agrees with y, so the unknown part follows y itself, where replacement makes it follow y with noise
    added. No backward pass.

    Reference: Zheng et al. 2025, https://arxiv.org/abs/2502.03491 (LanPaint), for the score of what is seen.
    """

    solver: StepOption = Ancestral(steps=20)
    inner: int = Field(5, ge=0, description="Langevin steps at each level.")
    length: float = Field(0.3, gt=0, le=1, description="Length h of a Langevin step, in units of σ².")
    strength: float = Field(4.0, ge=0, description="λ: strength of the pull of the predicted measurement towards y.")

    def _draw(self, problem: Problem, info: Info) -> Tensor:
        seen = KnownCoordinates(self, problem)
        levels, below = seen.levels(self.solver)
        conditioned = Projection().condition(problem.model, seen.observation, problem.y)
        x = seen.redraw(problem.start(), levels[0])
        for t, s in pairwise(levels):
            x = self.solver.step(conditioned, x, t, s, problem.generator)
            for _ in range(self.inner):
                x = self._moved(problem, seen, x, s)
        return seen.finish(seen.redraw(x, levels[-1]) if below else x, self.solver, below)

    def _moved(self, problem: Problem, seen: KnownCoordinates, x: Tensor, s: Level) -> Tensor:
        """x, (B, *), after one Langevin step at level s."""
        t, kept = s.rows(x), math.exp(-self.length)
        x0 = problem.model.denoise(x, t)
        centre = s.alpha * (x0 + (1 + self.strength) * seen.observation.project(seen.known.to(x) - x0))
        return centre + kept * (x - centre) + s.sigma * math.sqrt(1 - kept**2) * problem.noise(x)
