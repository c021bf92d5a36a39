"""Images as the page takes them: PNG in base64, strips of states, and pictures from pixels."""

import base64
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..images import sheets

PixelArray = NDArray[np.uint8]

FRAMES = 16
"""States of the path from noise to data that are kept, unless they are large."""
MOST_PIXELS = 4_000_000
"""Pixels of all these states together."""


def png(picture: Image.Image) -> str:
    """A picture as PNG, without metadata, in base64.

    Args:
        picture: The picture.
    """
    return base64.b64encode(png_bytes(picture)).decode()


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as PNG, without metadata.

    Args:
        picture: The picture.
    """
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def encoded(x: Tensor) -> list[str]:
    """Each image as PNG in base64.

    Args:
        x: Images in [-1, 1], (B, 1|3, H, W).
    """
    return [png(sheets.single(image)) for image in x]


def frames(shape: tuple[int, ...]) -> int:
    """How many states of the path from noise to data are kept.

    Args:
        shape: Shape of the batch, (B, C, H, W).
    """
    return max(2, min(FRAMES, MOST_PIXELS // (shape[0] * shape[2] * shape[3])))


def strip(states: list[Tensor]) -> str:
    """One picture, with a row for each state and the images of the batch side by side.

    Args:
        states: States in [-1, 1], (B, 1|3, H, W) each.
    """
    return png(sheets.single(torch.cat([torch.cat(list(state.cpu()), -1) for state in states], -2)))


def picture_of(pixels: PixelArray) -> Image.Image:
    """The picture with the given pixels.

    Args:
        pixels: (H, W, 1|3) uint8.
    """
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
