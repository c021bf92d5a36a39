"""The stepping of embedded Runge-Kutta pairs, with SciPy's tableaux, first step and step control."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .exponential import combine
from .stepping import Control, Floats, Function, Memory, Stepping, Trial, factors, norms, relative

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
) -> Floats:
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
    sign, span = (1.0 if stop > start else -1.0), abs(stop - start)
    scale = tol * y.detach().abs() + atol
    d0, d1 = norms([y, f], control, scale)
    with np.errstate(all="ignore"):  # a norm can be zero, or not be a number
        h0 = np.minimum(np.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1), span)
    (step,) = factors(sign * h0[None], y)
    change = function(torch.addcmul(y, step, f), torch.from_numpy(start + sign * h0)) - f
    with np.errstate(all="ignore"):
        steepest = np.maximum(d1, norms([change], control, scale)[0] / h0)
        h1 = np.where(steepest <= 1e-15, np.maximum(1e-3 * h0, 1e-6), (0.01 / steepest) ** (1 / (order + 1)))
        # Where a prediction is not finite, the step is the shortest that the rule knows.
        shortest: Floats = np.nan_to_num(np.minimum(np.minimum(100 * h0, h1), span), nan=1e-6)
    return shortest


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
    order, nodes = pair.error_estimator_order, np.array([[*c[1:], 1.0]]).T

    def attempt(y: Tensor, u: Floats, h: Floats, f: Tensor, memory: Memory) -> Trial:
        stages, (length,) = [f], factors(h[None], y)
        *inner, last = parts(torch.from_numpy(u + nodes * h))
        for row, field in zip(a[1:], inner, strict=True):
            stages.append(field(torch.addcmul(y, length, weighted(row[: len(stages)], stages))))
        y_new = torch.addcmul(y, length, weighted(b, stages))
        stages.append(last(y_new))
        error, *others = norms([weighted(w, stages) for w in errors], control, relative(y, y_new, tol).add_(atol))
        for other in others:  # DOP853 blends an estimate of order 5 with one of order 3; 0/0 is no error at all
            with np.errstate(all="ignore"):
                error = np.where((error == 0) & (other == 0), 0.0, error**2 / np.sqrt(error**2 + 0.01 * other**2))
        return Trial(y_new, np.abs(h) * error, stages[-1])

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
