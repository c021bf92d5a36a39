"""Photon counts."""

import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators, poisson
from .listed import WrittenObservation, observations

SHIFT = 3 / 8
"""What is added to a count, so that the variance of its root hardly depends on it."""


@observations("poisson")
class Poisson(WrittenObservation):
    """Photon counts at each pixel, with the mean peak (x + 1)/2; y = 2 √(count + 3/8), (B, *).

    The error of y has a standard deviation of nearly 1 at any brightness, so y = f(x) + noise with
    f(x) = 2 √(peak (x + 1)/2 + 3/8). This is not linear; use `linearised`. `measure` draws counts.

    Reference: Anscombe 1948, https://doi.org/10.1093/biomet/35.3-4.246.

    Example:
        >>> import scoresde, torch
        >>> scoresde.observations.Poisson(peak=10).forward(torch.tensor([[-1.0, 1.0]]))
        tensor([[1.2247, 6.4420]])
    """

    method = "linearised"
    peak: float = Field(30.0, gt=0, description="Mean number of photons at a white pixel.")
    noise: float = Field(1.0, ge=0, description="Standard deviation of the error of y.")

    def _stable(self, counts: Tensor) -> Tensor:
        return 2 * torch.sqrt(counts.clamp_min(0) + SHIFT)

    def forward(self, x: Tensor) -> Tensor:
        return self._stable(self.peak / 2 * (x + 1))

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        return self._stable(poisson((self.peak / 2 * (x + 1)).clamp_min(0), generator))

    def read(self, picture: Tensor) -> Tensor:
        return self.forward(picture)  # whose brightness is the count

    def shown(self, y: Tensor) -> Tensor:
        return 2 * (y**2 / 4 - SHIFT) / self.peak - 1
