"""The catalogue: pictures that were kept, with their captions and all that is needed to make them again."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ..core.errors import ResourceError, UsageError
from .database import connect, explained, transaction
from .entries import CatalogueEntry, MissingEntry
from .intake import size, tidy, written
from .search import find, fold, learn

SortOrder = Literal["newest", "oldest", "name"]
LARGEST_PAGE = 200
"""Entries of the largest page."""
RESTORABLE = 7 * 86400.0
"""Seconds for which what was deleted can be restored; after that it is removed when the file is opened."""
ENTRY = "entries.id, caption, created, width, height, parameters FROM entries JOIN pictures USING (id)"
KEPT = "id, caption, folded, created, width, height"
SORTED = {"newest": ("id", "DESC"), "oldest": ("id", "ASC"), "name": ("folded", "ASC")}


class Catalogue:
    """One SQLite file. Threads may share an object, and several programs the file; each call takes place or does not.

    Args:
        path: The file, made if there is none.

    Raises:
        DataError: The file is not a catalogue, damaged, or of a newer version.
        ResourceError: It cannot be written, is kept busy by another program, or SQLite is too old. All methods may
            raise this.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._closed = False
        self._db = connect(self.path)
        try:
            with self._write():
                self._purge()
        except BaseException:
            self._db.close()
            raise

    def save(self, caption: str, png: bytes, parameters: dict[str, Any]) -> CatalogueEntry:
        """Keeps a picture. When this returns, it is on the disk.

        Args:
            caption: One line of text.
            png: The picture.
            parameters: What it was made from, for JSON.

        Raises:
            UsageError: The caption or the parameters are too long, or these cannot be written as JSON.
            DataError: The picture is not a PNG.
        """
        caption, (width, height) = tidy(caption), size(png)
        text = written(parameters)
        with self._write():
            folded = fold(caption)
            row = (caption, folded, time.time(), width, height)
            id = self._db.execute(
                "INSERT INTO entries (caption, folded, created, width, height) VALUES (?, ?, ?, ?, ?)", row
            ).lastrowid
            self._db.execute("INSERT INTO pictures VALUES (?, ?, ?)", (id, png, text))
            learn(self._db, folded)
            return self._entry(id or 0)

    def page(
        self, order: SortOrder = "newest", offset: int = 0, limit: int = 50, query: str = ""
    ) -> tuple[list[CatalogueEntry], int]:
        """Some entries, and the number of all. With a query the best match comes first, whatever the order.

        Args:
            order: "newest", "oldest" or "name".
            offset: Number of entries that are skipped.
            limit: The largest number of entries.
            query: Words to search for; empty for all entries.

        Raises:
            UsageError: The order, offset or limit is not allowed.
        """
        if order not in SORTED:
            raise UsageError(f"the order must be one of {', '.join(get_args(SortOrder))}, got {order!r}")
        if offset < 0 or not 1 <= limit <= LARGEST_PAGE:
            raise UsageError(
                f"a page needs an offset of at least 0 and a limit from 1 to {LARGEST_PAGE}, got {offset} and {limit}"
            )
        with self._read():
            ids, total = find(self._db, query, offset, limit) if query.strip() else self._listed(order, offset, limit)
            marks = ", ".join("?" * len(ids))
            rows = self._db.execute(f"SELECT {ENTRY} WHERE entries.id IN ({marks})", ids)
            entries = {row[0]: _made(row) for row in rows}
        return [entries[id] for id in ids], total

    def entry(self, id: int) -> CatalogueEntry:
        """One entry.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        with self._read():
            return self._entry(id)

    def image(self, id: int) -> bytes:
        """The PNG of an entry, as it was saved.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        with self._read():
            self._entry(id)
            (png,) = self._db.execute("SELECT png FROM pictures WHERE id = ?", (id,)).fetchone()
            return bytes(png)

    def rename(self, id: int, caption: str) -> CatalogueEntry:
        """Gives an entry another caption.

        Args:
            id: Number of the entry.
            caption: The new caption.

        Raises:
            UsageError: The caption is too long.
            MissingEntry: There is no entry with this number.
        """
        caption = tidy(caption)
        with self._write():
            self._entry(id)
            folded = fold(caption)
            self._db.execute("UPDATE entries SET caption = ?, folded = ? WHERE id = ?", (caption, folded, id))
            learn(self._db, folded)
            return self._entry(id)

    def delete(self, id: int) -> None:
        """Deletes an entry; for a week it can be restored.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        with self._write():
            self._entry(id)
            self._db.execute(f"INSERT INTO bin SELECT {KEPT}, ? FROM entries WHERE id = ?", (time.time(), id))
            self._db.execute("DELETE FROM entries WHERE id = ?", (id,))

    def restore(self, id: int) -> CatalogueEntry:
        """Restores a deleted entry, with its number.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: None was deleted under this number, or it is gone for good.
        """
        with self._write():
            moved = self._db.execute(f"INSERT INTO entries SELECT {KEPT} FROM bin WHERE id = ?", (_number(id),))
            if not moved.rowcount:
                raise MissingEntry(f"the catalogue holds no deleted entry {id}: it cannot be restored")
            self._db.execute("DELETE FROM bin WHERE id = ?", (id,))
            return self._entry(id)

    def close(self) -> None:
        """Closes the file. Anything later is an error."""
        with self._lock:
            self._closed = True
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Alone among this object's threads: the statements of a call see one state of the file."""
        with self._lock:
            if self._closed:
                raise ResourceError(f"the catalogue {self.path} is closed")
            with explained(self.path):
                yield

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._read(), transaction(self._db):
            yield

    def _purge(self) -> None:
        """Removes what was deleted long ago."""
        since = (time.time() - RESTORABLE,)
        self._db.execute("DELETE FROM pictures WHERE id IN (SELECT id FROM bin WHERE deleted < ?)", since)
        self._db.execute("DELETE FROM bin WHERE deleted < ?", since)

    def _entry(self, id: int) -> CatalogueEntry:
        row = self._db.execute(f"SELECT {ENTRY} WHERE entries.id = ?", (_number(id),)).fetchone()
        if row is None:
            raise MissingEntry(f"the catalogue has no entry {id}")
        return _made(row)

    def _listed(self, order: SortOrder, offset: int, limit: int) -> tuple[list[int], int]:
        """Ids by an order, counted from the nearer end."""
        (total,) = self._db.execute("SELECT entries FROM size").fetchone()
        column, way = SORTED[order]
        count = max(0, min(limit, total - offset))
        from_end = offset > total // 2
        skipped = total - offset - count if from_end else offset
        way = {"ASC": "DESC", "DESC": "ASC"}[way] if from_end else way
        rows = self._db.execute(
            f"SELECT id FROM entries ORDER BY {column} {way}, id {way} LIMIT ? OFFSET ?", (count, max(0, skipped))
        )
        ids = [id for (id,) in rows]
        return ids[::-1] if from_end else ids, total


def _made(row: tuple[Any, ...]) -> CatalogueEntry:
    id, caption, created, width, height, parameters = row
    return CatalogueEntry(id, caption, created, width, height, json.loads(parameters))


def _number(id: int) -> int:
    """A number that SQLite can compare; none that is larger is an entry's."""
    return max(-1, min(id, 2**63 - 1))
