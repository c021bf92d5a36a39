"""The Gaussian blur."""

import math

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from .base import Precision
from .cosine import filtered
from .given import Blur
from .krylov import reciprocal
from .listed import NamedObservation, observations
from .named import ROUNDING


@observations("blur")
class GaussianBlur(NamedObservation):
    """Deblurring: each channel is convolved with exp(-r²/2 sigma²), cut off near 4 sigma and mirrored at the edges.

    It multiplies cosine k of n by Σ_j w_j cos(π j k/n), w_j the kernel's weights. A factor below `Blur.cut` counts as
    0. The noise should be at least that of rounding: with 0, the inverse would amplify the rounding of the file.

    Example:
        >>> import scoresde, torch
        >>> scoresde.GaussianBlur(sigma=1.0).forward(torch.ones(1, 1, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    sigma: float = Field(1.0, gt=0, description="Width of the blur, in pixels.")
    noise: float = Field(ROUNDING, ge=0, description="Standard deviation of the error; by default that of rounding.")

    def gains(self, x: Tensor) -> Tensor:
        """The factor of each cosine frequency of images of the size of x, (H, W).

        Args:
            x: Images, (B, C, H, W); only their size matters.
        """
        if x.ndim != 4:
            raise UsageError(f"blur sees images, (B, C, H, W), got shape {tuple(x.shape)}")
        reach = max(1, round(4 * self.sigma))
        at = torch.arange(-reach, reach + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (at / self.sigma) ** 2)
        rows, columns = (
            (weights / weights.sum()) @ torch.cos(math.pi / n * at[:, None] * torch.arange(n)) for n in x.shape[2:]
        )
        gains = rows[:, None] * columns
        return torch.where(gains.abs() >= Blur.cut, gains, 0)

    def forward(self, x: Tensor) -> Tensor:
        return filtered(x, self.gains(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)

    def pinv(self, y: Tensor) -> Tensor:
        return filtered(y, reciprocal(self.gains(y)))

    def consistent(self, y: Tensor) -> Tensor:
        return self.forward(self.pinv(y))

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        return precision(b, self.gains(b))
