"""Distances between sets of images. One file per metric; adding a file adds a metric."""

from .base import Metric, metrics

__all__ = ["Metric", "metrics"]
