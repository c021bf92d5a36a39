"""Tables beside pictures, metadata.csv and metadata.jsonl: which pictures belong to a set, and their labels.

They follow the image folders of Hugging Face: a table has a row for each picture, which its column `file_name`, or
one whose name ends in `_file_name`, names by its path from the table's folder.

Reference: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import csv
import io
import json
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from unicodedata import normalize

from ..core.errors import DataError
from ..core.files import text_of
from ..core.sentences import many
from ..images.listing import UNREADABLE, Listing, printable, some

NAME, LABEL = "file_name", "label"
"""The columns that name a picture and its class."""

Row = tuple[int, dict[str, Any]]
"""The number of a line, and its values by column."""


@dataclass(frozen=True)
class Tables:
    """What the tables of a set say of its pictures. Without tables all pictures belong to it, and none has a label."""

    pictures: list[str]
    """Those that belong to the set, sorted: the ones with a row, and the ones with no table in a folder above them."""
    used: list[str] = field(default_factory=list)
    """The tables that were read."""
    labels: dict[str, str] = field(default_factory=dict)
    """What the column `label` says of a picture, as text, where it says something."""
    why: str = ""
    """Why the labels are no classes whatever their number, as where they are lists; "" if they may be."""
    left_out: list[str] = field(default_factory=list)
    """Sentences about pictures that are left out."""
    notes: list[str] = field(default_factory=list)
    """Sentences about columns and tables that are not used."""


def tables(listing: Listing, opener: Callable[[str], BinaryIO], where: str) -> Tables:
    """What the tables among the files of a folder or zip file say of its pictures.

    Args:
        listing: The files.
        opener: Opens one of them.
        where: What an error calls the folder or zip file.

    Raises:
        DataError: A table cannot be read, names a picture that is not there, or one twice, or in two columns.
    """
    if not listing.tables:
        return Tables(listing.pictures)
    there = {normalize("NFC", name): name for name in listing.pictures}  # macOS writes names in another form
    used, notes, why, further = list[str](), list[str](), "", dict[str, None]()
    rows, labels = dict[str, str](), dict[str, str]()
    for table in listing.tables:
        found = _rows(table, opener, where)
        columns = dict.fromkeys(key for _, row in found for key in row)
        key, note = _names(list(columns), f"{where}: {printable(table)}")
        if not key:
            notes.append(f"{printable(table)} is not used: {note}")
            continue
        used.append(table)
        further |= dict.fromkeys(column for column in columns if column not in (key, LABEL))
        for line, row in found:
            place, path = f"{printable(table)}, line {line}", row.get(key)
            if not isinstance(path, str) or not path:
                raise DataError(f"{where}: {place} names no picture in its column {key}: name one, or remove the line")
            name = posixpath.normpath(posixpath.join(posixpath.dirname(table), path.replace("\\", "/")))
            picture = there.get(normalize("NFC", name))
            if picture is None:
                if PurePosixPath(name).suffix.lower() in UNREADABLE:
                    continue  # which the listing tells of, with all that cannot be read here
                raise DataError(
                    f"{where}: {place} names the picture {path!r}, which is not there: names are paths from the folder "
                    f"of {PurePosixPath(table).name}; add the picture, or remove the line"
                )
            if picture in rows:
                raise DataError(
                    f"{where}: {place} names the picture {path!r}, as {rows[picture]} does: keep one of the lines"
                )
            rows[picture] = place
            if isinstance(value := row.get(LABEL), list | dict):
                why = f"the column {LABEL} of {printable(table)} holds lists or objects"
            elif text := "" if value is None else str(value).strip():
                labels[picture] = text
    if further:
        notes.append(f"columns of {some(used)} that are not used: {', '.join(map(printable, further))}")
    folders = {posixpath.dirname(table) for table in used}
    without = [n for n in listing.pictures if n not in rows and not folders.isdisjoint(_above(n))]
    count = many(len(without), "picture")
    left_out = [f"left out, because {some(used)} has no row for them: {count} ({some(without)})"]
    pictures = sorted(set(listing.pictures) - set(without))
    if not pictures:
        raise DataError(f"{where}: {some(used)} has no row for a picture that can be read here")
    return Tables(pictures, used, labels, why, left_out if without else [], notes)


def _above(name: str) -> Iterator[str]:
    """The folders that a file lies in, the innermost first, and "" for the whole."""
    while name:
        name = posixpath.dirname(name)
        yield name


def _names(columns: list[str], where: str) -> tuple[str, str]:
    """The column of the pictures' names; or "", and why there is none."""
    found = [key for key in columns if key == NAME] or [key for key in columns if key.endswith(f"_{NAME}")]
    if len(found) > 1:
        raise DataError(
            f"{where} names pictures in the columns {', '.join(found)}: call the one to train on {NAME}, and the "
            "pictures of the others are left out"
        )
    has = f"has the columns {', '.join(map(printable, columns))}, and none called {NAME}" if columns else "has no rows"
    return (found[0], "") if found else ("", f"it {has}")


def _rows(table: str, opener: Callable[[str], BinaryIO], where: str) -> list[Row]:
    """The rows of a table.

    Raises:
        DataError: It is in no encoding of Unicode, or is damaged.
    """
    shown = f"{where}: {printable(table)}"
    try:
        with opener(table) as file:
            text = text_of(file.read())
        return list((_of_csv if table.endswith(".csv") else _of_lines)(text, shown))
    except UnicodeError as error:
        raise DataError(f"{shown} is not in UTF-8 ({error}): save it in that encoding") from None
    except csv.Error as error:
        raise DataError(f"{shown} cannot be read as comma-separated values: {error}") from None


def _of_csv(text: str, shown: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns = [name.strip() for name in next(reader, [])]
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise DataError(f"{shown} has two columns called {twice[0]!r}: rename one")
    for values in reader:
        if len(values) > len(columns):
            raise DataError(
                f"{shown}, line {reader.line_num}, has {len(values)} values for {many(len(columns), 'column')}: put "
                "quotation marks around a value that holds a comma"
            )
        if values:
            yield reader.line_num, dict(zip(columns, values, strict=False))


def _of_lines(text: str, shown: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{shown}, line {number}, is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f'{shown}, line {number}, is no JSON object such as {{"{NAME}": "a.png"}}')
        yield number, row
