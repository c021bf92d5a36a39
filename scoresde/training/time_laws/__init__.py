"""Distributions of training times, a file each."""

from .base import TimeLaw, time_laws

__all__ = ["TimeLaw", "time_laws"]
