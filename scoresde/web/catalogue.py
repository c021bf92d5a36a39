"""The catalogue: pictures that were kept, with their captions and all that is needed to make them again."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from ..core.errors import ResourceError
from . import attachments
from .database import FullDisk, connect, explained, identity, reserve, transaction
from .entries import CatalogueEntry, MissingEntry
from .intake import size, tidy, written
from .listing import SortOrder, checked, entries, listed, number, one
from .search import find, fold, learn

RESTORABLE = 7 * 86400.0
"""Seconds for which what was deleted can be restored; after that it is removed when the file is opened."""
KEPT = "id, caption, folded, created, width, height"


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
        self._open()
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
        short, texts = attachments.detached(parameters)
        text, folded = written(short), fold(caption)

        def saved() -> CatalogueEntry:
            row = (caption, folded, time.time(), width, height)
            id = self._db.execute(
                "INSERT INTO entries (caption, folded, created, width, height) VALUES (?, ?, ?, ?, ?)", row
            ).lastrowid
            self._db.execute("INSERT INTO pictures VALUES (?, ?, ?)", (id, png, text))
            attachments.write(self._db, id or 0, texts)
            learn(self._db, folded)
            return one(self._db, id or 0)

        return self._roomy(saved)

    def page(
        self, order: SortOrder = "newest", offset: int = 0, limit: int = 50, query: str = "", seed: int = 0
    ) -> tuple[list[CatalogueEntry], int]:
        """Some entries, and the number of all. With a query the best match comes first, whatever the order.

        Long texts among their parameters are left out: {"attachment": ...} stands for each, and `entry` has them.

        Args:
            order: "newest", "oldest", "name" or "random".
            offset: Number of entries that are skipped.
            limit: The largest number of entries.
            query: Words to search for; empty for all entries.
            seed: Of the random order.

        Raises:
            UsageError: The order, offset or limit is not allowed.
        """
        checked(order, offset, limit)
        with self._read():
            searched = query.strip()
            asked = (offset, limit)
            ids, total = find(self._db, query, *asked) if searched else listed(self._db, order, *asked, seed)
            found = entries(self._db, ids)
        return [found[id] for id in ids], total

    def ids(self) -> list[int]:
        """The numbers of all entries, the oldest first."""
        with self._read():
            return [id for (id,) in self._db.execute("SELECT id FROM entries ORDER BY id")]

    def entry(self, id: int) -> CatalogueEntry:
        """One entry.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        with self._read():
            return one(self._db, id)

    def image(self, id: int) -> bytes:
        """The PNG of an entry, as it was saved.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        with self._read():
            one(self._db, id)
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
        folded = fold(caption)

        def renamed() -> CatalogueEntry:
            one(self._db, id)
            self._db.execute("UPDATE entries SET caption = ?, folded = ? WHERE id = ?", (caption, folded, id))
            learn(self._db, folded)
            return one(self._db, id)

        return self._roomy(renamed)

    def delete(self, id: int) -> None:
        """Deletes an entry; for a week it can be restored, unless the disk is full and its room is needed.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: There is none with this number.
        """
        try:
            with self._write():
                one(self._db, id)
                self._db.execute(f"INSERT INTO bin SELECT {KEPT}, ? FROM entries WHERE id = ?", (time.time(), id))
                self._db.execute("DELETE FROM entries WHERE id = ?", (id,))
        except FullDisk:
            with self._write():
                self._purge(keep=0)
                self._db.execute("DELETE FROM pictures WHERE id = ?", (id,))  # first, for the room that the rest takes
                self._db.execute("DELETE FROM entries WHERE id = ?", (id,))
                attachments.purge(self._db)

    def restore(self, id: int) -> CatalogueEntry:
        """Restores a deleted entry, with its number.

        Args:
            id: Number of the entry.

        Raises:
            MissingEntry: None was deleted under this number, or it is gone for good.
        """
        with self._write():
            moved = self._db.execute(f"INSERT INTO entries SELECT {KEPT} FROM bin WHERE id = ?", (number(id),))
            if not moved.rowcount:
                raise MissingEntry(f"the catalogue holds no deleted entry {id}: it cannot be restored")
            self._db.execute("DELETE FROM bin WHERE id = ?", (id,))
            return one(self._db, id)

    def close(self) -> None:
        """Closes the file. Anything later is an error."""
        with self._lock:
            self._closed = True
            if identity(self.path) == self._file:  # else the journal beside it is another file's
                with suppress(sqlite3.Error):  # another program may be writing
                    self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self) -> None:
        self._db = connect(self.path)
        self._file = identity(self.path)

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Alone among this object's threads: the statements of a call see one state of the file."""
        with self._lock:
            if self._closed:
                raise ResourceError(f"the catalogue {self.path} is closed")
            if identity(self.path) != self._file:  # deleted or replaced: what is kept must be where it is looked for
                self._db.close()
                self._open()
            with explained(self.path):
                yield

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._read(), transaction(self._db):
            yield
        reserve(self.path)

    def _roomy(self, write: Callable[[], CatalogueEntry]) -> CatalogueEntry:
        """What a write returns. Where the disk is full, what was deleted makes room for it."""
        try:
            with self._write():
                return write()
        except FullDisk:
            with self._write():
                self._purge(keep=0)
            with self._write():
                return write()

    def _purge(self, keep: float = RESTORABLE) -> None:
        """Removes what was deleted longer ago than so many seconds."""
        if not keep:  # there is no room in the journal for all that would be overwritten
            self._db.execute("PRAGMA secure_delete = FAST")
        since = (time.time() - keep,)
        self._db.execute("DELETE FROM pictures WHERE id IN (SELECT id FROM bin WHERE deleted < ?)", since)
        self._db.execute("DELETE FROM bin WHERE deleted < ?", since)
        attachments.purge(self._db)
