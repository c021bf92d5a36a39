"""Base classes of data sets: options that load a split of images, or of other arrays, into memory."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.options import Options, Registry
from ..core.random import permutation, stream
from ..core.units import Units
from .numbers import real, whole

Split = Literal["train", "test"]
Reduce = Annotated[int, Field(ge=1, description="Reduce images by the means of squares with this side, in pixels.")]


class Dataset(ABC):
    """What can be trained on: N items of one shape, with labels where the set has them."""

    labels: Tensor | None
    """(N,) int64, or None."""
    class_names: tuple[str, ...] = ()
    """What the classes are called, in the order of their labels; empty if they have no names."""

    @property
    @abstractmethod
    def items(self) -> Tensor:
        """The items as they are kept, (N, *)."""

    @abstractmethod
    def scaled(self, index: Tensor | slice = slice(None)) -> Tensor:
        """The chosen items in the units of a network, float32, (B, *).

        Args:
            index: Which items: whole numbers, a mask, or a slice; by default all.
        """

    @abstractmethod
    def having(self, items: Tensor, labels: Tensor | None) -> Self:
        """The same kind of set with other items.

        Args:
            items: The items as they are kept, (N, *).
            labels: Their labels, (N,), or None.
        """

    @property
    def units(self) -> Units | None:
        """What the units of a network mean in those of the data; None if they are the same, as for pictures."""
        return None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item, *."""
        return tuple(self.items.shape[1:])

    def to(self, device: torch.device) -> Self:
        """The set with its tensors on a device.

        Args:
            device: The device.
        """
        return self.having(self.items.to(device), None if self.labels is None else self.labels.to(device))

    def drawn(self, count: int, seed: int = 0) -> Self:
        """A random choice of the items, in the order of a permutation.

        Many sets are sorted by class, so their first items would show one class. A larger choice with the same seed
        begins with the smaller one.

        Args:
            count: How many items; all of them if there are fewer.
            seed: Seed of the permutation.

        Raises:
            UsageError: The count is below 1.
        """
        return self._chosen(permutation(len(self), stream(seed, "images")), count)

    def stratified(self, count: int, seed: int = 0) -> Self:
        """As `drawn`, but with labels each class has its share, up to one item: equally many of equally large classes.

        Args:
            count: How many items; all of them if there are fewer.
            seed: Seed of the permutation.

        Raises:
            UsageError: The count is below 1.
        """
        order = permutation(len(self), stream(seed, "images"))
        if self.labels is not None:
            _, kind, sizes = torch.unique(self.labels.cpu()[order], return_inverse=True, return_counts=True)
            place, by_kind = torch.empty_like(order), kind.argsort(stable=True)
            place[by_kind] = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[kind[by_kind]]
            order = order[((place + 0.5).double() / sizes[kind]).argsort(stable=True)]
        return self._chosen(order, count)

    def _chosen(self, order: Tensor, count: int) -> Self:
        if count < 1:
            raise UsageError(f"at least 1 item is drawn, got {count}")
        index = order[:count]
        return self.having(self.items[index], None if self.labels is None else self.labels[index])


@dataclass(frozen=True)
class Images(Dataset):
    """Images with integer grey levels, and labels if the set has them.

    Raises:
        DataError: There is no image, or the tensors do not fit together.

    Example:
        >>> import scoresde, torch
        >>> images = scoresde.Images(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8))
        >>> len(images), images.shape, float(images.scaled().mean())
        (2, (1, 8, 8), 1.0)
    """

    pixels: Tensor
    """(N, C, H, W) uint8, each value in 0 .. levels - 1; arrays are converted."""
    levels: int = 256
    """Number of grey levels of the set: 256 for photographs, 17 for scikit-learn's digits."""
    labels: Tensor | None = None
    """(N,) int64, or None."""
    class_names: tuple[str, ...] = ()
    """What the classes are called, in the order of their labels; empty if they have no names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", real(self.pixels))
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8 or not self.pixels.numel():
            found = f"{tuple(self.pixels.shape)} of {self.pixels.dtype}"
            raise DataError(f"images must be a non-empty (N, C, H, W) uint8 tensor, got {found}")
        if not 2 <= self.levels <= 256:
            raise DataError(
                f"images have 2 to 256 grey levels, got {self.levels}: give the number of the set, 256 for photographs"
            )
        if int(self.pixels.max()) >= self.levels:
            raise DataError(f"images of {self.levels} grey levels hold the value {int(self.pixels.max())}")
        if self.labels is not None:
            object.__setattr__(self, "labels", whole(self.labels, len(self.pixels)))

    @property
    def items(self) -> Tensor:
        return self.pixels

    def having(self, items: Tensor, labels: Tensor | None) -> Self:
        return replace(self, pixels=items, labels=labels)

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


def pictures(found: Dataset) -> Images:
    """A set as one of images.

    Args:
        found: The set.

    Raises:
        DataError: It is of other numbers than grey levels.
    """
    if not isinstance(found, Images):
        raise DataError(
            f"this takes images of whole grey levels, and the data are numbers of shape {found.shape}, which "
            "scoresde.log_likelihood and scoresde.condition take in Python"
        )
    return found


class DataOptions(Options, ABC):
    """Options of a data set."""

    shows: ClassVar[str] = ""
    """What its training images are, in words that anybody knows, with their number; nothing where that is not known."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one item, (C, H, W) for images, where it is known without loading."""
        return None

    @abstractmethod
    def load(self, split: Split) -> Dataset:
        """The training items, or those held out for testing.

        Args:
            split: "train" for the training items, "test" for those held out for testing.
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
