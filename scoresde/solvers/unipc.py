"""UniPC."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor

from ..core.options import remembered
from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import SDE, Level
from .base import Order, solvers
from .exponential import Multistep, Plan, TargetOption, adams, combine, move, planned, predict
from .integrals import Target


@solvers("unipc")
class UniPC(Multistep):
    """A predictor through p earlier predictions, corrected by the one at its end. One evaluation per step.

    The evaluation of the corrector serves the next predictor; the last step has no corrector. UniPC's weights
    solve R(h) ρ = b(h), which is to integrate the interpolating polynomial exactly; B(h) cancels, save in the
    predictor of order 2 and the corrector of order 1, where the paper takes ρ = ½. With the corrector, order p
    converges at order p + 1. Noise prediction is slightly better on smooth problems, and much worse for networks in ten
    steps, where the corrector adds the change of ε times σ (eʰ - 1)/2. The published code predicts data and always
    lowers the last orders.

    Reference: Zhao et al. 2023, https://arxiv.org/abs/2302.04867, equations 3, 8 and 9 and algorithms 1 and 2.
    """

    examples = ({"prediction": "noise", "order": 3}, {"variant": "bh1", "order": 2}, {"order": 2, "corrector": False})
    order: Order = 3
    variant: Literal["bh1", "bh2"] = Field("bh2", description="B(h): h for bh1, exp(h) - 1 for bh2.")
    corrector: bool = Field(True, description="Correct each step but the last with the prediction at its end.")
    prediction: TargetOption = "data"

    @property
    def claimed_order(self) -> float:
        # Order 4 would be 5 but for the start, whose errors decide.
        return min(super().claimed_order + self.corrector, 2.0 if self.lower_order_final else 4.0)

    @property
    def target(self) -> Target:
        return self.prediction

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        plan = adams(levels, orders, self.target)
        for i in (i for i, order in enumerate(orders) if order == 2):
            constant, half = self._integrals(levels, i)
            half *= (levels[i + 1].log_snr - levels[i].log_snr) / (levels[i].log_snr - levels[i - 1].log_snr)
            plan[i] = plan[i][0], [constant + half, -half]
        return plan

    def corrections(self, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        """The coefficients of the corrector; the prediction at the end of the step comes first.

        Args:
            levels: The ends of the steps.
            orders: Number of earlier predictions that each step uses.
        """
        plan = adams(levels, orders, self.target, implicit=True)
        for i in (i for i, order in enumerate(orders) if order == 1):
            constant, half = self._integrals(levels, i)
            plan[i] = plan[i][0], [half, constant - half]
        return plan

    def _integrals(self, levels: Sequence[Level], i: int) -> tuple[float, float]:
        """The weights of a constant, and of a slope by the paper's B(h)/2, over step i."""
        step = move(levels[i], levels[i + 1], self.target)
        return step.gain * step.constant, step.gain * (step.h if self.variant == "bh1" else step.constant) / 2

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        predictors, correctors = planned(self, model.sde, tuple(levels)), corrected(self, tuple(levels))
        history = [predict(model, x, levels[0], self.target)]
        for (_, s), (keep, terms), (_, with_end) in zip(pairwise(levels), predictors, correctors, strict=True):
            guess = combine(keep, x, terms, history)
            if s is levels[-1]:
                return guess
            history = [predict(model, guess, s, self.target), *history]
            x = combine(keep, x, with_end, history) if self.corrector else guess
            history = history[: self.order]
        return x


@remembered
def corrected(solver: UniPC, levels: tuple[Level, ...]) -> Plan:
    """The coefficients of all corrections, computed once for all batches.

    Args:
        solver: The solver.
        levels: The ends of the steps.
    """
    return solver.corrections(levels, solver.step_orders(len(levels) - 1))
