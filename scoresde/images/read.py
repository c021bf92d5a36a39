"""How a picture file becomes a tensor of a size."""

import logging
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError
from .decode import open_picture

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of the files that are taken for pictures, in lower case."""


SMOOTH = Image.Resampling.BICUBIC
"""How pictures are resized."""


def read_picture(file: BinaryIO, name: str, size: int, channels: int) -> Tensor:
    """The picture as (channels, size, size) uint8: its shorter side resized to `size`, its middle cut out.

    Args:
        name: What an error calls the file.

    Raises:
        DataError: As `open_picture`.
    """
    flat = open_picture(file, name, "L" if channels == 1 else "RGB")
    scale = size / min(flat.size)
    width, height = (max(size, round(side * scale)) for side in flat.size)
    left, top = (width - size) // 2, (height - size) // 2
    return pixels(flat.resize((width, height), SMOOTH).crop((left, top, left + size, top + size)))


def pixels(picture: Image.Image) -> Tensor:
    """A picture of 8 bits, grey or colour, as (1|3, H, W) uint8."""
    array = np.array(picture)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def picture_names(names: list[str]) -> list[str]:
    """The names that end as pictures do, sorted; hidden files and what macOS adds are left out."""

    def wanted(path: PurePosixPath) -> bool:
        return path.suffix.lower() in SUFFIXES and not any(p.startswith((".", "__MACOSX")) for p in path.parts)

    return sorted(name for name in names if wanted(PurePosixPath(name)))


def leave_out(error: DataError, bad: int, count: int) -> None:
    """Goes on without a picture that cannot be read, with a warning.

    Args:
        bad: How many there have been.
        count: Of how many pictures they may be 1 %.

    Raises:
        DataError: They are more.
    """
    if 100 * bad > count:
        raise DataError(f"{error}; more than 1 % of the {count} pictures are like that" if count else str(error))
    logging.getLogger("scoresde").warning("%s; it is left out", error)
