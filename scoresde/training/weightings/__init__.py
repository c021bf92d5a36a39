"""Weights of the loss by time, a file each."""

from .base import Weighting, weightings

__all__ = ["Weighting", "weightings"]
