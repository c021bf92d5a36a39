"""The store of results: one JSON object per line, appended when a cell is done, and merged on reading."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import ResourceError
from ..core.files import write_text
from .unfinished import Unfinished

Row = dict[str, Any]
"""The result of one cell, as JSON holds it."""


class Store:
    """The rows of a benchmark in a folder. Each process appends to its own file, and reads the files of all.

    Args:
        folder: The folder.
        rank: Number of this process among those that share the folder.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self.folder, self.rank = folder, rank
        self.path = folder / f"rows-{rank}.jsonl"
        self._told: set[tuple[Path, int]] = set()

    def append(self, row: Row) -> None:
        """Adds a row, and returns when it is on disk.

        Args:
            row: The row.

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
        """The rows of all processes by their keys. A measured row takes precedence over a failed one."""
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
        """Writes text files into the folder, each whole or not at all, even if several processes do so.

        Args:
            files: Texts by file name.
        """
        for name, text in files.items():
            own = self.folder / f".{self.rank}-{name}"
            write_text(own, text)
            os.replace(own, self.folder / name)

    def picture(self, key: str) -> Path:
        """The file of a cell's picture.

        Args:
            key: The cell's key.
        """
        return self.folder / "samples" / f"{key[:16]}.png"

    def unfinished(self, key: str) -> Unfinished:
        """The finished batches of a cell that is not done.

        Args:
            key: The cell's key.
        """
        return Unfinished(self.folder / f"unfinished-{key[:16]}")

    def paths(self, key: str) -> Unfinished:
        """The true paths of a model by this process, which are kept for further solvers.

        Args:
            key: The key of the cell of the solver that they are by.
        """
        return Unfinished(self.folder / f"paths-{key[:16]}-{self.rank}")
