"""The entries of the catalogue."""

from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError


class MissingEntry(UsageError):
    """The catalogue has no entry with this number, or none that could be restored."""


@dataclass(frozen=True)
class CatalogueEntry:
    """A picture of the catalogue, without its pixels.

    Args:
        id: Its number, which is never used again, even after the entry is deleted.
        caption: One line of text.
        created: Time of its creation, in seconds since 1970.
        width: Width of the picture, in pixels.
        height: Height of the picture, in pixels.
        parameters: What the picture was made from.
    """

    id: int
    caption: str
    created: float
    width: int
    height: int
    parameters: dict[str, Any]
