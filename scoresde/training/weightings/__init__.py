"""Weightings of the loss over time, a file each."""

from .base import Weighting, weightings

__all__ = ["Weighting", "weightings"]
