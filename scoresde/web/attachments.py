"""Long texts among the parameters of kept pictures, such as the picture that was coloured: each is stored once."""

import hashlib
import sqlite3
from typing import Any

LONG = 1000
"""Characters from which a text among the parameters is stored apart, so that a page of entries stays small."""
MARK = "attachment"
"""Key under which the parameters name the digest of such a text."""
TABLES = """
CREATE TABLE IF NOT EXISTS attachments (digest TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS attached (id INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (id, digest)) WITHOUT ROWID;
"""


def detached(parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters with a digest in the place of each long text, and these texts by their digests.

    Args:
        parameters: Values for JSON.
    """
    texts: dict[str, str] = {}

    def short(value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= LONG:
            return value
        try:
            digest = hashlib.sha256(value.encode()).hexdigest()
        except UnicodeEncodeError:  # no text, which whoever checks the parameters refuses
            return value
        texts[digest] = value
        return {MARK: digest}

    return {key: short(value) for key, value in parameters.items()}, texts


def write(db: sqlite3.Connection, id: int, texts: dict[str, str]) -> None:
    """Stores the long texts of an entry.

    Args:
        db: The database, in a transaction.
        id: Number of the entry.
        texts: The texts by their digests.
    """
    db.executemany("INSERT OR IGNORE INTO attachments VALUES (?, ?)", texts.items())
    db.executemany("INSERT OR IGNORE INTO attached VALUES (?, ?)", [(id, digest) for digest in texts])


def whole(db: sqlite3.Connection, id: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with their long texts.

    Args:
        db: The database.
        id: Number of the entry.
        parameters: The parameters with digests.
    """
    texts = dict(db.execute("SELECT digest, text FROM attachments JOIN attached USING (digest) WHERE id = ?", (id,)))
    named = {key: value.get(MARK) for key, value in parameters.items() if isinstance(value, dict)}
    return parameters | {key: texts[digest] for key, digest in named.items() if digest in texts}


def purge(db: sqlite3.Connection) -> None:
    """Removes the texts of entries that are gone for good.

    Args:
        db: The database, in a transaction.
    """
    db.execute("DELETE FROM attached WHERE id NOT IN (SELECT id FROM pictures)")
    db.execute("DELETE FROM attachments WHERE digest NOT IN (SELECT digest FROM attached)")
