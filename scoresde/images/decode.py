"""Decoding of image files to 8-bit pixels, with one rule for every format, without torch."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..core.errors import DataError

LARGEST = 8192 * 8192
"""Pixels of the largest picture that is read; it is looked at before any of them is decoded."""

GREY = ("1", "L")
"""Modes of Pillow whose pictures stay grey, where none is asked for."""


class UnknownFormat(DataError):
    """The bytes are no picture of a format that is read."""


class TooLarge(DataError):
    """The picture has more pixels than are read."""


def open_picture(
    file: BinaryIO,
    name: str,
    mode: Literal["L", "RGB"] | None = None,
    *,
    largest: int = LARGEST,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """The picture upright, in 8-bit grey, "L", or colour, "RGB"; without a mode, in that which it has.

    The camera's orientation is applied; transparency is laid over white; 16-bit grey is scaled to 8 bits; CMYK and
    palettes become RGB; of an animation the first frame counts. Grey made of colour is the luma of ITU-R BT.601.

    Args:
        file: The opened file, for reading bytes.
        name: What an error calls the file.
        mode: "L" for grey or "RGB" for colour; None keeps grey pictures grey.
        largest: Pixels of the largest picture that is decoded.
        formats: Names of the formats that are read, by their content; without them, all that Pillow knows.

    Raises:
        UnknownFormat: The file cannot be read as a picture.
        TooLarge: It has too many pixels.
        DataError: It is damaged, or has a depth without a fixed range.
    """
    with _opened(file, name, largest, formats) as picture:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return flattened(picture, name, mode)


def flattened(picture: Image.Image, name: str, mode: Literal["L", "RGB"] | None = None) -> Image.Image:
    """The picture in 8-bit grey or colour, by the rules of `open_picture`, and not turned.

    Args:
        picture: The picture, which may have transparency, a palette or 16 bits.
        name: What an error calls it.
        mode: "L" for grey or "RGB" for colour; None keeps grey pictures grey.

    Raises:
        DataError: It has a depth without a fixed range.
    """
    flat = _flat(picture, name)
    wanted = mode or ("L" if flat.mode in GREY else "RGB")
    return flat if flat.mode == wanted else flat.convert(wanted)


def look(file: BinaryIO, name: str) -> tuple[tuple[int, int], str]:
    """Width and height, as stored, and Pillow's mode of a picture; no pixel is decoded.

    Args:
        file: The opened file, for reading bytes.
        name: What an error calls the file.

    Raises:
        DataError: As `open_picture`, as far as the head of the file shows it.
    """
    with _opened(file, name, LARGEST, None) as picture:
        return picture.size, "L" if picture.mode == "P" and _grey_palette(picture) else picture.mode


def _grey_palette(picture: Image.Image) -> bool:
    kind, colours = picture.palette.getdata() if picture.palette else ("", b"")
    return kind == "RGB" and colours[::3] == colours[1::3] == colours[2::3]


@contextmanager
def _opened(file: BinaryIO, name: str, largest: int, formats: tuple[str, ...] | None) -> Iterator[Image.Image]:
    """The picture before its pixels are decoded; every error names it, also those of what is done with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a smaller limit, and an error
            opened = Image.open(file, formats=formats)
        with opened as picture:
            if picture.width * picture.height > largest:
                size = f"{picture.width}x{picture.height} pixels"
                raise TooLarge(f"{name} has {size}, and at most {largest:,} are read: make it smaller")
            yield picture
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"{name} has far more than the {largest:,} pixels that are read: make it smaller") from None
    except UnidentifiedImageError:
        known = f"none of {', '.join(formats)}" if formats else "no format that Pillow knows; remove it"
        raise UnknownFormat(f"{name} cannot be read as a picture: {known}") from None
    except Exception as error:  # each of Pillow's decoders raises errors of its own for a damaged file
        raise DataError(f"{name} cannot be read as a picture: {error}; repair or remove it") from error


def _flat(picture: Image.Image, name: str) -> Image.Image:
    """The picture with 8 bits a channel and without transparency."""
    if picture.mode.startswith(("I", "F")):

        def scaled(part: Image.Image) -> Image.Image:
            values = np.asarray(part)
            # Pillow's "I" is 32 bits wide, but mostly holds what was 16 bits in the file.
            if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
                raise DataError(
                    f"{name} has pixels of more than 16 bits and unknown range: save it with 8 or 16 bits, or train on "
                    "the numbers in an .npy array"
                )
            return Image.fromarray(((values.astype(np.int32) + 128) // 257).astype(np.uint8))  # rounded, as 257 is odd

        return _in_strips(picture, "L", scaled)
    if picture.has_transparency_data:

        def opaque(part: Image.Image) -> Image.Image:
            return Image.alpha_composite(Image.new("RGBA", part.size, "white"), part.convert("RGBA"))

        return _in_strips(picture, "L" if picture.mode == "LA" else "RGB", opaque)
    return picture


def _in_strips(picture: Image.Image, mode: str, done: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What is done to each pixel, done to some rows at a time, so that what is in between takes little memory."""
    whole, rows = Image.new(mode, picture.size), max(1, 2**20 // picture.width)
    for top in range(0, picture.height, rows):
        part = done(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
        whole.paste(part if part.mode == mode else part.convert(mode), (0, top))
    return whole
