"""What may cross the border of a model: states on the way in, a network's output on the way out."""

from typing import Any

from torch import Tensor

from ..core.errors import UsageError


def checked(x: Tensor, shape: tuple[int, ...]) -> None:
    """Checks that x is a batch of states.

    Args:
        x: (B, *).
        shape: Shape of one sample, *.

    Raises:
        UsageError: It is no floating-point tensor, is empty, or has another shape.
    """
    wanted = ", ".join(["B", *map(str, shape)])
    if not isinstance(x, Tensor):
        raise UsageError(
            f"the model takes a tensor of shape ({wanted}), got a {type(x).__name__}: torch.as_tensor makes one"
        )
    if not x.is_floating_point():
        raise UsageError(f"the model takes real floating-point numbers, got {x.dtype}: x.float() converts them")
    if x.ndim == 0 or tuple(x.shape[1:]) != tuple(shape):
        raise UsageError(f"the model takes samples of shape ({wanted}), got {tuple(x.shape)}")
    if not len(x):
        raise UsageError(f"the model takes at least one sample of shape ({wanted}), got an empty batch")


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
        raise UsageError(f"the network must return a tensor, got a {type(out).__name__}: wrap it so that it does")
    rows, channels, *rest = x.shape
    if found.shape not in ((rows, channels, *rest), (rows, 2 * channels, *rest)):
        raise UsageError(
            f"for x of shape {tuple(x.shape)} the network must return that shape, or twice the channels with a learned "
            f"variance, got {tuple(found.shape)}"
        )
    return found
