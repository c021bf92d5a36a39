"""Observations that have a name on the command line: colourisation, super-resolution, denoising, outpainting."""

import math
from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from ..core.errors import UsageError
from .base import OrthogonalObservation
from .listed import NamedObservation, observations

ROUNDING = 1 / (127.5 * math.sqrt(12))
"""Standard deviation of the rounding to one of 256 levels, in [-1, 1]: 0.00226."""


class Grey(NamedObservation, OrthogonalObservation):
    """Base of the weighted means w·x over the channels of each pixel, y (B, 1, H, W)."""

    weights: ClassVar[tuple[float, ...]]
    """w, one for each channel; they sum to 1, so that grey stays itself in [-1, 1] as in [0, 255]."""

    @property
    def gain(self) -> float:
        return math.hypot(*self.weights)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != len(self.weights):
            raise UsageError(f"{self.name} sees images of {len(self.weights)} channels, got shape {tuple(x.shape)}")
        return (x.new_tensor(self.weights)[:, None, None] * x).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        return y.new_tensor(self.weights)[:, None, None] * y


@observations("luma")
class Luma(Grey):
    """Colourisation: y is the luma 0.299 R + 0.587 G + 0.114 B, as rounded by Pillow's convert("L").

    Reference: Recommendation ITU-R BT.601-7, section 2.5.1.

    Example:
        >>> import scoresde, torch
        >>> scoresde.Luma().forward(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
    """

    weights: ClassVar[tuple[float, ...]] = (0.299, 0.587, 0.114)
    noise: float = Field(ROUNDING, ge=0, description="Standard deviation of the error; by default that of rounding.")


@observations("mean")
class ChannelMean(Grey):
    """y is the mean of the channels; the grey of score_sde's colouriser is √3 times this mean. It is not the luma.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix I.3.
    """

    weights: ClassVar[tuple[float, ...]] = (1 / 3, 1 / 3, 1 / 3)


@observations("downsample")
class Downsample(NamedObservation, OrthogonalObservation):
    """Super-resolution: y (B, C, H/factor, W/factor) are the means over blocks of factor x factor pixels.

    Example:
        >>> import scoresde, torch
        >>> scoresde.Downsample(factor=4).forward(torch.ones(1, 3, 8, 8)).shape
        torch.Size([1, 3, 2, 2])
    """

    factor: int = Field(2, ge=1, description="Side of the squares, in pixels.")

    @property
    def gain(self) -> float:
        return 1 / self.factor

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise UsageError(
                f"downsample by {self.factor} takes images with sides that it divides, got {tuple(x.shape)}: "
                "choose a factor of both sides; means along one axis, as of 1xN, are a LinearOperator"
            )
        return avg_pool2d(x, self.factor)

    def adjoint(self, y: Tensor) -> Tensor:
        return y.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3) / self.factor**2


@observations("noisy")
class Noisy(NamedObservation, OrthogonalObservation):
    """Denoising: y (B, *) is x with white noise."""

    noise: float = Field(0.1, gt=0, description="Standard deviation of the noise.")

    @property
    def gain(self) -> float:
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y


@observations("crop")
class Crop(NamedObservation, OrthogonalObservation):
    """Outpainting: y (B, C, H - top - bottom, W - left - right) is the image without its margins."""

    top: int = Field(0, ge=0, description="Rows to be drawn above.")
    bottom: int = Field(0, ge=0, description="Rows to be drawn below.")
    left: int = Field(0, ge=0, description="Columns to be drawn on the left.")
    right: int = Field(0, ge=0, description="Columns to be drawn on the right.")

    @property
    def gain(self) -> float:
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise UsageError(f"crop sees images, (B, C, H, W), got shape {tuple(x.shape)}: a mask knows other entries")
        height, width = x.shape[-2] - self.top - self.bottom, x.shape[-1] - self.left - self.right
        if height < 1 or width < 1:
            raise UsageError(f"the margins of {self!r} leave nothing of images of shape {tuple(x.shape)}")
        return x[..., self.top : self.top + height, self.left : self.left + width]

    def adjoint(self, y: Tensor) -> Tensor:
        return pad(y, (self.left, self.right, self.top, self.bottom))

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        if self.noise:
            return x
        written = x.clone()
        self.forward(written).copy_(y)
        return written
