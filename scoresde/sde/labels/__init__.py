"""What a network takes for the time. One file per convention; adding a file adds a word for `label`."""

from .base import Label, labels

__all__ = ["Label", "labels"]
