"""What a data set is: options that load a split of images into memory."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.options import Options, Registry
from ..core.random import permutation, stream

Split = Literal["train", "test"]
Reduce = Annotated[int, Field(ge=1, description="Side of the squares of pixels whose mean becomes one pixel.")]


@dataclass(frozen=True)
class Images:
    """Images as whole grey levels, with labels where the set has them.

    Raises:
        DataError: There is no image, or the tensors do not fit together.

    Example:
        >>> import scoresde, torch
        >>> images = scoresde.Images(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8))
        >>> len(images), images.shape, float(images.scaled().mean())
        (2, (1, 8, 8), 1.0)
    """

    pixels: Tensor
    """(N, C, H, W) uint8, each value in 0 .. levels - 1."""
    levels: int = 256
    """Number of grey levels of the set: 256 for photographs, 17 for scikit-learn's digits."""
    labels: Tensor | None = None
    """(N,) int64, or None."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8 or not len(self.pixels):
            raise DataError(f"images must be a non-empty (N, C, H, W) uint8 tensor, got {tuple(self.pixels.shape)}")
        if int(self.pixels.max()) >= self.levels:
            raise DataError(f"images of {self.levels} grey levels hold the value {int(self.pixels.max())}")
        if self.labels is not None and len(self.labels) != len(self.pixels):
            raise DataError(f"{len(self.labels)} labels for {len(self.pixels)} images")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def scaled(self, index: Tensor | slice = slice(None)) -> Tensor:
        """The chosen images as float32 in [-1, 1], (B, C, H, W).

        Args:
            index: Which images: whole numbers, a mask, or a slice; by default all.
        """
        return self.pixels[index].float() * (2 / (self.levels - 1)) - 1

    def drawn(self, count: int, seed: int = 0) -> Self:
        """A random choice of the images, in the order of a permutation.

        Many sets are sorted by class, so their first images would show one class. A larger choice with the same seed
        begins with the smaller one.

        Args:
            count: How many images; all of them if there are fewer.
            seed: Seed of the permutation.
        """
        index = permutation(len(self), stream(seed, "images"))[:count]
        return replace(self, pixels=self.pixels[index], labels=None if self.labels is None else self.labels[index])


class DataOptions(Options, ABC):
    """Options of an image set."""

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Shape of one image, (C, H, W), where it is known without loading."""
        return None

    @abstractmethod
    def load(self, split: Split) -> Images:
        """The training images, or those held out for testing.

        Args:
            split: "train" for the training images, "test" for those held out for testing.
        """


def reduced(pixels: Tensor, factor: int) -> Tensor:
    """The mean of every factor x factor pixels, rounded, (..., H, W) uint8 -> (..., ⌊H/factor⌋, ⌊W/factor⌋) uint8.

    Args:
        pixels: Images, (..., H, W) uint8.
        factor: Side of the squares whose mean becomes one pixel.

    Raises:
        UsageError: No pixel would be left.
    """
    if min(pixels.shape[-2:]) < factor:
        height, width = pixels.shape[-2:]
        raise UsageError(f"images of {height}x{width} pixels cannot be reduced by {factor}")
    if factor == 1:
        return pixels
    means = [torch.nn.functional.avg_pool2d(part.float(), factor).round() for part in torch.split(pixels, 4096)]
    return torch.cat(means).to(torch.uint8)


data: Registry[DataOptions] = Registry("data set", "scoresde.data")
