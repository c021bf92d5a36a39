"""Reading an image file as a tensor of a given size."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError
from .decode import open_picture

SMOOTH = Image.Resampling.BICUBIC
"""How pictures are resized."""

WHOLE = 2**24
"""Pixels of the largest picture that is resized as a whole, before its middle is cut out."""


def read_picture(file: BinaryIO, name: str, size: int, channels: int) -> Tensor:
    """The picture as (channels, size, size) uint8: its shorter side resized to `size`, its middle cut out.

    Args:
        file: The opened file, for reading bytes.
        name: What an error calls the file.
        size: Height and width of the result, in pixels.
        channels: 1 for grey, 3 for colour.

    Raises:
        DataError: As `open_picture`.
    """
    flat = open_picture(file, name, "L" if channels == 1 else "RGB")
    scale = size / min(flat.size)
    width, height = (max(size, round(side * scale)) for side in flat.size)
    return pixels(resized_middle(flat, (width, height), (size, size)))


def resized_middle(picture: Image.Image, resized: tuple[int, int], kept: tuple[int, int]) -> Image.Image:
    """The picture resized, and its middle cut out of that. Sizes are (width, height).

    Of a picture that would become large, such as a long and thin one, only the middle is resized. It sees the pixels
    around it, so it is the same middle, but for roundings of its place.

    Args:
        picture: The picture.
        resized: Size of the whole.
        kept: Size of the middle.
    """
    left, top = ((a - b) // 2 for a, b in zip(resized, kept, strict=True))
    box = (left, top, left + kept[0], top + kept[1])
    if resized[0] * resized[1] > max(WHOLE, kept[0] * kept[1]):
        seen = [min(at * own / full, own) for at, own, full in zip(box, 2 * picture.size, 2 * resized, strict=True)]
        return picture.resize(kept, SMOOTH, box=(seen[0], seen[1], seen[2], seen[3]))
    return (picture if picture.size == resized else picture.resize(resized, SMOOTH)).crop(box)


def read_squares(files: Sequence[Path], size: int, channels: int) -> Tensor:
    """Picture files as data, (N, channels, size, size) in [-1, 1], each read as by `read_picture`.

    Args:
        files: The files.
        size: Height and width.
        channels: 1 for grey, 3 for colours.

    Raises:
        DataError: A file cannot be opened or read as a picture.
    """
    rows = []
    for file in files:
        try:
            with file.open("rb") as opened:
                rows.append(read_picture(opened, str(file), size, channels))
        except OSError as error:
            raise DataError(f"{file} cannot be opened: {error.strerror or error}") from None
    return torch.stack(rows).float() / 127.5 - 1


def pixels(picture: Image.Image) -> Tensor:
    """A picture of 8 bits, grey or colour, as (1|3, H, W) uint8.

    Args:
        picture: A picture in the mode "L" or "RGB".
    """
    array = np.array(picture)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)
