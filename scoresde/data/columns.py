"""The columns of a .csv or .tsv file."""

import csv
import functools
import io
import logging

import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.files import text_of
from ..core.sentences import many

LABELS = ("label", "labels", "class", "classes")
"""What the column of classes is called, in small or capital letters."""


def columns(path: str) -> tuple[Tensor, list[str]]:
    """The columns of numbers, (N, D) float64, and that of the classes, N texts, or nothing.

    The first line names the columns if not all of it are numbers. Cells are between tabs, semicolons or commas.

    Args:
        path: The file.

    Raises:
        DataError: It cannot be read, its lines differ in length, or a cell is no number.
    """
    lines, rows = _cells(path)
    names = [cell.strip() for cell in rows[0]]
    counted = not names[0] and [row[0] for row in rows[1:]] == [str(i) for i in range(len(rows) - 1)]  # as in pandas
    if all(map(is_number, names)):
        names = [f"{i + 1}" for i in range(len(names))]
    elif any(map(is_number, names)) and not counted:
        raise DataError(f"{path}: the first line is names or numbers, got both ({', '.join(names)}): name all columns")
    else:
        lines, rows = lines[1:], rows[1:]
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}, has {many(len(row), 'cell')}, and the first line has {len(names)}")
    by_name = list(zip(names, zip(*rows, strict=True), strict=True))
    if counted:
        _warn_of_numbered(path)
        by_name = by_name[1:]
    found = [cells for name, cells in by_name if name.lower() in LABELS]
    data = [(name, cells) for name, cells in by_name if name.lower() not in LABELS]
    if len(found) > 1 or not data:
        raise DataError(f"{path} needs columns of numbers and at most one of {', '.join(LABELS)}, got {names}")
    for name, cells in data:
        for line, cell in zip(lines, cells, strict=True):
            if not is_number(cell):
                what = f"holds {cell!r}, which is no number such as 1.5" if cell.strip() else "is empty"
                raise DataError(f"{path}, line {line}, column {name} {what}: change it, or leave the line out")
    values = torch.tensor([[float(cell) for cell in cells] for _, cells in data], dtype=torch.float64)
    return values.T.contiguous(), [cell.strip() for cell in found[0]] if found else []


@functools.cache
def _warn_of_numbered(path: str) -> None:
    logging.getLogger("scoresde").warning("%s: the first column has no name and counts the rows: left out", path)


def _cells(path: str) -> tuple[list[int], list[list[str]]]:
    """The lines of a file that are not empty: their numbers, and their cells."""
    try:
        with open(path, "rb") as file:
            text = text_of(file.read())
        first = next((line for line in text.splitlines() if line.strip()), "")
        reader = csv.reader(
            io.StringIO(text.lstrip("# "), newline=""),  # numpy.savetxt writes names after one
            delimiter=next((sign for sign in "\t;" if sign in first), ","),
            skipinitialspace=True,
        )
        found = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table of numbers: {error}") from None
    if len(found) < 2:
        raise DataError(
            f"{path} has {many(len(found), 'line')}: a table has one for each item, with its numbers between commas"
        )
    return [line for line, _ in found], [row for _, row in found]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number.

    Args:
        cell: Its text.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return True
