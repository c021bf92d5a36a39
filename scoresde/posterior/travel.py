"""Replacement with time travel."""

from itertools import pairwise

from pydantic import Field
from torch import Tensor

from ..solvers.ancestral import Ancestral
from ..solvers.base import Info
from ..solvers.reverse_diffusion import forward_step
from .base import PosteriorSampler, Problem, StepOption, posteriors
from .known import KnownCoordinates


@posteriors("travel")
class Travel(PosteriorSampler):
    """Steps of a stochastic solver, after each of which the known coordinates are drawn again from p(x_s | y).

    After every `jump` steps noise is added again, x_t = a x_s + b z, and the same steps are repeated, until they were
    made `resamplings` times; the first `jump` steps, from pure noise, are made once. So the unknown coordinates adapt
    to the known ones. The distribution converges to the posterior as `resamplings` grows; 1 is plain replacement.

    Reference: Lugmayr et al. 2022, https://arxiv.org/abs/2201.09865 (RePaint), algorithm 1.
    """

    solver: StepOption = Ancestral(steps=100)
    jump: int = Field(10, ge=1, description="Number of steps that are repeated together.")
    resamplings: int = Field(10, ge=1, description="How often these steps are repeated; 1 is plain replacement.")

    def _draw(self, problem: Problem, info: Info) -> Tensor:
        seen = KnownCoordinates(self, problem)
        levels, below = seen.levels(self.solver)
        x = seen.redraw(problem.start(), levels[0])
        turns = [*range(len(levels) - 1, 0, -self.jump), 0][::-1]
        for top, bottom in pairwise(turns):
            for passed in range(self.resamplings if top else 1):
                if passed:
                    a, b = forward_step(levels[bottom], levels[top])
                    x = a * x + b * problem.noise(x)
                for t, s in pairwise(levels[top : bottom + 1]):
                    x = seen.redraw(self.solver.step(problem.model, x, t, s, problem.generator), s)
        return seen.finish(x, self.solver, below)
