"""Resizing and cropping of a user's images for a model, in the same way as their masks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError, UsageError
from .decode import LARGEST, open_picture
from .listing import list_folder
from .read import pixels, resized_middle

FitMode = Literal["whole", "resize", "tile"]


@dataclass(frozen=True)
class ResizeAndCrop:
    """What is done to a picture: it is resized, and its middle cut out. Sizes are (width, height)."""

    original: tuple[int, int]
    """Size of the picture."""
    resized: tuple[int, int]
    """Size to which it is resized."""
    kept: tuple[int, int]
    """Size of the middle that is cut out of it."""

    def __str__(self) -> str:
        said = "{}x{}".format(*self.original)
        if self.resized != self.original:
            said += (" enlarged to {}x{}" if self.resized > self.original else " reduced to {}x{}").format(
                *self.resized
            )
        return said + (", its middle {}x{} cut out".format(*self.kept) if self.kept != self.resized else "")

    def known(self, known: Tensor) -> Tensor:
        """Which pixels are known afterwards, (H, W) bool: where the resized hole weighs less than half a grey level.

        Args:
            known: Which pixels of the original picture are known, (H, W) bool.
        """
        hole = self.picture(Image.fromarray((~known).numpy().astype(np.float32)))
        return torch.from_numpy(np.abs(np.asarray(hole)) < 0.5 / 255)

    def picture(self, picture: Image.Image) -> Image.Image:
        """The picture, resized and cropped.

        Args:
            picture: A picture of the size `original`.
        """
        return resized_middle(picture, self.resized, self.kept)


def fit(size: tuple[int, int], height: int, width: int, mode: FitMode = "resize", multiple: int = 1) -> ResizeAndCrop:
    """How a picture is made to fit a model of images of height x width.

    "whole" resizes it until it just covers height x width; "resize" cuts out the middle of that. "tile" enlarges
    smaller pictures, and of larger ones only cuts off what exceeds a multiple of `multiple`.

    Args:
        size: Width and height of the picture.
        height: Height of the model's images.
        width: Width of the model's images.
        mode: "whole", "resize" or "tile".
        multiple: With "tile", the sides become multiples of this number.

    Raises:
        DataError: The picture is so narrow that it would become too large.
    """
    scale = max(width / size[0], height / size[1])
    if mode == "tile":
        scale = max(1.0, scale)
    resized = (max(width, round(size[0] * scale)), max(height, round(size[1] * scale)))
    kept = resized if mode == "whole" else (width, height)
    if mode == "tile":
        kept = (resized[0] // multiple * multiple, resized[1] // multiple * multiple)
    if kept[0] * kept[1] > LARGEST:
        before, after = ("{}x{}".format(*s) for s in (size, resized))
        raise DataError(f"a picture of {before} would be enlarged to {after}, more than {LARGEST:,} pixels: cut it")
    return ResizeAndCrop(size, resized, kept)


def found(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the pictures in the folders among them and the folders inside these, sorted.

    Args:
        paths: Files, and folders of pictures.

    Raises:
        DataError: A folder holds no pictures.
    """
    files = []
    for path in paths:
        if path.is_dir():
            inside = list_folder(path)
            if not inside.pictures:
                raise inside.nothing(str(path))
            for sentence in inside.left_out():
                logging.getLogger("scoresde").warning("%s: %s", path, sentence)
            files += [path / name for name in inside.pictures]
        else:
            files.append(path)
    return files


def load_picture(path: Path, mode: Literal["L", "RGB"] | None = None) -> Image.Image:
    """The picture in a file, by the rules of `open_picture`.

    Args:
        path: The file.
        mode: "L" for grey or "RGB" for colour; None keeps grey pictures grey.

    Raises:
        DataError: The file cannot be opened or read as a picture.
    """
    try:
        with path.open("rb") as opened:
            return open_picture(opened, str(path), mode)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}") from None


def scaled(picture: Image.Image) -> Tensor:
    """A picture as data, (1|3, H, W) in [-1, 1].

    Args:
        picture: A picture in the mode "L" or "RGB".
    """
    return pixels(picture).float() / 127.5 - 1


def colourless(picture: Image.Image) -> bool:
    """Whether a picture is grey, even if it is stored as RGB.

    Args:
        picture: A picture in the mode "L" or "RGB".
    """
    return picture.mode == "L" or bool((pixels(picture) == pixels(picture)[:1]).all())


def box_known(box: tuple[int, int, int, int], size: tuple[int, int]) -> Tensor:
    """Which pixels are known, (H, W), where columns x0 to x1 - 1 of rows y0 to y1 - 1 are to be drawn.

    Args:
        box: x0, y0, x1 and y1, in pixels.
        size: Width and height of the picture.

    Raises:
        UsageError: The box does not lie in the picture, or holds nothing.
    """
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]):
        raise UsageError(
            f"the box x0,y0,x1,y1 must have x0 < x1 and y0 < y1 and lie in the picture of {size[0]}x{size[1]}, "
            f"got {','.join(map(str, box))}"
        )
    known = torch.ones(size[1], size[0], dtype=torch.bool)
    known[y0:y1, x0:x1] = False
    return known
