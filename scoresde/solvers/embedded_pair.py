"""The stepping of embedded Runge-Kutta pairs, with SciPy's tableaux, first step and step control."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..sde import expand
from .exponential import combine
from .langevin import Control
from .stepping import Function, Memory, Stepping, Trial, rms

if TYPE_CHECKING:
    from scipy.integrate import OdeSolver

Fields = Callable[[Tensor], Sequence[Callable[[Tensor], Tensor]]]
"""Maps times, (S, B), to a function of y for each of the S, so that what depends on time is worked out together."""


def weighted(weights: list[float], stages: list[Tensor]) -> Tensor:
    """Σ_i weights[i] stages[i], (B, *), in a new tensor.

    Args:
        weights: Coefficients; those that are 0 cost nothing.
        stages: Slopes, (B, *) each, at least as many.
    """
    used = [i for i, w in enumerate(weights) if w]
    first, rest = used[0], used[1:]
    return combine(weights[first], stages[first], [weights[i] for i in rest], [stages[i] for i in rest])


def first_step(
    function: Function,
    y: Tensor,
    f: Tensor,
    start: float,
    stop: float,
    *,
    order: int,
    tol: float,
    atol: float,
    control: Control,
) -> Tensor:
    """A first step whose error should stay within the tolerance, (B,). It costs one evaluation.

    Args:
        function: The right-hand side, function(y, u) -> (B, *).
        y: The state at the start, (B, *).
        f: function(y, start), (B, *).
        start: First position.
        stop: Last position.
        order: Order of the error estimate.
        tol: Relative error allowed per step.
        atol: Absolute error allowed per step.
        control: Whose norm decides, as in the option of that name.

    Reference: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, II.4.
    """
    sign = 1.0 if stop > start else -1.0
    scale = atol + tol * y.abs()
    d0, d1 = rms(y / scale, control), rms(f / scale, control)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1).clamp(max=abs(stop - start))
    u = torch.full((len(y),), start, dtype=torch.float64)
    d2 = rms((function(y + expand(sign * h0, y) * f, u + sign * h0) - f) / scale, control) / h0
    steepest = torch.maximum(d1, d2)
    h1 = torch.where(steepest <= 1e-15, (1e-3 * h0).clamp_min(1e-6), (0.01 / steepest) ** (1 / (order + 1)))
    # Where a prediction is not finite, the step is the shortest that the rule knows.
    return torch.minimum(100 * h0, h1).clamp(max=abs(stop - start)).nan_to_num(nan=1e-6)


def pair_stepping(
    function: Function,
    y: Tensor,
    start: float,
    stop: float,
    *,
    pair: "type[OdeSolver]",
    tol: float,
    atol: float,
    control: Control,
    fields: Fields | None = None,
) -> Stepping:
    """dy/du = function(y, u) by one of SciPy's embedded Runge-Kutta pairs.

    With control "batch" and the elementary controller it takes SciPy's steps and spends SciPy's evaluations.

    Args:
        function: The right-hand side, function(y, u) -> (B, *), with u (B,).
        y: The state at the start, (B, *).
        start: First position.
        stop: Last position.
        pair: The class in scipy.integrate that holds the tableau.
        tol: Relative error allowed per step.
        atol: Absolute error allowed per step.
        control: Whose norm decides, as in the option of that name.
        fields: A faster form of `function`, which evaluates what depends on u for all stages at once.

    Reference: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, II.4 and II.10.
    """
    a, b, c = pair.A.tolist(), pair.B.tolist(), pair.C.tolist()
    errors = [e.tolist() for e in ((pair.E5, pair.E3) if hasattr(pair, "E5") else (pair.E,))]
    order = pair.error_estimator_order

    def attempt(y: Tensor, u: Tensor, h: Tensor, f: Tensor, memory: Memory) -> Trial:
        stages, length = [f], expand(h, y)
        nodes = torch.tensor([*c[1:], 1.0], dtype=u.dtype)
        *inner, last = parts(torch.addcmul(u, nodes[:, None], h))
        for row, field in zip(a[1:], inner, strict=True):
            stages.append(field(torch.addcmul(y, length, weighted(row[: len(stages)], stages))))
        y_new = torch.addcmul(y, length, weighted(b, stages))
        stages.append(last(y_new))
        scale = atol + tol * torch.maximum(y.abs(), y_new.abs())
        e = [rms(weighted(w, stages).div_(scale), control) for w in errors]
        if len(e) == 1:
            error = e[0]
        else:  # DOP853 blends an estimate of order 5 with one of order 3; 0/0 is no error at all
            error = e[0] ** 2 / torch.sqrt(e[0] ** 2 + 0.01 * e[1] ** 2)
            error = torch.where((e[0] == 0) & (e[1] == 0), 0.0, error)
        return Trial(y_new, h.abs() * error, stages[-1])

    def at(u: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda y: function(y, u)

    def parts(u: Tensor) -> Sequence[Callable[[Tensor], Tensor]]:
        return [at(moment) for moment in u] if fields is None else fields(u)

    f = function(y, torch.full((len(y),), start, dtype=torch.float64))
    first = first_step(function, y, f, start, stop, order=order, tol=tol, atol=atol, control=control)
    return Stepping(function, attempt, y, position=same, time=same, order=order + 1, first=first, f=f)


def same(u: Tensor) -> Tensor:
    """A position that is the time itself.

    Args:
        u: A position, (B,).
    """
    return u
