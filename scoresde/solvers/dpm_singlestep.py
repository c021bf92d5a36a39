"""DPM-Solver with intermediate points inside each step, on a fixed grid."""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import Level
from .base import GridSolver, Order, Ordered, solvers
from .exponential import combine, inside, move, predict
from .integrals import Target, phi

SHORTEST = 1e-3
"""Least share of a step at which an intermediate point may lie: nearer, the difference of predictions is rounding."""


def published_shares(order: int) -> list[float]:
    """The published intermediate points: ½ for order 2, ⅓ and ⅔ for order 3.

    Args:
        order: 1, 2 or 3.
    """
    return [(i + 1) / order for i in range(order - 1)]


def taylor_step(model: ScoreModel, x: Tensor, t: Level, middles: Sequence[Level], s: Level, target: Target) -> Tensor:
    """A step of order 1 + len(middles) <= 3 from level t to level s, (B, *).

    Args:
        model: The score model.
        x: The state at level t, (B, *).
        t: The level before the step.
        middles: The intermediate levels, at most two.
        s: The level after the step.
        target: "noise" or "data".
    """
    first = predict(model, x, t, target)
    whole = move(t, s, target)
    if not middles:
        return combine(whole.keep, x, [whole.gain * whole.constant], [first])
    shares = [(m.log_snr - t.log_snr) / whole.h for m in middles]
    part = move(t, middles[0], target)
    value = predict(model, combine(part.keep, x, [part.gain * part.constant], [first]), middles[0], target)
    share, slope = shares[0], 0.5 * whole.constant
    if len(middles) == 2:
        part = move(t, middles[1], target)
        rise = part.gain * part.h * phi(2, part.z) * shares[1] / shares[0]
        state = combine(part.keep, x, [part.gain * part.constant - rise, rise], [first, value])
        value = predict(model, state, middles[1], target)
        share, slope = shares[1], whole.h * phi(2, whole.z)
    rise = whole.gain * slope / share
    return combine(whole.keep, x, [whole.gain * whole.constant - rise, rise], [first, value])


@solvers("dpm-single")
class DPMSingle(Ordered, GridSolver):
    """x_s = α_s/α_t x - σ_s (eʰ - 1) ε - σ_s h φ(h) (ε_r - ε)/r: ε to second or third order within a step.

    `order` evaluations per step; order 3 needs r2 = ⅔.

    Reference: Lu et al. 2022, https://arxiv.org/abs/2206.00927, equation 3.7 and algorithms 1, 2, 4 and 5.
    """

    orders = (1, 2, 3)
    examples = ({"order": 2}, {"order": 1})
    order: Order = 3
    r1: float | None = Field(
        None,
        ge=SHORTEST,
        le=1,
        description="First point within a step, as a fraction of it; by default 1/2, or 1/3 for order 3.",
    )
    r2: float | None = Field(
        None, ge=SHORTEST, le=1, description="Second point within a step, as a fraction of it; by default 2/3."
    )

    @property
    def claimed_order(self) -> float:
        return float(self.order if self.r2 is None else min(self.order, 2))

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        given = (self.r1, self.r2)
        shares = [r if g is None else g for g, r in zip(given, published_shares(self.order), strict=False)]
        middles = inside(model.sde, levels, shares)
        for (t, s), points in zip(pairwise(levels), middles, strict=True):
            x = taylor_step(model, x, t, points, s, "noise")
        return x
