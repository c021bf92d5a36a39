"""Pages of the catalogue in an order, read from its tables."""

import hashlib
import json
import sqlite3
from dataclasses import replace
from typing import Any, Literal, get_args

from ..core.errors import UsageError
from . import attachments
from .entries import CatalogueEntry, MissingEntry

SortOrder = Literal["newest", "oldest", "name", "random"]
LARGEST_PAGE = 200
"""Entries of the largest page."""
ENTRY = "entries.id, caption, created, width, height, parameters FROM entries JOIN pictures USING (id)"
SORTED = {"newest": ("id", "DESC"), "oldest": ("id", "ASC"), "name": ("folded", "ASC")}


def checked(order: str, offset: int, limit: int) -> None:
    """Checks what a page is asked for with.

    Args:
        order: "newest", "oldest", "name" or "random".
        offset: Number of entries that are skipped.
        limit: The largest number of entries.

    Raises:
        UsageError: The order, offset or limit is not allowed.
    """
    if order not in get_args(SortOrder):
        raise UsageError(f"the order must be one of {', '.join(get_args(SortOrder))}, got {order!r}")
    if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
        raise UsageError(
            f"a page needs an offset of at least 0 and a limit from 1 to {LARGEST_PAGE}, got {offset} and {limit}"
        )


def shuffled(id: int, seed: int) -> bytes:
    """The place of an entry in a random order: equal for equal seeds, whatever else the catalogue holds.

    Args:
        id: Number of the entry.
        seed: Of the order.
    """
    return hashlib.blake2b(f"{seed} {id}".encode(), digest_size=8).digest()


def listed(db: sqlite3.Connection, order: str, offset: int, limit: int, seed: int) -> tuple[list[int], int]:
    """Ids by an order, counted from the nearer end, and the number of all entries.

    Args:
        db: The database.
        order: "newest", "oldest", "name" or "random".
        offset: Number of entries that are skipped.
        limit: The largest number of entries.
        seed: Of a random order.
    """
    (total,) = db.execute("SELECT entries FROM size").fetchone()
    if order == "random":
        db.create_function("shuffled", 2, shuffled, deterministic=True)
        few = "SELECT id FROM entries ORDER BY shuffled(id, ?), id LIMIT ? OFFSET ?"
        return [id for (id,) in db.execute(few, (str(seed), limit, min(offset, total)))], total
    column, way = SORTED[order]
    count = max(0, min(limit, total - offset))
    from_end = offset > total // 2
    skipped = total - offset - count if from_end else offset
    way = {"ASC": "DESC", "DESC": "ASC"}[way] if from_end else way
    rows = db.execute(
        f"SELECT id FROM entries ORDER BY {column} {way}, id {way} LIMIT ? OFFSET ?", (count, max(0, skipped))
    )
    ids = [id for (id,) in rows]
    return ids[::-1] if from_end else ids, total


def entries(db: sqlite3.Connection, ids: list[int]) -> dict[int, CatalogueEntry]:
    """The entries that there are among numbers, by their numbers.

    Args:
        db: The database.
        ids: The numbers.
    """
    marks = ", ".join("?" * len(ids))
    return {row[0]: _made(row) for row in db.execute(f"SELECT {ENTRY} WHERE entries.id IN ({marks})", ids)}


def one(db: sqlite3.Connection, id: int) -> CatalogueEntry:
    """An entry with all of its parameters.

    Args:
        db: The database.
        id: Number of the entry.

    Raises:
        MissingEntry: There is none with this number.
    """
    for entry in entries(db, [number(id)]).values():
        return replace(entry, parameters=attachments.whole(db, id, entry.parameters))
    raise MissingEntry(f"the catalogue has no entry {id}")


def number(id: int) -> int:
    """A number that SQLite can compare; none that is larger is an entry's.

    Args:
        id: What may be the number of an entry.
    """
    return max(-1, min(id, 2**63 - 1))


def _made(row: tuple[Any, ...]) -> CatalogueEntry:
    id, caption, created, width, height, parameters = row
    return CatalogueEntry(id, caption, created, width, height, json.loads(parameters))
