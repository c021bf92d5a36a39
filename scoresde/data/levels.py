"""The number of grey levels of a set of images."""

import logging
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError

Levels = Annotated[
    int | None,
    Field(ge=2, le=256, description="Number of grey levels; by default few levels are detected."),
]
LOWEST, SPREAD = 32, 17
"""Most levels that are noticed where the pixels are 0, 1, 2, ..., and where they are spread evenly from 0 to 255."""

VALUES = np.arange(256)


def levels_of(parts: Iterable[Tensor]) -> int:
    """The number of grey levels L of a set: 256, or fewer where all its pixels lie on few values.

    L = 1 + the largest value, if that is below 32: pictures of 256 levels would be near black. L is also the smallest
    number up to 17 such that all values are among 255 k/(L - 1), k = 0 .. L - 1, rounded, with 0 and 255 among them:
    masks of 0 and 255, and pictures of 2 or 4 bits.

    Measured on MNIST, Fashion-MNIST, CIFAR-10, 41 photographs of animals and 1910 crops of two photographs: no set has
    few values. Single pictures may: 31 of those crops, which show a dark background, and 24 of 1000 digits of MNIST.

    Args:
        parts: Pixels of the set, uint8; the rest are not looked at once there are too many values.
    """
    seen = np.zeros(256, dtype=bool)
    for part in parts:
        seen |= np.bincount(part.numpy().ravel(), minlength=256) > 0
        spread = next((n for n in range(2, SPREAD + 1) if not (seen & ~_spread(n)).any()), 256)
        if seen[LOWEST:].any() and spread == 256:
            return 256
    if seen.sum() < 2:
        return 256
    if not seen[LOWEST:].any():
        return int(VALUES[seen].max()) + 1
    return spread if seen[0] and seen[255] else 256


def graded(pixels: Tensor, levels: int | None, what: str) -> tuple[Tensor, int]:
    """Pixels as whole levels 0 .. L - 1, uint8, and their number L, by default that of `levels_of`.

    Args:
        pixels: uint8, either 0 .. L - 1 as they are or spread evenly from 0 to 255.
        levels: L, or None.
        what: What a warning and an error call the set.

    Raises:
        DataError: The pixels have other values than L levels.
    """
    if not pixels.numel():
        return pixels, levels or 256
    count = levels_of(_parts(pixels)) if levels is None else levels
    largest = int(pixels.max())
    if levels is None and count < 256:
        logging.getLogger("scoresde").warning(
            "the pixels of %s are only %s: they are taken for %d grey levels from black to white; levels=256 keeps "
            "them as they are",
            *(what, f"{count} values from 0 to 255" if largest == 255 else f"0 to {largest}", count),
        )
    if largest < count:
        return pixels, count
    if wrong := next((v for part in _parts(pixels) if (v := _wrong(part, count)) is not None), None):
        raise DataError(
            f"{what} has the pixel value {wrong}, and {count} grey levels are 0 to {count - 1}, or as many values "
            "spread evenly from 0 to 255: give the right levels, or 256"
        )
    table = np.rint(VALUES * (count - 1) / 255).astype(np.uint8)
    return torch.from_numpy(table[pixels.numpy()]), count


def _parts(pixels: Tensor) -> tuple[Tensor, ...]:
    """Some images at a time, so that what is made of them takes little memory."""
    return torch.split(pixels, max(1, 2**20 // pixels[0].numel()))


def _wrong(part: Tensor, levels: int) -> int | None:
    """A value of the pixels that is not among as many spread evenly from 0 to 255."""
    seen = (np.bincount(part.numpy().ravel(), minlength=256) > 0) & ~_spread(levels)
    return int(VALUES[seen][0]) if seen.any() else None


def _spread(levels: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of 256 values are among as many spread evenly from 0 to 255, whichever way they were rounded."""
    step = 255 / (levels - 1)
    return np.abs(VALUES - np.rint(VALUES / step) * step) < 1
