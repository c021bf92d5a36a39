"""Checks of what enters and leaves a model: states, and the output of the network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import an
from ..sde import SDE
from ..sde.labels import Label, labels


def checked(x: Tensor, shape: tuple[int, ...]) -> None:
    """Checks that x is a batch of states.

    Args:
        x: (B, *).
        shape: Shape of one sample, *.

    Raises:
        UsageError: It is no floating-point tensor, is empty, or has another shape.
    """
    if isinstance(x, Tensor) and x.is_floating_point() and (size := x.shape) and size[0] and size[1:] == shape:
        return
    wanted = ", ".join(["B", *map(str, shape)])
    if not isinstance(x, Tensor):
        raise UsageError(
            f"the model takes a tensor of shape ({wanted}), got {an(type(x).__name__)}: torch.as_tensor makes one"
        )
    if not x.is_floating_point():
        raise UsageError(f"the model takes real floating-point numbers, got {x.dtype}: x.float() converts them")
    if x.ndim and not len(x) and x.shape[1:] == shape:
        raise UsageError(f"the model takes at least one sample of shape ({wanted}), got an empty batch")
    raise UsageError(f"the model takes samples of shape ({wanted}), got {tuple(x.shape)}")


def times(t: Tensor | float, x: Tensor, shape: tuple[int, ...], sde: SDE, *, noisy: bool = False) -> Tensor:
    """Times of states, (B,), of which one stands for all of them. Tensors of the right shape stay as they are.

    Args:
        t: (B,), or one number.
        x: The states, (B, *), which are checked too.
        shape: Shape of one sample, *.
        sde: The process, whose times they are.
        noisy: Whether there must be noise in the states, as for a score.

    Raises:
        UsageError: As `checked`; or they are not as many as the states, or one lies outside of the process or where it
            has no noise.
    """
    checked(x, shape)
    rows = len(x)
    if not isinstance(t, Tensor) or t.shape != (rows,) or not t.is_floating_point():
        t = torch.as_tensor(t, dtype=torch.float64)
        if t.numel() != 1 and t.shape != (rows,):
            raise UsageError(f"the times must be one number for each state, here {rows}, got shape {tuple(t.shape)}")
        t = t if t.shape == (rows,) else t.reshape(1).expand(rows)
    values, end = t.tolist(), sde.t_max  # lists, since this is on the way of every evaluation
    if min(values) < 0 or max(values) > end * (1 + 1e-6):  # NaN is left to whoever looks for it in what it leads to
        bad = next(value for value in values if not 0 <= value <= end * (1 + 1e-6))
        raise UsageError(f"the times of this process lie from 0 to {end:g}, got {bad:g}")
    if noisy and not min(values) and not sde.sigma(torch.zeros(1, dtype=torch.float64)).all():
        raise UsageError("without noise there is no score, and at t = 0 there is none: take a time above 0")
    return t


def differentiable(what: str) -> None:
    """Checks that derivatives can be taken here.

    Args:
        what: What takes them, for the error.

    Raises:
        UsageError: It is inside of torch.inference_mode, where no tensor has any.
    """
    if torch.is_inference_mode_enabled():
        raise UsageError(f"{what} takes derivatives, which torch.inference_mode rules out: use torch.no_grad there")


def label_of(label: Label | Callable[[Tensor], Tensor] | str | None, sde: SDE) -> Label | Callable[[Tensor], Tensor]:
    """The time input of a network.

    Args:
        label: The label, its class or its text; a function of times, (B,); or None for what is usual.
        sde: The process.

    Raises:
        UsageError: There is no such label.
    """
    if callable(label) and not isinstance(label, type):
        return label
    return labels.make(label or ("step" if sde.chain else "scaled"), Label)


def time_input(label: Label | Callable[[Tensor], Tensor], sde: SDE, t: Tensor) -> Tensor:
    """What a network takes for the time, (B,), in float64 or in whole numbers.

    Args:
        label: The label, or a function of times.
        sde: The process.
        t: Times, (B,), float64.

    Raises:
        UsageError: The process has no such number, or the function returns something else.
    """
    found = label.of(sde, t) if isinstance(label, Label) else label(t)
    if not isinstance(found, Tensor) or found.shape != t.shape:
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else an(type(found).__name__)
        raise UsageError(f"the label must be a tensor of one number for each time, here {len(t)}, got {got}")
    return found


def tensor_of(out: Any, x: Tensor) -> Tensor:
    """A network's output as a tensor of one row for each row of x, (B, C, *), and as many or twice as many channels.

    Args:
        out: What the network returned.
        x: What it was asked for, (B, C, *).

    Raises:
        UsageError: It is something else.
    """
    found = out[0] if isinstance(out, tuple | list) and out else getattr(out, "sample", out)
    if not isinstance(found, Tensor):
        raise UsageError(f"the network must return a tensor, got {an(type(out).__name__)}: wrap it so that it does")
    rows, channels, *rest = x.shape
    if found.shape not in ((rows, channels, *rest), (rows, 2 * channels, *rest)):
        raise UsageError(
            f"for x of shape {tuple(x.shape)} the network must return that shape, or twice the channels with a learned "
            f"variance, got {tuple(found.shape)}"
        )
    return found
