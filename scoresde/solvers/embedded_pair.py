"""The stepping of embedded Runge-Kutta pairs, with SciPy's tableaux, first step and step control."""

import scipy.integrate
import torch
from torch import Tensor

from ..sde import expand
from .adaptive import Function, Memory, Stepping, Trial, rms
from .base import Control


def weighted(weights: list[float], stages: list[Tensor]) -> Tensor:
    """Σ_i weights[i] stages[i]."""
    terms = [w * k for w, k in zip(weights, stages, strict=True) if w]
    return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]


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
    """A step on which an error of the given order should stay within the tolerance, (B,), for one evaluation.

    Reference: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, II.4.
    """
    sign = 1.0 if stop > start else -1.0
    scale = atol + tol * y.abs()
    d0, d1 = rms(y / scale, control), rms(f / scale, control)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1).clamp(max=abs(stop - start))
    u = torch.full((len(y),), start, dtype=torch.float64, device=y.device)
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
    pair: type[scipy.integrate.OdeSolver],
    tol: float,
    atol: float,
    control: Control,
) -> Stepping:
    """dy/du = function(y, u), y (B, *) and u (B,), by one of SciPy's embedded pairs.

    With control "batch" and the elementary controller it takes SciPy's steps and spends SciPy's evaluations.

    Reference: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, II.4 and II.10.
    """
    a, b, c = pair.A.tolist(), pair.B.tolist(), pair.C.tolist()
    errors = [e.tolist() for e in ((pair.E5, pair.E3) if hasattr(pair, "E5") else (pair.E,))]
    order = pair.error_estimator_order

    def attempt(y: Tensor, u: Tensor, h: Tensor, f: Tensor, memory: Memory) -> Trial:
        stages, length = [f], expand(h, y)
        for row, node in zip(a[1:], c[1:], strict=True):
            stages.append(function(y + length * weighted(row[: len(stages)], stages), u + node * h))
        y_new = y + length * weighted(b, stages)
        stages.append(function(y_new, u + h))
        scale = atol + tol * torch.maximum(y.abs(), y_new.abs())
        e = [rms(weighted(w, stages) / scale, control) for w in errors]
        if len(e) == 1:
            error = e[0]
        else:  # DOP853 blends an estimate of order 5 with one of order 3; 0/0 is no error at all
            error = e[0] ** 2 / torch.sqrt(e[0] ** 2 + 0.01 * e[1] ** 2)
            error = torch.where((e[0] == 0) & (e[1] == 0), 0.0, error)
        return Trial(y_new, h.abs() * error, stages[-1])

    f = function(y, torch.full((len(y),), start, dtype=torch.float64, device=y.device))
    first = first_step(function, y, f, start, stop, order=order, tol=tol, atol=atol, control=control)
    return Stepping(function, attempt, y, position=same, time=same, order=order + 1, first=first, f=f)


def same(u: Tensor) -> Tensor:
    """A position that is the time itself."""
    return u
