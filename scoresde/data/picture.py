"""How a picture file becomes pixels: one rule for every format."""

from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import DataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of the files that are taken for pictures, in lower case."""


def read_picture(file: BinaryIO, name: str, size: int, channels: int) -> Tensor:
    """The picture as (channels, size, size) uint8: its shorter side resized to `size`, its middle cut out.

    The camera's orientation is applied; transparency is laid over white; 16-bit grey is scaled to 8 bits; CMYK and
    palettes become RGB; of an animation the first frame counts. One channel means the luma of ITU-R BT.601.

    Args:
        name: What an error calls the file.

    Raises:
        DataError: The file cannot be read as a picture, or has a depth without a fixed range.
    """
    try:
        with Image.open(file) as picture:
            flat = _flat(ImageOps.exif_transpose(picture), name).convert("L" if channels == 1 else "RGB")
            scale = size / min(flat.size)
            width, height = (max(size, round(side * scale)) for side in flat.size)
            resized = flat.resize((width, height), Image.Resampling.BICUBIC)
    except DataError:
        raise
    except Exception as error:  # each of Pillow's decoders raises errors of its own for a damaged file
        raise DataError(f"{name} cannot be read as a picture: {error}; mend it or take it away") from error
    left, top = (width - size) // 2, (height - size) // 2
    array = np.array(resized.crop((left, top, left + size, top + size)))
    return torch.from_numpy(array).reshape(size, size, channels).permute(2, 0, 1)


def _flat(picture: Image.Image, name: str) -> Image.Image:
    """The picture with 8 bits a channel and without transparency."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        # Pillow's "I" is 32 bits wide, but mostly holds what was 16 bits in the file.
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise DataError(f"{name} has pixels of more than 16 bits and unknown range: save it with 8 or 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture
