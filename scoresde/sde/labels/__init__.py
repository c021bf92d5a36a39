"""Time inputs of networks. One file per convention; adding a file adds a value of `label`."""

from .base import Label, labels

__all__ = ["Label", "labels"]
