"""The kernel distance of the pixels."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from .base import metrics
from .discrepancy import Kernel
from .domain import PixelMetric


@metrics("mmd")
class PixelMMD(PixelMetric, Kernel):
    """The MMD of the pixels, scaled to [-1, 1], with k(x, y) = exp(-|x - y|²/(2 h²))."""

    kinds: ClassVar[tuple[str, ...]] = ("MMD²",)
    bandwidth: float | None = Field(None, gt=0, description="h. [default: median distance between real images]")

    def width(self, y: Tensor) -> float:
        if self.bandwidth:
            return self.bandwidth
        some = y[:: max(1, len(y) // 1000)].double()
        if not (median := float(torch.pdist(some).median())):
            raise DataError("most real images are the same, so that mmd has no scale: give one by --bandwidth")
        return median

    def kernel(self, x: Tensor, y: Tensor, width: float) -> Tensor:
        return (-torch.cdist(x, y).square() / (2 * width**2)).exp()
