"""What an adaptive method gives to the loop that runs it: its step, its state, and norms of each row."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from .langevin import Control

Function = Callable[[Tensor, Tensor], Tensor]
Memory = tuple[Tensor, ...]
Floats = NDArray[Any]


class Trial(NamedTuple):
    """A step that was tried, to be accepted or not row by row."""

    y: Tensor
    """The state after the step, (B, *)."""
    error: Tensor
    """Its estimated error over the error allowed, (B,); the step is accepted where it is at most 1."""
    f: Tensor | None = None
    """The function at the new state, if the step computed it, (B, *)."""
    memory: Memory = ()
    """What the next step gets as its memory if this one is accepted, each (B, *)."""
    retry: Memory | None = None
    """What it gets if this one is rejected; None leaves the memory as it was."""
    forecast: Tensor | None = None
    """The error, (B,), of the method that the next step will use, where that is another one."""
    order: Tensor | None = None
    """The order of that method, (B,)."""


class Stepping(NamedTuple):
    """How an adaptive method advances y, (B, *); each row has its own position u and signed step h, (B,) float64."""

    function: Function
    """function(y, u) -> (B, *). Its value at the start of a step is kept when the step is rejected."""
    attempt: Callable[[Tensor, Tensor, Tensor, Tensor, Memory], Trial]
    """attempt(y, u, h, f, memory) -> Trial."""
    y: Tensor
    """The state at the start, (B, *)."""
    position: Callable[[Tensor], Tensor]
    """Maps times to positions u, both (B,)."""
    time: Callable[[Tensor], Tensor]
    """Maps positions to times."""
    order: float
    """Order k of the error estimate, e ~ hᵏ."""
    first: Tensor | float
    """Length of the first step, the same for all or (B,)."""
    f: Tensor
    """function(y, start)."""
    memory: Memory = ()
    """The memory of the first attempt."""


def norms(values: Sequence[Tensor], control: Control) -> Tensor:
    """Root mean square of k values, (k, B) float64 on the CPU: of each row, of the batch, or of the largest row.

    It carries no gradient: the length of a step affects the accuracy of a result, not its value.

    Args:
        values: k tensors, (B, *) each.
        control: Whose norm it is, as in the option of that name.
    """
    dtype = torch.promote_types(values[0].dtype, torch.float32)
    flat = [torch.linalg.vector_norm(v.detach().flatten(1), dim=1, dtype=dtype) for v in values]
    rows: Tensor = torch.stack(flat).cpu().double() / math.sqrt(values[0][0].numel())
    if control == "batch":
        return rows.square().mean(1, keepdim=True).sqrt().expand_as(rows)
    return rows.amax(1, keepdim=True).expand_as(rows) if control == "max" else rows


def rms(v: Tensor, control: Control) -> Tensor:
    """Root mean square of v, (B, *), as (B,) float64, like `norms`.

    Args:
        v: A tensor, (B, *).
        control: Whose norm it is, as in the option of that name.
    """
    return norms([v], control)[0]


def replace(new: Tensor, rows: Tensor, old: Tensor) -> Tensor:
    """`new` with some rows taken from `old`, (B, *).

    Args:
        new: A tensor, (B, *).
        rows: Indices of the rows to be replaced.
        old: A tensor of the shape of `new`.
    """
    if len(rows) == len(new):
        return old
    if not len(rows):
        return new
    rows = rows.to(new.device)
    return new.index_copy(0, rows, old[rows])


def array(v: Tensor) -> Floats:
    """v as a NumPy array: on small arrays NumPy is faster than torch.

    Args:
        v: A tensor, (B,).
    """
    return v.detach().cpu().numpy()
