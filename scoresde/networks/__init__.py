"""Networks that predict what a score model needs. One file per architecture; adding a file adds a network."""

from .base import NetworkOptions, networks

__all__ = ["NetworkOptions", "networks"]
