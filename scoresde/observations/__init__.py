"""Observations: measurements of a sample, such as known pixels, the luma or a blur."""

from typing import TYPE_CHECKING

from .base import LinearObservation, Observation, OrthogonalObservation
from .blurred import GaussianBlur
from .composed import Composed
from .given import Blur, LinearOperator, NonLinear
from .listed import NamedObservation, WrittenObservation, observations
from .named import ROUNDING, ChannelMean, Crop, Downsample, Luma, Noisy
from .pixels import Pixels
from .stacked import Stacked

if not TYPE_CHECKING:  # a dropped-in file is found, too
    __getattr__, __dir__ = observations.members(globals())

__all__ = [
    "ROUNDING",
    "Blur",
    "ChannelMean",
    "Composed",
    "Crop",
    "Downsample",
    "GaussianBlur",
    "LinearObservation",
    "LinearOperator",
    "Luma",
    "NamedObservation",
    "Noisy",
    "NonLinear",
    "Observation",
    "OrthogonalObservation",
    "Pixels",
    "Stacked",
    "WrittenObservation",
    "observations",
]
