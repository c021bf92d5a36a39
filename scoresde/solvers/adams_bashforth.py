"""Multistep methods on the predicted noise: eab, with exact weights in log-SNR, and ipndm, with constant ones."""

from collections.abc import Sequence
from itertools import pairwise

from ..sde import SDE, Level
from .base import Order, solvers
from .exponential import Multistep, Plan, TargetOption, adams, move
from .grids import GridOption, QuadraticGrid
from .integrals import Target


@solvers("eab")
class ExponentialAdamsBashforth(Multistep):
    """x_s = α_s/α_t x - σ_s ∫ exp(λ_s - λ) P(λ) dλ, P through the last predictions. One evaluation per step.

    The polynomial is integrated exactly on any grid, by the weights of `integrals.weights`.

    References: Hochbruck and Ostermann 2010, https://doi.org/10.1017/S0962492910000048, section 2.5;
    Zhang and Chen 2023, https://arxiv.org/abs/2204.13902, proposition 3.
    """

    examples = ({"order": 4}, {"prediction": "data"})
    order: Order = 3
    prediction: TargetOption = "noise"

    @property
    def target(self) -> Target:
        return self.prediction

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        return adams(levels, orders, self.target)


CONSTANT = {1: [1.0], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12], 4: [55 / 24, -59 / 24, 37 / 24, -9 / 24]}


@solvers("ipndm")
class IPNDM(Multistep):
    """x_s = α_s/α_t x - σ_s (eʰ - 1) Σ b_j ε_j, b those of Adams and Bashforth for equal steps.

    The weights ignore the exponential, which leaves at most order 2, and the spacing.

    References: Liu et al. 2022, https://arxiv.org/abs/2202.09778, equation 12;
    Zhang and Chen 2023, https://arxiv.org/abs/2204.13902, appendix H.3.
    """

    examples = ({"order": 2},)
    order: Order = 4
    grid: GridOption = QuadraticGrid()

    @property
    def claimed_order(self) -> float:
        return float(min(self.order, 2))

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        steps = [move(t, s, "noise") for t, s in pairwise(levels)]
        return [(m.keep, [m.gain * m.constant * b for b in CONSTANT[n]]) for m, n in zip(steps, orders, strict=True)]
