"""Arrays of any numbers as tensors, and the units in which they have mean 0 and standard deviation 1."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.units import Units

COARSE = 0.01
"""Rounding of a value that is allowed, as a share of the deviation of its coordinate."""
SMALLEST = 1e-30
"""Smallest deviation; its inverse has to be a 32-bit number."""


def real(x: Any) -> Tensor:
    """Real numbers as a tensor.

    Args:
        x: A tensor, an array or a nested list.

    Raises:
        DataError: They are complex, or no numbers.
    """
    if np.ma.isMaskedArray(x):
        raise DataError("data must have a number in each place, got a masked array: fill it, or leave out its items")
    if not isinstance(x, Tensor):
        try:
            array = np.asarray(x)
        except ValueError as error:  # lists of different lengths
            raise DataError(f"data must be an array (N, *) of items of one shape: {error}") from None
        if array.dtype.kind not in "biufc":
            kind = f"an array of {array.dtype}" if array.ndim else f"a {type(x).__name__}: put its items into one"
            raise DataError(f"data must be real numbers in an array (N, *), got {kind}")
        wide = {"u": "i8", "f": "f8"}.get(array.dtype.kind, array.dtype.kind + str(array.dtype.itemsize))
        small = array.dtype in (np.uint8, np.float16, np.float32)  # torch reduces few unsigned numbers
        array = array.astype(array.dtype.newbyteorder("=") if small else wide, copy=not array.flags.writeable)
        x = torch.from_numpy(np.ascontiguousarray(array))
    found: Tensor = x.detach().to_dense()
    if found.dtype in (torch.uint16, torch.uint32, torch.uint64):
        found = found.long()
    if found.is_complex():
        raise DataError("data must be real numbers, got complex ones: give real and imaginary parts as two channels")
    return found


def whole(labels: Any, count: int) -> Tensor:
    """Labels as int64, (N,).

    Args:
        labels: One whole number from 0 for each item.
        count: N.

    Raises:
        DataError: They are not.
    """
    if not isinstance(labels, Tensor) and (kinds := np.asarray(labels).dtype).kind not in "biuf":
        raise DataError(
            f"labels must be whole numbers from 0, got an array of {kinds}: numpy.unique(labels, return_inverse=True) "
            "numbers the classes"
        )
    found = real(labels)
    if found.shape != (count,) or found.is_floating_point() or int(found.min()) < 0:
        kind = str(found.dtype).removeprefix("torch.")
        raise DataError(
            f"labels must be one whole number from 0 for each of {count} items, got {tuple(found.shape)} of {kind}"
            + (f" down to {int(found.min())}" if found.numel() and not found.is_floating_point() else "")
        )
    return found.long()


def units_of(values: Tensor) -> Units:
    """The units in which data have mean 0 and deviation 1: per coordinate of vectors, per channel of (C, *).

    A coordinate or channel that never changes keeps its spread, 1.

    Args:
        values: (N, *), of any real dtype.

    Raises:
        DataError: The numbers differ by too little for 32 bits.
    """
    over = [0, *range(2, values.ndim)]
    count = values.numel() // values.shape[1]
    parts = torch.split(values, 4096)  # so that no copy of the whole is made in 64 bits
    centre = sum((part.double().sum(over, keepdim=True) for part in parts), torch.zeros(())) / count
    squares = ((part.double() - centre).square().sum(over, keepdim=True) for part in parts)
    spread = (sum(squares, torch.zeros(())) / count).sqrt()
    changes = values.amax(over, keepdim=True) > values.amin(over, keepdim=True)
    lost = changes & ((centre.abs() * 2.0**-24 > COARSE * spread) | (spread < SMALLEST))
    if bool(lost.any()):
        at = int(lost.flatten().nonzero()[0])
        raise DataError(
            f"coordinate {at} lies at {centre.flatten()[at]:g} with a deviation of {spread.flatten()[at]:.3g}, which "
            "32-bit numbers do not tell apart: subtract a constant and rescale it"
        )
    centre, spread = (v.cpu()[0] for v in (centre, torch.where(changes, spread, 1.0)))
    return Units(centre, spread)
