"""The catalogue's file: its tables, how it is opened, and its errors as sentences."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ..core.errors import DataError, ResourceError, ScoreSDEError
from . import attachments

APPLICATION, LAYOUT = 0x53434443, 1
"""What SQLite's header says of a catalogue: "SCDC", and the version of its tables."""
RESERVE = 2**20
"""Bytes of the journal: ten times what a deletion among 10,000 pictures takes, and twice what removes 350 of them."""
BUSY = 5.0
"""Seconds to wait for another program that writes to the same file."""
PROBE = "CREATE VIRTUAL TABLE probe USING fts5(x, tokenize = 'trigram')"
TABLES = f"""
BEGIN IMMEDIATE; -- of two programs that make the same file, the second finds the tables made
-- Small rows, so that the page at offset 50,000 is reached through few blocks.
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, caption TEXT NOT NULL, folded TEXT NOT NULL, created REAL NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_name ON entries (folded);
CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, png BLOB NOT NULL, parameters TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bin (
    id INTEGER PRIMARY KEY, caption TEXT NOT NULL, folded TEXT NOT NULL, created REAL NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, deleted REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS size (entries INTEGER NOT NULL);
INSERT INTO size SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM size);

CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    folded, content = 'entries', content_rowid = 'id', prefix = '1 2 3',
    tokenize = "porter unicode61 categories 'L* N* Co Mn Mc So'"
);
CREATE TRIGGER IF NOT EXISTS entered AFTER INSERT ON entries BEGIN
    INSERT INTO words (rowid, folded) VALUES (new.id, new.folded);
    UPDATE size SET entries = entries + 1;
END;
CREATE TRIGGER IF NOT EXISTS left AFTER DELETE ON entries BEGIN
    INSERT INTO words (words, rowid, folded) VALUES ('delete', old.id, old.folded);
    UPDATE size SET entries = entries - 1;
END;
CREATE TRIGGER IF NOT EXISTS renamed AFTER UPDATE OF folded ON entries BEGIN
    INSERT INTO words (words, rowid, folded) VALUES ('delete', old.id, old.folded);
    INSERT INTO words (rowid, folded) VALUES (new.id, new.folded);
END;

-- Each word once: what is spelt alike is looked for among the words, which are fewer than the captions.
CREATE TABLE IF NOT EXISTS vocabulary (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE VIRTUAL TABLE IF NOT EXISTS spellings USING fts5(word, content = '', tokenize = 'trigram');
CREATE TRIGGER IF NOT EXISTS learnt AFTER INSERT ON vocabulary BEGIN
    INSERT INTO spellings (rowid, word) VALUES (new.id, ' ' || new.word || ' ');
END;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""


class FullDisk(ResourceError):
    """There is no room for what is to be written."""


def connect(path: Path) -> sqlite3.Connection:
    """The catalogue in a file, which is made if there is none, readable to its owner alone.

    A write is on the disk when its call returns, and one that is cut off by a crash leaves no trace.

    Args:
        path: The file.

    Raises:
        DataError: The file is not a catalogue, damaged, or of a newer version.
        ResourceError: It cannot be written, or this Python's SQLite lacks the search.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as probe:
            probe.execute(PROBE)
    except sqlite3.OperationalError as error:
        raise ResourceError(
            f"the catalogue needs SQLite 3.34 or newer with FTS5, and this Python has {sqlite3.sqlite_version} "
            f"({error}): use another Python"
        ) from None
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch(mode=0o600)
        except OSError as error:
            raise ResourceError(f"the catalogue {path} cannot be written: {error.strerror}") from None
        db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA synchronous = FULL")
    header = "SELECT * FROM pragma_application_id, pragma_user_version, (SELECT count(*) FROM sqlite_schema)"
    application, layout, tables = db.execute(header).fetchone()
    if application != APPLICATION and tables:
        raise DataError(f"{path} is an SQLite file but not a catalogue: name another file")
    if layout > LAYOUT:
        raise DataError(f"the catalogue {path} has layout {layout}, and this version reads {LAYOUT}: update scoresde")
    db.execute("PRAGMA journal_mode = PERSIST")
    if not tables:
        db.executescript(TABLES)
    db.executescript(attachments.TABLES)  # which files of earlier versions lack


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another at the same path, or None if there is none.

    Args:
        path: The file.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def reserve(path: Path) -> None:
    """Gives the journal of a file so much room that something can still be deleted when the disk is full.

    The journal is empty between two changes, and SQLite writes over what it finds in it.

    Args:
        path: The file.
    """
    journal = path.with_name(path.name + "-journal")
    with suppress(OSError), open(os.open(journal, os.O_WRONLY | os.O_APPEND), "ab") as file:
        file.write(bytes(max(0, RESERVE - file.tell())))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A context in which errors of SQLite become errors of this package.

    Args:
        path: The file, for the message.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _sentence(error, path) from error


def _sentence(error: sqlite3.Error, path: Path) -> ScoreSDEError:
    """What an error of SQLite means, by its primary code."""
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_NOTADB:
            return DataError(f"{path} is not a catalogue: name another file, or one that does not exist yet")
        case sqlite3.SQLITE_CORRUPT:
            return DataError(f"the catalogue {path} is damaged ({error}): put a copy of it in its place")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return FullDisk(
                f"the catalogue {path} cannot be written ({error}): make room on the disk; what it held is unharmed"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return ResourceError(f"the catalogue {path} cannot be written ({error}): name a file that can be")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return ResourceError(f"the catalogue {path} is in use by another program: try again, or close that")
    return ResourceError(f"the catalogue {path} failed: {error}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """A context in which all statements take effect, or none.

    Args:
        db: The database.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk was full
            db.execute("ROLLBACK")
        raise
