"""Observations: what is known of a sample before it is drawn."""

from .base import LinearObservation, NamedObservation, Observation, OrthogonalObservation, observations
from .blurred import GaussianBlur
from .given import Blur, LinearOperator, NonLinear, Pixels
from .named import ROUNDING, ChannelMean, Crop, Downsample, Luma, Noisy

__all__ = [
    "ROUNDING",
    "Blur",
    "ChannelMean",
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
    "observations",
]
