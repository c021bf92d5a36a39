"""The sliced Wasserstein distance of the pixels."""

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.random import randn, stream
from .base import metrics
from .domain import PixelMetric


def wasserstein(x: Tensor, y: Tensor, order: int) -> Tensor:
    """∫ |F⁻¹ - G⁻¹|^order for the laws F and G of each row of x and y, (K,).

    Args:
        x: (K, N), sorted along each row.
        y: (K, M), sorted along each row.
        order: The exponent.
    """
    n, m = x.shape[1], y.shape[1]
    jumps = torch.from_numpy(np.union1d(np.arange(n) * m, np.arange(m) * n))
    share = torch.diff(jumps, append=jumps.new_tensor([n * m])).to(x) / (n * m)
    return (x[:, (jumps // m).to(x.device)] - y[:, (jumps // n).to(x.device)]).abs().pow(order) @ share


@metrics("sw")
class SlicedWasserstein(PixelMetric):
    """(E W_2²(θ·x, θ·y))^½ over random directions θ, of the pixels scaled to [-1, 1].

    It depends on the whole law along each direction, where the Frechet distance depends on two moments. It is above 0
    at every N. The seed chooses the directions, and the interval holds for these: compare only values of one seed.

    Reference: Bonneel et al. 2015, https://doi.org/10.1007/s10851-014-0506-3.
    """

    kinds: ClassVar[tuple[str, ...]] = ("SW",)
    directions: int = Field(256, ge=1, description="Number of random directions.")

    def prepare(self, real: Tensor, seed: int) -> Any:
        theta = randn((self.directions, real.shape[1]), stream(seed, "directions"))
        theta = (theta / theta.norm(dim=1, keepdim=True)).to(real.device)
        return theta, (theta @ real.T).sort(1).values

    def values(self, x: Tensor, reference: tuple[Tensor, Tensor]) -> list[float]:
        theta, real = reference
        squares = [
            wasserstein((some @ x.T).sort(1).values.double(), sorted_.double(), 2)
            for some, sorted_ in zip(torch.split(theta, 32), torch.split(real, 32), strict=True)
        ]
        return [float(torch.cat(squares).mean().sqrt())]
