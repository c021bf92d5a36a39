"""Where a hole is: in a mask file, in a box, or drawn by a law of masks."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..images import pictures
from .masks import Mask, holes


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
            UsageError: The file or the box does not fit the picture, or no hole has the share that the law asks for.
        """
        if isinstance(self.where, Mask):
            return self.where.draw(size[1], size[0], [source])[0, 0]
        if isinstance(self.where, Path):
            return pictures.read_hole(self.where, size, invert=self.invert)
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
