"""How a picture file becomes pixels: one rule for every format."""

import warnings
from typing import BinaryIO, Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import DataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of the files that are taken for pictures, in lower case."""


SMOOTH = Image.Resampling.BICUBIC
"""How pictures are resized."""
LARGEST = 8192 * 8192
"""Pixels of the largest picture that is read; it is looked at before any of them is decoded."""


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


def open_picture(file: BinaryIO, name: str, mode: Literal["L", "RGB"] | None = None) -> Image.Image:
    """The picture upright, in 8-bit grey, "L", or colour, "RGB"; without a mode, in that which it has.

    The camera's orientation is applied; transparency is laid over white; 16-bit grey is scaled to 8 bits; CMYK and
    palettes become RGB; of an animation the first frame counts. Grey made of colour is the luma of ITU-R BT.601.

    Args:
        name: What an error calls the file.

    Raises:
        DataError: The file cannot be read as a picture, is too large, or has a depth without a fixed range.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a smaller limit, and an error
            opened = Image.open(file)
        with opened as picture:
            if picture.width * picture.height > LARGEST:
                size = f"{picture.width}x{picture.height} pixels"
                raise DataError(f"{name} has {size}, and at most {LARGEST:,} are read: make it smaller")
            flat = _flat(ImageOps.exif_transpose(picture), name)
            return flat.convert(mode or ("L" if flat.mode in ("1", "L") else "RGB"))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name} cannot be read as a picture: no format that Pillow knows; take it away") from None
    except Exception as error:  # each of Pillow's decoders raises errors of its own for a damaged file
        raise DataError(f"{name} cannot be read as a picture: {error}; mend it or take it away") from error


def pixels(picture: Image.Image) -> Tensor:
    """A picture of 8 bits, grey or colour, as (1|3, H, W) uint8."""
    array = np.array(picture)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def _flat(picture: Image.Image, name: str) -> Image.Image:
    """The picture with 8 bits a channel and without transparency."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        # Pillow's "I" is 32 bits wide, but mostly holds what was 16 bits in the file.
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise DataError(f"{name} has pixels of more than 16 bits and unknown range: save it with 8 or 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if picture.has_transparency_data:
        grey = picture.mode == "LA"
        picture = picture.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return flat.convert("L") if grey else flat
    return picture
