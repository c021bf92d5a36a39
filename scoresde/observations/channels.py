"""What a network can be trained to be given: further input channels, made of the image that is to be found."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import stream
from . import Luma
from .masks import Mask, masks

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


def trained_masks(name: str, recipe: Mapping[str, Any]) -> Mask:
    """The law of the holes that a network was trained to fill, as its model folder has it.

    Raises:
        UsageError: It does not say.
    """
    if "masks" not in recipe:
        raise UsageError(f"{name} does not say which holes it was trained to fill: choose them, as with freeform")
    law: Mask = masks.parse(recipe["masks"])
    return law


def holes(law: Mask, shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Where the pixels of images of a shape, (C, H, W), are known, (N, 1, H, W), bool: hole i is of (seed, i) alone."""
    return law.draw(shape[1], shape[2], [stream(seed, "hole", i) for i in range(count)])
