"""Image sets. One file per source; adding a file adds a data set."""

from .base import DataOptions, Images, data

__all__ = ["DataOptions", "Images", "data"]
