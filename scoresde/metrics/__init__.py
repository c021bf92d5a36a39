"""Distances between sets of images. One file per family of metrics; adding a file adds its metrics."""

from .base import Estimate, Metric, metrics
from .moments import Statistics

__all__ = ["Estimate", "Metric", "Statistics", "metrics"]
