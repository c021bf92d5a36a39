"""Noise, and where the exact probability flow of a model carries it: what solvers are tuned and judged with."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.random import generators
from ...models.base import ScoreModel
from ...solvers import Solver, solvers

BATCH = 64
"""Samples that are solved at a time."""
STEPS = 400
"""Steps of the reference. A network is not smooth in time near the data, so adaptive methods need many steps there: on
the digits these steps end 7e-5 from a solution in float64 with twice as many, and rk45 at tolerance 1e-5, for as many
evaluations, ends 6e-4 from it."""


def reference(steps: int = STEPS) -> Solver:
    """The solver that stands in for the exact flow: `eab` of order 3 on steps of equal length in log-SNR.

    Args:
        steps: Number of steps.
    """
    return solvers.build({"name": "eab", "steps": steps})


class Paths(NamedTuple):
    """Noise, and where the exact probability flow carries it."""

    model: ScoreModel
    """The score model."""
    noise: Tensor
    """(B, *), at the end of the process."""
    truth: Tensor
    """The end of its paths at time `stop`, (B, *)."""
    stop: float
    """Time of the end."""

    @torch.no_grad()
    def errors(self, solver: Solver) -> Tensor:
        """Root mean square distance of each of the solver's results from the truth, (B,), float64.

        Args:
            solver: The solver.

        Raises:
            NumericalError: The solver leaves the finite numbers.
        """
        start = self.model.sde.t_max
        ends = [solver.solve(self.model, x, start=start, stop=self.stop) for x in torch.split(self.noise, BATCH)]
        return squares(torch.cat(ends), self.truth).sqrt()


def squares(x: Tensor, y: Tensor) -> Tensor:
    """Mean square difference of each row, (B,), float64.

    Args:
        x: (B, *).
        y: (B, *).
    """
    return (x - y).flatten(1).square().mean(1, dtype=torch.float64)


@torch.no_grad()
def paths(model: ScoreModel, seeds: Iterable[int], *, steps: int = STEPS) -> Paths:
    """Noise, and where `reference(steps)` carries it from one end of the process to the other.

    Args:
        model: The score model.
        seeds: Seeds of the noise.
        steps: Steps of the reference.

    Raises:
        NumericalError: The model is not finite somewhere.
    """
    noise, exact = model.prior(generators(seeds)), reference(steps)
    end = model.sde.t_min
    ends = [exact.solve(model, x, start=model.sde.t_max, stop=end) for x in torch.split(noise, BATCH)]
    return Paths(model, noise, torch.cat(ends), end)
