"""Laws of the times at which a network is trained, a file each."""

from .base import TimeLaw, time_laws

__all__ = ["TimeLaw", "time_laws"]
