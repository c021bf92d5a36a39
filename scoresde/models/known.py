"""The condition that a network is given beside x_t."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Known:
    """Further channels of a network's input for B samples, and the pixels of x_0 that they hold for certain.

    Where `mask` is set, the network sees `values` in place of x_t, as in its training.
    """

    channels: Tensor
    """(B, K, H, W)."""
    mask: Tensor | None = None
    """Where pixels are known, (B, 1, H, W), bool; None if none are known for certain."""
    values: Tensor | None = None
    """What they are, (B, C, H, W); elsewhere it is not read."""

    def __len__(self) -> int:
        return len(self.channels)

    def __getitem__(self, rows: slice | Tensor) -> Self:
        """What is given for some of the samples.

        Args:
            rows: Which.
        """
        return self.each(lambda part: part[rows])

    def filling(self, count: int) -> Self:
        """What is given for `count` samples: row i has what row i mod B has here.

        Args:
            count: Number of samples.
        """
        return self.each(lambda part: part.repeat(-(-count // len(self)), 1, 1, 1)[:count])

    def to(self, x: Tensor) -> Self:
        """The same in the dtype and on the device of x.

        Args:
            x: Any tensor.
        """
        return self.each(lambda part: part.to(x.device) if part.dtype == torch.bool else part.to(x))

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with a change of each of its tensors.

        Args:
            change: Maps a tensor to the one in its place.
        """
        parts = (None if part is None else change(part) for part in (self.channels, self.mask, self.values))
        return type(self)(*parts)  # type: ignore[arg-type]
