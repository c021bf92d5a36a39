"""DEIS."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import SDE, Level
from .base import Order, solvers
from .exponential import Multistep, Plan, adams, inside, runge_kutta
from .grids import GridOption, QuadraticGrid

LONGEST = 1000.0
"""Factor by which ρ > 1 may fall in a step of rho-rk: the stages of a longer one cancel, and leave its errors."""
POINTS = 64
"""Points of the quadrature, enough for one step from pure noise to data: t(λ) is not a polynomial."""

TABLEAUS: dict[int, tuple[list[float], list[list[float]], list[float]]] = {
    1: ([], [], [1.0]),
    2: ([], [[1.0]], [0.5, 0.5]),
    3: ([0.5], [[0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6]),
    4: ([0.5, 0.5], [[0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}
"""For each order the points within the step, the rows of the stages and the weights: Heun's, Kutta's, the classical."""


@solvers("deis")
class DEIS(Multistep):
    """x_s = α_s/α_t x + Σ C_j ε_j, C_j = α_s ∫ L_j dρ over the step, ρ = σ/α.

    L_j are the Lagrange polynomials through the last predictions, in t (tab) or in ρ (rho-ab). rho-rk takes
    Runge-Kutta steps on d(x/α)/dρ = ε instead: Heun's, Kutta's or the classical ones, `order` evaluations each; a
    step in which ρ > 1 falls to less than a thousandth is refused. Order k is the paper's tAB or ρAB of degree k - 1.

    Reference: Zhang and Chen 2023, https://arxiv.org/abs/2204.13902, equations 14 to 17 and section 4.
    """

    examples = ({"scheme": "rho-ab", "order": 3}, {"scheme": "rho-rk", "order": 3})
    order: Order = 4
    grid: GridOption = QuadraticGrid()
    scheme: Literal["tab", "rho-ab", "rho-rk"] = Field(
        "tab", description="Polynomials in t (tab) or in the ratio of noise to signal (rho-ab), or Runge-Kutta in it."
    )

    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        variable = sde.time if self.scheme == "tab" else lambda log_snr: torch.exp(-log_snr)
        return adams(levels, orders, "noise", variable=variable, points=POINTS)

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        if self.scheme != "rho-rk":
            return super().walk(model, x, levels, generator)
        orders = self.step_orders(len(levels) - 1, history=False)
        points = {order: inside(model.sde, levels, TABLEAUS[order][0], rho=True) for order in set(orders)}
        for i, ((t, s), order) in enumerate(zip(pairwise(levels), orders, strict=True)):
            stages = [t, *points[order][i], s]
            if order > 1 and t.log_snr < 0 and (fall := math.exp(s.log_snr - t.log_snr)) > LONGEST:
                raise UsageError(
                    f"a step of rho-rk lowers the ratio of noise to signal by a factor of at most {LONGEST:g}, and the "
                    f"one from t = {t.time:.6g} to {s.time:.3g} by {fall:.3g}: take grid=logsnr, or more steps"
                )

            def slope(y: Tensor, stage: int, stages: list[Level] = stages) -> Tensor:
                at = stages[stage]
                return model.eps(at.alpha * y, at.rows(y))

            _, rows, last = TABLEAUS[order]
            x = s.alpha * runge_kutta(slope, x / t.alpha, s.sigma / s.alpha - t.sigma / t.alpha, rows, last)
        return x
