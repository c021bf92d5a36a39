"""Linear multistep methods with given weights, such as those that `scoresde tune` learns."""

from itertools import pairwise
from typing import Annotated

from pydantic import BeforeValidator, Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators
from ..core.sentences import many
from ..models.base import ScoreModel
from ..sde import Level
from .base import GridSolver, solvers
from .exponential import combine, move, predict

Numbers = Annotated[tuple[float, ...], BeforeValidator(lambda v: tuple(v.split("/")) if isinstance(v, str) else v)]
"""Numbers, as text separated by strokes: 0.5/0.1."""


@solvers("linear")
class Linear(GridSolver):
    """x_s = α_s/α_t x - σ_s (eʰ - 1) Σ b_j ε_j, h = λ_s - λ_t, with weights b of all predictions so far.

    `weights` has one number for the first step, two for the second, and so on, the newest prediction first. Without
    weights it is `euler`, b = 1 for the newest prediction. Every explicit method with one evaluation per step that is
    exact for constant ε has this form. `times` are the time inputs of the network, if they differ from the grid: a
    state with errors may have another level of noise.

    References: Liu et al. 2022, https://arxiv.org/abs/2202.09778, equation 12, with constant weights;
    Frankel et al. 2025, https://arxiv.org/abs/2502.17423, with learned ones;
    Tong et al. 2024, https://arxiv.org/abs/2405.15506, for times that are not the grid's.
    """

    weights: Numbers = Field((), description="Weights of the predictions: 1 for the first step, 2 for the second, ...")
    times: Numbers = Field((), description="Times of the evaluations, one per step; by default those of the grid.")

    @property
    def claimed_order(self) -> float:
        return 1.0

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        rows = self.rows(len(levels) - 1)
        end = model.sde.t_max
        if wrong := [time for time in self.times if not 0 < time <= end]:
            raise UsageError(f"times must lie in (0, {end:g}], got {wrong[0]:g}")
        told = model.sde.levels(self.times) if self.times else levels[:-1]
        history: list[Tensor] = []
        for (t, s), seen, row in zip(pairwise(levels), told, rows, strict=True):
            history = [predict(model, x, seen, "noise"), *history[: len(row) - 1]]
            step = move(t, s, "noise")
            x = combine(step.keep, x, [step.gain * step.constant * b for b in row], history)
        return x

    def rows(self, steps: int) -> list[tuple[float, ...]]:
        """The weights of each step, the newest prediction first.

        Args:
            steps: Number of steps.

        Raises:
            UsageError: The weights, or the times of the evaluations, are of another number of steps.
        """
        if self.times and len(self.times) != steps:
            takes = many(steps, "time")
            raise UsageError(f"linear with {many(steps, 'step')} takes {takes} or none, got {len(self.times)}")
        if not self.weights:
            return [(1.0,)] * steps
        ends = [i * (i + 1) // 2 for i in range(steps + 1)]
        if len(self.weights) != ends[-1]:
            raise UsageError(
                f"linear with {many(steps, 'step')} takes {ends[-1]} weights or none, got {len(self.weights)}"
            )
        return [self.weights[i:j] for i, j in pairwise(ends)]
