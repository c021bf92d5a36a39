"""Whether an array contains images with integer grey levels or other numbers; refused if it is unclear."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError
from ..images.decode import flattened
from .base import Dataset, Images
from .levels import graded
from .numbers import real, whole
from .tensors import Tensors

X, LABELS = ("image", "images", "img", "x", "data"), ("label", "labels", "fine_label", "y")
"""Names of columns, as data sets of Hugging Face have them."""
LEVELS = {"[0, 1]": (255.0, 0.0), "[0, 255]": (1.0, 0.0), "[-1, 1]": (127.5, 127.5)}
"""Ranges in which images of 256 levels are written as other numbers, with the factor and the shift to 0 .. 255."""
NEAR, WIDE = 1e-3, 5
"""How far from a whole level such a number may lie, in levels, unless its dtype rounds by more; and above how many
entries an axis is rather one of places or times than one of channels."""


def meant(
    x: Any,
    labels: Any = None,
    what: str = "the array",
    like: Dataset | None = None,
    levels: int | None = None,
) -> Dataset:
    """The one meaning of an array: `Images`, or `Tensors`.

    Bytes (N, H, W), (N, C, H, W) and (N, H, W, C) of 1 to 4 channels are images. So are other numbers of these last two
    shapes with 1 or 3 channels that are all whole levels of 256, in [0, 255], [0, 1] or [-1, 1]. All else is
    `Tensors`, (N, C, *), with a warning where the shape is rather one of (N, *, C) or of pictures (N, H, W).

    Args:
        x: An array (N, *), a tensor or a nested list.
        labels: One whole number for each item, or None.
        what: What an error calls the array.
        like: The training data, for held-out ones: they have the same meaning and units.
        levels: Grey levels of images, by default those that are found; see `graded`.

    Raises:
        DataError: It could mean two things, or nothing, or it is not like the training data.
    """
    numbers = real(x)
    kind = None if labels is None else whole(labels, len(numbers) if numbers.ndim else 0)
    found: Dataset | None = None
    if not numbers.numel():
        found = Tensors(numbers)  # which refuses them
    elif not isinstance(like, Tensors):
        pixels = _bytes(numbers, what) if numbers.dtype == torch.uint8 else _levels(numbers, what)
        own = like.levels if isinstance(like, Images) else levels
        found = None if pixels is None else Images(*graded(pixels, own, what), kind)
    elif numbers.ndim == 4 and numbers.shape[1:] != like.shape and tuple(_first(numbers).shape[1:]) == like.shape:
        numbers = _first(numbers)
    if found is None and levels not in (None, 256):
        raise DataError(f"{what} holds other numbers than pictures, which have no grey levels: leave out levels")
    if found is None:
        found = Tensors(numbers, kind, None if like is None else like.units)
    if like is None and isinstance(found, Tensors):
        _doubted(found, what)
    if like is not None and kind_of(found) != kind_of(like):
        kinds = f"{what} means {kind_of(found)}, and the training data are {kind_of(like)}"
        raise DataError(f"{kinds}: give both in the same way")
    return found


def kind_of(found: Dataset) -> str:
    """What held-out data have in common with training data.

    Args:
        found: The data.
    """
    levels = f" with {found.levels} grey levels" if isinstance(found, Images) else ""
    return f"{type(found).__name__} of shape {found.shape}{levels}"


def listed(x: Any) -> bool:
    """Whether x is a list of pictures, or data by name.

    Args:
        x: Anything.
    """
    return isinstance(x, Mapping) or (isinstance(x, list | tuple) and bool(x) and isinstance(x[0], Image.Image))


def _first(x: Tensor) -> Tensor:
    """(N, H, W, C) as (N, C, H, W)."""
    return x.permute(0, 3, 1, 2).contiguous()


def _doubted(found: Tensors, what: str) -> None:
    """Warns of numbers whose shape is rather that of (N, *, C), or of pictures without an axis of channels."""
    first, *rest = found.shape
    if rest and rest[-1] < WIDE <= min(found.shape[:-1]):
        other = "whose channels come last, numpy.moveaxis(x, -1, 1) brings them there"
    elif [first] == rest and first > WIDE:
        other = "that are pictures of one channel, give x[:, None]"
    else:
        return
    logging.getLogger("scoresde").warning(
        "%s of shape %s is taken for items of %d channels, (N, C, *): of items %s",
        *(what, tuple(found.items.shape), first, other),
    )


def _channels(x: Tensor, most: tuple[int, ...], what: str) -> Tensor | None:
    """x with its channels first, (N, C, H, W), or None if neither place has as many as pictures have."""
    first, last = (x.shape[i] in most for i in (1, 3))
    if first and last:
        raise DataError(
            f"{what} of shape {tuple(x.shape)} could be (N, C, H, W) or (N, H, W, C): give scoresde.Images(pixels), "
            "which are (N, C, H, W), or scoresde.Tensors(x)"
        )
    return x if first else _first(x) if last else None


def _bytes(x: Tensor, what: str) -> Tensor | None:
    """Bytes as pixels, (N, C, H, W), or None if they are vectors, or have more dimensions than pictures."""
    if x.ndim == 4:
        found = None
        for most in ((1, 3), (2, 4)):
            found = _channels(x, most, what) if found is None else found
        if found is None:
            raise DataError(
                f"{what} of shape {tuple(x.shape)} has no 1 to 4 channels, as pictures (N, C, H, W) or (N, H, W, C) "
                "have: give scoresde.Tensors(x) for other numbers"
            )
        return found
    if x.ndim == 3:
        if x.shape[2] in (3, 4) and min(x.shape[:2]) > 4:
            raise DataError(f"{what} of shape {tuple(x.shape)} looks like one picture (H, W, C): give x[None]")
        return x[:, None]
    side = round(x.shape[1] ** 0.5) if x.ndim == 2 else 0
    if side >= 8 and side * side == x.shape[1]:
        raise DataError(
            f"{what} of shape {tuple(x.shape)} could be pictures in rows: give x.reshape(-1, {side}, {side}), or "
            "scoresde.Tensors(x) for vectors"
        )
    return None


def _levels(x: Tensor, what: str) -> Tensor | None:
    """Numbers that are whole levels of pictures, as pixels (N, C, H, W) uint8; None if they are others."""
    if x.ndim != 4 or not x.numel() or x.dtype == torch.bool:
        return None
    low, high = float(x.min()), float(x.max())
    if not (low >= -1 and 0 < high <= 255):  # which NaN is not, either
        return None
    name = "[-1, 1]" if low < 0 else "[0, 1]" if high <= 1 else "[0, 255]"
    if name == "[0, 255]" and high < 128:  # counts or classes, of which pictures would be near black
        return None
    factor, shift = LEVELS[name]
    near = max(NEAR, factor * torch.finfo(x.dtype).eps / 2) if x.is_floating_point() else NEAR
    if near > 0.25:
        return None
    pixels = torch.empty(x.shape, dtype=torch.uint8)
    for part, rounded in zip(torch.split(x, 4096), torch.split(pixels, 4096), strict=True):
        level = part.double() * factor + shift
        rounded.copy_(level.round())
        if bool(((level - rounded).abs() > near).any()):
            return None
    found = _channels(pixels, (1, 3), what)
    if found is not None:
        logging.getLogger("scoresde").warning(
            "%s of shape %s holds whole levels in %s: it is taken for pictures of 256 grey levels; give "
            "scoresde.Tensors(x) for other numbers",
            what,
            tuple(x.shape),
            name,
        )
    return found


def pairs(rows: Any) -> tuple[Any, ...]:
    """The items of a data set as one array, and their labels if there are any.

    Pictures are read as from a file: palettes become colours, and transparency is laid over white. Those of more than 8
    bits are numbers, (1, H, W).

    Args:
        rows: A data set of items, of pairs (item, label), or of rows with names, as those of Hugging Face.

    Raises:
        DataError: The items differ in shape, or have no name that is known, or it is several data sets.
    """
    if isinstance(rows, Mapping):
        raise DataError(f"data are one array or data set, got those of {', '.join(map(str, rows))}: give one, x[name]")
    items, labels = [], []
    for row in (rows[i] for i in range(len(rows))):
        if isinstance(row, Mapping):
            names = [next((name for name in kind if name in row), None) for kind in (X, LABELS)]
            if names[0] is None:
                raise DataError(f"the data set has the columns {', '.join(map(str, row))}, and none of {', '.join(X)}")
            row = tuple(row[name] for name in names if name is not None)
        item, *rest = row if isinstance(row, tuple | list) else (row,)
        items.append(_numbers(item) if isinstance(item, Image.Image) else np.asarray(item))
        labels += rest[:1]
    try:
        stacked = np.stack(items) if items else np.empty((0, 1))
    except ValueError:
        shapes = sorted({item.shape for item in items}, key=str)
        raise DataError(f"the items of the data set have several shapes, such as {shapes[:3]}: resize them") from None
    if not items or len(labels) < len(items):
        return (stacked,)
    kinds = np.asarray(labels)
    return stacked, kinds[:, 0] if kinds.shape[1:] == (1,) else kinds


def _numbers(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(picture)[None] if picture.mode[0] in "IF" else np.asarray(flattened(picture, "a picture"))
