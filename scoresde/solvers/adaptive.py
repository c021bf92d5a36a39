"""Step-size control shared by the adaptive solvers."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import NumericalError
from ..model import non_finite
from ..sde import expand
from .base import Control, Info, not_finite

SHRINK = 0.2
"""Factor of a step whose error could not be computed."""
PATIENCE = 10
"""Such steps in a row after which a sample is given up."""

Function = Callable[[Tensor, Tensor], Tensor]
Memory = tuple[Tensor, ...]


class Trial(NamedTuple):
    """A step that was tried, to be accepted or not row by row."""

    y: Tensor
    """The state after the step, (B, *)."""
    error: Tensor
    """Its estimated error over the error allowed, (B,); the step is accepted where it is at most 1."""
    f: Tensor | None = None
    """The function at the new state, if the step computed it, (B, *)."""
    memory: Memory = ()
    """What the step after this one, if accepted, wants to know of it, each (B, *)."""
    retry: Memory | None = None
    """The same if this one is rejected; none leaves the memory as it was."""
    factor: Tensor | None = None
    """The factor by which the method would change its step, (B,), where it knows better than its error tells."""


def rms(v: Tensor, control: Control) -> Tensor:
    """Root mean square of v, (B, *), as (B,) float64: of each row, of the batch, or of the worst row."""
    rows = v.flatten(1).square().mean(1, dtype=torch.float64)
    if control == "batch":
        rows = rows.mean().expand_as(rows)
    elif control == "max":
        rows = rows.max().expand_as(rows)
    return rows.sqrt()


def select(rows: Tensor, chosen: Memory, other: Memory) -> Memory:
    """Each tensor's rows from `chosen` where `rows`, (B,), is true, and from `other` elsewhere."""
    return tuple(torch.where(rows.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(chosen, other, strict=True))


def integrate(
    function: Function,
    attempt: Callable[[Tensor, Tensor, Tensor, Tensor, Memory], Trial],
    y: Tensor,
    span: tuple[float, float],
    solver: str,
    info: Info,
    *,
    step: Tensor,
    growth: Callable[[Trial, Tensor], Tensor],
    f: Tensor | None = None,
    memory: Memory = (),
    time: Callable[[Tensor], Tensor] = lambda u: u,
) -> Tensor:
    """Integrates y, (B, *), over the span; each row has its own position u and step, (B,) float64.

    Every call evaluates the whole batch, so that row i of y stays row i of whatever else the model holds (an
    observation, a noise generator); rows that have arrived wait with a step of zero.

    Args:
        function: function(y, u) -> (B, *). Its value at the start of a step is kept when the step is rejected.
        attempt: attempt(y, u, h, f, memory) -> Trial, with signed steps h.
        step: Length of the first step, (B,).
        growth: growth(trial, rejected_before) -> factor of the step, (B,).
        f: function(y, start), if known.
        memory: What the first attempt is to know.
        time: Maps positions to times of the process, for messages.

    Raises:
        NumericalError: The function is not finite at the start, or stays so however short the step; or a step
            falls below the resolution of float64.
    """
    start, stop = span
    sign = 1.0 if stop > start else -1.0
    u = torch.full((len(y),), start, dtype=torch.float64, device=y.device)
    h = step.double().expand(len(y)).clone()
    f = function(y, u) if f is None else f
    if (bad := non_finite(f)).any():
        raise not_finite(solver, bad, time(u), 1)
    rejected = torch.zeros_like(u, dtype=torch.bool)
    broken = torch.zeros_like(u)
    steps = torch.zeros_like(u)
    refused = torch.zeros_like(u)
    while True:
        left = (stop - u) * sign
        active = left > 0
        h = torch.minimum(h, left)
        trial = attempt(y, u, sign * h, f, memory)
        unknown = active & (non_finite(trial.y) | ~torch.isfinite(trial.error))
        if trial.f is not None:
            unknown = unknown | (active & non_finite(trial.f))
        accepted = active & ~unknown & (trial.error <= 1)
        u = torch.where(accepted, torch.where(h == left, stop, u + sign * h), u)
        rows = expand(accepted, y).bool()
        y = torch.where(rows, trial.y, y)
        kept = memory if trial.retry is None else select(active & ~accepted, trial.retry, memory)
        memory = select(accepted, trial.memory, kept)
        steps, refused = steps + accepted, refused + (active & ~accepted)
        if bool((u == stop).all()):
            info["steps"], info["rejected"] = float(steps.mean()), float(refused.mean())
            return y
        factor = torch.where(unknown, SHRINK, growth(trial, rejected))
        rejected = active & ~accepted
        broken = torch.where(unknown, broken + 1, 0.0)
        if bool((broken >= PATIENCE).any()):
            raise not_finite(solver, broken >= PATIENCE, time(u), int(steps.max() + refused.max()))
        h = torch.where(active, h * factor, h)
        if bool((rejected & (h < 1e-15 * u.abs().clamp_min(1e-3))).any()):
            raise NumericalError(
                f"{solver}: the step vanishes at t = {time(u)[rejected].min():.3g}; "
                "raise tol, stop earlier, or use a solver with fixed steps"
            )
        if trial.f is not None:
            f = torch.where(rows, trial.f, f)
        # Where the function failed at the start of a step, another evaluation tells a passing fault from a lasting one.
        stale = accepted if trial.f is None else torch.zeros_like(accepted)
        stale = stale | (unknown & non_finite(f))
        if bool(stale.any()):
            f = torch.where(expand(stale, y).bool(), function(y, u), f)
