"""Ralston's method as a solver for scoresde: importing this module registers it."""

import math

import torch
from torch import Tensor

from scoresde.core.random import Generators
from scoresde.models.base import ScoreModel
from scoresde.sde import Level
from scoresde.solvers import OneStepSolver, solvers


@solvers("ralston")
class Ralston(OneStepSolver):
    """The probability flow dy/dr = ε in y = x/α and r = σ/α, by ε at the start and at two thirds of the step.

    Reference: Ralston 1962, https://doi.org/10.1090/S0025-5718-1962-0150954-0; the frame of Karras et al. 2022,
    https://arxiv.org/abs/2206.00364.
    """

    @property
    def claimed_order(self) -> float:
        """The error falls with the square of the step."""
        return 2.0

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        """x, (B, *), at level t, carried to level s for two evaluations."""
        scaled, here, length = x / t.alpha, t.sigma / t.alpha, s.sigma / s.alpha - t.sigma / t.alpha
        log_snr = torch.tensor([-math.log(here + 2 / 3 * length)], dtype=torch.float64)
        middle = model.sde.levels(model.sde.time(log_snr).tolist())[0]
        first = model.eps(x, t.rows(x))
        second = model.eps(middle.alpha * (scaled + 2 / 3 * length * first), middle.rows(x))
        return s.alpha * (scaled + length * (first + 3 * second) / 4)
