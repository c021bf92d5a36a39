"""The interface between an adaptive method and its loop: the step, the state, and norms of each row."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

Control = Annotated[
    Literal["sample", "batch", "max"],
    Field(description="Norm that controls the step: of each sample, of the whole batch, or the largest in the batch."),
]
Function = Callable[[Tensor, Tensor], Tensor]
Memory = tuple[Tensor, ...]
Floats = NDArray[Any]
"""Positions, steps and errors of the rows, in float64 on the CPU: on small arrays NumPy is faster than torch."""


class Trial(NamedTuple):
    """A step that was tried, to be accepted or not row by row."""

    y: Tensor
    """The state after the step, (B, *)."""
    error: Floats
    """Its estimated error over the error allowed, (B,); the step is accepted where it is at most 1."""
    f: Tensor | None = None
    """The function at the new state, if the step computed it, (B, *)."""
    memory: Memory = ()
    """What the next step gets as its memory if this one is accepted, each (B, *)."""
    retry: Memory | None = None
    """What it gets if this one is rejected; None leaves the memory as it was."""
    forecast: Floats | None = None
    """The error, (B,), of the method that the next step will use, where that is another one."""
    order: Floats | None = None
    """The order of that method, (B,)."""


class Stepping(NamedTuple):
    """How an adaptive method advances y, (B, *); each row has its own position u and signed step h, (B,)."""

    function: Function
    """function(y, u) -> (B, *). Its value at the start of a step is kept when the step is rejected."""
    attempt: Callable[[Tensor, Floats, Floats, Tensor, Memory], Trial]
    """attempt(y, u, h, f, memory) -> Trial."""
    y: Tensor
    """The state at the start, (B, *)."""
    position: Callable[[Tensor], Tensor]
    """Maps times to positions u, both (B,)."""
    time: Callable[[Tensor], Tensor]
    """Maps positions to times."""
    order: float
    """Order k of the error estimate, e ~ hᵏ."""
    first: Floats | float
    """Length of the first step, the same for all or (B,)."""
    f: Tensor
    """function(y, start)."""
    memory: Memory = ()
    """The memory of the first attempt."""
    longest: float = math.inf
    """Length of any step, at most."""


def judged(error: Floats, length: Floats, longest: float, order: float) -> Floats:
    """The error, (B,), but above 1 for a step that is too long: over so much noise two estimates agree by chance.

    Args:
        error: The estimated error over the error allowed, (B,).
        length: Length of the step in log-SNR, (B,).
        longest: The length up to which an estimate counts.
        order: Order k of the error estimate, e ~ hᵏ.
    """
    excess: Floats = np.abs(length) / longest
    return np.where((error <= 1) & (excess > 1), excess**order, error)


def plain(v: Tensor) -> Tensor:
    """v without a gradient: the length of a step affects the accuracy of a result, not its value.

    Args:
        v: A tensor of any shape.
    """
    return v.detach() if v.requires_grad else v


def relative(x: Tensor, y: Tensor, tol: float) -> Tensor:
    """tol max(|x|, |y|), (B, *), without a gradient, in a tensor of its own: the error that is allowed for its size.

    Args:
        x: A state, (B, *).
        y: Another one.
        tol: Relative tolerance.
    """
    size = plain(x).abs()
    return torch.maximum(size, plain(y).abs(), out=size).mul_(tol)


def norms(values: Sequence[Tensor], control: Control, scale: Tensor | None = None) -> Floats:
    """Root mean square of k values, (k, B), without a gradient: of each row, of the batch, or of the largest row.

    Args:
        values: k tensors, (B, *) each.
        control: Whose norm it is, as in the option of that name.
        scale: What the values are divided by first, (B, *); None leaves them as they are.
    """
    dtype, within = torch.promote_types(values[0].dtype, torch.float32), tuple(range(1, values[0].ndim))
    quotient, found = None, []
    for value in map(plain, values):
        if scale is not None:
            value = quotient = torch.div(value, scale, out=quotient)
        found.append(torch.linalg.vector_norm(value, dim=within, dtype=dtype))
    rows = array(torch.stack(found)).astype(np.float64) / math.sqrt(values[0].shape[1:].numel())
    if control == "batch":
        return np.broadcast_to(np.sqrt(np.square(rows).mean(1, keepdims=True)), rows.shape)
    return np.broadcast_to(rows.max(1, keepdims=True), rows.shape) if control == "max" else rows


def length(v: Tensor, control: Control) -> Tensor:
    """Euclidean length of the rows of v, as (B,): of each row, the mean over the batch, or the largest.

    Args:
        v: A tensor, (B, *).
        control: Whose length it is, as in the option of that name.
    """
    rows: Tensor = torch.linalg.vector_norm(v.flatten(1), dim=1)
    if control == "batch":
        return rows.mean().expand_as(rows)
    return rows.max().expand_as(rows) if control == "max" else rows


def factors(table: Floats, x: Tensor) -> tuple[Tensor, ...]:
    """The rows of a table as tensors that multiply x, (B, 1, ..., 1) each, in its dtype; they go to its device at once.

    Args:
        table: Factors, (k, B).
        x: States, (B, *).
    """
    return torch.from_numpy(table).to(x.dtype).to(x.device).reshape(*table.shape, *[1] * (x.ndim - 1)).unbind()


def replace(new: Tensor, rows: Floats, old: Tensor) -> Tensor:
    """`new` with some rows taken from `old`, (B, *).

    Args:
        new: A tensor, (B, *).
        rows: Indices of the rows to be replaced.
        old: A tensor of the shape of `new`.
    """
    if not len(rows):
        return new
    if len(rows) == new.shape[0]:
        return old
    there = torch.from_numpy(rows).to(new.device)
    return new.index_copy(0, there, old[there])


def array(v: Tensor) -> Floats:
    """v as a NumPy array.

    Args:
        v: A tensor, (B,).
    """
    return v.detach().cpu().numpy()
