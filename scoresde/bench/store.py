"""Where results are kept: one JSON object per line, appended as soon as a cell is done, and merged on reading."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ResourceError
from ..core.files import write_text

Row = dict[str, Any]
"""What one cell came to, as JSON holds it."""


class Store:
    """The results of a folder. Each process appends to a file of its own, and reads those of all.

    Args:
        rank: Number of this process among those that share the folder.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.folder, self.rank = folder, rank
        self.path = folder / f"rows-{rank}.jsonl"
        self._told: set[tuple[Path, int]] = set()

    def append(self, row: Row) -> None:
        """Adds a row, and returns when it is on the disk.

        Raises:
            ResourceError: It cannot be written.
        """
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # the line before was cut short by a kill
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ResourceError(f"cannot write {self.path}: {error}") from None

    def rows(self) -> dict[str, Row]:
        """The rows of all processes by their key. A row that was done stands against one that failed."""
        found: dict[str, Row] = {}
        for path in sorted(self.folder.glob("rows-*.jsonl")):
            for number, line in enumerate(path.read_bytes().splitlines(), 1):
                try:
                    row = json.loads(line)
                    key, status = row["key"], row["status"]
                except (ValueError, KeyError, TypeError):
                    if line.strip() and (path, number) not in self._told:
                        self._told.add((path, number))
                        message = "%s, line %d, is not a whole result and is left out: its cell runs again"
                        logging.getLogger("scoresde").warning(message, path, number)
                    continue
                if status == "done" or found.get(key, {}).get("status") != "done":
                    found[key] = row
        return found

    def write(self, files: Mapping[str, str]) -> None:
        """Writes texts into the folder, each whole or not at all, though other processes may do the same."""
        for name, text in files.items():
            own = self.folder / f".{self.rank}-{name}"
            write_text(own, text)
            os.replace(own, self.folder / name)

    def picture(self, key: str) -> Path:
        """The file of a cell's picture."""
        return self.folder / "samples" / f"{key[:16]}.png"
