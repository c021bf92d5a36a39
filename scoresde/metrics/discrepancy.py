"""Kernel distances: sums of a kernel over pairs of images, and the estimate from them."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from .base import Quadratic


class Reference(NamedTuple):
    """The features of the real images, the kernel's width, and the mean of the kernel over their pairs."""

    y: Tensor
    """Features, (M, D)."""
    width: float
    """The scale in the kernel."""
    mean: float
    """The mean of the kernel over pairs of different real images."""


class Kernel(Quadratic):
    """The squared maximum mean discrepancy, E k(x, x') + E k(y, y') - 2 E k(x, y), estimated without bias.

    For equal laws its mean is 0 at every N, and single values can be negative.

    Reference: Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3.
    """

    kinds: ClassVar[tuple[str, ...]] = ("KD",)

    @abstractmethod
    def width(self, y: Tensor) -> float:
        """The scale h in the kernel.

        Args:
            y: The features of the real images, (M, D).
        """

    @abstractmethod
    def kernel(self, x: Tensor, y: Tensor, width: float) -> Tensor:
        """k(x_i, y_j), (N, M).

        Args:
            x: (N, D) float64.
            y: (M, D) float64.
            width: The scale.
        """

    def sums(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor, width: float) -> Tensor:
        """Sums of the kernel over the pairs of each block of x with each block of y.

        Args:
            x: (N, D).
            y: (M, D).
            rows: The number of each block of x, from 0, (N,).
            columns: The number of each block of y, from 0, (M,).
            width: The scale.
        """
        table = x.new_zeros(int(rows.max()) + 1, int(columns.max()) + 1, dtype=torch.float64)
        member, y = torch.eye(table.shape[1], dtype=torch.float64, device=x.device)[columns], y.double()
        few = max(1, 2**22 // len(y))
        for part, block in zip(torch.split(x, few), torch.split(rows, few), strict=True):
            table.index_add_(0, block, self.kernel(part.double(), y, width) @ member)
        return table

    def both(self, x: Tensor, block: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Sums of the kernel over the pairs of different rows of x, and over the pairs of x with y, by blocks.

        Args:
            x: The features of the samples, (N, D).
            block: The number of each sample's block, from 0, (N,).
            reference: The real images.
        """
        inner = self.sums(x, x, block, block, reference.width)
        own = [self.kernel(p, p, reference.width).flatten() for p in torch.split(x.double()[:, None], 1024)]
        inner.diagonal().index_add_(0, block, -torch.cat(own))
        everyone = block.new_zeros(len(reference.y))
        return inner, self.sums(x, reference.y, block, everyone, reference.width)[:, 0]

    def prepare(self, real: Tensor, seed: int) -> Reference:
        width, m = self.width(real), len(real)
        block = torch.zeros(m, dtype=torch.int64, device=real.device)
        inner, _ = self.both(real, block, Reference(real[:1], width, 0.0))
        return Reference(real, width, inner.item() / (m * (m - 1)))

    def values(self, x: Tensor, reference: Reference) -> list[float]:
        inner, outer = self.both(x, torch.zeros(len(x), dtype=torch.int64, device=x.device), reference)
        return self.estimates(inner.flatten(), outer, torch.full_like(outer, len(x)), reference)

    def leave_out(self, x: Tensor, block: Tensor, reference: Reference) -> list[list[float]]:
        inner, outer = self.both(x, block, reference)
        rest = inner.sum() - 2 * inner.sum(0) + inner.diagonal()
        found = self.estimates(rest, outer.sum() - outer, len(x) - block.bincount(), reference)
        return [[value] for value in found]

    def estimates(self, inner: Tensor, outer: Tensor, n: Tensor, reference: Reference) -> list[float]:
        """The distance from sums over n (n - 1) pairs of samples and over n M pairs of a sample and a real image.

        Args:
            inner: Sums over n (n - 1) pairs of samples, (K,).
            outer: Sums over n M pairs of a sample and a real image, (K,).
            n: Numbers of samples, (K,).
            reference: The real images.
        """
        found: list[float] = (inner / (n * (n - 1)) + reference.mean - 2 * outer / (n * len(reference.y))).tolist()
        return found
