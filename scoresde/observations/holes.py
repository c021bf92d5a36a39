"""Holes of images: from a mask file, a box, or a random mask."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..core.errors import UsageError
from ..images import pictures
from .masks import Mask, holes

Values = np.ndarray[Any, Any]
NEAR, SOFT = 32, 0.25
"""How far from 0 and 255 a level is still black or white, as JPEG leaves it; what share of a mask may be neither."""


@dataclass(frozen=True)
class Hole:
    """Where pictures are to be filled."""

    where: Path | tuple[int, int, int, int] | Mask
    """A mask file, in which white is the hole; a box x0, y0, x1, y1, the hole being columns x0 to x1 - 1 of rows y0 to
    y1 - 1; or a law from which holes are drawn."""
    invert: bool = False
    """Whether black is the hole in a mask file, and white is kept."""

    def __str__(self) -> str:
        if isinstance(self.where, Mask):
            return f"{self.where} by the seed"
        return f"the mask {self.where}" if isinstance(self.where, Path) else f"the box {','.join(map(str, self.where))}"

    def known(self, size: tuple[int, int], source: torch.Generator) -> Tensor:
        """Which pixels of a picture are known, (H, W), bool.

        Args:
            size: Width and height of the picture.
            source: What a law draws from.

        Raises:
            DataError: The mask file cannot be read as a picture.
            UsageError: The file or the box does not fit the picture, the file is no mask, or no hole has the share that
                the law asks for.
        """
        if isinstance(self.where, Mask):
            return self.where.draw(size[1], size[0], [source])[0, 0]
        if isinstance(self.where, Path):
            return read_hole(self.where, size, invert=self.invert)
        return pictures.box_known(self.where, size)

    def of_images(self, count: int, shape: tuple[int, ...], seed: int) -> Tensor:
        """Where images of a shape, (C, H, W), are known, (N, 1, H, W), bool: one hole for all, or one each by a law.

        Args:
            count: Number of images.
            shape: Of an image.
            seed: With an image's number, what its hole is a function of.

        Raises:
            DataError, UsageError: As `known`.
        """
        if isinstance(self.where, Mask):
            return holes(self.where, shape, count, seed)
        return self.known((shape[2], shape[1]), torch.Generator()).expand(count, 1, -1, -1)


def read_hole(path: Path, size: tuple[int, int], *, invert: bool = False) -> Tensor:
    """Which pixels are known, (H, W), bool, by a mask file: white is the hole that is to be drawn, black is kept.

    A mask with transparency is a layer that was painted or erased on. Strokes of white, or of another single colour, on
    a transparent layer are the hole; black strokes are what is kept, and the rest is the hole. In a picture of several
    colours, which is erased in places, these places are the hole. Soft edges and what JPEG makes of black and white are
    cut at half. What was taken is logged.

    Args:
        path: The mask file.
        size: Width and height of the picture.
        invert: The hole is what would be kept.

    Raises:
        DataError: The file cannot be read as a picture.
        UsageError: It has another size than the picture, too many values between black and white, or none of either.
    """
    mask = pictures.load_picture(path, "L")
    if mask.size != size:
        ours, theirs = ("{}x{}".format(*s) for s in (mask.size, size))
        raise UsageError(f"the mask {path} is {ours} and the picture {theirs}: both must have the same size")
    layer = _layer(path)
    taken, hole = ("", np.asarray(mask)) if layer is None else _painted(path, *layer)
    if share := float(((hole > 0) & (hole < 255)).mean()):
        soft = float(((hole > NEAR) & (hole < 255 - NEAR)).mean())
        if soft > SOFT or hole.min() > NEAR or hole.max() < 255 - NEAR:
            raise UsageError(
                f"{share:.2%} of the mask {path} is {'half transparent' if taken else 'grey'}: it must hold "
                "only black, which is kept, and white, which is drawn, but for soft edges"
            )
        logging.getLogger("scoresde").warning(
            "%.2g%% of the mask %s is neither black nor white: it is cut at half, level 128", 100 * share, path
        )
    known = (hole >= 128) if invert else (hole < 128)
    if known.all() or not known.any():
        raise UsageError(
            f"the mask {path} makes {'no hole' if known.all() else 'all of the picture the hole'}: paint what is to be "
            "drawn white and what is kept black"
        )
    if taken:
        logging.getLogger("scoresde").warning("the mask %s is taken for %s; --invert turns it round", path, taken)
    return torch.from_numpy(known)


def _layer(path: Path) -> tuple[Values, Values] | None:
    """The opaque colours of a picture with transparency, (N, 3), and how opaque its pixels are, (H, W), 0 to 255."""
    with Image.open(path) as picture:
        if not picture.has_transparency_data or picture.mode.startswith("I"):
            return None
        values = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA"))
    opacity = values[..., 3]
    return None if (opacity == 255).all() else (np.unique(values[opacity > 0][:, :3], axis=0), opacity)


def _painted(path: Path, colours: Values, opacity: Values) -> tuple[str, Values]:
    """What a layer is taken for, and its hole, (H, W), 255 where it is.

    Raises:
        UsageError: Its opaque pixels are black and white, so that nothing is left for the transparent ones to say.
    """
    if len(colours) == 2 and not colours[0].any() and bool((colours[1] == 255).all()):
        raise UsageError(
            f"the mask {path} holds black, white and transparent pixels: save it without transparency, black where the "
            "picture is kept and white where it is drawn"
        )
    if len(colours) > 1:
        return "a picture that is erased in places, which are the hole", 255 - opacity
    if len(colours) == 1 and not colours.any():
        return "black strokes on a transparent layer, which are kept, and all else is the hole", 255 - opacity
    return "strokes on a transparent layer, which are the hole", opacity
