"""DPM-Solver with earlier predictions in place of intermediate points."""

from collections.abc import Sequence
from typing import ClassVar

from ..sde import SDE, Level
from .base import Order, solvers
from .exponential import ExactOption, Multistep, Plan, move
from .integrals import Target, phi


def taylor_plan(levels: Sequence[Level], orders: Sequence[int], target: Target, exact: bool) -> Plan:
    """DPM-Solver's multistep coefficients of orders 1 to 3.

    With u the position in units of the step, m(u) = m_0 + D1 u + D2 u²/2. Order 2 gives D1 the weight of a
    midpoint. The published D2 = (d_0 - d_1)/(r_0 + r_1), of divided differences d, is half the second derivative.

    Args:
        levels: The ends of the steps.
        orders: Number of predictions that each step uses.
        target: "noise" or "data".
        exact: As the option of that name.
    """
    plan: Plan = []
    for i, order in enumerate(orders):
        step = move(levels[i], levels[i + 1], target)
        terms = [step.constant, 0.0, 0.0]
        if order > 1:
            r0 = (levels[i].log_snr - levels[i - 1].log_snr) / step.h
            slope = 0.5 * step.constant
            if order == 3:
                r1 = (levels[i - 1].log_snr - levels[i - 2].log_snr) / step.h
                slope = step.h * phi(2, step.z)
                curve = (2 if exact else 1) * step.h * phi(3, step.z) / (r0 + r1)
                # d_0 and d_1 each enter D1 and D2; d_1 = (m_1 - m_2)/r_1.
                change = slope * r0 / (r0 + r1) + curve
                slope += change
                terms = [step.constant, -change / r1, change / r1]
            terms[0] += slope / r0
            terms[1] -= slope / r0
        plan.append((step.keep, [step.gain * term for term in terms[:order]]))
    return plan


@solvers("dpm-multi")
class DPMMulti(Multistep):
    """x_s = α_s/α_t x - σ_s (eʰ - 1) ε - ..., the derivatives of ε from earlier predictions. One evaluation per step.

    As published, order 3 converges at order 2, because D2 is half the second derivative; `exact` corrects it.
    The published code lowers the last orders if there are fewer than ten steps.

    References: Lu et al. 2022, https://arxiv.org/abs/2206.00927, equation 3.6;
    Lu et al. 2022, https://arxiv.org/abs/2211.01095, appendix B.
    """

    orders: ClassVar[tuple[int, ...]] = (1, 2, 3)
    examples = ({"exact": True}, {"order": 2, "lower_order_final": True})
    order: Order = 3
    exact: ExactOption = False

    @property
    def claimed_order(self) -> float:
        return float(min(super().claimed_order, 3 if self.exact else 2))

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        return taylor_plan(levels, orders, "noise", self.exact)
