"""Images that Python hands over, as arrays, in place of a set that a name stands for."""

import hashlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from ..core.errors import DataError, UsageError
from .base import DataOptions, Images, Split, data


@data("given")
class GivenImages(DataOptions):
    """Images that Python has handed over: no file holds them, so only their number and a digest can be written down."""

    count: int = Field(ge=1, description="Number of training images.")
    sha256: str = Field(description="Digest of the training images and their labels.")
    _splits: Mapping[str, Images] | None = PrivateAttr(None)

    @classmethod
    def of(cls, train: Images, test: Images | None = None) -> Self:
        """The set with these training images and, for measurements, these held-out ones.

        Args:
            train: Images that are trained on.
            test: Images that are not, or None if nothing will be measured on any.
        """
        made = cls(count=len(train), sha256=digest(train))
        made._splits = {"train": train} | ({} if test is None else {"test": test})
        return made

    @property
    def shape(self) -> tuple[int, int, int] | None:
        return self._splits["train"].shape if self._splits else None

    def load(self, split: Split) -> Images:
        """The images of a split.

        Raises:
            UsageError: The split was not given, or what is loaded is only the record of a set.
        """
        if self._splits is None:
            raise UsageError(f"the {self.count} images were given in Python and are in no file: name another data set")
        if split not in self._splits:
            raise UsageError("there are no held-out images to measure with: give held_out, or measure nothing")
        return self._splits[split]


def digest(images: Images) -> str:
    """The SHA-256 of the shape, levels, pixels and labels of images.

    Args:
        images: The images.
    """
    found = hashlib.sha256(f"{tuple(images.pixels.shape)} {images.levels}".encode())
    for tensor in (images.pixels, images.labels):
        if tensor is not None:
            found.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return found.hexdigest()


def as_images(x: Images | Tensor | np.ndarray[Any, Any]) -> Images:
    """Images as they are, or made of an array (N, C, H, W) of uint8 with 256 grey levels.

    Args:
        x: `Images`, or an array or tensor of grey levels.

    Raises:
        DataError: The array has another shape or type.
    """
    if isinstance(x, Images):
        return x
    pixels = x if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x))
    if pixels.dtype != torch.uint8:
        kind = str(pixels.dtype).removeprefix("torch.")
        raise DataError(f"images must be whole grey levels of uint8, from 0 to 255, got {kind}: scale and round them")
    if pixels.ndim == 4 and pixels.shape[3] in (1, 3) and pixels.shape[1] not in (1, 3):
        raise DataError(
            f"images must be (N, C, H, W), and {tuple(pixels.shape)} looks like (N, H, W, C): "
            "give x.transpose(0, 3, 1, 2)"
        )
    return Images(pixels)
