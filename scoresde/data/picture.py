"""How a picture file becomes a tensor of a size."""

from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..decoding import open_picture

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
