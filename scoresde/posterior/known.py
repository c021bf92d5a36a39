"""The coordinates of the state that an orthogonal measurement determines."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from ..conditioners import Conditioner
from ..conditioners.projection import Projection
from ..core.errors import UsageError
from ..observations import OrthogonalObservation
from ..sde import Level
from ..solvers import GridSolver, OneStepSolver
from .base import PosteriorSampler, Problem


class KnownCoordinates:
    """The known coordinates of x_t under an orthogonal measurement: α y/g + √(σ² - α² e²) z, with e = σ_y/g.

    y/g = A x_0/g + e n is itself a state of the process, in the known coordinates and at the level τ where σ/α = e.
    Above τ they are drawn given this state, and at τ they are α y/g itself. Below τ the reverse process continues
    without further replacement.

    Args:
        method: The sampler, for error messages.
        problem: The samples that are wanted.

    Reference: Cardoso et al. 2023, https://arxiv.org/abs/2308.07983 (MCGDiff), for the state at τ.

    Raises:
        UsageError: The rows of A are not orthogonal and of one length.
    """

    def __init__(self, method: PosteriorSampler, problem: Problem) -> None:
        if not isinstance(problem.observation, OrthogonalObservation):
            raise UsageError(
                f"{method.name} takes pixels, luma, mean, downsample or crop, {type(problem.observation).__name__} "
                "has rows that are not orthogonal; use gibbs or smc"
            )
        self.problem, self.observation = problem, problem.observation
        self.known = self.observation.pinv(problem.y)
        self.error = self.observation.noise / self.observation.gain

    def levels(self, solver: GridSolver) -> tuple[list[Level], list[Level]]:
        """The levels of the solver's grid down to τ, and those from τ on; no others are left if τ is below the last.

        Args:
            solver: The solver whose grid it is.
        """
        sde, stop = self.problem.model.sde, self.problem.stop
        found = solver.grid.levels(sde, sde.t_max, stop, solver.steps)
        tau = 0.0
        if self.error:
            (tau,) = sde.time(torch.tensor([-math.log(self.error)], dtype=torch.float64)).tolist()
        if tau <= stop:
            return found, []
        tau = min(tau, sde.t_max)
        times = [level.time for level in found]
        above, below = [t for t in times if t > tau], [t for t in times if t < tau]
        return sde.levels([*above, tau]), sde.levels([tau, *below])

    def redraw(self, x: Tensor, level: Level) -> Tensor:
        """x with its known coordinates drawn anew, (B, *).

        Args:
            x: The state at the level, (B, *).
            level: The level.
        """
        variance = level.sigma**2 - (level.alpha * self.error) ** 2
        if variance < -1e-6 * level.sigma**2:  # there is more noise in y than at the end of the process
            return x
        seen = level.alpha * self.known.to(x) + math.sqrt(max(variance, 0.0)) * self.problem.noise(x)
        return x + self.observation.project(seen - x)

    def finish(self, x: Tensor, solver: OneStepSolver, below: list[Level]) -> Tensor:
        """E[x_0 | x_stop, y], (B, *), from the state at τ or at the last level.

        Args:
            x: The state, (B, *).
            solver: The solver of the remaining steps.
            below: The levels from τ on, as `levels` returns them.
        """
        problem = self.problem
        if not below:
            closing: Conditioner = Projection()
            return problem.denoised(closing.condition(problem.model, self.observation, problem.y), x)
        for t, s in pairwise(below):
            x = solver.step(problem.model, x, t, s, problem.generator)
        return problem.denoised(problem.model, x)
