"""Image sets from scikit-learn, without a download."""

import importlib
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from ..core.random import permutation, stream
from .base import DataOptions, Images, Split, data, reduced


def _datasets() -> Any:
    try:
        return importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise DataError(
            f"this data set comes inside scikit-learn, which cannot be imported ({error}): pip install scikit-learn"
        ) from error


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
        digits = _datasets().load_digits()
        order = permutation(len(digits.images), stream(0, "digits", "split"))
        index = order[:1500] if split == "train" else order[1500:]
        pixels = torch.from_numpy(digits.images).to(torch.uint8)[index, None]
        return Images(pixels, levels=17, labels=torch.from_numpy(digits.target).long()[index])


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
        for photo in _datasets().load_sample_images().images:
            full = torch.from_numpy(photo.copy()).permute(2, 0, 1)
            border = full.shape[2] * 4 // 5  # cut before halving: no pixel may be the mean of pixels from both sides
            part = full[:, :, :border] if split == "train" else full[:, :, border:]
            crops += [_grid(part, self.size, self.stride), _grid(reduced(part, 2), self.size, self.stride)]
        return Images(torch.cat(crops))


def _grid(image: Tensor, size: int, stride: int) -> Tensor:
    """Every crop whose corner lies on the grid, (C, H, W) -> (N, C, size, size)."""
    windows = image.unfold(1, size, stride).unfold(2, size, stride)
    return windows.permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()
