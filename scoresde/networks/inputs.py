"""What networks are called with: sides that can be halved, channels, labels and classes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError


def halvable(sides: Sequence[int], times: int) -> None:
    """Refuses pictures that cannot be halved so often.

    Args:
        sides: Height and width.
        times: How often the network halves them.

    Raises:
        UsageError: A side is no multiple of 2 to the power of `times`.
    """
    if any(side % 2**times for side in sides):
        raise UsageError(f"this network takes sides that {2**times} divides, got images of {sides[0]}x{sides[1]}")


def labelled(label: Tensor, x: Tensor) -> None:
    """Refuses labels that are not one for each row.

    Args:
        label: The time as the network takes it, (B,).
        x: The states, (B, *).

    Raises:
        UsageError: It has another shape.
    """
    if label.shape != x.shape[:1]:
        raise UsageError(f"the label must be one number for each of {len(x)} rows, got shape {tuple(label.shape)}")


def fitting(x: Tensor, channels: int, dims: int = 2) -> None:
    """Refuses states that are not what the network was built for.

    Args:
        x: The states and the channels of a condition, (B, C + extra, *).
        channels: C + extra.
        dims: Dimensions beside the channels: 1 for series, 2 for images, 3 for volumes.

    Raises:
        UsageError: They have other channels or dimensions.
    """
    if x.ndim != dims + 2 or x.shape[1] != channels:
        sides = ("L", "H, W", "D, H, W")[dims - 1]
        raise UsageError(f"this network takes inputs of shape (B, {channels}, {sides}), got {tuple(x.shape)}")


def classed(classes: Tensor | None, x: Tensor, count: int, *, null: bool = True) -> Tensor | None:
    """The class of each row, (B,), where the number of classes itself means "no class"; None without classes.

    Args:
        classes: Class of each row, (B,), from 0; None for no class.
        x: The states, (B, *).
        count: Number of classes; 0 for a network without.
        null: Whether the network knows the lack of a class.

    Raises:
        UsageError: The network knows no classes, or needs one for each row.
    """
    if not count and classes is not None:
        raise UsageError("this network was built without classes: set its option classes, or give none")
    if not count or classes is not None:
        return classes
    if not null:
        raise UsageError("this network needs a class for each sample")
    return torch.full((len(x),), count, device=x.device)
