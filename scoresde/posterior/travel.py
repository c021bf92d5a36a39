"""Replacement with time travel."""

from itertools import pairwise

from pydantic import Field
from torch import Tensor

from ..solvers.ancestral import Ancestral
from ..solvers.base import Info
from ..solvers.reverse_diffusion import forward_step
from .base import KnownCoordinates, PosteriorSampler, Problem, StepOption, posteriors


@posteriors("travel")
class Travel(PosteriorSampler):
    """Steps of any solver with noise, after each of which what is seen is drawn anew from p(x_s | y), again and again.

    After every `jump` steps the sample goes back by as many, x_t = a x_s + b z, and comes down once more, until it has
    come `resamplings` times: what is not seen so gets to know what is. Down from pure noise it comes once. The law
    tends to the posterior as these times become many; with one it is replacement, and biased as that is.

    Reference: Lugmayr et al. 2022, https://arxiv.org/abs/2201.09865 (RePaint), algorithm 1.
    """

    solver: StepOption = Ancestral(steps=100)
    jump: int = Field(10, ge=1, description="Steps between two turns back, and the length of the way back.")
    resamplings: int = Field(10, ge=1, description="Times that each stretch is come down; 1 is replacement alone.")

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
