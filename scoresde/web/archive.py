"""All pictures of the catalogue as one ZIP file, which is made while it is sent."""

import dataclasses
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .catalogue import Catalogue
from .entries import CatalogueEntry, MissingEntry
from .search import fold

ROWS = "pictures.json"
"""The file that says what each picture was made from."""
PIECE = 2**20
"""Bytes of it that are sent at once."""
LETTERS = 60
"""Of a caption that the name of a file has."""
FIRST, LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
"""The times that a ZIP file can hold."""


class Sink(io.RawIOBase):
    """A file that cannot be gone back in: what was written is taken away piece by piece."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        """Adds some bytes and returns their number.

        Args:
            data: The bytes.
        """
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        found = bytes(self._written)
        self._written.clear()
        return found


def archive(catalogue: Catalogue) -> Iterator[bytes]:
    """A ZIP file, piece by piece: the pictures as 00012-red-sneaker.png, and pictures.json with a row for each.

    What is kept meanwhile is left out, and so is what is deleted before its turn. A row has the entry's parameters
    whole, with the pictures among them.

    Args:
        catalogue: The catalogue.
    """
    sink, ids = Sink(), catalogue.ids()
    digits = len(str(max(ids, default=0)))
    with zipfile.ZipFile(sink, "w") as made, tempfile.TemporaryFile() as rows:
        for id in ids:
            with suppress(MissingEntry):
                entry, png = catalogue.entry(id), catalogue.image(id)
                name = f"{id:0{digits}}{''.join(f'-{word}' for word in fold(entry.caption)[:LETTERS].split())}.png"
                made.writestr(_place(name, entry), png)
                row = {"file": name, **dataclasses.asdict(entry)}
                rows.write((",\n" if rows.tell() else "[\n").encode() + json.dumps(row).encode())
                yield sink.taken()
        rows.write(b"\n]\n" if rows.tell() else b"[]\n")
        rows.seek(0)
        place = zipfile.ZipInfo(ROWS, time.localtime()[:6])
        place.external_attr, place.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
        with made.open(place, "w", force_zip64=True) as file:
            while piece := rows.read(PIECE):
                file.write(piece)
                yield sink.taken()
    yield sink.taken()


def _place(name: str, entry: CatalogueEntry) -> zipfile.ZipInfo:
    when = max(FIRST, min(time.localtime(entry.created)[:6], LAST))
    made = zipfile.ZipInfo(name, when)
    made.external_attr = 0o644 << 16
    return made
