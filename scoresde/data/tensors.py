"""Data other than images: vectors, series and volumes of real numbers."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from ..core.errors import DataError
from ..core.units import Units
from .base import Dataset
from .numbers import real, units_of, whole


@dataclass(frozen=True)
class Tensors(Dataset):
    """N items of real numbers with the same shape: (D,) vectors, (C, L) series, (C, D, H, W) volumes and so on.

    For the network they are normalised to mean 0 and standard deviation 1, in each coordinate of vectors, and in each
    channel of (C, *). Samples are in the units of the data.

    Raises:
        DataError: There are no items, a number is not finite and real, the labels do not fit, or float32 cannot
            represent the differences of the numbers.

    Example:
        >>> import scoresde, torch
        >>> data = scoresde.Tensors(torch.tensor([[10.0, -1.0], [20.0, -1.0]]))
        >>> len(data), data.shape, data.scaled().tolist()
        (2, (2,), [[-1.0, 0.0], [1.0, 0.0]])
    """

    values: Tensor
    """(N, *) float32, in the data's own units. Other real numbers, and arrays, are converted."""
    labels: Tensor | None = None
    """(N,) int64, or None."""
    measure: Units | None = None
    """The units of a network; by default those in which these items have mean 0 and deviation 1. Held-out data have
    the units of the training data."""
    class_names: tuple[str, ...] = ()
    """What the classes are called, in the order of their labels; empty if they have no names."""

    def __post_init__(self) -> None:
        given = real(self.values)
        if given.ndim < 2 or not given.numel():
            hint = ": give x[:, None] for one number each" if given.ndim == 1 and len(given) else ""
            raise DataError(f"data must be a non-empty array (N, *) of N items, got {tuple(given.shape)}{hint}")
        values = given.float()
        if bad := int((~values.isfinite()).sum()):
            raise DataError(f"data must be finite 32-bit numbers, and {bad} of {given.numel()} are not: leave them out")
        object.__setattr__(self, "values", values)
        if self.measure is None:
            object.__setattr__(self, "measure", units_of(given))
        if self.labels is not None:
            object.__setattr__(self, "labels", whole(self.labels, len(values)))

    @property
    def items(self) -> Tensor:
        return self.values

    @property
    def units(self) -> Units:
        """What the units of a network mean in those of the data."""
        if self.measure is None:  # which __post_init__ has excluded
            raise DataError("data without units: make them by Tensors(values)")
        return self.measure

    def having(self, items: Tensor, labels: Tensor | None) -> Self:
        return replace(self, values=items, labels=labels)

    def scaled(self, index: Tensor | slice = slice(None)) -> Tensor:
        """The chosen items in the units of a network, mean 0 and deviation 1, float32, (B, *).

        Args:
            index: Which items: whole numbers, a mask, or a slice; by default all.
        """
        return self.units.to_model(self.values[index])
