"""What the exponential integrators and fixed-step Runge-Kutta methods share: weights, levels and steps.

In λ = log α/σ the probability flow is solved exactly but for an integral of the prediction m(λ) over the step:

noise: x_s = α_s/α_t x - σ_s ∫ exp(λ_s - λ) ε dλ,    data: x_s = σ_s/σ_t x + α_s ∫ exp(λ - λ_s) x_0 dλ.

References: Lu et al. 2022, https://arxiv.org/abs/2206.00927, equation 3.4;
Lu et al. 2022, https://arxiv.org/abs/2211.01095, equation 8.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ..core.options import remembered
from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import SDE, Level
from .base import GridSolver, Ordered
from .integrals import Map, Target, phi, weights

TargetOption = Annotated[Target, Field(description="What is interpolated: the predicted noise or the predicted data.")]
LowerOrderFinal = Annotated[
    bool, Field(description="Lower the order over the last steps, down to 1; helps with few steps.")
]
ExactOption = Annotated[bool, Field(description="Correct the published formula of order 3, which lacks a factor 2.")]


class Move(NamedTuple):
    """An exponential step: x_s = keep · x + gain · ∫ exp(z (1 - u)) m h du, u from 0 to 1 over the step."""

    keep: float
    """Factor of x."""
    gain: float
    """Factor of the integral."""
    h: float
    """Length of the step in log-SNR."""
    z: float
    """Exponent of the kernel: h for noise, -h for data."""

    @property
    def constant(self) -> float:
        """The integral for m = 1."""
        return self.h * phi(1, self.z)


def move(t: Level, s: Level, target: Target) -> Move:
    """The step from level t to level s.

    Args:
        t: The level before the step.
        s: The level after the step.
        target: "noise" or "data".
    """
    h = s.log_snr - t.log_snr
    if target == "noise":
        return Move(s.alpha / t.alpha, -s.sigma, h, h)
    return Move(s.sigma / t.sigma, s.alpha, h, -h)


def predict(model: ScoreModel, x: Tensor, t: Level, target: Target) -> Tensor:
    """The predicted noise or data at x, (B, *).

    Args:
        model: The score model.
        x: The state at level t, (B, *).
        t: The level.
        target: "noise" or "data".
    """
    eps = model.eps(x, t.rows(x))
    return eps if target == "noise" else combine(1 / t.alpha, x, [-t.sigma / t.alpha], [eps])


def combine(keep: float, x: Tensor, terms: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """keep · x + Σ term · value, (B, *), in a new tensor.

    Args:
        keep: Factor of x.
        x: The state, (B, *).
        terms: Factors of the values.
        values: Tensors, (B, *), at least as many as there are terms; further ones are not used.
    """
    out = keep * x
    for term, value in zip(terms, values, strict=False):
        if term:
            out = out.add_(value, alpha=term)  # `out` is ours, and no gradient needs its earlier value
    return out


def inside(sde: SDE, levels: Sequence[Level], shares: Sequence[float], *, rho: bool = False) -> list[list[Level]]:
    """For each step, the levels at the given shares of it in λ, or in ρ = σ/α = exp(-λ).

    Args:
        sde: The process.
        levels: The ends of the steps.
        shares: Where inside each step, from 0 to 1.
        rho: Whether the shares count in ρ instead of λ.
    """
    ends = torch.tensor([level.log_snr for level in levels], dtype=torch.float64)
    ends = torch.exp(-ends) if rho else ends
    share = torch.tensor(list(shares), dtype=torch.float64)
    at = torch.lerp(ends[:-1, None], ends[1:, None], share).flatten()
    flat = sde.levels(sde.time(-torch.log(at) if rho else at).tolist())
    return [flat[i : i + len(share)] for i in range(0, len(flat), len(share))] if shares else [[] for _ in levels[1:]]


def runge_kutta(
    slope: Callable[[Tensor, int], Tensor], x: Tensor, h: float, rows: Sequence[Sequence[float]], last: Sequence[float]
) -> Tensor:
    """One explicit Runge-Kutta step of length h, (B, *).

    Args:
        slope: slope(x, i) is dx at stage i, (B, *).
        x: The state, (B, *).
        h: Length of the step.
        rows: Coefficients of each stage after the first.
        last: Coefficients of the result.
    """
    slopes: list[Tensor] = []
    for stage, row in enumerate(((), *rows)):
        slopes.append(slope(combine(1.0, x, [h * a for a in row], slopes) if row else x, stage))
    return combine(1.0, x, [h * b for b in last], slopes)


Plan = list[tuple[float, list[float]]]
"""For each step the factor of x and the factors of the predictions, the newest first."""


def adams(
    levels: Sequence[Level],
    orders: Sequence[int],
    target: Target,
    *,
    variable: Map | None = None,
    points: int = 24,
    implicit: bool = False,
) -> Plan:
    """Steps that integrate the polynomial through the last predictions exactly.

    Args:
        levels: The ends of the steps.
        orders: Number of predictions in use at each step.
        target: "noise" or "data".
        variable: As for `weights`.
        points: As for `weights`.
        implicit: The prediction at the end of the step comes first, in addition to the others.
    """
    places = [level.log_snr for level in levels]
    width = max(orders)
    rows = []
    for i, order in enumerate(orders):
        past = [places[i - j] if j < order else math.inf for j in range(width)]
        rows.append([places[i + 1], *past] if implicit else past)
    ends = torch.tensor(places, dtype=torch.float64)
    table = weights(torch.tensor(rows, dtype=torch.float64), ends[:-1], ends[1:], target, variable, points).tolist()
    moves = [move(t, s, target) for t, s in pairwise(levels)]
    return [(m.keep, [m.gain * w for w in row]) for m, row in zip(moves, table, strict=True)]


class Multistep(Ordered, GridSolver):
    """Base of the methods that reuse earlier predictions and evaluate once per step; they implement `plan`.

    The first steps have the orders 1, 2, ..., because there are no earlier predictions. Noise hides the data there, so
    their errors are small, and a higher order still pays.
    """

    lower_order_final: LowerOrderFinal = False

    @property
    def claimed_order(self) -> float:
        return float(min(self.order, 2) if self.lower_order_final else self.order)

    def step_orders(self, steps: int, *, history: bool = True) -> list[int]:
        """The order of each step: lower at first, when there are few earlier predictions, and at the end with
        `lower_order_final`.

        Args:
            steps: Number of steps.
            history: Whether the first steps lack earlier predictions.
        """
        limits = ((i + 1 if history else 4, steps - i if self.lower_order_final else 4) for i in range(steps))
        return [min(self.order, *limit) for limit in limits]

    @property
    def target(self) -> Target:
        """What the method interpolates."""
        return "noise"

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        history: list[Tensor] = []
        for t, (keep, terms) in zip(levels[:-1], planned(self, model.sde, tuple(levels)), strict=True):
            history = [predict(model, x, t, self.target), *history[: self.order - 1]]
            x = combine(keep, x, terms, history)
        return x

    @abstractmethod
    def plan(self, sde: SDE, levels: Sequence[Level], orders: Sequence[int]) -> Plan:
        """The coefficients of every step.

        Args:
            sde: The process.
            levels: The ends of the steps.
            orders: Number of predictions that each step uses.
        """


@remembered
def planned(solver: Multistep, sde: SDE, levels: tuple[Level, ...]) -> Plan:
    """The solver's plan, computed once for all batches.

    Args:
        solver: The solver.
        sde: The process.
        levels: The ends of the steps.
    """
    return solver.plan(sde, levels, solver.step_orders(len(levels) - 1))
