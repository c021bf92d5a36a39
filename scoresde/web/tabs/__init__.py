"""The tabs of the page that draw, a file each. What is written once for all of them is in `base` and `restore`."""

from .base import Served, Tab, tabs

__all__ = ["Served", "Tab", "tabs"]
