"""What a network can be trained to be given: further input channels, made of the image that is to be found."""

import torch
from torch import Tensor

from .errors import UsageError
from .observations import Luma

CONDITIONS = ("none", "colour", "inpaint")


def extra_channels(condition: str, channels: int) -> int:
    """How many further channels the network has, for images of so many."""
    return {"none": 0, "colour": channels, "inpaint": channels + 1}[condition]


def colour(grey: Tensor) -> Tensor:
    """The luma, (B, 1, H, W), once for each of the three channels, (B, 3, H, W)."""
    return grey.expand(-1, 3, -1, -1)


def holed(x0: Tensor, known: Tensor) -> Tensor:
    """The image, (B, C, H, W), with 0 in the hole, and the mask, 1 where a pixel is known: (B, C + 1, H, W)."""
    return torch.cat([torch.where(known, x0, 0), known.expand(len(x0), -1, -1, -1).to(x0)], 1)


def given(condition: str, x0: Tensor, known: Tensor | None) -> Tensor:
    """The further channels for images x0, (B, C, H, W); for "inpaint" with a mask for each, (B, 1, H, W).

    Raises:
        UsageError: Images without colours are to be coloured.
    """
    if condition == "inpaint" and known is not None:
        return holed(x0, known)
    if x0.shape[1] != 3:
        raise UsageError(f"train.condition = colour takes images of 3 channels, got {x0.shape[1]}")
    return colour(Luma().forward(x0))
