"""Image sets from scikit-learn, without a download."""

import gzip
import importlib.util
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from ..core.random import permutation, stream
from .base import DataOptions, Images, Split, data, reduced


def _inside(name: str) -> Path:
    """A file that scikit-learn comes with; importing it as well would take longer than a small training."""
    found = importlib.util.find_spec("sklearn")
    path = Path((found and found.submodule_search_locations or [""])[0], "datasets", name)
    if not path.is_file():
        raise DataError(f"{path.name} comes inside scikit-learn, and is not there: pip install scikit-learn")
    return path


def photograph(name: str) -> Image.Image:
    """A photograph of 640x427 pixels.

    Args:
        name: china.jpg or flower.jpg.

    Raises:
        DataError: scikit-learn is not installed.
    """
    return Image.open(_inside(f"images/{name}")).convert("RGB")


@data("digits")
class Digits(DataOptions):
    """1,797 hand-written digits of 8x8 pixels and 17 grey levels: 1,500 to train with, 297 to test with.

    Source: the test part of Alpaydin and Kaynak 1998, https://archive.ics.uci.edu/dataset/80, in scikit-learn.
    """

    shows: ClassVar[str] = "1,500 hand-written digits"

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, 8, 8

    def load(self, split: Split) -> Images:
        """The images (1, 8, 8) of a split, with the digits as labels.

        Raises:
            DataError: scikit-learn is not installed.
        """
        with gzip.open(_inside("data/digits.csv.gz"), "rt") as lines:  # 64 pixels and the digit
            table = torch.from_numpy(np.loadtxt(lines, delimiter=","))
        order = permutation(len(table), stream(0, "digits", "split"))
        table = table[order[:1500] if split == "train" else order[1500:]]
        return Images(table[:, :64].reshape(-1, 1, 8, 8).to(torch.uint8), levels=17, labels=table[:, 64].long())


@data("photos")
class Photos(DataOptions):
    """Square colour crops on a regular grid of two photographs, each at full and at half resolution.

    The crops for testing come from the rightmost fifth of each photograph, which no training crop touches.

    Source: china.jpg and flower.jpg, by danielbuechele and vultilion (Flickr), CC BY 2.0, in scikit-learn.
    """

    shows: ClassVar[str] = "small pieces of two photographs, of a temple and of a flower"
    size: int = Field(32, ge=8, le=64, description="Height and width of the crops.")
    stride: int = Field(16, ge=4, description="Distance between neighbouring crops, in pixels.")

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.size, self.size

    def load(self, split: Split) -> Images:
        """The crops (3, size, size) of a split, without labels.

        Raises:
            DataError: scikit-learn is not installed.
        """
        crops = []
        for name in ("china.jpg", "flower.jpg"):
            full = torch.from_numpy(np.array(photograph(name))).permute(2, 0, 1)
            border = full.shape[2] * 4 // 5  # cut before halving: no pixel may be the mean of pixels from both sides
            part = full[:, :, :border] if split == "train" else full[:, :, border:]
            crops += [_grid(part, self.size, self.stride), _grid(reduced(part, 2), self.size, self.stride)]
        return Images(torch.cat(crops))


def _grid(image: Tensor, size: int, stride: int) -> Tensor:
    """Every crop whose corner lies on the grid, (C, H, W) -> (N, C, size, size)."""
    return image.unfold(1, size, stride).unfold(2, size, stride).permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()
