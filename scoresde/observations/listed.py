"""Observations with a name on the command line, and how they read image files."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ..core.options import Registry, WrittenOptions
from .base import LinearObservation, Observation


def is_picture(y: Tensor) -> bool:
    """Whether a measurement has the shape of grey pictures or of colour pictures.

    Args:
        y: (B, *m).
    """
    return y.ndim == 4 and y.shape[1] in (1, 3)


class WrittenObservation(WrittenOptions, Observation):
    """Base of the observations that are nothing but their options. As text: "luma" or "downsample:factor=4"."""

    pixels: ClassVar[bool] = True
    """Whether each number of y belongs to a pixel, so that a hole in what is left is one in y."""

    method: ClassVar[str] = "covariance"
    """The conditioner that it is used with unless another is asked for."""

    def read(self, picture: Tensor) -> Tensor:
        """y, (B, *m), of a picture that is what is left of another; here the picture itself.

        Args:
            picture: (B, C, H, W) in [-1, 1].
        """
        return picture

    def shown(self, y: Tensor) -> Tensor:
        """The picture that `read` made y of, or another that stands for y, (B, C, H, W); here y itself.

        If this is no picture, sheets show Aᵀ y.

        Args:
            y: The measurement, (B, *m).
        """
        return y


class NamedObservation(WrittenObservation, LinearObservation):
    """Base of the linear observations that are nothing but their options."""

    noise: float = Field(0.0, ge=0, description="Standard deviation of the measurement's error, for data in [-1, 1].")


observations: Registry[WrittenObservation] = Registry("observation", "scoresde.observations")
"""Observations that have a name on the command line: colourisation, super-resolution, denoising, outpainting."""
