"""Motion blur."""

import functools
import math

import torch
from pydantic import Field
from torch import Tensor

from .base import Precision
from .borders import Border
from .given import Blur
from .listed import NamedObservation, observations
from .named import ROUNDING


@observations("motion")
class MotionBlur(NamedObservation):
    """Motion blur: each channel is the mean of `length` copies of itself, one pixel apart along a straight line.

    Places between pixels are interpolated linearly. Beyond its edge the picture is mirrored, or 0.

    Example:
        >>> import scoresde, torch
        >>> scoresde.observations.MotionBlur(length=3).forward(torch.eye(3)[None, None])[0, 0, 0]
        tensor([0.6667, 0.3333, 0.0000])
    """

    length: int = Field(9, ge=1, le=999, description="Length of the motion, in pixels.")
    angle: float = Field(0.0, description="Its direction in degrees: 0 along rows, 90 upwards.")
    border: Border = Field("reflect", description="Values beyond the edge: the image mirrored, or 0.")
    noise: float = Field(ROUNDING, gt=0, description="Standard deviation of the error; by default that of rounding.")

    @property
    def blur(self) -> Blur:
        """The same as a convolution."""
        return Blur(line(self.length, self.angle), self.noise, self.border)

    def forward(self, x: Tensor) -> Tensor:
        return self.blur.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.blur.adjoint(y)

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        return self.blur.near_inverse(b, precision)


@functools.cache
def line(length: int, angle: float) -> Tensor:
    """The kernel of a motion, of odd sides and of sum 1, in float64.

    Args:
        length: In pixels.
        angle: In degrees, from right to up.
    """
    along = torch.arange(length, dtype=torch.float64) - (length - 1) / 2
    places = [-math.sin(math.radians(angle)) * along, math.cos(math.radians(angle)) * along]
    reach = [math.ceil(float(place.abs().max()) - 1e-9) for place in places]
    rows, columns = (
        (1 - (place[:, None] - torch.arange(-n, n + 1)).abs()).clamp_min(0)
        for place, n in zip(places, reach, strict=True)
    )
    return rows.T @ columns / length
