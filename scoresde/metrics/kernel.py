"""Kernel distances, and the polynomial one of a domain extractor's features."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from .base import Quadratic, metrics
from .domain import Domain


class Reference(NamedTuple):
    """The features of the real images, the kernel's width, and the mean of the kernel over their pairs."""

    y: Tensor
    width: float
    mean: float


class Kernel(Quadratic):
    """The squared maximum mean discrepancy, E k(x, x') + E k(y, y') - 2 E k(x, y), estimated without bias.

    So it is around 0, on either side of it, where the two laws are the same, at every N.

    Reference: Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3.
    """

    kinds: ClassVar[tuple[str, ...]] = ("KD",)

    @abstractmethod
    def width(self, y: Tensor) -> float:
        """The scale in the kernel, from the features of the real images, (M, D)."""

    @abstractmethod
    def kernel(self, x: Tensor, y: Tensor, width: float) -> Tensor:
        """k(x_i, y_j), (N, D) and (M, D) in float64 -> (N, M)."""

    def sums(self, x: Tensor, y: Tensor, rows: Tensor, columns: Tensor, width: float) -> Tensor:
        """Sums of the kernel over the pairs of a block of x with a block of y; rows and columns number the blocks."""
        table = x.new_zeros(int(rows.max()) + 1, int(columns.max()) + 1, dtype=torch.float64)
        member, y = torch.eye(table.shape[1], dtype=torch.float64, device=x.device)[columns], y.double()
        few = max(1, 2**22 // len(y))
        for part, block in zip(torch.split(x, few), torch.split(rows, few), strict=True):
            table.index_add_(0, block, self.kernel(part.double(), y, width) @ member)
        return table

    def both(self, x: Tensor, block: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Sums of the kernel over pairs of different images of x, by their blocks, and over its pairs with y."""
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
        """The distance from sums over n (n - 1) pairs of samples and over n M pairs of a sample and a real image."""
        found: list[float] = (inner / (n * (n - 1)) + reference.mean - 2 * outer / (n * len(reference.y))).tolist()
        return found


class Polynomial(Kernel):
    """The kernel distance of k(x, y) = (x·y / D + 1)³ on D features.

    Reference: Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4.
    """

    def width(self, y: Tensor) -> float:
        return float(y.shape[1])

    def kernel(self, x: Tensor, y: Tensor, width: float) -> Tensor:
        return (x @ y.mT / width + 1) ** 3


@metrics("kd")
class DomainKernel(Domain, Polynomial):
    """The polynomial MMD of the features of a domain extractor: a KID for images that Inception does not know."""
