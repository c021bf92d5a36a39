"""Import of checkpoints of other projects. One file per family; adding a file adds a family."""

from .base import Family, Imported, families

__all__ = ["Family", "Imported", "families"]
