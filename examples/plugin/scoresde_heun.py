"""Heun's method as a solver for scoresde: importing this module registers it."""

from torch import Tensor

from scoresde.model import ScoreModel
from scoresde.random import Generators
from scoresde.sde import Level
from scoresde.solvers import OneStepSolver, solvers


@solvers("heun")
class Heun(OneStepSolver):
    """The probability flow dy/dr = ε in y = x/α and r = σ/α, by the trapezoidal rule on an Euler step.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 1.
    """

    @property
    def claimed_order(self) -> float:
        """The error falls with the square of the step."""
        return 2.0

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        """x, (B, *), at level t, carried to level s for two evaluations."""
        scaled, length = x / t.alpha, s.sigma / s.alpha - t.sigma / t.alpha
        first = model.eps(x, t.rows(x))
        second = model.eps(s.alpha * (scaled + length * first), s.rows(x))
        return s.alpha * (scaled + length * (first + second) / 2)
