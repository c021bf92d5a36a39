"""DPM-Solver++."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import SDE, Level
from .base import Order, solvers
from .dpm_multistep import taylor_plan
from .dpm_singlestep import published_shares, taylor_step
from .exponential import ExactOption, Multistep, Plan, inside
from .integrals import Target


@solvers("dpm++")
class DPMPlusPlus(Multistep):
    """x_s = σ_s/σ_t x + α_s (1 - e⁻ʰ) x̂_0 + ..., the predicted data x̂_0 expanded in λ. One evaluation per step.

    `singlestep` takes the derivatives from points within the step, for `order` evaluations per step. As published,
    the multistep order 3 converges at order 2; `exact` corrects it. The published code lowers the last orders if
    there are fewer than ten steps.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2211.01095, equation 9, algorithms 1 and 2 and appendix B.
    """

    orders: ClassVar[tuple[int, ...]] = (1, 2, 3)
    examples = ({"order": 3, "exact": True}, {"order": 3, "singlestep": True})
    order: Order = 2
    exact: ExactOption = False
    singlestep: bool = Field(False, description="Evaluate within each step instead of using earlier predictions.")

    @property
    def claimed_order(self) -> float:
        multistep = min(self.order, 3 if self.exact else 2)
        return float(min(super().claimed_order, self.order if self.singlestep else multistep))

    @property
    def target(self) -> Target:
        return "data"

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        return taylor_plan(levels, orders, "data", self.exact)

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        if not self.singlestep:
            return super().walk(model, x, levels, generator)
        orders = self.step_orders(len(levels) - 1, history=False)
        points = {order: inside(model.sde, levels, published_shares(order)) for order in set(orders)}
        for i, ((t, s), order) in enumerate(zip(pairwise(levels), orders, strict=True)):
            x = taylor_step(model, x, t, points[order][i], s, "data")
        return x
