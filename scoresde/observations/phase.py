"""Phase retrieval."""

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from .listed import WrittenObservation, observations


@observations("phase")
class Phase(WrittenObservation):
    """Phase retrieval: y has the moduli of the Fourier transform of the brightness (x + 1)/2, without the phases.

    The image is padded with black to `oversampling` times its height and width, and the transform is orthonormal: y is
    (B, C, oversampling H, oversampling W). It is not linear and needs dps:weight=likelihood, which often ends far from
    y: draw several samples, and keep the one with the least misfit. An image rotated by 180 degrees has the same y.

    Reference: Fienup 1982, https://doi.org/10.1364/AO.21.002758.

    Example:
        >>> import scoresde, torch
        >>> scoresde.observations.Phase().forward(torch.ones(1, 1, 8, 8)).shape
        torch.Size([1, 1, 16, 16])
    """

    pixels, method = False, "dps:weight=likelihood"
    oversampling: int = Field(2, ge=1, le=8, description="Size of the transform relative to the image.")
    noise: float = Field(0.02, ge=0, description="Standard deviation of the error of the moduli.")

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise UsageError(f"phase sees images, (B, C, H, W), got shape {tuple(x.shape)}")
        size = (self.oversampling * x.shape[2], self.oversampling * x.shape[3])
        moduli: Tensor = torch.abs(torch.fft.fft2((x + 1) / 2, s=size, norm="ortho"))
        return moduli

    def read(self, picture: Tensor) -> Tensor:
        raise UsageError("no picture file holds the moduli of phase: give the original, with --degrade")

    def shown(self, y: Tensor) -> Tensor:
        bright: Tensor = torch.fft.fftshift(torch.log1p(y.clamp_min(0)), dim=(2, 3))
        return 2 * bright / bright.amax((1, 2, 3), keepdim=True).clamp_min(1e-12) - 1
