"""DPM-Solver with a budget of evaluations."""

from itertools import pairwise

from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from .base import Info, Solver, solvers
from .dpm_singlestep import published_shares, taylor_step
from .exponential import inside
from .grids import GridOption, LogSNRGrid


def schedule(nfe: int) -> list[int]:
    """The orders of the steps that spend a number of evaluations: as many of order 3 as possible, with 2 or 1 at the
    end.

    Args:
        nfe: Number of evaluations.
    """
    threes, rest = divmod(nfe, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


@solvers("dpm-fast")
class DPMFast(Solver):
    """DPM-Solver's steps of order 3 with one or two of lower order at the end, for a given number of evaluations.

    n evaluations make ⌊n/3⌋ + 1 steps, equal on the grid, of the orders 3, ..., 3, 2, 1 or 3, ..., 3, n mod 3.
    The last step limits the order of convergence to 2, or to 3 where it is of order 2.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2206.00927, section 3.4 and appendix C.
    """

    nfe: int = Field(20, ge=1, le=1_000_000, description="Number of evaluations.")
    grid: GridOption = LogSNRGrid()

    @property
    def claimed_order(self) -> float:
        return 2.0

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        orders = schedule(self.nfe)
        levels = self.grid.levels(model.sde, start, stop, len(orders))
        points = {order: inside(model.sde, levels, published_shares(order)) for order in set(orders)}
        for i, ((t, s), order) in enumerate(zip(pairwise(levels), orders, strict=True)):
            x = taylor_step(model, x, t, points[order][i], s, "noise")
        return x
